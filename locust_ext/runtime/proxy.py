"""Proxies on the way to a target: HTTP CONNECT, SOCKS by python-socks (extra ``socks``), and the environment's rules.

A proxy is used only where a user asks for one. Its credentials are never shown.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import lru_cache
from time import monotonic
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from locust_ext.errors import ConfigError, ConnectFailed
from locust_ext.runtime.address import Endpoint

ENVIRONMENT = "environment"
EXPECTED = "expected http://[user:password@]host:port, socks4:// socks4a:// socks5:// socks5h://, or 'environment'"
DEFAULT_PORTS = {"http": 80, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
NAMES_RESOLVED_BY_PROXY = ("http", "socks4a", "socks5h")
MAX_SOCKS_BYTES = 255  # RFC 1929: a length is one byte
_SOCKS_REPLIES = {6: "connect_timeout"}  # RFC 1928, section 6: the TTL expired


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and what it wants to know of us."""

    scheme: str
    """``http``, ``socks4``, ``socks4a``, ``socks5`` or ``socks5h``; those with a letter resolve names themselves."""
    hostname: str
    port: int
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def connect_request(self, target: Endpoint) -> bytes:
        """The CONNECT request for a tunnel to ``target`` (RFC 9110, section 9.3.6)."""
        hostname = f"[{target.hostname}]" if ":" in target.hostname else target.hostname
        authority = f"{hostname}:{target.port}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if self.username is not None:
            credentials = f"{self.username}:{self.password or ''}".encode()
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(credentials).decode()}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


@lru_cache(maxsize=64)
def parse_proxy(url: str) -> Proxy:
    """The proxy that ``url`` names. Raises `ConfigError`, which does not show it."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        scheme, hostname, port = parts.scheme, parts.hostname, parts.port
    except (ValueError, TypeError):
        scheme, hostname, port = "", None, None
    if not hostname or scheme not in DEFAULT_PORTS:
        raise _wrong(EXPECTED)
    username = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    if scheme != "http":
        _python_socks()
        for each in (username, password):
            if each is not None and not (each.isascii() and len(each) <= MAX_SOCKS_BYTES):
                raise _wrong(f"expected credentials of at most {MAX_SOCKS_BYTES} ASCII characters for a SOCKS proxy")
    return Proxy(scheme, hostname, port or DEFAULT_PORTS[scheme], username, password)


def proxy_for(target: Endpoint, proxy: str | None) -> Proxy | None:
    """What a user's ``proxy`` setting means for ``target``; None: no proxy. Raises `ConfigError`.

    ``"environment"`` reads ``HTTP_PROXY``, ``HTTPS_PROXY`` (for ``wss``), ``ALL_PROXY`` and ``NO_PROXY`` at each call,
    by the rules of the standard library's urllib.
    """
    if proxy is None:
        return None
    if proxy != ENVIRONMENT:
        return parse_proxy(proxy)
    known = getproxies_environment()
    url = known.get("https" if target.is_secure else "http") or known.get("all")
    if not url or proxy_bypass_environment(f"{target.hostname}:{target.port}", known):
        return None
    return parse_proxy(url)


def open_socks(sock: Any, proxy: Proxy, hostname: str, port: int, deadline_s: float) -> None:
    """Have the proxy at the other end of ``sock`` connect to the target, by monotonic ``deadline_s``.

    ``hostname`` is an address, unless the proxy shall resolve it. Raises `ConnectFailed`, and what the socket raises.
    """
    python_socks = _python_socks()
    kind = python_socks.ProxyType.SOCKS4 if proxy.scheme.startswith("socks4") else python_socks.ProxyType.SOCKS5
    way = _Connected(sock, deadline_s)
    known = python_socks.sync.Proxy(
        kind, proxy.hostname, proxy.port, proxy.username, proxy.password, rdns=True, forward=way
    )
    try:
        known.connect(hostname, port)
    except python_socks.ProxyError as error:
        if error.error_code is None:  # it answered in no SOCKS, or does not want our credentials
            raise ConnectFailed("bad_handshake", "the proxy did not accept the SOCKS handshake") from error
        error_class = _SOCKS_REPLIES.get(error.error_code, "refused")
        raise ConnectFailed(error_class, "the proxy did not open the connection") from error
    except ValueError as error:  # a name that SOCKS cannot carry
        raise ConnectFailed("dns") from error


class _Connected:
    """Stands for python-socks' way to the proxy: a connected socket of ours, whose every wait has the one deadline."""

    def __init__(self, sock: Any, deadline_s: float) -> None:
        self._sock = sock
        self._deadline_s = deadline_s

    def connect(self, **_: Any) -> _Connected:
        return self

    def _wait_at_most(self) -> Any:
        self._sock.settimeout(max(0.001, self._deadline_s - monotonic()))
        return self._sock

    def sendall(self, data: bytes) -> None:
        self._wait_at_most().sendall(data)

    def recv(self, size: int) -> bytes:
        data: bytes = self._wait_at_most().recv(size)
        return data

    def close(self) -> None:
        """Whoever made the socket closes it."""


def _python_socks() -> Any:
    try:
        import python_socks.sync
    except ImportError:
        raise _wrong("SOCKS proxies need python-socks: pip install 'locust-ext[socks]'") from None
    return python_socks


def _wrong(expected: str) -> ConfigError:
    return ConfigError(expected, key="proxy")
