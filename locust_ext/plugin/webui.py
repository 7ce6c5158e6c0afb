"""The report's files on the download page of Locust's web UI, made of the live figures at each click."""

from __future__ import annotations

from locust.web import WebUI

import logging
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Final

from flask import Response
from flask_cors import cross_origin

from locust_ext.model import Snapshot
from locust_ext.outputs import REPORTS

logger = logging.getLogger("locust_ext")

PATH: Final = "ext/reports"
CONTENT_TYPES: Final = {
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".xml": "application/xml",
    ".html": "text/html; charset=utf-8",
}
_ENTRIES: Final = "extended_csv_files"
_ENDPOINT: Final = "locust_ext_report"


class Downloads:
    """A route for the files of `REPORTS` and their entries on the page, until `close`. Made before the UI is served."""

    def __init__(self, web_ui: WebUI, take: Callable[[], Snapshot]) -> None:
        self._web_ui = web_ui
        self._take: Callable[[], Snapshot] | None = take
        self._add_route()
        others = self._others()
        web_ui.template_args[_ENTRIES] = [
            *others,
            # Relative, as Locust's own: behind --web-base-path or a proxy they stay below the page.
            *({"href": f"./{PATH}/{name}", "title": f"Download locust-ext {name}"} for name in REPORTS),
        ]

    def _add_route(self) -> None:
        app: Any = self._web_ui.app
        if _ENDPOINT in app.view_functions:  # of an extension that was closed: Flask cannot take a route back
            app.view_functions[_ENDPOINT] = self._guarded()
            return
        locusts = app.blueprints.get("locust")
        base = ((locusts.url_prefix if locusts is not None else None) or "").rstrip("/")
        try:
            app.add_url_rule(f"{base}/{PATH}/<name>", _ENDPOINT, self._guarded(), methods=["GET"])
        except AssertionError:  # Flask's word for: this application has answered a request
            logger.warning(
                "The web UI is being used already: attach() before that, for its links to our reports to work"
            )

    def _guarded(self) -> Callable[..., Any]:
        """Behind the login, where there is one, and not for pages of other origins, which Locust's own routes answer."""

        behind_login: Any = self._web_ui.auth_required_if_enabled(self._answer)
        guarded: Callable[..., Any] = cross_origin(origins=[])(behind_login)
        return guarded

    def _answer(self, name: str) -> Response:
        render = REPORTS.get(name)
        if render is None or self._take is None:
            return Response("no such report\n", 404, content_type="text/plain; charset=utf-8")
        snapshot = self._take()
        path = PurePath(name)
        # The run's id is of our own making: letters, digits and a dash.
        file_name = f"{path.stem}_{snapshot.run.id}{path.suffix}" if snapshot.run.id else name
        return Response(
            render(snapshot),
            content_type=CONTENT_TYPES[path.suffix],
            headers={
                "Content-Disposition": f'attachment; filename="{file_name}"',
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            },
        )

    def _others(self) -> list[Any]:
        entries = self._web_ui.template_args.get(_ENTRIES) or []
        return [each for each in entries if not str(each.get("href", "")).startswith(f"./{PATH}/")]

    def close(self) -> None:
        """The entries go, and the route answers 404; idempotent."""
        self._take = None
        if others := self._others():
            self._web_ui.template_args[_ENTRIES] = others
        else:
            self._web_ui.template_args.pop(_ENTRIES, None)
