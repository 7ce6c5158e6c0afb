"""`Routes`: ours beside Locust's, behind its login and for its own pages only; `refused`: who may not change anything."""

from __future__ import annotations

from locust.web import WebUI

import logging
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from flask import Request, Response
from flask_cors import cross_origin
from werkzeug.routing import BaseConverter

logger = logging.getLogger("locust_ext")

PREFIX: Final = "ext"
"""All our routes are below it, which is itself below ``--web-base-path``."""
LARGEST_BODY: Final = 10_000
"""Bytes; what our pages send has less than a hundred."""


class AnyText(BaseConverter):
    """A parameter that may hold any character, slashes also at its beginning: names that people have given."""

    part_isolating = False
    regex = r"(?s:.+)"


class Routes:
    """The routes of one extension in one web UI; to be made before the UI answers its first request (in ``init``).

    Flask cannot take a route back: after `close` they answer 404, and the next extension's take their place.
    """

    def __init__(self, web_ui: WebUI) -> None:
        self._web_ui = web_ui
        self._is_open = True
        self._has_warned = False

    @property
    def base(self) -> str:
        """``--web-base-path`` without a slash at its end; mostly empty."""
        app: Any = self._web_ui.app
        locusts = app.blueprints.get("locust")
        return ((locusts.url_prefix if locusts is not None else None) or "").rstrip("/")

    def add(self, path: str, answer: Callable[..., Response], method: str = "GET") -> None:
        """``answer`` at ``ext/<path>``; it is given the path's parameters."""
        app: Any = self._web_ui.app
        app.url_map.converters["locust_ext_text"] = AnyText
        endpoint = f"locust_ext {method} {path}"
        if endpoint in app.view_functions:  # of an extension that was closed
            app.view_functions[endpoint] = self._guarded(answer)
            return
        try:
            app.add_url_rule(
                f"{self.base}/{PREFIX}/{path}",
                endpoint,
                self._guarded(answer),
                methods=[method],
                merge_slashes=False,  # names of rules are part of some paths
            )
        except AssertionError:  # Flask's word for: this application has answered a request
            if not self._has_warned:
                self._has_warned = True
                logger.warning(
                    "The web UI is being used already: attach() before that, for its links to our reports to work"
                )

    def _guarded(self, answer: Callable[..., Response]) -> Callable[..., Any]:
        """Behind the login, where there is one, and not for pages of other origins, which Locust's own routes answer."""

        def unless_closed(**parameters: Any) -> Response:
            return answer(**parameters) if self._is_open else text_answer("not here any more\n", 404)

        behind_login: Any = self._web_ui.auth_required_if_enabled(unless_closed)
        guarded: Callable[..., Any] = cross_origin(origins=[])(behind_login)
        return guarded

    def close(self) -> None:
        """Idempotent."""
        self._is_open = False


def refused(request: Request) -> Response | None:
    """The answer to a request that wants to change something and does not come from a page of ours; None: it may.

    A browser says where a request comes from, in ``Sec-Fetch-Site`` (https and loopback only) and ``Origin``, and sends
    JSON to a stranger only after asking (CORS), which is denied. Programs say neither: they are let in as to Locust's own
    routes.
    """
    if is_from_elsewhere(request):
        return error_answer(403, "refused: this request comes from a page of another site")
    if request.mimetype != "application/json":
        return error_answer(415, "expected a body of the content type application/json")
    if (request.content_length or 0) > LARGEST_BODY:
        return error_answer(413, f"expected a body of at most {LARGEST_BODY:,} bytes")
    return None


def is_from_elsewhere(request: Request) -> bool:
    """Whether a page of another origin sends it. Where a proxy has changed ``Host``, ``Sec-Fetch-Site`` decides alone."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        return True
    origin = request.headers.get("Origin")
    if origin is None or site == "same-origin":
        return False
    try:
        return urlsplit(origin).netloc.lower() != request.host.lower()
    except ValueError:
        return True


def body_of(request: Request) -> dict[str, Any] | None:
    """The JSON object that was sent; None: it is none."""
    sent = request.get_json(silent=True)
    return sent if isinstance(sent, dict) else None


def json_answer(figures: dict[str, Any], status: int = 200) -> Response:
    """What is not finite becomes null."""
    return _answer(orjson.dumps(figures), "application/json", status)


def error_answer(status: int, text: str) -> Response:
    """``{"error": text}``."""
    return json_answer({"error": text}, status)


def text_answer(text: str, status: int) -> Response:
    return _answer(text, "text/plain; charset=utf-8", status)


def _answer(text: str | bytes, content_type: str, status: int) -> Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(text, status, headers, content_type=content_type)


def url_of(web_ui: WebUI, base: str, path: str) -> str:
    """Where a browser on this machine finds ``ext/<path>``."""
    host = web_ui.host or ""
    if host in ("", "*", "0.0.0.0", "::"):
        host = "127.0.0.1"
    if ":" in host:
        host = f"[{host}]"
    return f"{'https' if web_ui.tls_cert else 'http'}://{host}:{web_ui.port}{base}/{PREFIX}/{path}"
