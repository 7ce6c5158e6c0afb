"""`RealisticUser`: one person with a dashboard: agent messages, context reads and writes, and live context changes.

Which profile of the settings a user plays follows from its number: over all workers the profiles come in the wanted
shares from the first users on, without chance.
"""

from __future__ import annotations

import locust  # noqa: F401 – monkey-patches, before anything below imports a socket

from functools import lru_cache
from typing import Any

from locust_ext.core.interleave import Interleaved
from locust_ext.core.lifecycle import Intermittent, Persistent
from locust_ext.core.lifecycle.actions import LifecyclePattern
from locust_ext.core.messages import ContextOps, Mixed
from locust_ext.core.pacing import ClosedLoop
from locust_ext.plugin.extension import extension_of
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.context import ContextServerUser
from locust_ext.settings import Profile, RealisticSettings, Settings, parse_profiles


class RealisticUser(AgentUser, ContextServerUser):
    """Plays a profile of ``realistic.profiles``: its pattern, its pace and its mix of actions come from there."""

    abstract = True
    plays_profiles = True

    _turns = 0

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        extension = extension_of(environment)
        settings = (extension.settings if extension is not None else Settings()).realistic
        shares = extension.profiles if extension is not None else parse_profiles([], Settings())
        self.profile_name = self._choose_profile(shares)
        chosen = settings.profiles[self.profile_name].scaled(settings.time_scale)
        self.pattern = pattern_of(chosen)
        self.pacing = ClosedLoop(chosen.interval_s)
        self._interval_s = chosen.interval_s
        self._has_begun = False
        self.generator = generator_of(settings, self.profile_name)

    def _choose_profile(self, shares: dict[str, float]) -> str:
        """The users of all workers take their turns in one sequence: this worker every n-th of them."""
        runner = self.environment.runner
        worker = max(getattr(runner, "worker_index", 0) or 0, 0)
        workers = getattr(self.environment.parsed_options, "ext_workers", 1) or 1
        turn = RealisticUser._turns
        RealisticUser._turns += 1
        return _sequence(tuple(sorted(shares.items())))[turn * workers + worker % workers]

    def drive_connect(self, host: str | None) -> None:
        super().drive_connect(host)
        if not self._has_begun:
            self._has_begun = True
            # Users that are spawned together would otherwise act in step for the whole run.
            self._due_s += self.random.random() * self._interval_s

    def on_connected(self) -> None:
        """The dashboard listens to live context changes as long as its agent channel is open."""
        self.live.ensure()


@lru_cache(maxsize=8)
def _sequence(shares: tuple[tuple[str, float], ...]) -> Interleaved:
    return Interleaved(dict(shares))


def pattern_of(profile: Profile) -> LifecyclePattern:
    """Always connected, or coming and going."""
    if profile.connected_s is None or profile.away_s is None:
        return Persistent()
    return Intermittent(connected_s=profile.connected_s, away_s=profile.away_s)


_generators: dict[tuple[int, str], tuple[RealisticSettings, Mixed]] = {}


def generator_of(settings: RealisticSettings, name: str) -> Mixed:
    """The profile's mix of actions; one object for all its users."""
    known = _generators.get((id(settings), name))
    if known is None:
        context, shares = settings.context, settings.shares
        parts = [
            (Mixed(dict(settings.profiles[name].mix)), shares.agent),
            (
                ContextOps(reads=context.reads, keys=context.keys, value_bytes=context.value_bytes, marker=True),
                shares.context,
            ),
            (
                ContextOps(reads=0.0, keys=context.keys, value_bytes=context.value_bytes, live=True, marker=True),
                shares.live,
            ),
        ]
        # The settings are kept beside the mix, so that their id stays theirs.
        known = _generators[id(settings), name] = (settings, Mixed(parts))
    return known[1]
