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
from locust_ext.runtime.process import shared

logger = logging.getLogger("locust_ext")

Ext = tuple[int | None, int | None, str, str | None, tuple[str, ...]]
"""``(latency_us, service_us, outcome, error_class, tags)`` of an operation whose start was recorded."""
NOT_COUNTED: Final = ()
"""``ext`` of what is in Locust's statistics and no operation: an alert."""


class Intake:
    """One an environment: `intake_of` makes it at first use, `close` takes its listener away."""

    def __init__(self, environment: Environment) -> None:
        self.recorder = Recorder(on_warning=logger.warning)
        self.recorder.fan_outs.host, self.recorder.fan_outs.process = shared().host, shared().process
        self._request = environment.events.request
        self._request.add_listener(self.on_request)
        self.fire: Callable[..., None] = self._request.fire

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
        latency_us = None if response_time is None else int(response_time * 1000 + 0.5)
        if exception is None:
            self.recorder.operation(request_type, name, latency_us, response_length or 0)
            return
        error_class, outcome = error_class_of(exception)
        self.recorder.operation(request_type, name, latency_us, response_length or 0, outcome, error_class)

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
