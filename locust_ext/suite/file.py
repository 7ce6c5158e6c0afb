"""A suite file: which scenarios, with which parameters. Wrong keys and values are told as those of a settings file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from locust_ext.errors import ConfigError
from locust_ext.settings.complaints import complaint, place_of
from locust_ext.settings.file import read_yaml, substituted
from locust_ext.settings.parts import Part
from locust_ext.settings.run import EMBEDDED, RunSettings, Text, Time
from locust_ext.settings.types import base_url, wrong
from locust_ext.settings.whole import reaches


def _flag(value: Any) -> Any:
    """A number is a flag's value, too."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def host_or_embedded(value: str | None) -> str | None:
    """An address of the target, as ``--host`` takes it."""
    return value if value == EMBEDDED else base_url(value)


class ScenarioEntry(Part):
    """One scenario of a suite."""

    name: Text | None = None
    """What it is called in the reports; null: as its file is."""
    locustfile: Text | None = None
    """A Python file; null: the generic one, which takes its users from ``config``."""
    config: Text | None = None
    """A settings file, as for ``--ext-config``."""
    rules: Text | None = None
    """A file of rules, ``default`` or ``none``, as for ``--ext-rules``; null: the scenario's own."""
    args: RunSettings = RunSettings()
    """What stands under ``run:`` in a settings file; here it wins over that and over the locustfile."""
    flags: list[Annotated[str, BeforeValidator(_flag)]] = Field(default_factory=list)
    """More arguments for Locust's command line."""
    timeout_s: Time | None = None
    """How long its process may take; null: its run time and a minute, or an hour where that is not known."""

    @model_validator(mode="after")
    def _has_a_file(self) -> ScenarioEntry:
        if self.locustfile is None and self.config is None:
            raise wrong("expected a locustfile or a config")
        return self

    @property
    def title(self) -> str:
        return self.name or Path(self.config or self.locustfile or "").stem


class SuiteSettings(Part):
    """Everything that a suite file may hold."""

    name: Text | None = None
    """What the suite is called in its report; null: as the file is."""
    host: Annotated[str | None, AfterValidator(host_or_embedded)] = None
    """Base URL of the target of all scenarios, or ``embedded``; null: each one's own. A scenario's ``args.host`` wins."""
    report_dir: Text | None = None
    """Folder of the reports, relative to the working directory; null: ``reports/NAME``."""
    stop_on_failure: bool = False
    """Whether what comes after a scenario that failed is skipped."""
    timeout_s: Time | None = None
    """How long the process of a scenario without a ``timeout_s`` of its own may take."""
    scenarios: Annotated[list[ScenarioEntry], Field(min_length=1, max_length=500)]
    """One after the other."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite file that has been read."""

    path: Path
    settings: SuiteSettings
    secrets: frozenset[str] = frozenset()
    """Texts that came from environment variables: they are never shown."""

    @property
    def name(self) -> str:
        return self.settings.name or self.path.stem

    def masked(self, text: str) -> str:
        """``text`` without what came from environment variables."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def load_suite(path: str | Path, environ: Mapping[str, str] | None = None) -> Suite:
    """The suite of a YAML file. ``environ`` is ``os.environ`` unless given.

    ``ConfigError`` names the file, the key's path (``scenarios.2.args.users``), the value, what was expected and the
    nearest valid name.
    """
    source = str(path)
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise ConfigError("expected a mapping with the key scenarios", source=source, value=document)
    from_environ: set[str] = set()
    filled = substituted(document, "", source, os.environ if environ is None else environ, from_environ)
    try:
        settings = SuiteSettings.model_validate(filled)
    except ValidationError as error:
        wrong_one = error.errors(include_url=False)[0]
        key = ".".join(map(str, place_of(wrong_one)))
        is_secret = reaches(key, from_environ)
        raise complaint(wrong_one, source, is_secret=is_secret, whole=SuiteSettings) from None
    _check_names(settings, source)
    return Suite(Path(path), settings, frozenset(_texts_at(filled, from_environ)))


def _check_names(settings: SuiteSettings, source: str) -> None:
    seen: set[str] = set()
    for number, entry in enumerate(settings.scenarios):
        if entry.title in seen:
            raise ConfigError(
                "expected a name of its own for each scenario",
                source=source,
                key=f"scenarios.{number}.name",
                value=entry.title,
            )
        seen.add(entry.title)


def _texts_at(document: Any, keys: Iterable[str]) -> Iterable[str]:
    for key in keys:
        value = document
        for part in key.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        if isinstance(value, str) and value:
            yield value
