"""Misbehaviour on demand, repeatable from a seed: the set of faults, and the verdict on each message.

Every kind with chance in it has a generator of its own, ``random.Random(f"{seed}/{key}")``, drawn once for each message
in the order in which the server reads them, whether or not another kind strikes the same message. A PUT starts them
anew. (One plain ``Random(seed)`` for each kind would make all kinds strike the same messages.)
"""

from __future__ import annotations

import difflib
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, NamedTuple

from locust_ext.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Stall:
    """Answers of the time from ``after_s`` to ``after_s + for_s`` after the PUT are held until its end."""

    after_s: float
    for_s: float


@dataclass(frozen=True, slots=True)
class FaultSet:
    """Every fault with its neutral value: the body of ``GET /faults`` and, in part or whole, of ``PUT /faults``."""

    seed: int = 0
    latency_ms: float = 0.0
    """Each message and HTTP request is handled that much later; a connection's own messages stay in order."""
    jitter_ms: float = 0.0
    """More of the same: uniform between 0 and this."""
    latency_ms_per_connection: float = 0.0
    """More of the same for each WebSocket that is open when the message is read."""
    stall: Stall | None = None
    error_ratio: float = 0.0
    """Share that is not handled but answered with HTTP 500, an ``error`` event or ``{type: error}``."""
    drop_ratio: float = 0.0
    """Share of messages whose connection is aborted: no answer, no close frame."""
    close_code: int | None = None
    """Every message is answered by closing its connection with this code."""
    silent_ratio: float = 0.0
    """Share of messages that are handled but never answered."""
    duplicate_ratio: float = 0.0
    """Share of messages whose answers are sent twice."""
    late_ms: float = 0.0
    """Answers leave that much after they were made. Unlike latency, a later message's answer may overtake them."""
    refuse_upgrades: bool = False
    """Upgrades are answered with ``http_status``, or 503."""
    http_status: int | None = None
    """HTTP requests are answered with this status."""
    retry_after_s: float | None = None
    """``Retry-After`` of the 429 and 503 that ``http_status`` and ``refuse_upgrades`` make."""
    handshake_drip_ms: float = 0.0
    """The 101 answer leaves a byte at a time with this pause between two bytes."""
    leak_bytes_per_message: int = 0
    """Memory kept for each message; a PUT without it gives all of it back."""
    slow_reader: bool = False
    """Nothing is read from any WebSocket as long as it is set; what was sent meanwhile is read afterwards."""


class Verdict(NamedTuple):
    """What happens to one message; the first three exclude the rest, in this order."""

    drops: bool
    close_code: int | None
    fails: bool
    silent: bool
    answers: int
    """2 for a duplicate, else 1."""
    delay_s: float
    late_s: float


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _at_least_0(value: object) -> bool:
    return _number(value)


def _count(value: object) -> bool:
    return _whole(value) and _number(value)


def _ratio(value: object) -> bool:
    return _number(value) and value <= 1  # type: ignore[operator]


def _close_code(value: object) -> bool:
    return value is None or (_whole(value) and 1000 <= value <= 4999 and value not in (1004, 1005, 1006, 1015))  # type: ignore[operator]


def _http_status(value: object) -> bool:
    return value is None or (_whole(value) and 200 <= value <= 599)  # type: ignore[operator]


def _stall(value: object) -> bool:
    return value is None or (
        isinstance(value, dict) and value.keys() == {"after_s", "for_s"} and all(map(_number, value.values()))
    )


_Check = Callable[[object], bool]
_NUMBER: Final[tuple[_Check, str]] = (_at_least_0, "a number of at least 0")
_RATIO: Final[tuple[_Check, str]] = (_ratio, "a number from 0 to 1")
_BOOL: Final[tuple[_Check, str]] = (lambda value: isinstance(value, bool), "true or false")

EXPECTED: Final[Mapping[str, tuple[_Check, str]]] = {
    "seed": (_whole, "a whole number"),
    "latency_ms": _NUMBER,
    "jitter_ms": _NUMBER,
    "latency_ms_per_connection": _NUMBER,
    "stall": (_stall, 'null or {"after_s": number, "for_s": number}, both at least 0'),
    "error_ratio": _RATIO,
    "drop_ratio": _RATIO,
    "close_code": (_close_code, "null or a close code that may be sent, 1000 to 4999"),
    "silent_ratio": _RATIO,
    "duplicate_ratio": _RATIO,
    "late_ms": _NUMBER,
    "refuse_upgrades": _BOOL,
    "http_status": (_http_status, "null or a status from 200 to 599"),
    "retry_after_s": (lambda value: value is None or _number(value), "null or a number of at least 0"),
    "handshake_drip_ms": _NUMBER,
    "leak_bytes_per_message": (_count, "a whole number of at least 0"),
    "slow_reader": _BOOL,
}
"""Key -> (is it good?, what was expected)."""


