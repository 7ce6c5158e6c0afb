"""Whether the target answers: `wait_for_target`, before a run starts."""

from __future__ import annotations

import locust  # noqa: F401 – monkey-patches, before anything below imports a socket

import http.client
import ssl
from time import monotonic
from urllib.parse import urlsplit

import gevent

from locust_ext.errors import TargetUnavailable

TRY_EVERY_S = 0.25
TRY_S = 3.0


def answers(base_url: str, timeout_s: float = TRY_S) -> str | None:
    """None if an HTTP server answers a ``GET /`` at ``base_url``, with whatever status; else why not, in a few words."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme in ("https", "wss"):
        context = ssl._create_unverified_context()  # whether it answers is asked, not who it is
        connection = http.client.HTTPSConnection(host, parts.port or 443, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port or 80, timeout=timeout_s)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        connection.getresponse()
    except TimeoutError:
        return "no answer"
    except ConnectionRefusedError:
        return "connection refused"
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__ if not isinstance(error, OSError) else (error.strerror or type(error).__name__)
    finally:
        connection.close()
    return None


def wait_for_target(base_url: str, wait_s: float) -> None:
    """Ask every quarter of a second until the target answers. Raises `TargetUnavailable` after ``wait_s``."""
    until_s = monotonic() + wait_s
    while True:
        reason = answers(base_url, max(0.1, min(TRY_S, until_s - monotonic())))
        if reason is None:
            return
        if monotonic() + TRY_EVERY_S >= until_s:
            raise TargetUnavailable(base_url, f"no answer within {wait_s:g} s ({reason})")
        gevent.sleep(TRY_EVERY_S)
