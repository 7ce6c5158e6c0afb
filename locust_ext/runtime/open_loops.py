"""`OpenLoops`: the users of a process that talk on schedules of their own: what they want to say, and how late they are."""

from __future__ import annotations

from typing import Protocol

from locust_ext.core.rate import Integral


class OnSchedule(Protocol):
    """A connected user with an ``OpenLoop``."""

    def drive_due_s(self, now_s: float) -> float:
        """Monotonic seconds at which the next message is due, or the one that it is about."""
        ...


class OpenLoops:
    """One a process. Called by users' greenlets and by the hub; must not block."""

    def __init__(self) -> None:
        self._rates: dict[OnSchedule, float] = {}
        self._sum = Integral()
        self.left_out = 0.0
        """Messages that were due to users whose connection went before they could say them, so far."""

    @property
    def rate_per_s(self) -> float:
        """Messages a second that the connected users want to say."""
        return round(self._sum.level, 9)  # what adds up and is taken away again leaves traces in the last digits

    def messages(self, now_s: float) -> float:
        """What they have wanted to say so far, in this process's life."""
        return self._sum.total(now_s)

    def enter(self, user: OnSchedule, rate: float, now_s: float) -> None:
        """``user`` is connected."""
        self.leave(user, now_s)
        self._rates[user] = rate
        self._sum.change(now_s, rate)

    def leave(self, user: OnSchedule, now_s: float) -> None:
        """It is not any more; idempotent. Its schedule begins anew with its next connection."""
        rate = self._rates.pop(user, None)
        if rate is not None:
            self._sum.change(now_s, -rate)
            self.left_out += self._behind_s(user, rate, now_s) * rate

    def behind(self, now_s: float) -> tuple[float, int]:
        """Seconds for which the oldest message has been due that its user has not said, and how many users are late."""
        late = [self._behind_s(user, rate, now_s) for user, rate in self._rates.items()]
        return max(late, default=0.0), sum(each > 0.0 for each in late)

    def unsent(self, now_s: float) -> int:
        """Messages that are due and that their users, who are here, have not said."""
        return int(sum(self._behind_s(user, rate, now_s) * rate for user, rate in self._rates.items()))

    @staticmethod
    def _behind_s(user: OnSchedule, rate: float, now_s: float) -> float:
        """A user that waits for a reply still tells when that message was due, and not the one after it."""
        return max(0.0, now_s - user.drive_due_s(now_s) - 1 / rate)


__all__ = ["OnSchedule", "OpenLoops"]
