"""`plugin.classify`: other people's exceptions as classes of the closed vocabulary."""

from __future__ import annotations

from locust.exception import CatchResponseError, ResponseError

import errno
import socket
import ssl
import urllib.error
from email.message import Message
from typing import Any

import geventhttpclient.useragent as ghc
import pytest
import requests
import urllib3
from geventhttpclient._parser import HTTPParseError
from geventhttpclient.response import HTTPConnectionClosed

from locust_ext.errors import CheckFailed, ConnectFailed, ConnectionLost, ErrorReply, RequestTimeout, is_error_class
from locust_ext.plugin.classify import error_class_of


def caused(error: BaseException, cause: BaseException) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:  # noqa: BLE001
        return caught


def with_status(kind: Any, status: int, text: str = "") -> BaseException:
    response = requests.Response()
    response.status_code = status
    error: BaseException = kind(text)
    error.response = response  # type: ignore[attr-defined]
    return error


POOL = urllib3.HTTPConnectionPool("127.0.0.1", 8100)

CASES: list[tuple[BaseException | str, str, str]] = [
    # ours say it themselves
    (ConnectFailed("http_503"), "http_503", "failed"),
    (RequestTimeout(), "timeout", "timed_out"),
    (ConnectionLost("closed_1011"), "closed_1011", "lost"),
    (ErrorReply("CODE"), "error_reply", "failed"),
    (CheckFailed("x"), "check_failed", "failed"),
    # the system's
    (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "refused", "failed"),
    (OSError(errno.EHOSTUNREACH, "x"), "refused", "failed"),
    (ConnectionResetError(errno.ECONNRESET, "x"), "reset", "lost"),
    (BrokenPipeError(errno.EPIPE, "x"), "reset", "lost"),
    (OSError(errno.EADDRNOTAVAIL, "x"), "no_ports", "failed"),
    (OSError(errno.EMFILE, "x"), "fd_limit", "failed"),
    (OSError("x"), "reset", "lost"),
    (TimeoutError(), "timeout", "timed_out"),
    (OSError(errno.ETIMEDOUT, "x"), "timeout", "timed_out"),
    (socket.gaierror(-2, "x"), "dns", "failed"),
    (ssl.SSLError("x"), "tls", "failed"),
    (ssl.SSLCertVerificationError("x"), "tls", "failed"),
    # requests and urllib3, which wrap
    (with_status(requests.HTTPError, 404, "404 Client Error: for url: http://127.0.0.1:500/"), "http_404", "failed"),
    (requests.HTTPError("503 Server Error: x for url: http://127.0.0.1:404/"), "http_503", "failed"),
    (requests.ConnectTimeout(), "connect_timeout", "failed"),
    (requests.ReadTimeout(), "timeout", "timed_out"),
    (requests.exceptions.SSLError("x"), "tls", "failed"),
    (
        requests.ConnectionError(
            urllib3.exceptions.MaxRetryError(
                POOL,
                "/",
                urllib3.exceptions.NewConnectionError(POOL, "x"),  # type: ignore[arg-type]
            )
        ),
        "reset",
        "lost",
    ),
    (
        requests.ConnectionError(urllib3.exceptions.ProtocolError("x", ConnectionResetError(errno.ECONNRESET, "x"))),
        "reset",
        "lost",
    ),
    (requests.ConnectionError(caused(ValueError("x"), socket.gaierror(-2, "x"))), "dns", "failed"),
    (
        requests.ConnectionError(caused(ValueError("x"), ConnectionRefusedError(errno.ECONNREFUSED, "x"))),
        "refused",
        "failed",
    ),
    (requests.exceptions.ChunkedEncodingError("x"), "reset", "lost"),
    # geventhttpclient
    (ghc.BadStatusCode("http://127.0.0.1:500/", code=404), "http_404", "failed"),
    (ghc.RetriesExceeded("http://h/", 0, original=TimeoutError()), "timeout", "timed_out"),
    (ghc.EmptyResponse("http://h/", "x"), "reset", "lost"),
    (HTTPConnectionClosed("connection closed."), "reset", "lost"),
    (HTTPParseError("Incomplete response."), "reset", "lost"),
    (HTTPParseError("connection closed before end of the headers"), "reset", "lost"),
    (HTTPParseError("Invalid HTTP version"), "protocol", "lost"),
    # urllib
    (urllib.error.HTTPError("http://127.0.0.1:500/", 404, "x", Message(), None), "http_404", "failed"),
    (urllib.error.URLError(ConnectionRefusedError(errno.ECONNREFUSED, "x")), "refused", "failed"),
    # Locust's own, and a locustfile's
    (CatchResponseError("bad"), "check_failed", "failed"),
    (ResponseError("bad"), "check_failed", "failed"),
    (AssertionError("bad"), "check_failed", "failed"),
    (ValueError("404"), "check_failed", "failed"),
    ("a text, as Locust's own gRPC example fires it", "check_failed", "failed"),
]


@pytest.mark.parametrize(
    ("error", "error_class", "outcome"), CASES, ids=[f"{n}-{repr(e)[:40]}" for n, (e, _, _) in enumerate(CASES)]
)
def test_each_exception_has_its_class(error: BaseException | str, error_class: str, outcome: str) -> None:
    """And its column of the ledger."""
    assert error_class_of(error) == (error_class, outcome)
    assert is_error_class(error_class)


def test_a_chain_that_bites_its_own_tail_ends() -> None:
    """Exceptions may be each other's cause."""
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one
    assert error_class_of(one) == ("check_failed", "failed")


def test_a_status_that_is_none_is_not_taken_for_one() -> None:
    """A good status, or a code that is no HTTP status."""
    assert error_class_of(with_status(CatchResponseError, 200, "x"))[0] == "check_failed"
    odd = ValueError()
    odd.code = 7  # type: ignore[attr-defined]
    assert error_class_of(odd)[0] == "check_failed"
