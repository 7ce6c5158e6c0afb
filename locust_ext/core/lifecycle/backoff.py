"""Full-jitter backoff, and the rules by error class: what is retried, how often, and after how long.

Sources: M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015); RFC 6455 §7.2.3 and §7.4 (close
codes); the IANA registry of WebSocket close codes, which asks for 5 to 30 s after 1012; RFC 9110 §10.2.3 (Retry-After).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Generator
from dataclasses import dataclass, field
from typing import Final

from locust_ext.core.lifecycle.actions import (
    Action,
    Connect,
    Connected,
    Disconnected,
    GiveUp,
    Lost,
    Outcome,
    Pause,
    Refused,
)
from locust_ext.core.lifecycle.ranges import check_limit, check_number, draw, span
from locust_ext.errors import ConfigError, is_error_class


@dataclass(frozen=True, slots=True)
class Rule:
    """How one class of failure is followed up."""

    retries: int | None = None
    """How many failures of this class in a row are followed by another attempt; None: all of them, 0: none."""
    longer: bool = False
    """True: the server said that it is restarting or overloaded, so the wait is drawn from ``FullJitter.restart_s``."""


RULES: Final[dict[str, Rule]] = {
    "tls_verification": Rule(retries=0),  # a certificate does not become valid by asking again; other ``tls`` may pass
    "namespace_refused": Rule(retries=3),  # Socket.IO's 403
    "http_401": Rule(retries=0),
    "http_407": Rule(retries=0),  # the proxy's 401
    "http_403": Rule(retries=3),  # limits on connections come as 403 too, so it is worth some patience
    "closed_1002": Rule(retries=0),
    "closed_1003": Rule(retries=0),
    "closed_1007": Rule(retries=0),
    "closed_1008": Rule(retries=0),
    "closed_1009": Rule(retries=0),
    "closed_1010": Rule(retries=0),
    "closed_1012": Rule(longer=True),
    "closed_1013": Rule(longer=True),
    "closed_4001": Rule(retries=0),
    "closed_4002": Rule(retries=0),
    "closed_4003": Rule(retries=0),
}
"""By error class, or by `Refused.rule`. Every other class is retried without limit, after a full-jitter backoff."""

_ALWAYS: Final = Rule()


@dataclass(frozen=True, slots=True)
class FullJitter:
    """The wait after n failures: drawn evenly from 0 to ``min(cap_s, base_s * 2**n)``. ``ConfigError`` if malformed."""

    base_s: float = 0.5
    cap_s: float = 30.0
    stable_s: float = 10.0
    """A connection must have been open for so many seconds before n starts at 0 again."""
    retry_after_cap_s: float = 300.0
    """The longest ``Retry-After`` that is obeyed in full, in seconds."""
    restart_s: tuple[float, float] = (5.0, 30.0)
    """The wait after 1012 (restart) and 1013 (try again later) is drawn from here, unless the backoff is longer."""

    def __post_init__(self) -> None:
        base_s = check_number("base_s", self.base_s, above=0)
        check_number("cap_s", self.cap_s, at_least=base_s)
        check_number("stable_s", self.stable_s, at_least=0)
        check_number("retry_after_cap_s", self.retry_after_cap_s, at_least=0)
        span("restart_s", self.restart_s)

    def delay_s(self, n: int, rng: random.Random) -> float:
        """Seconds to wait after ``n`` earlier failures."""
        return rng.random() * min(self.cap_s, self.base_s * 2.0 ** min(n, 64))


class Reconnection:
    """One user's memory of its failures: turns each failure into a backoff, or into giving up."""

    __slots__ = (
        "_jitter",
        "_max_attempts",
        "_n",
        "_of_class",
        "_opened_s",
        "_reconnect_after",
        "_refusals",
        "_rng",
        "gave_up",
    )

    def __init__(
        self, jitter: FullJitter, rng: random.Random, max_attempts: int | None, reconnect_after: Collection[str]
    ) -> None:
        self._jitter = jitter
        self._rng = rng
        self._max_attempts = max_attempts
        self._reconnect_after = reconnect_after
        self.gave_up = False
        """Whether the last failure was answered by ``GiveUp``."""
        self._n = 0
        self._refusals = 0
        self._of_class: dict[str, int] = {}
        self._opened_s: float | None = None

    def opened(self, now_s: float) -> None:
        """The connection is open. n stays until it has proved stable."""
        self._opened_s = now_s
        self._of_class.clear()

    def left(self) -> None:
        """The user closed the connection in order, so it was a good one: n is 0 again."""
        self._opened_s = None
        self._n = self._refusals = 0

    def failed(self, outcome: Outcome) -> Pause | GiveUp:
        """What follows a connect refused or a connection lost. Call it once for each failure."""
        if self._opened_s is not None and outcome.now_s - self._opened_s >= self._jitter.stable_s:
            self._n = self._refusals = 0
        self._opened_s = None
        error_class = outcome.error_class if isinstance(outcome, (Refused, Lost)) else "closed_1000"
        if isinstance(outcome, Refused):
            self._refusals += 1
            if self._max_attempts is not None and self._refusals >= self._max_attempts:
                return self._give_up(error_class)
        word = (outcome.rule if isinstance(outcome, Refused) else None) or error_class
        rule = RULES.get(word, _ALWAYS)
        if rule.retries is not None and error_class not in self._reconnect_after:
            failures = self._of_class[word] = self._of_class.get(word, 0) + 1
            if failures > rule.retries:
                return self._give_up(error_class)
        delay_s = self._jitter.delay_s(self._n, self._rng)
        self._n += 1
        if rule.longer:
            delay_s = max(delay_s, draw(self._rng, self._jitter.restart_s))
        if isinstance(outcome, Refused) and outcome.retry_after_s is not None and outcome.retry_after_s > 0:
            delay_s += min(outcome.retry_after_s, self._jitter.retry_after_cap_s)
        return Pause(delay_s, backoff=True)

    def _give_up(self, error_class: str) -> GiveUp:
        self.gave_up = True
        return GiveUp(error_class)

    def pause(self) -> Pause:
        """A backoff by the failures so far, for going on elsewhere: no new failure is counted."""
        return Pause(self._jitter.delay_s(self._n, self._rng), backoff=True)


