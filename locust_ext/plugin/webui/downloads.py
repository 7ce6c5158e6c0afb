"""The report's files on the download page of Locust's web UI, made of the live figures at each click."""

from __future__ import annotations

from locust.web import WebUI

from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Final

from flask import Response

from locust_ext.model import Snapshot
from locust_ext.outputs import REPORTS
from locust_ext.plugin.stress import Stress
from locust_ext.plugin.webui.routes import PREFIX, Routes, text_answer

PATH: Final = f"{PREFIX}/reports"
CONTENT_TYPES: Final = {
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".xml": "application/xml",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
}
OF_SEARCHES: Final = frozenset({"limit.svg"})
"""Reports that only a search for the limit has: no entry for them where none of the shapes is one."""
_ENTRIES: Final = "extended_csv_files"


class Downloads:
    """A route for the files of `REPORTS` and their entries on the page, until `close`. Made before the UI is served.

    ``more`` are further entries, (path below ``ext/``, title), which stand before the files.
    """

    def __init__(
        self,
        web_ui: WebUI,
        take: Callable[[], Snapshot],
        more: tuple[tuple[str, str], ...] = (),
        routes: Routes | None = None,
    ) -> None:
        self._web_ui = web_ui
        self._take = take
        self._routes = routes or Routes(web_ui)
        self._routes.add("reports/<name>", self._answer)
        others = self._others()
        web_ui.template_args[_ENTRIES] = [
            *others,
            # Relative, as Locust's own: behind --web-base-path or a proxy they stay below the page.
            *({"href": f"./{PREFIX}/{path}", "title": title} for path, title in more),
            *({"href": f"./{PATH}/{name}", "title": f"Download locust-ext {name}"} for name in self._names()),
        ]

    def _names(self) -> list[str]:
        environment = self._web_ui.environment
        shapes = (environment.shape_class, *(environment.available_shape_classes or {}).values())
        may_search = any(isinstance(shape, Stress) for shape in shapes)
        return [name for name in REPORTS if may_search or name not in OF_SEARCHES]

    def _answer(self, name: str) -> Response:
        render = REPORTS.get(name)
        if render is None:
            return text_answer("no such report\n", 404)
        snapshot = self._take()
        if not (text := render(snapshot)):
            return text_answer("this run has none\n", 404)
        path = PurePath(name)
        # The run's id is of our own making: letters, digits and a dash.
        file_name = f"{path.stem}_{snapshot.run.id}{path.suffix}" if snapshot.run.id else name
        return Response(
            text,
            content_type=CONTENT_TYPES[path.suffix],
            headers={
                "Content-Disposition": f'attachment; filename="{file_name}"',
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            },
        )

    def _others(self) -> list[Any]:
        entries = self._web_ui.template_args.get(_ENTRIES) or []
        return [each for each in entries if not str(each.get("href", "")).startswith(f"./{PREFIX}/")]

    def close(self) -> None:
        """The entries go, and the route answers 404; idempotent."""
        self._routes.close()
        if others := self._others():
            self._web_ui.template_args[_ENTRIES] = others
        else:
            self._web_ui.template_args.pop(_ENTRIES, None)
