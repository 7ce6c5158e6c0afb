"""Locust's HTTP session with an exact ledger: each request has one outcome of ours, whatever becomes of its user."""

from __future__ import annotations

from locust.contrib.fasthttp import ErrorResponse, FastHttpSession, FastResponse, ResponseContextManager
from locust.exception import CatchResponseError

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.errors import CheckFailed, ConnectFailed, ConnectionLost, OperationError, RequestTimeout
from locust_ext.plugin.classify import error_class_of
from locust_ext.plugin.intake import Ext, Intake
from locust_ext.plugin.users.base import RealTimeUser


class RequestEvent:
    """Stands before Locust's request event: adds the closed vocabulary and the ledger's outcome to each HTTP operation."""

    def __init__(self, intake: Intake) -> None:
        self._fire = intake.fire
        self.late_us: int | None = None
        """Of an open loop: how long after it was due the request that goes on was begun."""

    def fire(
        self, *, request_type: str, name: str, response_time: float, exception: BaseException | None = None, **rest: Any
    ) -> None:
        """As Locust's ``events.request.fire``."""
        latency_us = int(response_time * 1000 + 0.5)
        service_us = None
        if self.late_us is not None:
            service_us, latency_us = latency_us, latency_us + self.late_us
            response_time = latency_us / 1000
        ext: Ext
        if exception is None:
            ext = (latency_us, service_us, "ok", None, ())
        else:
            exception = failure = operation_error(exception, rest.get("response"))
            ext = (latency_us, service_us, failure.outcome, failure.error_class, ())
        self._fire(
            request_type=request_type, name=name, response_time=response_time, exception=exception, ext=ext, **rest
        )


class ErrorOfStatus(OperationError):
    """The server answered with an HTTP status that is a failure."""

    def __init__(self, status: int) -> None:
        super().__init__(f"http_{status}")


def operation_error(error: BaseException, response: Any = None) -> OperationError:
    """Any client's exception as one of ours, whose text holds no header, no body and no library's words."""
    if isinstance(error, OperationError):
        return error
    if isinstance(error, CatchResponseError):
        return CheckFailed(str(error)[:200])
    status = getattr(response, "status_code", 0) or 0
    if status >= 400:
        return ErrorOfStatus(status)
    error_class, outcome = error_class_of(error)
    if error_class == "check_failed":
        return CheckFailed(type(error).__name__)
    if outcome == "timed_out":
        return RequestTimeout()
    if error_class in ("reset", "protocol"):
        return ConnectionLost(error_class)
    return ConnectFailed(error_class)


class LedgerResponse(ResponseContextManager):
    """A response that is judged in a ``with`` block: the ledger hears of it however the block ends."""

    recorder: Recorder
    started_as: str
    is_reported = False

    def _report_request(self) -> None:
        meta = self.request_meta
        if meta["name"] != self.started_as:
            self.recorder.renamed(meta["request_type"], self.started_as, meta["name"])
        self.is_reported = True
        super()._report_request()

    def __exit__(self, *raised: Any) -> Any:
        try:
            return super().__exit__(*raised)
        finally:
            if not self.is_reported:  # Locust reports nothing when the block was left by another exception, or killed
                self.recorder.cancelled(self.request_meta["request_type"], self.started_as)


class ContextSession(FastHttpSession):
    """Locust's FastHttpSession, whose requests have an outcome even if the user is killed in the middle (FACTS 17)."""

    recorder: Recorder
    bearer: Callable[[], str | None] | None = None
    own_headers: Callable[[], Mapping[str, str]] | None = None
    """Of each request, where they are not always the same."""

    def request(  # type: ignore[override]  # what is passed on is Locust's, whatever it will be
        self, method: str, url: str, name: str | None = None, headers: Any = None, **kwargs: Any
    ) -> Any:
        """As `FastHttpSession.request`."""
        user = cast(RealTimeUser, self.user)
        if user.is_being_killed:
            user.wait_for_kill()
        if (quota := user.intake.quota) is not None:
            quota.take(user)
        shown = name or self.request_name or url.partition("?")[0]
        headers = self._with_own(headers)
        self.recorder.started(method, shown)
        try:
            response = super().request(method, url, name=shown, headers=headers, **kwargs)
        except BaseException:
            self.recorder.cancelled(method, shown)
            raise
        if isinstance(response, ResponseContextManager):
            response.__class__ = LedgerResponse
            judged = cast(LedgerResponse, response)
            judged.recorder = self.recorder
            judged.started_as = shown
        return response

    def _with_own(self, headers: Mapping[str, str] | None) -> Mapping[str, str] | None:
        """The headers of one request; what it is given itself stands before the user's own. Never to be shown."""
        if self.own_headers is not None:
            headers = {**self.own_headers(), **(headers or {})}
        if self.bearer is not None and (token := self.bearer()):
            headers = {"Authorization": f"Bearer {token}", **(headers or {})}
        return headers

    def attempt(self, method: str, url: str, **kwargs: Any) -> tuple[Any, OperationError | None]:
        """One request that nobody counts: the response, and why it failed; None: it did not."""
        headers = cast(Any, self._with_own(kwargs.pop("headers", None)))
        response = super().request(method, url, headers=headers, catch_response=True, **kwargs)
        error = response.request_meta["exception"]
        return response, None if error is None else operation_error(error, response)

    def _send_request_safe_mode(self, method: str, url: str, **kwargs: Any) -> FastResponse:
        try:
            return super()._send_request_safe_mode(method, url, **kwargs)
        except RuntimeError as error:  # so geventhttpclient says that the proxy of an https target refuses
            if not str(error).startswith("Proxy "):
                raise
            status = PROXY_STATUS.search(str(error))
            request = self.client._make_request(
                url, method=method, headers=kwargs.get("headers"), payload=kwargs.get("payload")
            )
            return ErrorResponse(request, TunnelRefused(f"http_{status.group(1)}" if status else "bad_handshake"))


PROXY_STATUS = re.compile(r"HTTP/1\.\d ([1-5]\d\d)\b")


class TunnelRefused(ConnectFailed, ConnectionError):
    """The proxy did not open the way to the target; Locust knows it as a `ConnectionError`."""

    def __init__(self, error_class: str) -> None:
        super().__init__(error_class, "the proxy did not open the connection")
