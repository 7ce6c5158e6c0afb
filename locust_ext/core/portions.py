"""A pile of work handed out to workers in portions, so that all of it is done, once, and nobody hoards it: `Pile`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LEAST: Final = 100
"""Of a worker that has just begun, where there is enough."""
LOOK_S: Final = 1.0
"""Between two looks at what a worker has begun."""


def portion(remaining: int, in_hand: int, wanting: int, done: int, workers: int) -> int:
    """How many operations more a worker gets that has ``in_hand`` left, and ``wanting`` users who wait for one.

    Guided self-scheduling (Polychronopoulos and Kuck, 1987): portions shrink with what remains, so that the workers end
    together; none is more than a quarter of what the worker has done already, so that a slow one has little.
    """
    fair = -(-remaining // workers)
    wanted = min(max(LEAST, done // 4), max(1, remaining // (2 * workers)))
    wanted = max(wanted, min(wanting, fair))
    if in_hand > wanted // 2:
        return 0
    return min(remaining, wanted - in_hand)


@dataclass(slots=True)
class _Hand:
    """What one worker has, as its master knows it."""

    looked_s: float
    granted: int = 0
    begun: int = 0
    wanting: int = 0
    request: int = 0
    """The last request to give back; 0: there was none."""
    is_asked: bool = False
    """It has not yet answered it."""
    begun_then: int = 0
    """At the last look."""

    @property
    def in_hand(self) -> int:
        return self.granted - self.begun


class Pile:
    """The master's book of one run: ``count`` operations, each begun once, by workers who come, go and change their pace.

    Workers tell how many operations they have begun (`told`) and are granted a number, all in all. One that does not use
    what it has, while others wait and nothing remains, is asked to give it back (`hoarders`). From the moment at which it
    reads the request it keeps no more than it has begun; its words carry the number of the last request that it has
    answered, and so do the grants to it: one with another number is of before the request, and the worker leaves it. Until
    the answer is there it is granted nothing. So what it says then that it has begun is all that it took, whatever the
    order in which messages arrive. No clock: times are seconds of any one clock.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._hands: dict[str, _Hand] = {}
        self._requests = 0

    @property
    def begun(self) -> int:
        """By all workers, as far as they have told."""
        return sum(each.begun for each in self._hands.values())

    @property
    def remaining(self) -> int:
        """What is in nobody's hands."""
        return max(0, self.count - sum(each.granted for each in self._hands.values()))

    def told(self, worker: str, begun: int, wanting: int, answered: int, now_s: float) -> int | None:
        """A worker's word: operations begun, users who wait for one, the last request it has answered (0: none).

        Gives what it may begin, all in all, to be sent to it with that number; None: nothing new. One that has begun
        nothing since its last word, and wants nothing, may have no users: it gets nothing.
        """
        hand = self._hands.setdefault(worker, _Hand(now_s))
        is_at_work = begun > hand.begun or wanting > 0
        hand.begun, hand.wanting = max(begun, hand.begun), wanting
        hand.granted = max(hand.granted, hand.begun)
        if hand.is_asked and answered == hand.request:
            hand.is_asked, is_at_work = False, wanting > 0
            hand.granted = hand.begun
        if hand.is_asked or not is_at_work:
            return None
        workers = sum(bool(each.begun or each.wanting) for each in self._hands.values())
        more = portion(self.remaining, hand.in_hand, wanting, hand.begun, max(1, workers))
        hand.granted += more
        return hand.granted if more or wanting else None

    def hoarders(self, now_s: float) -> list[tuple[str, int]]:
        """Workers that are to give back what they have not begun, each with the number of the request; to be called often.

        Those that would take longer than about a second over it, at their pace of the last one, while others wait and
        there is nothing for them. A request is made anew until it is answered.
        """
        found = []
        is_short = not self.remaining
        for worker, hand in self._hands.items():
            if now_s - hand.looked_s < LOOK_S:
                continue
            pace, hand.looked_s, hand.begun_then = hand.begun - hand.begun_then, now_s, hand.begun
            if not hand.is_asked and is_short and hand.in_hand > pace and self._others_want(hand):
                self._requests += 1
                hand.request, hand.is_asked = self._requests, True
            if hand.is_asked:
                found.append((worker, hand.request))
        return found

    def _others_want(self, hand: _Hand) -> bool:
        return any(each.wanting for each in self._hands.values() if each is not hand)

    def lost(self, worker: str) -> None:
        """The worker is gone: what it had left goes back. Should it be only out of reach, it is told so when it asks."""
        hand = self._hands.get(worker)
        if hand is not None:
            hand.granted, hand.wanting = hand.begun, 0
