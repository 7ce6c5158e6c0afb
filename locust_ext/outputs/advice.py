"""What a stranger should look at first when a run went wrong: rules of thumb, each with its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from locust_ext.model import Snapshot
from locust_ext.outputs.advice_failures import (
    connections_drop,
    fan_out_misses,
    many_cancelled,
    one_operation_fails,
    target_refuses,
    timeouts_prevail,
    users_read_too_slowly,
)
from locust_ext.outputs.advice_resources import (
    descriptors_run_out,
    target_has_no_cpu_left,
    target_leaks,
    target_memory_is_short,
)
from locust_ext.outputs.advice_search import after_search
from locust_ext.outputs.advice_timing import (
    fails_at_the_start,
    falls_at_the_end,
    late_replies,
    long_tail,
    slow_connects,
    strange_replies,
    too_few_samples,
    waits_before_the_send,
)
from locust_ext.outputs.text import shown

Advice = Callable[[Snapshot], str | None]


def advice(snapshot: Snapshot) -> list[str]:
    """One sentence for each rule of thumb that applies; empty: none does."""
    rules = RULES_OF_THUMB if snapshot.search is None else AFTER_SEARCH
    return [sentence for rule in rules if (sentence := rule(snapshot)) is not None]


_WHEN_NO_CONNECT_WORKED: Final = {
    "refused": "nothing listens at {host}: is the server running, and are host and port of --host right?",
    "dns": "the name in {host} is not known: is --host spelled right?",
    "tls": "the TLS handshake with {host} failed: is its certificate valid for that name, and is it a TLS port?",
    "connect_timeout": "{host} did not answer in time: is a firewall in between, or the server overloaded?",
    "bad_handshake": "what answers at {host} does not speak WebSocket there: are port and path right?",
    "http_401": "the server wants a login: set the user's token, headers or cookies",
    "http_403": "the server refuses the upgrade: token missing or expired, or too many connections of one account",
    "http_404": "the server speaks HTTP but knows no WebSocket at that path: are the user's path and --host right?",
    "http_503": "the server is up but takes no connections now",
}


def _no_connection_worked(snapshot: Snapshot) -> str | None:
    if not snapshot.connects or snapshot.connects_ok:
        return None
    by_class: dict[str, int] = {}
    for operation in snapshot.of_type("CONNECT"):
        for error_class, count in operation.errors.items():
            by_class[error_class] = by_class.get(error_class, 0) + count
    if not by_class:
        return None
    most = max(by_class, key=by_class.__getitem__)
    fallback = "the server answers HTTP, but not the upgrade to a WebSocket: are port and path right?"
    text = _WHEN_NO_CONNECT_WORKED.get(most, fallback if most.startswith("http_") else None)
    return None if text is None else text.format(host=shown(snapshot.run.host) if snapshot.run.host else "the target")


def _all_replies_are_errors(snapshot: Snapshot) -> str | None:
    replies = snapshot.errors_by_class.get("error_reply", 0)
    if replies < 20 or replies < 0.9 * snapshot.failures or replies < 0.5 * snapshot.finished:
        return None
    return "most replies are errors of the application: do the users have the rights for what they ask?"


def _no_descriptors(snapshot: Snapshot) -> str | None:
    if not snapshot.errors_by_class.get("fd_limit"):
        return None
    return "the generator ran out of file descriptors: raise `ulimit -n`, or spread the users over more machines"


def _no_ports(snapshot: Snapshot) -> str | None:
    if not snapshot.errors_by_class.get("no_ports"):
        return None
    return "no local port was left for the target: add --ext-source-addresses, or more machines"


def _generator_too_slow(snapshot: Snapshot) -> str | None:
    if not any(generator.bottleneck for generator in snapshot.generators):
        return None
    return (
        "the load generator was too slow for its users, so that latencies are partly its own: use more processes "
        "(--processes), more machines, or fewer users"
    )


RULES_OF_THUMB: Final[tuple[Advice, ...]] = (
    _no_connection_worked,
    _all_replies_are_errors,
    _no_descriptors,
    _no_ports,
    _generator_too_slow,
    target_has_no_cpu_left,
    target_memory_is_short,
    target_leaks,
    descriptors_run_out,
    connections_drop,
    target_refuses,
    timeouts_prevail,
    one_operation_fails,
    fails_at_the_start,
    falls_at_the_end,
    slow_connects,
    waits_before_the_send,
    long_tail,
    late_replies,
    strange_replies,
    fan_out_misses,
    users_read_too_slowly,
    many_cancelled,
    too_few_samples,
)
"""In the order of how much they say about the rest."""
AFTER_SEARCH: Final[tuple[Advice, ...]] = (
    after_search,
    _no_connection_worked,
    _all_replies_are_errors,
    _no_descriptors,
    _no_ports,
    target_has_no_cpu_left,
    target_memory_is_short,
    descriptors_run_out,
    target_refuses,
    strange_replies,
    users_read_too_slowly,
)
"""Those that also hold where steps were meant to break: what a target does beyond its limit is no surprise."""
