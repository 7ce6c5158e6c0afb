"""Rules of thumb about failures: each gives its sentence, with the reason, or None."""

from __future__ import annotations

from typing import Final

from locust_ext.model import PUSH, Snapshot
from locust_ext.outputs.text import count_text, operation_text, percent_text, shown


def one_operation_fails(snapshot: Snapshot) -> str | None:
    """One operation of several has nearly all failures: a tenth of its own, while most of the work is of others."""
    worst = max((each for each in snapshot.operations if each.type not in (PUSH, "DROP")), key=_failures, default=None)
    if worst is None or worst.failures < 10 or not worst.finished:
        return None
    is_most = worst.failures >= 0.9 * snapshot.failures and worst.failures >= 0.1 * worst.finished
    if not is_most or worst.finished > 0.5 * snapshot.finished:
        return None
    return (
        f"{worst.failures:,} of {count_text(snapshot.failures, 'failure')} are of {shown(operation_text(worst))}, which "
        f"fails {percent_text(worst.failures, worst.finished)} of the time while the rest works: look at what only that "
        "one does, not at the server as a whole"
    )


def _failures(operation: object) -> int:
    return int(getattr(operation, "failures", 0))


_WHY_DROPPED: Final = {
    "ping_timeout": "the target, or a proxy before it, stopped answering pings: its event loop may stand still",
    "reset": "the target, or a proxy before it, cut them off: it crashed, or reached a limit",
    "lost": "the target, or a proxy before it, cut them off: it crashed, or reached a limit",
    "closed_1006": "the target, or a proxy before it, cut them off: it crashed, or reached a limit",
    "closed_1001": "the target went away: it was restarted, or takes instances down",
    "closed_1008": "the target found that they broke its policy: a token that ran out, or a limit of a user's rate",
    "closed_1009": "a message was larger than the target takes",
    "closed_1011": "the target met an error of its own: its log says which",
    "closed_1012": "the target was restarted",
    "closed_1013": "the target says itself that it is overloaded",
    "too_big": "a message of the target was larger than the user's limit",
    "protocol": "the target, or a proxy before it, broke the protocol",
}


def connections_drop(snapshot: Snapshot) -> str | None:
    """One per cent of the connections or more were lost out of order."""
    dropped = snapshot.dropped
    if not dropped or dropped < 0.01 * snapshot.connects_ok:
        return None
    by_class: dict[str, int] = {}
    for operation in snapshot.of_type("DROP"):
        for error_class, count in operation.errors.items():
            by_class[error_class] = by_class.get(error_class, 0) + count
    most = max(by_class, key=by_class.__getitem__, default="")
    why = _WHY_DROPPED.get(most, "idle timeouts of a proxy and restarts of the target are what it mostly is")
    often = f", most often {shown(most, 40)}" if most else ""
    return f"{count_text(dropped, 'connection')} dropped out of order{often}: {why}"


def timeouts_prevail(snapshot: Snapshot) -> str | None:
    """Half of the failures and a twentieth of all operations are timeouts."""
    timeouts = snapshot.errors_by_class.get("timeout", 0)
    if timeouts < 10 or timeouts < 0.5 * snapshot.failures or timeouts < 0.05 * snapshot.finished:
        return None
    return (
        f"{count_text(timeouts, 'operation')} timed out, and timeouts are no latencies, so that the percentiles look "
        "better than the target is: it takes no more than this; timeline.csv shows since when"
    )


def target_refuses(snapshot: Snapshot) -> str | None:
    """The target says itself that it is too much, in one per cent of the operations."""
    by_class = snapshot.errors_by_class
    told = {name: by_class[name] for name in ("http_429", "http_503", "closed_1013") if by_class.get(name)}
    count = sum(told.values())
    if (
        not count
        or not snapshot.connects_ok + (snapshot.finished - snapshot.failures)
        or count < 0.01 * snapshot.finished
    ):
        return None
    return (
        f"the target refused {count_text(count, 'operation')} by itself ({', '.join(told)}): a rate limit, or an "
        "overload protection; what was measured is that limit and not what lies behind it"
    )


def fan_out_misses(snapshot: Snapshot) -> str | None:
    """Some push did not reach everyone that it should have."""
    missed = [push for push in snapshot.pushes if push.never_came]
    if not missed:
        return None
    worst = max(missed, key=lambda push: push.never_came or 0)
    return (
        f"{worst.never_came or 0:,} of {count_text(worst.expected or 0, 'delivery', 'deliveries')} of "
        f"{shown(worst.event, 40)} never came: the target drops messages for slow receivers, or a connection is open "
        "before it is subscribed"
    )


def users_read_too_slowly(snapshot: Snapshot) -> str | None:
    """Messages were thrown away because a user's inbox was full."""
    dropped = snapshot.connections.inbox_dropped
    if not dropped:
        return None
    return (
        f"{count_text(dropped, 'message')} dropped unread because users read more slowly than the target "
        "sends: take pushes with `on(event, handler)`, or read in a loop"
    )


def many_cancelled(snapshot: Snapshot) -> str | None:
    """A twentieth of what was started, and at least ten, was cut off."""
    cancelled, started = snapshot.cancelled, sum(operation.started for operation in snapshot.operations)
    if cancelled < 10 or cancelled < 0.05 * started:
        return None
    return (
        f"{count_text(cancelled, 'operation')} of {started:,} cut off by the end of their users and in no latency: "
        "with -s (--stop-timeout) users finish what they are in"
    )
