"""The clocks of workers: a worker that joins in the middle of a run counts its seconds from there."""

from __future__ import annotations

from dataclasses import replace

from locust_ext.model import Delta

JOINED_S: float = 2.0
"""So much behind the master's clock a worker must be: less is the way of a message, or a loop that stood still."""


class Arrivals:
    """How far each worker's clock is behind the master's, by the least that any of its deltas was under way."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """A new run."""
        self._behind_s: dict[str, float] = {}

    def on_our_clock(self, delta: Delta, now_s: float) -> Delta:
        """The delta, that came this late in the run, with the seconds of the run instead of the worker's own."""
        if delta.to_s is None or delta.from_s is None:
            return delta
        behind_s = min(now_s - delta.to_s, self._behind_s.get(delta.worker, now_s))
        self._behind_s[delta.worker] = behind_s
        if behind_s < JOINED_S:
            return delta
        return replace(
            delta,
            from_s=delta.from_s + behind_s,
            to_s=delta.to_s + behind_s,
            generator=tuple(replace(each, start_s=each.start_s + behind_s) for each in delta.generator),
            samples=tuple(replace(each, at_s=each.at_s + behind_s) for each in delta.samples),
        )
