"""From other people's exceptions to the closed vocabulary of error classes."""

from __future__ import annotations

from locust.exception import CatchResponseError, ResponseError

import errno
import re
import socket
import ssl
from typing import Any

from locust_ext.errors import OperationError

_ERRNO = {
    errno.ECONNREFUSED: "refused",
    errno.ENETUNREACH: "refused",
    errno.EHOSTUNREACH: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNABORTED: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EADDRNOTAVAIL: "no_ports",
    errno.EMFILE: "fd_limit",
    errno.ENFILE: "fd_limit",
}
_STATUS = re.compile(r"([45][0-9]{2})\b")
_BY_NAME = {
    "ConnectTimeout": "connect_timeout",
    "ReadTimeout": "timeout",
    "Timeout": "timeout",
    "TimeoutError": "timeout",
    "SSLError": "tls",
    "HTTPConnectionClosed": "reset",
    "EmptyResponse": "reset",
    "RemoteDisconnected": "reset",
    "ProtocolError": "reset",
    "ChunkedEncodingError": "reset",
    "HTTPParseError": "protocol",
    "NameResolutionError": "dns",
    "gaierror": "dns",
}

_OUTCOMES = {"timeout": "timed_out", "reset": "lost", "protocol": "lost"}
"""The ledger's column, where it is not ``failed``: the connection of the last two went before the operation had ended."""

_CUT_SHORT = ("Incomplete response", "closed")
"""What geventhttpclient says when the peer went in the middle of its answer, which is no wrong answer."""


def error_class_of(error: BaseException | str) -> tuple[str, str]:
    """``(error_class, outcome)`` of a failure that another client reported; the outcome is the ledger's column."""
    if isinstance(error, OperationError):
        return error.error_class, error.outcome
    error_class = _class_of(error)
    return error_class, _OUTCOMES.get(error_class, "failed")


def _class_of(error: BaseException | str) -> str:
    if isinstance(error, str):
        return "check_failed"
    status = _status_of(error)
    if status is not None:
        return f"http_{status}"
    seen: set[int] = set()
    pending: list[Any] = [error]
    while pending:  # requests and urllib3 wrap the cause several times, as argument, reason, cause or context
        current = pending.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen or len(seen) > 20:
            continue
        seen.add(id(current))
        if isinstance(current, ssl.SSLError):
            return "tls"
        if isinstance(current, socket.gaierror):
            return "dns"
        if isinstance(current, OSError) and current.errno in _ERRNO:
            return _ERRNO[current.errno]
        named = _BY_NAME.get(type(current).__name__)
        if named == "protocol" and any(word in str(current) for word in _CUT_SHORT):
            return "reset"
        if named is not None:
            return named
        if isinstance(current, TimeoutError):
            return "timeout"
        wrapped = getattr(current, "reason", None), getattr(current, "original", None)
        pending += [*wrapped, current.__cause__, current.__context__, *current.args]
    if isinstance(error, CatchResponseError | ResponseError | AssertionError):
        return "check_failed"
    return "reset" if isinstance(error, OSError) else "check_failed"


def _status_of(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if isinstance(status, int) and status >= 400:
        return status
    code = getattr(error, "code", None)
    if type(code) is int and 400 <= code < 600:  # geventhttpclient, urllib
        return code
    if type(error).__name__ == "HTTPError":
        found = _STATUS.match(str(error))  # at its beginning: an address has numbers too
        return int(found.group(1)) if found else None
    return None
