"""`Choices`: what was chosen for a run by flags and files, brought to this process's user classes, and undone again."""

from __future__ import annotations

from locust.env import Environment
from locust.runners import WorkerRunner

from typing import Any

from locust_ext.errors import ConfigError
from locust_ext.plugin.all_classes import AllClasses
from locust_ext.plugin.defaults import profile_texts
from locust_ext.plugin.inputs import Inputs, read_inputs
from locust_ext.plugin.options import local_addresses
from locust_ext.plugin.percentiles import use_fine_percentiles, use_locusts_percentiles
from locust_ext.plugin.requests import check_counted
from locust_ext.plugin.shape_choice import choose_shape
from locust_ext.plugin.users.feeding import check_feeders
from locust_ext.plugin.users.rules import UserRules, texts_of
from locust_ext.plugin.wanted_rate import check_rated
from locust_ext.runtime.process import shared
from locust_ext.settings import parse_profiles, unpacked


class Choices:
    """One a process. On a worker they are the master's, from the start of a run on."""

    def __init__(self, environment: Environment, options: Any) -> None:
        self._environment = environment
        self._options = options
        self._all = AllClasses()
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
        settings = self.inputs.settings
        choose_shape(environment, self._options, settings, settings.source or "--ext-config")
        self._choose_profiles()
        self.apply()
        if self.inputs.rate is not None:
            told_by = "--ext-rate" if self.option("ext_rate") else f"{settings.source}: rate"
            check_rated(environment.user_classes, told_by)
        if self.inputs.requests is not None:
            check_counted(self.inputs.requests, environment.user_classes)
        check_feeders(environment, self.option("num_users"))

    def take(self) -> bool:
        """On a worker, at the start of a run: the master's settings; False: it sent none."""
        text = self.option("ext_settings")
        if text:
            self.inputs.settings = unpacked(text)
            self._choose_profiles()
            self.choose_percentiles()
        return bool(text)

    def apply(self) -> None:
        """In every process: what the settings say of the user classes, and how it connects. Raises `ConfigError`."""
        patterns, generators = (texts_of(self.option(option)) for option in ("ext_pattern", "ext_generator"))
        settings, user_classes = self.inputs.settings, self._environment.user_classes
        source = settings.source or "--ext-config"
        available: dict[str, Any] = dict(self._environment.available_user_classes or {})
        self._rules.undo()  # what has come last goes first
        everyone = {**available, **{cls.__name__: cls for cls in user_classes}}
        self._all.apply(settings, self.option("ext_class_host"), everyone.values())
        self._rules.apply(settings, patterns, generators, user_classes, source, available.values())
        asked_for = self.option("user_classes") or available
        is_worker = isinstance(self._environment.runner, WorkerRunner)  # it spawns what its master says
        left = [available[name] for name in asked_for if name in available]
        self._rules.select(settings, user_classes, left, source, keeps=is_worker)
        shared().source_addresses = local_addresses(self._options, "ext_source_addresses")
        shared().limit_connects(settings.timeouts.connects_at_once)

    def choose_percentiles(self) -> None:
        """In every process: a worker counts under the buckets that it finds."""
        if self.inputs.settings.statistics.fine_percentiles and not self.option("ext_no_fine_percentiles"):
            use_fine_percentiles()
        else:
            use_locusts_percentiles()

    def _choose_profiles(self) -> None:
        given, settings = self.option("ext_profiles") or [], self.inputs.settings
        origin = settings.origin("run.profiles") if given == profile_texts(settings) else None
        try:
            source = "--ext-profiles" if origin is None else origin.source
            self.profiles = parse_profiles([given] if isinstance(given, str) else given, settings, source=source)
        except ConfigError as error:
            raise error.under("" if origin is None else "run.profiles") from None

    def undo(self) -> None:
        """Idempotent."""
        use_locusts_percentiles()
        self._rules.undo()
        self._all.undo()
