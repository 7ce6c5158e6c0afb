"""A user's cookie jar on WebSocket upgrades: the standard library's jar (RFC 6265), asked and fed per connection."""

from __future__ import annotations

from email.message import Message
from http.cookiejar import CookieJar
from typing import Any, cast
from urllib.request import Request

from locust_ext.runtime.address import Endpoint


def _request(target: Endpoint) -> Request:
    scheme = "https" if target.is_secure else "http"
    return Request(f"{scheme}://{target.url.partition('://')[2]}")


def cookie_header(jar: CookieJar | None, target: Endpoint) -> str | None:
    """The ``Cookie`` header for ``target``; None: there is none."""
    if jar is None:
        return None
    request = _request(target)
    jar.add_cookie_header(request)
    return request.get_header("Cookie")


class _Answer:
    def __init__(self, set_cookies: tuple[str, ...]) -> None:
        self._message = Message()
        for line in set_cookies:
            self._message["Set-Cookie"] = line

    def info(self) -> Message:
        return self._message


def remember(jar: CookieJar, target: Endpoint, set_cookies: tuple[str, ...]) -> None:
    """Feed ``jar`` with the ``Set-Cookie`` lines of ``target``'s answer."""
    jar.extract_cookies(cast(Any, _Answer(set_cookies)), _request(target))
