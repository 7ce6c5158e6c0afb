"""`Caught`: a reply that the locustfile judges (``catch_response=True``)."""

from __future__ import annotations

from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopUser

from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from gevent import GreenletExit, Timeout

from locust_ext.errors import CheckFailed, OperationError
from locust_ext.runtime.call import Call
from locust_ext.runtime.process import shared

if TYPE_CHECKING:
    from locust_ext.plugin.users.channel import Channel

LEAVES_QUIETLY = (OperationError, StopUser, InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately)
"""What may leave a check without saying anything about the reply."""


class Caught:
    """The reply of ``request(…, catch_response=True)``: judged inside its ``with`` block, recorded at its end."""

    def __init__(self, channel: Channel[Any], call: Call) -> None:
        self._channel = channel
        self._call = call
        self._is_recorded = False
        self.data: Any = call.reply
        """The decoded reply."""
        self.error: OperationError | None = call.error
        """Why the request counts as failed; None: it does not."""
        self._is_judged = False

    @property
    def latency_ms(self) -> float:
        return self._call.latency_us / 1000

    def failure(self, text: str) -> None:
        """Count the request as failed, class ``check_failed``. ``text`` should not vary from reply to reply."""
        self.error = CheckFailed(str(text))
        self._is_judged = True

    def success(self) -> None:
        """Count the request as good, whatever the reply says."""
        self.error = None
        self._is_judged = True

    def __enter__(self) -> Caught:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        call = self._call
        self._is_recorded = True
        if isinstance(value, GreenletExit) and not self._is_judged:
            self._channel._intake.recorder.cancelled(call.type, call.name, call.tags)
            return False
        if self.error is None and isinstance(value, AssertionError):
            self.failure(str(value) or "assertion failed")
        elif self.error is None and isinstance(value, Exception | Timeout) and not isinstance(value, LEAVES_QUIETLY):
            self.failure(f"{type(value).__name__} in the check")
        call.error = self.error
        self._channel._report_call(call)
        return False

    def __del__(self) -> None:
        """A reply that no ``with`` block has judged counts as it came; soon, because this may run anywhere."""
        if not self._is_recorded:
            self._is_recorded = True
            self._call.error = self.error
            shared().dispatcher.report(self._channel._report_call, self._call)
