"""`Choices`: what was chosen for a run by flags and files, brought to this process's user classes, and undone again."""

from __future__ import annotations

from locust.env import Environment

from typing import Any

from locust_ext.plugin.inputs import Inputs, read_inputs
from locust_ext.plugin.options import local_addresses
from locust_ext.plugin.percentiles import use_fine_percentiles, use_locusts_percentiles
from locust_ext.plugin.rate import check_rated
from locust_ext.plugin.requests import check_counted
from locust_ext.plugin.shape_choice import choose_shape
from locust_ext.plugin.users.feeding import check_feeders
from locust_ext.plugin.users.rules import UserRules, texts_of
from locust_ext.runtime.process import shared
from locust_ext.settings import Settings, parse_profiles


class Choices:
    """One a process. On a worker they are the master's, from the start of a run on."""

    def __init__(self, environment: Environment, options: Any) -> None:
        self._environment = environment
        self._options = options
        self._rules = UserRules()
        self.inputs = Inputs()
        """What was asked for."""
        self.profiles: dict[str, float] = {}
        """User profiles and their shares, which add up to 1."""

    def option(self, name: str) -> Any:
        """A flag's value; None: not given."""
        return getattr(self._options, name, None)

    def read(self) -> None:
        """Not in a worker: check everything before the run starts. Raises `ConfigError`."""
        environment = self._environment
        self.inputs = read_inputs(environment, self._options)
        source = self.option("ext_config") or "--ext-config"
        choose_shape(environment, self._options, self.inputs.settings, source)
        self._choose_profiles()
        self.apply()
        if self.inputs.rate is not None:
            check_rated(environment.user_classes, "--ext-rate" if self.option("ext_rate") else "rate")
        if self.inputs.requests is not None:
            check_counted(self.inputs.requests, environment.user_classes)
        check_feeders(environment, self.option("num_users"))

    def take(self) -> bool:
        """On a worker, at the start of a run: the master's settings; False: it sent none."""
        text = self.option("ext_settings")
        if text:
            self.inputs.settings = Settings.model_validate_json(text)
            self._choose_profiles()
            self.choose_percentiles()
        return bool(text)

    def apply(self) -> None:
        """In every process: patterns and generators for the user classes, and local addresses. Raises `ConfigError`."""
        patterns, generators = (texts_of(self.option(option)) for option in ("ext_pattern", "ext_generator"))
        source = self.option("ext_config") or "--ext-config"
        self._rules.apply(self.inputs.settings, patterns, generators, self._environment.user_classes, source)
        shared().source_addresses = local_addresses(self._options, "ext_source_addresses")

    def choose_percentiles(self) -> None:
        """In every process: a worker counts under the buckets that it finds."""
        if self.inputs.settings.statistics.fine_percentiles and not self.option("ext_no_fine_percentiles"):
            use_fine_percentiles()
        else:
            use_locusts_percentiles()

    def _choose_profiles(self) -> None:
        given = self.option("ext_profiles") or []
        self.profiles = parse_profiles([given] if isinstance(given, str) else given, self.inputs.settings)

    def undo(self) -> None:
        """Idempotent."""
        use_locusts_percentiles()
        self._rules.undo()
