"""`WatchedUrl`, where the monitor asks the target over HTTP, and `fetch`, which asks."""

from __future__ import annotations

import http.client
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

import gevent
from gevent import get_hub

from locust_ext.errors import ConfigError
from locust_ext.runtime.address import SAFE
from locust_ext.runtime.monitor.pace import next_turn

MAX_BYTES = 8 * 2**20
PIECE_BYTES = 32_768


class FetchFailed(Exception):
    """There is no answer that could be read. Its text is one of few, and shows no secret."""


@dataclass(frozen=True, slots=True)
class WatchedUrl:
    """An http or https address; what may be secret in it is sent and never shown."""

    label: str
    """For people: no credentials, no query."""
    hostname: str
    port: int
    is_secure: bool
    resource: str = field(repr=False)
    """Path and query."""
    authorization: str | None = field(default=None, repr=False)
    """What the header says, from the credentials of the URL."""


def watched_url(url: str, source: str = "", path: str = "") -> WatchedUrl:
    """``url``, with ``path`` behind its own. Raises `ConfigError` in the name of ``source``."""
    shows_value = "@" not in url and "?" not in url
    try:
        parts = urlsplit(url)
        port = parts.port
        if parts.scheme.lower() not in ("http", "https") or not parts.hostname or port == 0:
            raise ValueError
    except ValueError:
        raise ConfigError(
            "expected an http or https URL such as http://127.0.0.1:8080/metrics",
            source=source,
            value=url,
            shows_value=shows_value,
        ) from None
    is_secure = parts.scheme.lower() == "https"
    port = port or (443 if is_secure else 80)
    own_path = parts.path.rstrip("/") + path if path else parts.path or "/"
    resource = quote(f"{own_path}?{parts.query}" if parts.query else own_path, safe=SAFE)
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(pair.encode()).decode()}"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    label = f"{parts.scheme.lower()}://{host}:{port}{quote(own_path, safe=SAFE)}"
    return WatchedUrl(label, parts.hostname, port, is_secure, resource, authorization)


def fetch(url: WatchedUrl, within_s: float, feed: Callable[[bytes], object], context: ssl.SSLContext | None) -> None:
    """GET ``url``, handing its body to ``feed`` in pieces. Blocks the calling greenlet for ``within_s`` at most.

    Sockets are gevent's (Locust has patched the standard library). Between two pieces other greenlets run. Redirects
    are not followed, nor are proxies of the environment used. Raises `FetchFailed` (also for over 8 MiB).
    """
    connection: http.client.HTTPConnection
    if url.is_secure:
        connection = http.client.HTTPSConnection(url.hostname, url.port, context=context)
    else:
        connection = http.client.HTTPConnection(url.hostname, url.port)
    headers = {"Accept": "text/plain;version=0.0.4, application/json;q=0.9", "Connection": "close"}
    if url.authorization is not None:
        headers["Authorization"] = url.authorization
    answer: http.client.HTTPResponse | None = None
    try:
        with gevent.Timeout(within_s) as timeout:
            connection.request("GET", url.resource, headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise FetchFailed(f"it answered with HTTP status {answer.status}")
            size = 0
            while piece := answer.read(PIECE_BYTES):
                size += len(piece)
                if size > MAX_BYTES:
                    raise FetchFailed("its answer is over 8 MiB")
                feed(piece)
                next_turn()
            if answer.length:
                raise FetchFailed("its answer broke off")
    except gevent.Timeout as error:
        if error is not timeout:
            raise
        raise FetchFailed("it did not answer in time") from None
    except ssl.SSLCertVerificationError:
        raise FetchFailed("its certificate is not trusted") from None
    except ssl.SSLError:
        raise FetchFailed("TLS failed") from None
    except ConnectionRefusedError:
        raise FetchFailed("it refused the connection") from None
    except (OSError, http.client.HTTPException, ValueError):
        raise FetchFailed("the connection failed, or what came was no HTTP") from None
    finally:
        if answer is not None:
            answer.close()  # it has taken the socket over
        connection.close()


def new_tls_context() -> ssl.SSLContext:
    """A context that verifies. Loading the certificates takes milliseconds: done in a real thread."""
    context: ssl.SSLContext = get_hub().threadpool.apply(ssl.create_default_context)
    return context
