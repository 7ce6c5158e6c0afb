"""The settings of the realistic scenario: its profiles, and what their actions are.

A profile that has a default is changed key by key; a profile of a new name is added.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from locust_ext.errors import ConfigError
from locust_ext.settings.parts import Part
from locust_ext.settings.types import Above0, BaseUrl, Bytes, Seconds, Share, Weight, mix_of_generators, number, wrong

if TYPE_CHECKING:
    from locust_ext.settings.whole import Settings


class ContextSettings(Part):
    """The operations on the context server."""

    reads: Share = 0.8
    """Share of reads; the rest are writes."""
    keys: Annotated[int, BeforeValidator(number), Field(ge=1)] = 100
    value_bytes: Bytes = (16, 256)
    """At least 30 are written: each value begins with a marker."""


class ActionShares(Part):
    """Where a profile's actions go; the shares are normalised."""

    agent: Weight = 0.7
    context: Weight = 0.2
    live: Weight = 0.1

    @model_validator(mode="after")
    def _any_above_0(self) -> ActionShares:
        if not self.agent + self.context + self.live:
            raise wrong("expected at least one share above 0")
        return self


class Profile(Part):
    """One kind of user."""

    # For editors: what a profile of the defaults leaves out is not missing.
    model_config = ConfigDict(json_schema_extra=lambda schema: schema.pop("required", None))

    share: Weight
    """Of all users; the shares of the profiles are normalised, 0 leaves the profile out."""
    interval_s: Above0
    """Seconds between two actions."""
    mix: Annotated[dict[str, Weight], AfterValidator(mix_of_generators)]
    """Weights of the agent channel's message generators."""
    connected_s: Seconds | None = None
    """Seconds of one stay, drawn from [low, high]; null: always connected."""
    away_s: Seconds | None = None
    """Seconds between two stays, drawn from [low, high]; given exactly if ``connected_s`` is."""

    @model_validator(mode="after")
    def _comes_and_goes_or_stays(self) -> Profile:
        if (self.connected_s is None) != (self.away_s is None):
            raise wrong("expected connected_s and away_s together, or neither")
        return self

    def scaled(self, time_scale: float) -> Profile:
        """The same profile with all its times multiplied by ``time_scale``."""
        return self.model_copy(
            update={
                "interval_s": self.interval_s * time_scale,
                "connected_s": _scaled(self.connected_s, time_scale),
                "away_s": _scaled(self.away_s, time_scale),
            }
        )


def _scaled(pair: tuple[float, float] | None, factor: float) -> tuple[float, float] | None:
    return (pair[0] * factor, pair[1] * factor) if pair is not None else None


_PROFILES: Final[dict[str, dict[str, Any]]] = {
    "active": {
        "share": 0.2,
        "interval_s": 0.5,
        "mix": {"command": 0.4, "query": 0.3, "event": 0.2, "monitoring": 0.05, "ping": 0.05},
    },
    "regular": {
        "share": 0.5,
        "interval_s": 2.0,
        "mix": {"event": 0.3, "command": 0.3, "query": 0.2, "monitoring": 0.1, "ping": 0.1},
    },
    "passive": {
        "share": 0.2,
        "interval_s": 10.0,
        "connected_s": (300.0, 600.0),
        "away_s": (60.0, 300.0),
        "mix": {"event": 0.6, "ping": 0.2, "heartbeat": 0.2},
    },
    "idle": {
        "share": 0.1,
        "interval_s": 30.0,
        "connected_s": (300.0, 600.0),
        "away_s": (60.0, 300.0),
        "mix": {"event": 0.2, "ping": 0.3, "heartbeat": 0.5},
    },
}


class RealisticSettings(Part):
    """The realistic scenario."""

    time_scale: Above0 = 1.0
    """Multiplies interval_s, connected_s and away_s of every profile: under 1 for short demonstrations."""
    agent_host: BaseUrl = None
    """Base URL of an agent channel on another port; null: the host of the run. ``--ext-agent-host`` wins."""
    context: ContextSettings = ContextSettings()
    shares: ActionShares = ActionShares()
    profiles: dict[str, Profile] = Field(
        default_factory=lambda: {name: Profile.model_validate(profile) for name, profile in _PROFILES.items()}
    )

    @model_validator(mode="after")
    def _any_users(self) -> RealisticSettings:
        if not any(profile.share for profile in self.profiles.values()):
            raise wrong("expected at least one profile with a share above 0")
        return self

    def scaled_profiles(self) -> dict[str, Profile]:
        """The profiles as they are to be played: ``time_scale`` is applied."""
        return {name: profile.scaled(self.time_scale) for name, profile in self.profiles.items()}


def over_defaults(document: dict[Any, Any]) -> dict[Any, Any]:
    """The document with the keys that its profiles leave to their defaults, and the profiles that it does not name."""
    realistic = document.get("realistic")
    if not isinstance(realistic, dict) or not isinstance(given := realistic.get("profiles"), dict):
        return document
    profiles: dict[Any, Any] = dict(_PROFILES)
    for name, profile in given.items():
        default = _PROFILES.get(name)
        profiles[name] = {**default, **profile} if default is not None and isinstance(profile, dict) else profile
    return {**document, "realistic": {**realistic, "profiles": profiles}}


def parse_profiles(given: Iterable[str], settings: Settings, *, source: str = "--ext-profiles") -> dict[str, float]:
    """Shares of the users by profile, adding up to 1, from texts such as ``active:0.3``; what is not named gets none.

    With nothing given: the shares of the settings. One text may hold several, between spaces or commas (as in an
    environment variable). ``ConfigError`` for a name that is no profile, or a share that is no number above 0.
    """
    profiles = settings.realistic.profiles
    shares: dict[str, float] = {}
    for text in [part for item in given for part in item.replace(",", " ").split()]:
        name, colon, number = text.partition(":")
        if not colon or not name:
            raise ConfigError("expected NAME:SHARE, such as active:0.3", source=source, value=text)
        if name not in profiles:
            raise ConfigError(
                f"unknown profile, expected one of {', '.join(profiles)}",
                source=source,
                value=name,
                nearest=next(iter(difflib.get_close_matches(name, profiles, n=1)), None),
            )
        if name in shares:
            raise ConfigError("expected each profile once", source=source, value=name)
        shares[name] = _share(text, number, source)
    if not shares:
        shares = {name: profile.share for name, profile in profiles.items() if profile.share > 0}
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}


def _share(text: str, number: str, source: str) -> float:
    try:
        share = float(number)
    except ValueError:
        share = 0.0
    if not 0 < share < float("inf"):
        raise ConfigError("expected a share above 0", source=source, value=text)
    return share
