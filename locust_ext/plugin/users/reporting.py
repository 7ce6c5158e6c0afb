"""`Reporting`: how a channel tells the outcomes of its operations, each once, and what its fan-outs came to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

from locust_ext.core.accounting.fanout import Cause
from locust_ext.core.protocols.ties import filled
from locust_ext.errors import CheckFailed, ConfigError, ConnectionLost, ErrorReply, OperationError, RequestTimeout
from locust_ext.plugin.intake import Intake
from locust_ext.plugin.users.caught import Caught
from locust_ext.runtime.call import Call


def as_tags(tags: Any) -> tuple[str, ...]:
    """``tags`` as they are counted: None is none of them, a text one, and any collection its members."""
    if tags is None:
        return ()
    if isinstance(tags, str):
        return (tags,)
    if isinstance(tags, Mapping):
        return tuple(f"{name}={value}" for name, value in tags.items())
    if not isinstance(tags, Iterable):
        raise ConfigError("expected a text, or a collection of them", key="tags", value=tags)
    return tuple(str(tag) for tag in tags)


class Reporting:
    """The part of a channel that speaks with the recorder, by Locust's request event."""

    type_: str
    name: str
    _user: Any
    _intake: Intake
    connection: Any

    def _report_drop(self, error_class: str) -> None:
        self._intake.recorder.started("DROP", self.name)
        self._report("DROP", self.name, None, 0, ConnectionLost(error_class))

    def _report(self, *outcome: Any) -> None:
        """Record an outcome; those that wait for the dispatcher may come after the user has gone."""
        try:
            self._intake.report(self._user, *outcome)
        except ReferenceError:  # out of ``user.context()``, before anything is told
            self._intake.report(_Departed, *outcome)

    def _begin_fan_out(self, message: Any) -> tuple[Any, Cause] | None:
        """Fill in the marker of a message that is about to be sent over the open connection; None: it has none."""
        connection = self.connection
        if connection is None or connection.state != "open" or (fan_out := connection.profile.fan_out) is None:
            return None
        now_us = round(monotonic() * 1e6)
        fan_outs = self._intake.recorder.fan_outs
        marker = fan_outs.mark(now_us)
        marked = filled(message, marker)
        if marked is message:
            return None
        skips = None if fan_out.to_sender else connection.member
        return marked, fan_outs.send(connection.audience, fan_out.event, marker, now_us, skips)

    def _fan_out(self, cause: Cause, send: Callable[[], Any]) -> Any:
        """Perform ``send``, which causes a fan-out if it succeeds."""
        succeeded = False
        try:
            reply = send()
            succeeded = not isinstance(reply, Caught) or reply.error is None
            return reply
        finally:
            self._intake.recorder.fan_outs.settle(cause, succeeded)

    def _never_begun(self, name: str, tags: tuple[str, ...], error: OperationError) -> None:
        """Record a request that could not even be sent."""
        user = self._user
        user.intake.recorder.started(self.type_, name, tags)
        user.intake.report(user, self.type_, name, None, 0, error, None, tags)

    def _report_call(self, call: Call) -> None:
        error = call.error
        if error is None and call.intended_s is None:  # nearly always
            latency_us = round((call.ended_s - call.sent_s) * 1e6)
            try:
                self._intake.report(self._user, call.type, call.name, latency_us, call.length, None, None, call.tags)
            except ReferenceError:  # as in `_report`
                self._intake.report(_Departed, call.type, call.name, latency_us, call.length, None, None, call.tags)
            return
        answered = error is None or isinstance(error, ErrorReply | CheckFailed)
        took_us = call.latency_us if answered or isinstance(error, RequestTimeout) else None
        self._report(
            call.type, call.name, took_us, call.length, error, call.service_us if answered else None, call.tags
        )


class _Departed:
    """Stands for a user that has gone before its last outcomes were reported."""

    @staticmethod
    def context() -> dict[str, Any]:
        return {}
