"""`Settings`: everything that a settings file may hold, and where each of it was said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from pydantic import Field, PrivateAttr

from locust_ext.masking import hide
from locust_ext.settings.embedded import EmbeddedSettings
from locust_ext.settings.parts import (
    BaselineSettings,
    ExporterSettings,
    GeneratorSettings,
    LogSettings,
    MonitorSettings,
    Part,
    RecordSettings,
    StatisticsSettings,
)
from locust_ext.settings.rate import Rate
from locust_ext.settings.realistic import RealisticSettings
from locust_ext.settings.rules import Rules
from locust_ext.settings.run import ReportSettings, RunSettings, Text, TimeoutSettings
from locust_ext.settings.shapes import ShapeSettings
from locust_ext.settings.users import Lifecycle, Messages, UserSettings, is_always_secret

_IN_BRACKETS: Final = re.compile(r"\[(\d+)\]")
_ONE_OF_FAULTS: Final = re.compile(r"^embedded\.faults\.\d+")
"""In the file it may be a mapping, instead of a list of one."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A file, or a call of ``install``, and what it has said."""

    source: str
    """The file's path; of a call that of the locustfile. Relative paths in it are relative to its folder."""
    is_file: bool
    """False: a call of ``install``."""
    keys: frozenset[str]
    """Paths of the values, such as ``run.users``; of a mapping without any, such as ``users.Crowd.``."""
    secrets: frozenset[str]
    """Paths of those that came from an environment variable."""


class Settings(Part):
    """Everything that a settings file may hold; every key has a default."""

    scenario: Text | None = None
    """The run's name in reports; null: that of the file."""
    run: RunSettings = RunSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    users: dict[str, UserSettings] = Field(default_factory=dict)
    """By the name of the class; instead of what its code says."""
    shape: ShapeSettings | None = None
    """How many users there are at which moment; null: ``--users``, or a shape class of the locustfile."""
    rate: Rate = None
    """Messages a second over all users and workers, as an open loop; null: each class keeps its own pace."""
    rules: Rules = None
    """``default``, ``none``, a path (relative to this file), a list of rules, or a mapping as in a file of rules;
    ``--ext-rules`` wins."""
    report: ReportSettings = ReportSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    realistic: RealisticSettings = RealisticSettings()
    lifecycle: Lifecycle = Field(default_factory=dict)
    """Parameters of lifecycle patterns that are given by their name."""
    messages: Messages = Field(default_factory=dict)
    """Parameters of message generators that are given by their name."""
    generator: GeneratorSettings = GeneratorSettings()
    baseline: BaselineSettings = BaselineSettings()
    log: LogSettings = LogSettings()
    statistics: StatisticsSettings = StatisticsSettings()
    record: RecordSettings = RecordSettings()
    monitor: MonitorSettings = MonitorSettings()
    exporter: ExporterSettings = ExporterSettings()

    _origins: tuple[Origin, ...] = PrivateAttr(default=())

    def said_by(self, *origins: Origin) -> Settings:
        """These settings, which know where they come from; what was said later wins."""
        self._origins = origins
        return self

    @property
    def source(self) -> str:
        """The file that they come from, or else the locustfile; empty: they are the defaults."""
        return self._origins[-1].source if self._origins else ""

    def origin(self, *keys: str) -> Origin | None:
        """Who has said the value at this path, or the last to say anything below it; None: it is the default."""
        key = ".".join(part for part in keys if part)
        return next((each for each in reversed(self._origins) if reaches(key, each.keys)), None)

    def is_secret(self, *keys: str) -> bool:
        """Whether the value at this path came from an environment variable, holds one that did, or is a token or the like.

        Places in lists are ``rules.0.name`` or ``rules[0].name``.
        """
        key = _IN_BRACKETS.sub(r".\1", ".".join(part for part in keys if part))
        either = {key, _ONE_OF_FAULTS.sub("embedded.faults", key)}
        return is_always_secret(key) or any(reaches(one, each.secrets) for one in either for each in self._origins)

    def __eq__(self, other: object) -> bool:
        """Whether they say the same, wherever they come from."""
        return isinstance(other, Settings) and self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]

    def packed(self) -> str:
        """A text for the workers of a run; without the rules, and what is about reports, which are the master's alone."""
        return orjson.dumps(
            {
                "settings": self.model_dump(mode="json", exclude={"rules", "report"}),
                "origins": [
                    {"source": each.source, "is_file": each.is_file, "keys": [*each.keys], "secrets": [*each.secrets]}
                    for each in self._origins
                ],
            }
        ).decode()


def unpacked(text: str) -> Settings:
    """The settings that `Settings.packed` has made a text of."""
    document = orjson.loads(text)
    origins = (
        Origin(each["source"], each["is_file"], frozenset(each["keys"]), frozenset(each["secrets"]))
        for each in document["origins"]
    )
    made = Settings.model_validate(document["settings"]).said_by(*origins)
    _hide_below(document["settings"], "", made)
    return made


def _hide_below(value: Any, key: str, settings: Settings) -> None:
    """What came from an environment variable of the master's is hidden in the errors of its workers, too."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        _hide_below(item, f"{key}.{name}".lstrip("."), settings)
    if isinstance(value, str) and settings.is_secret(key):
        hide(value)


def reaches(key: str, paths: Iterable[str]) -> bool:
    """Whether one of the paths is that of ``key``, of something below it, or of something that it is below."""
    return any(key == one or key.startswith(f"{one}.") or one.startswith(f"{key}.") for one in paths)
