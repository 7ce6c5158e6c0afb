"""Connections of the runtime for tests, without Locust users: what they tell is kept in a real `Recorder`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import gevent
import orjson

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.core.protocols.correlation import ById, Correlation
from locust_ext.errors import OperationError
from locust_ext.model import OperationStats
from locust_ext.runtime.address import endpoint
from locust_ext.runtime.call import Call
from locust_ext.runtime.facts import TransportSettings
from locust_ext.runtime.handshake import HandshakeOptions
from locust_ext.runtime.process import shared
from locust_ext.runtime.profile import MessagingProfile
from locust_ext.runtime.websocket import WebSocketConnection


def descriptors() -> set[str]:
    """What each open descriptor of this process is."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except OSError:
            continue
    return found


def ledger(recorder: Recorder, type_: str, name: str | None = None) -> OperationStats:
    """The one ledger of this type (and name); fails if its sides do not balance."""
    found = [
        each
        for each in recorder.snapshot(monotonic()).operations
        if each.type == type_ and (name is None or each.name == name)
    ]
    assert len(found) == 1, f"{type_} {name}: {[(each.type, each.name) for each in found]}"
    each = found[0]
    assert each.started == each.ok + each.failed + each.timed_out + each.lost + each.cancelled + each.in_flight
    return each


def push_name(message: Any) -> str:
    return str(message.get("type", "message")) if isinstance(message, dict) else "text"


def profile(correlation: Correlation | None = None, **more: Any) -> MessagingProfile:
    return MessagingProfile(
        correlation=correlation or ById("id"),
        encode=more.pop("encode", orjson.dumps),
        decode=more.pop("decode", orjson.loads),
        push_name=more.pop("push_name", push_name),
        **more,
    )


@dataclass
class Gone:
    """The one time that a connection told of its end."""

    error_class: str
    is_orderly: bool
    at_s: float


@dataclass
class Client:
    """A connection, and what it told."""

    connection: Any
    facts: Recorder
    gone: list[Gone] = field(default_factory=list)
    done: list[Call] = field(default_factory=list)

    def connect(self, within_s: float = 5.0) -> Client:
        self.connection.connect(monotonic() + within_s)
        return self

    def request(self, message: Any, name: str = "ask", timeout_s: float = 5.0) -> Any:
        """The reply; raises what the call ended with. Recorded as a user's channel does it."""
        call = self.connection.begin(message, name, timeout_s, is_waited_for=True)
        self.connection.wait_for(call)
        self.record(call)
        if call.error is not None:
            raise call.error
        return call.reply

    def submit(self, message: Any, name: str = "ask", timeout_s: float = 5.0) -> Call:
        call: Call = self.connection.begin(message, name, timeout_s)
        self.connection.watch(call)
        return call

    def record(self, call: Call) -> None:
        error: OperationError | None = call.error
        self.facts.operation(
            call.type,
            call.name,
            call.latency_us,
            call.length,
            "ok" if error is None else error.outcome,
            None if error is None else error.error_class,
            call.service_us,
            call.tags,
            True,
        )

    def ledger(self, type_: str = "WS", name: str | None = "ask") -> OperationStats:
        return ledger(self.facts, type_, name)

    @property
    def dropped_from_inbox(self) -> int:
        return self.facts.snapshot(monotonic()).connections.inbox_dropped

    @property
    def states(self) -> dict[str, int]:
        return dict(self.facts.snapshot(monotonic()).connections.states)


def client(
    url: str,
    path: str = "/ws",
    *,
    options: HandshakeOptions | None = None,
    settings: TransportSettings | None = None,
    profile_: MessagingProfile | None = None,
    make: Callable[..., Any] = WebSocketConnection,
    **more: Any,
) -> Client:
    facts = Recorder()
    made = Client(None, facts)

    def on_done(call: Call) -> None:
        made.done.append(call)
        made.record(call)

    made.connection = make(
        endpoint(url, path),
        shared=shared(),
        facts=facts,
        options=options or HandshakeOptions(),
        settings=settings or TransportSettings(),
        on_gone=lambda _, error_class, is_orderly: made.gone.append(Gone(error_class, is_orderly, monotonic())),
        profile=profile_ or profile(),
        on_done=on_done,
        **more,
    )
    return made


@contextmanager
def connected(url: str, path: str = "/ws", **more: Any) -> Iterator[Client]:
    """An open connection, closed at the end."""
    made = client(url, path, **more)
    made.connect()
    try:
        yield made
    finally:
        made.connection.close(timeout_s=0.1)


@contextmanager
def loop_lag(every_s: float = 0.002) -> Iterator[list[float]]:
    """How late, in seconds, a timer of the loop was; one entry a turn."""
    lags: list[float] = []

    def measure() -> None:
        while True:
            begun_s = monotonic()
            gevent.sleep(every_s)
            lags.append(monotonic() - begun_s - every_s)

    greenlet = gevent.spawn(measure)
    try:
        yield lags
    finally:
        greenlet.kill()