@dataclass(frozen=True, kw_only=True)
class Reconnecting:
    """What the patterns that reconnect have in common: their backoff, and the exceptions from the rules."""

    reconnect: FullJitter = field(default_factory=FullJitter)
    max_attempts: int | None = None
    """Give up after so many refused connects in a row without a stable connection between; None: never."""
    reconnect_after: tuple[str, ...] = ()
    """Error classes that are retried without limit although :data:`RULES` says otherwise, such as ``closed_1008``."""

    def __post_init__(self) -> None:
        if not isinstance(self.reconnect, FullJitter):
            raise ConfigError("expected a FullJitter", key="reconnect", value=self.reconnect)
        check_limit("max_attempts", self.max_attempts)
        words = self.reconnect_after
        if not isinstance(words, (tuple, list)) or not all(
            isinstance(word, str) and is_error_class(word) for word in words
        ):
            raise ConfigError(
                "expected a tuple of error classes, such as ('closed_1008',)", key="reconnect_after", value=words
            )

    def reconnection(self, rng: random.Random) -> Reconnection:
        """A fresh memory of failures, for one user."""
        return Reconnection(self.reconnect, rng, self.max_attempts, frozenset(self.reconnect_after))


def is_gone(outcome: Outcome) -> bool:
    """Whether there is no open connection after ``outcome``."""
    return isinstance(outcome, (Lost, Refused, Disconnected))


def connect(
    reconnection: Reconnection, *, host: str | None = None, after: Outcome | None = None, until_s: float | None = None
) -> Generator[Action, Outcome, Connected | None]:
    """Connect, with a backoff after each failure, and first of all after the failure ``after``.

    Returns the ``Connected``; or None, if it gave up (then ``reconnection.gave_up`` is True, and the pattern must end),
    or if ``until_s`` (monotonic seconds) passed during a backoff.
    """
    failure = after
    while True:
        if failure is not None:
            outcome = yield reconnection.failed(failure)
            if reconnection.gave_up:
                return None
            if until_s is not None and outcome.now_s >= until_s:
                return None
        outcome = yield Connect(host)
        if isinstance(outcome, Connected):
            reconnection.opened(outcome.now_s)
            return outcome
        failure = outcome
