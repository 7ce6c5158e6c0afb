"""`Failover`: a primary and its backups."""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from locust_ext.core.lifecycle.actions import (
    Action,
    Actions,
    Connect,
    Connected,
    Disconnect,
    GiveUp,
    Lost,
    Outcome,
    Send,
    Sent,
)
from locust_ext.core.lifecycle.backoff import Reconnecting, is_gone
from locust_ext.core.lifecycle.ranges import Span, check_limit, check_number, draw, span
from locust_ext.errors import ConfigError

SCHEMES: Final = ("http", "https", "ws", "wss")
"""Of base addresses."""
EMBEDDED: Final = "embedded"
"""Instead of a backup's address: a second embedded server, which the run starts beside the first."""


@dataclass(frozen=True)
class Failover(Reconnecting):
    """Talk to the primary; after ``threshold`` failures in a row go to the next backup, and round again.

    A refused connect and a lost connection are a failure each; so are operations that failed (``unhealthy_after`` of
    them in a row on an open connection: the health check). A backoff comes after each failure, by the failures of the
    host that is tried next. A host whose failure is not retried (``tls``, ``http_401``, ``closed_1008`` …), or that
    had ``max_attempts`` refusals, is left out from then on; with none left the pattern gives up.
    The time to recover, from the loss or the failed check to the next ``Connected``, is measured by the user's channel.
    """

    backups: tuple[str, ...] = ()
    """Base addresses, in the order in which they are tried; ``embedded``: one that the run starts."""
    primary: str | None = None
    """Base address; None: the user's own host."""
    threshold: int = 3
    return_after_s: Span | None = None
    """After so many seconds on a backup try the primary again, once; None: stay. It costs the backup's connection."""
    unhealthy_after: int | None = 5
    """So many failed operations in a row on an open connection are as bad as ``threshold`` failures; None: never."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.backups, (tuple, list)) or not self.backups:
            raise ConfigError(
                "expected a tuple of one or more base addresses, such as ('http://backup:8000',)",
                key="backups",
                value=self.backups,
            )
        for index, host in enumerate(self.backups):
            if host != EMBEDDED:
                _check_host(f"backups[{index}]", host, "")
        if self.primary is not None:
            _check_host("primary", self.primary, ", or None for the user's own")
        if not isinstance(self.threshold, int) or isinstance(self.threshold, bool) or self.threshold < 1:
            raise ConfigError("expected a whole number of at least 1", key="threshold", value=self.threshold)
        check_limit("unhealthy_after", self.unhealthy_after)
        if self.return_after_s is not None:
            check_number("return_after_s", span("return_after_s", self.return_after_s)[0], above=0)

    def actions(self, rng: random.Random, now_s: float) -> Actions:
        """A fresh conversation for one user."""
        hosts = (self.primary, *self.backups)
        reconnections = [self.reconnection(rng) for _ in hosts]
        usable = list(range(len(hosts)))
        at, failures = 0, 0
        while True:
            outcome = yield Connect(hosts[at])
            if isinstance(outcome, Connected):
                reconnections[at].opened(outcome.now_s)
                return_s = None
                if self.return_after_s is not None and at != 0 and 0 in usable:
                    return_s = outcome.now_s + draw(rng, span("return_after_s", self.return_after_s))
                outcome, failures = yield from self._talk(outcome, failures, return_s)
                if not is_gone(outcome):
                    reconnections[at].left()
                    at, failures = 0, self.threshold - 1
                    continue
            failures += 1
            action = reconnections[at].failed(outcome)
            following = usable[(usable.index(at) + 1) % len(usable)]
            if isinstance(action, GiveUp):
                usable.remove(at)
                if not usable:
                    yield action
                    return
            if at not in usable or (failures >= self.threshold and following != at):
                at, failures = following, 0
                action = reconnections[at].pause()
            yield action

    def _talk(
        self, opened: Connected, failures: int, return_s: float | None
    ) -> Generator[Action, Outcome, tuple[Outcome, int]]:
        """Send until the connection is gone, found unhealthy, or it is time to return; with the failures in a row.

        The outcome returned is a failure, or else it is time to return to the primary.
        """
        bad = 0
        outcome: Outcome = opened
        while return_s is None or outcome.now_s < return_s:
            outcome = yield Send(until_s=return_s)
            if is_gone(outcome):
                return outcome, failures
            if isinstance(outcome, Sent):
                if outcome.good:
                    bad = failures = 0
                else:
                    bad += 1
                    if bad == self.unhealthy_after:
                        yield Disconnect()
                        return Lost(outcome.now_s, "check_failed"), self.threshold - 1
        yield Disconnect()
        return outcome, failures


def _check_host(key: str, value: object, alternative: str) -> None:
    """``ConfigError`` unless ``value`` is a base address, ``scheme://host[:port]``; it looks nothing up."""
    if isinstance(value, str) and _is_base_address(value):
        return
    raise ConfigError(
        f"expected a base address such as http://127.0.0.1:8000 or wss://example.org{alternative}",
        key=key,
        value=value,
        shows_value="@" not in str(value),  # a password stands before it
    )


def _is_base_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        port = parts.port  # raises above 65535
    except ValueError:
        return False
    is_clean = not any(each.isspace() for each in value)
    return is_clean and parts.scheme in SCHEMES and bool(parts.hostname) and port != 0
