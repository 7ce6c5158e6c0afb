"""The YAML files: what may stand in them, their defaults, and clear errors for what may not.

Values may name environment variables as ``${NAME}``; what came from one is never shown in an error. A profile that
has a default is changed key by key; a profile of a new name is added.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from locust_ext.errors import ConfigError
from locust_ext.settings.file import read_yaml as read_yaml, substituted
from locust_ext.settings.parts import (
    BaselineSettings as BaselineSettings,
    ExporterSettings as ExporterSettings,
    GeneratorSettings as GeneratorSettings,
    LogSettings as LogSettings,
    MonitorSettings as MonitorSettings,
    Part,
    RecordSettings as RecordSettings,
    StatisticsSettings as StatisticsSettings,
)
from locust_ext.settings.rate import Rate
from locust_ext.settings.shapes import ShapeSettings
from locust_ext.settings.types import (
    MIX_NAMES as MIX_NAMES,
    Above0,
    Bytes,
    Seconds,
    Share,
    Weight,
    base_url,
    mix_of_generators,
    number,
    wrong,
)
from locust_ext.settings.users import Lifecycle, Messages, UserSettings


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
    agent_host: Annotated[str | None, AfterValidator(base_url)] = None
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


class Settings(Part):
    """Everything that a settings file may hold; every key has a default."""

    realistic: RealisticSettings = RealisticSettings()
    generator: GeneratorSettings = GeneratorSettings()
    baseline: BaselineSettings = BaselineSettings()
    log: LogSettings = LogSettings()
    statistics: StatisticsSettings = StatisticsSettings()
    record: RecordSettings = RecordSettings()
    monitor: MonitorSettings = MonitorSettings()
    exporter: ExporterSettings = ExporterSettings()
    shape: ShapeSettings | None = None
    """How many users there are at which moment; null: ``--users``, or a shape class of the locustfile."""
    rate: Rate = None
    """Messages a second over all users and workers, as an open loop; null: each class keeps its own pace."""
    users: dict[str, UserSettings] = Field(default_factory=dict)
    """By the name of the class; instead of what its code says."""
    lifecycle: Lifecycle = Field(default_factory=dict)
    """Parameters of lifecycle patterns that are given by their name."""
    messages: Messages = Field(default_factory=dict)
    """Parameters of message generators that are given by their name."""

    _from_environ: frozenset[str] = PrivateAttr(default=frozenset())

    def is_secret(self, *keys: str) -> bool:
        """Whether the value at this path came from an environment variable, or holds one that did."""
        key = ".".join(part for part in keys if part)
        return _is_secret(key, self._from_environ)


def load_settings(path: str | Path, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a YAML file, over the defaults. ``environ`` is ``os.environ`` unless given.

    ``ConfigError`` names the file, the key's path, the value, what was expected and the nearest valid name; for broken
    YAML the line and column.
    """
    source = str(path)
    document = read_yaml(path)
    if document is None:
        return Settings()
    if not isinstance(document, dict):
        raise ConfigError("expected a mapping of keys", source=source, value=document)
    from_environ: set[str] = set()
    document = substituted(document, "", source, os.environ if environ is None else environ, from_environ)
    try:
        made = Settings.model_validate(_over_defaults(document))
    except ValidationError as error:
        raise _as_config_error(error.errors(include_url=False)[0], source, from_environ) from None
    made._from_environ = frozenset(from_environ)
    return made


def _is_secret(key: str, from_environ: Iterable[str]) -> bool:
    return any(key == one or key.startswith(f"{one}.") or one.startswith(f"{key}.") for one in from_environ)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a settings file, for editors."""
    return Settings.model_json_schema()


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
                nearest=_nearest(name, profiles),
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


def _over_defaults(document: dict[Any, Any]) -> dict[Any, Any]:
    """The document with the keys that its profiles leave to their defaults, and the profiles that it does not name."""
    realistic = document.get("realistic")
    if not isinstance(realistic, dict) or not isinstance(given := realistic.get("profiles"), dict):
        return document
    profiles: dict[Any, Any] = dict(_PROFILES)
    for name, profile in given.items():
        default = _PROFILES.get(name)
        profiles[name] = {**default, **profile} if default is not None and isinstance(profile, dict) else profile
    return {**document, "realistic": {**realistic, "profiles": profiles}}


_EXPECTED: Final = {
    "missing": "this key is required",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "string_type": "expected a text",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "dict_type": "expected a mapping of keys",
    "model_type": "expected a mapping of keys",
    "model_attributes_type": "expected a mapping of keys",
}


def _as_config_error(error: ErrorDetails, source: str, from_environ: set[str]) -> ConfigError:
    kind, context = error["type"], error.get("ctx", {})
    location = [part for part in error["loc"] if part != "[key]"]
    key = ".".join(str(part) for part in location)
    secret = _is_secret(key, from_environ)
    value = error["input"]
    nearest = None
    if kind == "extra_forbidden":
        valid = _keys_at(location[:-1])
        expected, nearest, value = (
            f"unknown key, expected one of {', '.join(valid)}",
            _nearest(location[-1], valid),
            None,
        )
    elif kind == "unknown_name":
        valid = context["valid"]
        name = context["name"]
        key = f"{key}.{name}"
        expected, nearest, value = f"unknown name, expected one of {', '.join(valid)}", _nearest(name, valid), None
    elif kind == "expected":
        expected = context["expected"]
        value = None if isinstance(value, dict) else value
    elif kind in ("greater_than", "greater_than_equal", "less_than_equal"):
        words = {"greater_than": ("above", "gt"), "greater_than_equal": ("of at least", "ge")}
        word, limit = words.get(kind, ("of at most", "le"))
        expected = f"expected a number {word} {context[limit]:g}"
    else:
        expected = _EXPECTED.get(kind) or error["msg"]
        value = None if kind == "missing" else value
    return ConfigError(expected, source=source, key=key, value=value, nearest=nearest, shows_value=not secret)


def _keys_at(location: list[int | str]) -> list[str]:
    """The valid keys of the mapping at a path of the file."""
    model: type[BaseModel] = Settings
    for part in location:
        if part == "profiles":
            model = Profile
        elif part == "users":
            model = UserSettings
        elif isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            inners = get_args(annotation)
            for inner in (annotation, *inners, *(deeper for each in inners for deeper in get_args(each))):
                if isinstance(inner, type) and issubclass(inner, BaseModel):
                    model = inner
    return list(model.model_fields)


def _nearest(name: object, valid: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(str(name), list(valid), n=1)
    return near[0] if near else None
