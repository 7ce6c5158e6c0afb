"""`read_inputs`: the flags, and the files that they name, checked before the run starts."""

from __future__ import annotations

from locust.env import Environment
from locust.runners import MasterRunner

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from locust_ext.core.alerts.rules import Rules
from locust_ext.core.alerts.rules_file import NONE, load_rule_file, rules_of
from locust_ext.errors import ConfigError
from locust_ext.model import Snapshot
from locust_ext.outputs import REPORTS
from locust_ext.plugin.all_classes import class_host
from locust_ext.plugin.defaults import fill_in, layered
from locust_ext.plugin.exporter import ExporterOptions, exporter_options, port_of
from locust_ext.plugin.gate import load_baseline
from locust_ext.plugin.limits import check_descriptors
from locust_ext.plugin.monitoring import MonitorOptions, monitor_options
from locust_ext.plugin.options import base_address, check_report_dir, seconds, whole_number
from locust_ext.plugin.recording import check_record_file
from locust_ext.plugin.requests import WantedRequests, wanted_requests
from locust_ext.plugin.sinks import parse_sinks
from locust_ext.plugin.wanted_rate import WantedRate, wanted_rate
from locust_ext.settings import Settings
from locust_ext.settings.complaints import near

GENERIC = "scenario"
"""The locustfile that has nothing of its own: it is all in the settings file."""


@dataclass(slots=True)
class Inputs:
    """What was asked for, on the command line and in files; on a worker the defaults, until its master tells."""

    settings: Settings = field(default_factory=Settings)
    """What ``--ext-config`` and `install` say, or the defaults."""
    scenario: str | None = None
    """The run's name in reports."""
    reports: tuple[str, ...] = tuple(REPORTS)
    """Names of those that are written."""
    wait_s: float | None = None
    warmup_s: float = 0.0
    baseline: Snapshot | None = None
    report_dir: Path | None = None
    sinks: list[tuple[str, Path]] = field(default_factory=list)
    rules: Rules | None = None
    """None: none were given."""
    monitor: MonitorOptions = field(default_factory=MonitorOptions)
    exporter: ExporterOptions = field(default_factory=ExporterOptions)
    rate: WantedRate | None = None
    """None: each class keeps its own pace."""
    requests: WantedRequests | None = None
    """None: the run is not bounded by its work."""


def read_inputs(environment: Environment, options: Any) -> Inputs:
    """Not in a worker. Raises `ConfigError`, and puts what the workers need to know into ``options``."""

    def option(name: str) -> Any:
        return getattr(options, name, None)

    inputs = Inputs()
    settings = inputs.settings = layered(option("ext_config"))
    fill_in(options, settings)
    inputs.scenario = settings.scenario or scenario_name(environment, option("ext_config"))
    inputs.reports = reports_of(settings)
    environment.host = environment.host or settings.run.host
    options.ext_class_host = class_host(environment, settings)
    options.ext_seed = whole_number(options, "ext_seed")
    agent_host = base_address(option("ext_agent_host"), "--ext-agent-host")
    options.ext_agent_host = agent_host or inputs.settings.realistic.agent_host
    base_address(environment.host, "--host")
    inputs.wait_s = seconds(options, "ext_wait_for_target")
    if not isinstance(environment.runner, MasterRunner):
        check_descriptors(int(option("num_users") or 0))
    inputs.warmup_s = seconds(options, "ext_warmup") or 0.0
    if baseline := option("ext_baseline"):
        inputs.baseline = load_baseline(baseline, *_place(settings, "report.baseline", baseline, "--ext-baseline"))
    rules = option("ext_rules")
    inputs.rules = rules_of(settings) if not rules else None if rules == NONE else load_rule_file(rules)
    metrics = [rule.metric for rule in inputs.rules.rules] if inputs.rules is not None else []
    inputs.monitor = monitor_options(options, inputs.settings, metrics=metrics)
    inputs.exporter = exporter_options(options, inputs.settings.exporter)
    port_of(options, "ext_worker_metrics")
    inputs.rate = wanted_rate(options, inputs.settings.rate)
    inputs.requests = wanted_requests(options)
    if folder := option("ext_report_dir"):
        inputs.report_dir = check_report_dir(folder, *_place(settings, "report.dir", folder, "--ext-report-dir"))
    inputs.sinks = parse_sinks(option("ext_sink"))
    if record := option("ext_record"):
        check_record_file(record)
    options.ext_settings = settings.packed()
    return inputs


def scenario_name(environment: Environment, config: str | None) -> str | None:
    """The run's name where the settings give it none: the locustfile's, or the settings file's where that says it all."""
    locustfile = Path(environment.locustfile or "").stem
    return Path(config).stem if config and locustfile == GENERIC else locustfile or None


def reports_of(settings: Settings) -> tuple[str, ...]:
    """Names of the reports that are to be written. Raises `ConfigError`."""
    for name in settings.report.formats or ():
        if name not in REPORTS:
            origin = settings.origin("report.formats")
            raise ConfigError(
                f"unknown report, expected one of {', '.join(REPORTS)}",
                source=origin.source if origin is not None else "",
                key="report.formats",
                value=name,
                nearest=None if settings.is_secret("report.formats") else near(name, REPORTS),
                shows_value=not settings.is_secret("report.formats"),
            )
    return tuple(settings.report.formats or REPORTS)


def _place(settings: Settings, key: str, value: str, flag: str) -> tuple[str, str]:
    """Who has said it: a file and the key in it, or the flag."""
    section, _, name = key.partition(".")
    origin = settings.origin(key)
    said = origin is not None and getattr(getattr(settings, section), name) == value
    return (origin.source, key) if said and origin is not None else (flag, "")
