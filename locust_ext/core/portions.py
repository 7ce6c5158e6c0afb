"""`portion`: how much of a pile of work is handed out at a time, so that all of it is done and nobody hoards it."""

from __future__ import annotations

LEAST = 100
"""Of a worker that has just begun, where there is enough."""


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
