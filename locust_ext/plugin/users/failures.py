"""Failures that end a task's turn quietly: our errors, and Locust's ``RescheduleTask`` at once.

A request that fails has been recorded when it raises; Locust must neither print a traceback nor count it again.
"""

from __future__ import annotations

from locust.exception import RescheduleTask

from typing import TypeVar, cast

from locust_ext.errors import CheckFailed, ConnectFailed, ConnectionLost, ErrorReply, OperationError, RequestTimeout


class QuietConnectFailed(ConnectFailed, RescheduleTask):
    """A `ConnectFailed` out of a task."""


class QuietRequestTimeout(RequestTimeout, RescheduleTask):
    """A `RequestTimeout` out of a task."""


class QuietConnectionLost(ConnectionLost, RescheduleTask):
    """A `ConnectionLost` out of a task."""


class QuietErrorReply(ErrorReply, RescheduleTask):
    """An `ErrorReply` out of a task."""


class QuietCheckFailed(CheckFailed, RescheduleTask):
    """A `CheckFailed` out of a task."""


_QUIET: dict[type[OperationError], type[OperationError]] = {
    ConnectFailed: QuietConnectFailed,
    RequestTimeout: QuietRequestTimeout,
    ConnectionLost: QuietConnectionLost,
    ErrorReply: QuietErrorReply,
    CheckFailed: QuietCheckFailed,
}

E = TypeVar("E", bound=OperationError)


def quiet(error: E) -> E:
    """The same error, which Locust takes for the end of the task's turn as well."""
    kind = type(error)
    quiet_kind = _QUIET.get(kind)
    if quiet_kind is None:
        if isinstance(error, RescheduleTask):
            return error
        quiet_kind = _QUIET[kind] = type(f"Quiet{kind.__name__}", (kind, RescheduleTask), {})
    error.__class__ = cast(type[E], quiet_kind)
    return error
