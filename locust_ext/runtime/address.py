"""From a host and a path to what a socket needs: `Endpoint`, and name resolution with a short memory."""

from __future__ import annotations

import errno
import os
import re
import socket
from dataclasses import dataclass, field
from functools import lru_cache
from time import monotonic
from typing import Any
from urllib.parse import quote, urlsplit

import gevent

from locust_ext.errors import ConfigError, ConnectFailed

SCHEMES = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}
REMEMBER_S = 30.0
_AUTHORITY = re.compile("[^/?#]*")  # RFC 3986, section 3.2: what follows the :// (host and port)
_WHOLE_URL = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")  # RFC 3986, section 3.1; a :// behind it may be a query's
Resolved = tuple[int, int, int, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a WebSocket is opened. ``url`` may hold secrets in its query: it is never shown, ``label`` is."""

    url: str = field(repr=False)
    hostname: str
    port: int
    is_secure: bool

    @property
    def resource(self) -> str:
        """What the request line asks for: path and query; it may hold secrets as well."""
        rest = self.url.partition("://")[2].partition("#")[0]
        start = len(_AUTHORITY.match(rest)[0])  # type: ignore[index]  # it matches anything
        return rest[start:] if rest[start:].startswith("/") else f"/{rest[start:]}"

    @property
    def label(self) -> str:
        return f"{'wss' if self.is_secure else 'ws'}://{self.hostname}:{self.port}"


def endpoint(host: str, path: str, query: str = "") -> Endpoint:
    """The endpoint of ``path`` (with its query) on the base address ``host``; ``path`` may be a whole URL itself.

    ``http``, ``https``, ``ws`` and ``wss`` are understood. Raises `ConfigError`.
    """
    whole = path if _WHOLE_URL.match(path) else f"{host.rstrip('/')}/{path.lstrip('/')}"
    scheme, _, rest = whole.partition("://")
    if not rest or scheme.lower() not in SCHEMES:
        raise ConfigError(
            "expected a base address such as http://127.0.0.1:8000 or wss://example.org",
            key="host",
            value=host,
            shows_value="@" not in host,  # a password stands before it
        )
    start = len(_AUTHORITY.match(rest)[0])  # type: ignore[index]  # it matches anything
    try:
        origin, hostname, port, is_secure = _origin(SCHEMES[scheme.lower()], rest[:start])
    except ValueError as error:
        raise ConfigError("expected a valid address", key="host", value=host, shows_value="@" not in host) from error
    if not hostname:
        raise ConfigError("expected an address with a host name", key="host", value=host, shows_value="@" not in host)
    url = origin + quote(rest[start:], safe=SAFE)
    if query:
        url += ("&" if urlsplit(url).query else "?") + query
    return Endpoint(url, hostname, port, is_secure)


@lru_cache(maxsize=256)  # thousands of users connect to a handful of hosts
def _origin(scheme: str, authority: str) -> tuple[str, str, int, bool]:
    """The quoted beginning of the URL, host name, port, and whether it is secure. Raises `ValueError`."""
    origin = f"{scheme}://{quote(authority, safe=SAFE)}"
    parts = urlsplit(origin)
    is_secure = scheme == "wss"
    return origin, parts.hostname or "", parts.port or (443 if is_secure else 80), is_secure


SAFE = "!#$%&'()*+,/:;=?@[]~"  # everything that may stand in a URL; the rest (spaces, line ends, non-ASCII) is quoted

_memory: dict[tuple[str, int], tuple[float, list[Resolved]]] = {}


def resolve(hostname: str, port: int, deadline_s: float) -> list[Resolved]:
    """The addresses of ``hostname``, remembered for 30 s. Blocks the calling greenlet until ``deadline_s`` at most.

    Raises `ConnectFailed` (``dns``, ``fd_limit``, ``connect_timeout``).
    """
    now_s = monotonic()
    known = _memory.get((hostname, port))
    if known is not None and now_s < known[0]:
        remembered = known[1]
        if len(remembered) > 1:
            remembered.append(remembered.pop(0))  # round robin, as a name with several addresses means it
        return remembered
    try:
        with gevent.Timeout(max(0.001, deadline_s - now_s)) as timeout:
            found = socket.getaddrinfo(hostname, port, 0, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except gevent.Timeout as error:
        if error is not timeout:
            raise
        raise ConnectFailed("connect_timeout") from None
    except (OSError, UnicodeError) as error:  # the resolver's own, or any the system had while it looked
        if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE) or is_descriptor_limit_reached():
            raise ConnectFailed("fd_limit") from error
        raise ConnectFailed("dns") from error
    addresses: list[Resolved] = [(family, kind, protocol, address) for family, kind, protocol, _, address in found]
    if len(_memory) > 256:
        _memory.clear()
    _memory[hostname, port] = (monotonic() + REMEMBER_S, addresses)
    return addresses


def is_descriptor_limit_reached() -> bool:
    """Whether no descriptor is left now: the resolver then fails with an error that looks like DNS."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False
