"""The rate that is asked for a run (``--ext-rate``, ``rate:``, open loops of all its classes), and who can share one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from locust_ext.core.lifecycle import Bursty, pattern
from locust_ext.core.pacing import OpenLoop
from locust_ext.core.rate import RateOf, RateStage, StagedRate, mean_rate
from locust_ext.errors import ConfigError
from locust_ext.plugin.users.base import RealTimeUser
from locust_ext.settings.rate import RateSettings

INTERVAL_S = 0.1
"""How often a rate is looked at."""
MAX_RATE = 1e7


@dataclass(frozen=True, slots=True)
class WantedRate:
    """What is asked for: a plan, or so much for each user that talks."""

    rate_of: RateOf | None = None
    per_user: float | None = None
    is_poisson: bool = False
    constant: float | None = None
    """The rate, where it never changes."""

    def at(self, elapsed_s: float, users: int) -> float:
        """Messages a second, for the next interval."""
        if self.constant is not None:
            return self.constant
        if self.per_user is not None:
            return self.per_user * users
        assert self.rate_of is not None
        return mean_rate(self.rate_of, elapsed_s, elapsed_s + INTERVAL_S)


def wanted_rate(options: Any, settings: RateSettings | None) -> WantedRate | None:
    """What ``--ext-rate`` says, or else the settings' ``rate``; None: no rate is given. Raises `ConfigError`."""
    given = getattr(options, "ext_rate", None)
    is_poisson = settings is not None and settings.poisson
    if given is not None and given != "":
        try:
            rate = float(given)
        except (TypeError, ValueError):
            rate = 0.0
        if not 0 < rate <= MAX_RATE:
            raise ConfigError("expected messages a second, more than 0", source="--ext-rate", value=given)
        return WantedRate(constant=rate, is_poisson=is_poisson)
    if settings is None:
        return None
    if settings.stages is not None:
        plan = StagedRate([RateStage(each.for_s, each.rate, each.to) for each in settings.stages])
        return WantedRate(rate_of=plan, is_poisson=is_poisson)
    return WantedRate(constant=settings.per_s, per_user=settings.per_user, is_poisson=is_poisson)


def check_rated(user_classes: Iterable[type[Any]], source: str = "--ext-rate") -> None:
    """Whether users of these classes can share a rate. Raises `ConfigError`, which names the class that cannot."""
    speakers = 0
    classes = list(user_classes)
    for cls in classes:
        why = None
        if not issubclass(cls, RealTimeUser):
            why = "it is none of locust_ext's"
        elif cls._is_task_driven:
            why = "it is driven by its tasks, and wait_time says how often"
        elif isinstance(pattern(cls.pattern), Bursty):
            why = "bursts keep an interval of their own"
        elif cls.plays_profiles or cls.generator is not None:
            speakers += 1
        if why is not None:
            raise ConfigError(
                f"expected user classes that are driven by a generator: {why}", source=source, value=cls.__name__
            )
    if classes and not speakers:
        raise ConfigError("expected a user class with a generator", source=source, value=classes[0].__name__)


def are_all_open(user_classes: Iterable[type[Any]]) -> bool:
    """Whether all that these classes say is on the schedule of ``OpenLoop``s: then their rates add up to one that is wanted
    of the run. Beside a closed loop or tasks they do not: what these say is in the rate that is achieved.
    """
    speaking = [cls for cls in user_classes if not _only_listens(cls)]
    return bool(speaking) and all(isinstance(getattr(cls, "pacing", None), OpenLoop) for cls in speaking)


def _only_listens(cls: type[Any]) -> bool:
    is_driven = issubclass(cls, RealTimeUser) and not cls._is_task_driven
    return is_driven and cls.generator is None and not cls.plays_profiles
