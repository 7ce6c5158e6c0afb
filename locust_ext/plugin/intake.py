"""`Intake`: Locust's request event on one side, the `Recorder` on the other; and the event's firing for our own clients.

The request event is the one door for finished operations, so that plain ``HttpUser``s and other people's clients are
counted too, and nothing twice. What only our clients know (microseconds, service time, the ledger's outcome) travels
with the event as ``ext``.
"""

from __future__ import annotations

from locust.env import Environment

import logging
import weakref
from collections.abc import Callable
from typing import Any, Final

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.errors import OperationError
from locust_ext.plugin.classify import error_class_of
from locust_ext.runtime.open_loops import OpenLoops
from locust_ext.runtime.process import shared
from locust_ext.runtime.quota import AnyQuota
from locust_ext.runtime.turns import Turns

logger = logging.getLogger("locust_ext")

Ext = tuple[int | None, int | None, str, str | None, tuple[str, ...]]
"""``(latency_us, service_us, outcome, error_class, tags)`` of an operation whose start was recorded."""
LARGEST: Final = 2**50
"""Of one operation, in microseconds or bytes: decades, a petabyte."""
NOT_COUNTED: Final = ()
"""``ext`` of what is in Locust's statistics and no operation: an alert."""


def _whole(number: Any, factor: int = 1) -> int | None:
    """What somebody else's client says, times ``factor``, as a number that can be added up and sent; None: it is none.

    -1 is a length that is not known to some; floats, decimals and texts of digits occur.
    """
    try:
        return int(min(max(float(number) * factor + 0.5, 0.0), LARGEST))
    except (TypeError, ValueError, OverflowError):  # NaN too
        return None


class Intake:
    """One an environment: `intake_of` makes it at first use, `close` takes its listener away."""

    def __init__(self, environment: Environment) -> None:
        self.recorder = Recorder(on_warning=logger.warning)
        self.recorder.fan_outs.host, self.recorder.fan_outs.process = shared().host, shared().process
        self._request = environment.events.request
        self._request.add_listener(self.on_request)
        self.fire: Callable[..., None] = self._request.fire
        self.turns: Turns | None = None
        """Of the run, where its users share a rate (``--ext-rate``)."""
        self.open_loops = OpenLoops()
        """Its users that have a schedule of their own."""
        self.quota: AnyQuota | None = None
        """Of the run, where the number of its operations is given (``--ext-requests``)."""

    def on_request(
        self,
        request_type: str,
        name: str,
        response_time: float | None,
        response_length: int,
        exception: BaseException | str | None = None,
        ext: Ext | tuple[()] | None = None,
        **_: Any,
    ) -> None:
        """The listener: Locust calls it in the greenlet of whoever fires."""
        if ext is not None:
            if not ext:
                return
            latency_us, service_us, outcome, error_class, tags = ext
            self.recorder.operation(
                request_type, name, latency_us, response_length, outcome, error_class, service_us, tags, True
            )
            return
        latency_us = None if response_time is None else _whole(response_time, 1000)
        length = response_length
        if type(length) is not int or not 0 <= length <= LARGEST:
            length = _whole(length) or 0
        if exception is None:
            self.recorder.operation(request_type, name, latency_us, length)
            return
        error_class, outcome = error_class_of(exception)
        self.recorder.operation(request_type, name, latency_us, length, outcome, error_class)

    def report(
        self,
        user: Any,
        type_: str,
        name: str,
        latency_us: int | None,
        length: int = 0,
        error: OperationError | None = None,
        service_us: int | None = None,
        tags: tuple[str, ...] = (),
        context: dict[str, Any] | None = None,
    ) -> None:
        """Fire Locust's request event for an operation of ours, whose start has been recorded; from any greenlet."""
        merged = user.context()
        if context:
            merged = {**merged, **context}
        ext: Ext
        if error is None:
            ext = (latency_us, service_us, "ok", None, tags)
        else:
            ext = (latency_us, service_us, error.outcome, error.error_class, tags)
        self.fire(
            request_type=type_,
            name=name,
            response_time=None if latency_us is None else latency_us / 1000,
            response_length=length,
            exception=error,
            context=merged,
            ext=ext,
        )

    def close(self) -> None:
        """Take the listener away; idempotent."""
        self._request.remove_listener(self.on_request)


_intakes: weakref.WeakKeyDictionary[Environment, Intake] = weakref.WeakKeyDictionary()


def intake_of(environment: Environment) -> Intake:
    """The environment's intake, made at first use: our users work without ``install()`` too."""
    intake = _intakes.get(environment)
    if intake is None:
        intake = _intakes[environment] = Intake(environment)
    return intake


def drop_intake(environment: Environment) -> None:
    """Undo `intake_of`; idempotent."""
    intake = _intakes.pop(environment, None)
    if intake is not None:
        intake.close()