def parse_faults(body: object) -> FaultSet:
    """The set that ``body``, a decoded PUT, describes; keys left out are neutral. Raises ConfigError with the key."""
    if not isinstance(body, dict):
        raise ConfigError("a JSON object of faults is expected", value=body)
    for key, value in body.items():
        if key not in EXPECTED:
            nearest = difflib.get_close_matches(key, EXPECTED, n=1)
            known = "one of " + ", ".join(EXPECTED)
            raise ConfigError(known, key=key, value=value, nearest=nearest[0] if nearest else None)
        is_good, expected = EXPECTED[key]
        if not is_good(value):
            raise ConfigError(expected, key=key, value=value)
    stall = body.get("stall")
    return FaultSet(**{**body, "stall": Stall(**stall) if stall else None})


_RANDOM_KINDS: Final = ("error_ratio", "drop_ratio", "silent_ratio", "duplicate_ratio", "jitter_ms")


class Faults:
    """The faults in force. ``injected`` counts each time one struck, by its key; ``now`` is the loop's time in s."""

    def __init__(self, injected: Callable[[], Counter[str]]) -> None:
        self._injected = injected
        self.put(FaultSet(), now=0.0)

    def put(self, chosen: FaultSet, now: float) -> None:
        """Replace the whole set; chance starts anew, leaked memory is given back if the new set does not leak."""
        self.chosen = chosen
        self._put_at = now
        self._chance = {kind: random.Random(f"{chosen.seed}/{kind}") for kind in _RANDOM_KINDS}
        if not chosen.leak_bytes_per_message:
            self._leaked: list[bytes] = []
        neutral = FaultSet(seed=chosen.seed)
        self.touches_messages = any(
            getattr(chosen, f.name) != getattr(neutral, f.name)
            for f in fields(FaultSet)
            if f.name
            not in ("seed", "refuse_upgrades", "http_status", "retry_after_s", "handshake_drip_ms", "slow_reader")
        )
        """False: ``judge()`` need not be asked."""

    def as_json(self) -> dict[str, Any]:
        """The body of ``GET /faults``."""
        return asdict(self.chosen)

    def note(self, kind: str) -> None:
        """Count that ``kind`` struck once."""
        self._injected()[kind] += 1

    def strikes(self, kind: str) -> bool:
        """Draw once for a ``*_ratio``; nothing is drawn, and nothing struck, when it is 0."""
        ratio = getattr(self.chosen, kind)
        return bool(ratio) and self._chance[kind].random() < ratio

    def judge(self, now: float, open_connections: int) -> Verdict:
        """What happens to the message that was read at ``now``; what strikes is counted."""
        chosen = self.chosen
        drops = self.strikes("drop_ratio")
        fails = self.strikes("error_ratio")
        silent = self.strikes("silent_ratio")
        duplicate = self.strikes("duplicate_ratio")
        delay_s = self._latency_s(open_connections)
        if chosen.leak_bytes_per_message:
            self._leaked.append(b"\xaa" * chosen.leak_bytes_per_message)
            self.note("leak_bytes_per_message")
        if drops:
            self.note("drop_ratio")
        elif chosen.close_code is not None:
            self.note("close_code")
        else:
            if fails:
                self.note("error_ratio")
            if silent:
                self.note("silent_ratio")
            elif duplicate:
                self.note("duplicate_ratio")
            if chosen.late_ms and not silent:
                self.note("late_ms")
            delay_s = self._count_delay(delay_s, now)
        return Verdict(drops, chosen.close_code, fails, silent, 2 if duplicate else 1, delay_s, chosen.late_ms / 1000)

    def judge_http(self, now: float, open_connections: int) -> tuple[bool, float]:
        """Whether an HTTP request is answered with 500, and after how many seconds; what strikes is counted."""
        fails = self.strikes("error_ratio")
        if fails:
            self.note("error_ratio")
        if self.chosen.late_ms:
            self.note("late_ms")
        return fails, self._count_delay(self._latency_s(open_connections), now) + self.chosen.late_ms / 1000

    def _latency_s(self, open_connections: int) -> float:
        chosen = self.chosen
        jitter_ms = self._chance["jitter_ms"].uniform(0, chosen.jitter_ms) if chosen.jitter_ms else 0.0
        return (chosen.latency_ms + jitter_ms + chosen.latency_ms_per_connection * open_connections) / 1000

    def _count_delay(self, latency_s: float, now: float) -> float:
        chosen = self.chosen
        for kind in ("latency_ms", "jitter_ms", "latency_ms_per_connection"):
            if getattr(chosen, kind):
                self.note(kind)
        if chosen.stall is not None:
            starts = self._put_at + chosen.stall.after_s
            ends = starts + chosen.stall.for_s
            if starts <= now + latency_s < ends:
                self.note("stall")
                return ends - now
        return latency_s
