"""`MetricsServer`: one small page over HTTP, for scrapers. However slow they are, they cost a socket each, and not for long."""

from __future__ import annotations

import hmac
import logging
import os
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import gevent
from gevent.pywsgi import WSGIServer

from locust_ext.errors import ConfigError

logger = logging.getLogger("locust_ext")

MAX_SCRAPERS: Final = 16
"""At a time; who comes then takes the place of the one that has been there longest."""
SCRAPE_S: Final = 10.0
"""How long one may take, from its connection to the last byte."""
USER: Final = "LOCUST_EXT_METRICS_USER"
PASSWORD: Final = "LOCUST_EXT_METRICS_PASSWORD"
_PLAIN: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to one scrape."""

    body: bytes
    content_type: str
    was_sent: Callable[[], None]
    """Is called once the last byte is on its way."""


@dataclass(frozen=True, slots=True)
class Login:
    """HTTP basic authentication."""

    user: str
    password: str = field(repr=False)

    def admits(self, header: str | None) -> bool:
        """Whether this ``Authorization`` header has user and password; takes the same time whatever is wrong in it."""
        scheme, _, text = (header or "").partition(" ")
        try:
            given = b64decode(text, validate=True) if scheme.lower() == "basic" else b""
        except ValueError:
            given = b""
        return hmac.compare_digest(given, f"{self.user}:{self.password}".encode())


def login_from(environ: dict[str, str] | os._Environ[str]) -> Login | None:
    """What the environment asks of a scraper; None: nothing. Raises `ConfigError` for one of the two without the other."""
    user, password = environ.get(USER), environ.get(PASSWORD)
    if bool(user) != bool(password):
        given, missing = (USER, PASSWORD) if user else (PASSWORD, USER)
        raise ConfigError(f"expected {missing} too, or neither of them", source=given)
    if user and ":" in user:
        raise ConfigError("expected a name without a colon", source=USER)
    return Login(user, password) if user and password else None


class MetricsServer:
    """Serves ``/metrics`` from `open` to `close`. To be made in the process that serves, after any fork."""

    def __init__(self, host: str, port: int, page: Callable[[str], Page], login: Login | None = None) -> None:
        """``port`` 0: one that is free. ``page(accept)``: in the greenlet of the scrape; it may wait."""
        self._host, self._port = host, port
        self._page = page
        self._login = login
        self._server: _Server | None = None
        self._has_failed = False

    @property
    def port(self) -> int:
        """The one that it listens on."""
        return int(self._server.server_port) if self._server is not None else self._port

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/metrics"

    def open(self) -> None:
        """Listen. Raises `OSError`: the port is taken, the address is not ours."""
        named = {"SERVER_NAME": self._host}  # else gevent would ask the DNS
        # No error log: whoever sends no HTTP would fill it. What goes wrong with us, `_scraped` tells.
        server = _Server((self._host, self._port), self._answer, log=None, error_log=None, environ=named)
        try:
            server.start()
        except BaseException:
            server.close()
            raise
        self._server = server

    def close(self) -> None:
        """Listen no more, and end the scrapes that are under way; idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(timeout=0)
            server.end_all()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        """The WSGI application."""
        is_head = environ["REQUEST_METHOD"] == "HEAD"
        if self._login is not None and not self._login.admits(environ.get("HTTP_AUTHORIZATION")):
            page = Page(b"user and password, please\n", _PLAIN, _nothing)
            status, more = "401 Unauthorized", [("WWW-Authenticate", 'Basic realm="locust-ext metrics"')]
        elif environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            page, status, more = Page(b"GET it\n", _PLAIN, _nothing), "405 Method Not Allowed", [("Allow", "GET, HEAD")]
        elif environ["PATH_INFO"] == "/":
            page, status, more = Page(b"locust-ext: see /metrics\n", _PLAIN, _nothing), "200 OK", []
        elif environ["PATH_INFO"] != "/metrics":
            page, status, more = Page(b"there is /metrics only\n", _PLAIN, _nothing), "404 Not Found", []
        else:
            page, status, more = self._scraped(environ.get("HTTP_ACCEPT", ""))
        headers = [
            ("Content-Type", page.content_type),
            ("Content-Length", str(len(page.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),  # a connection a scrape: what is kept open could be kept for ever
        ]
        start_response(status, [*headers, *more])
        if not is_head:
            yield page.body
            page.was_sent()

    def _scraped(self, accept: str) -> tuple[Page, str, list[tuple[str, str]]]:
        try:
            return self._page(accept), "200 OK", []
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                logger.exception("the metrics cannot be told; this is not said again")
            return Page(b"the metrics cannot be told, see the log\n", _PLAIN, _nothing), "500 Internal Server Error", []


def _nothing() -> None:
    pass


class _Server(WSGIServer):  # type: ignore[misc]  # gevent is shipped without types
    """With a bound on how many scrape at a time, and on how long each takes."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._scrapers: dict[Any, None] = {}

    def handle(self, sock: Any, address: Any) -> None:
        """In a greenlet for each connection."""
        while len(self._scrapers) >= MAX_SCRAPERS:
            longest = next(iter(self._scrapers))
            del self._scrapers[longest]
            longest.kill(block=False)
        me = gevent.getcurrent()
        self._scrapers[me] = None
        too_late = gevent.spawn_later(SCRAPE_S, me.kill, block=False)  # pywsgi would swallow a `gevent.Timeout`
        try:
            super().handle(sock, address)
        finally:
            too_late.kill(block=False)
            self._scrapers.pop(me, None)

    def end_all(self) -> None:
        scrapers, self._scrapers = self._scrapers, {}
        gevent.killall(list(scrapers), block=False)
