"""`read_inputs`: the flags, and the files that they name, checked before the run starts."""

from __future__ import annotations

from locust.env import Environment
from locust.runners import MasterRunner

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from locust_ext.core.alerts.rules import Rules
from locust_ext.core.alerts.rules_file import load_rule_file
from locust_ext.model import Snapshot
from locust_ext.plugin.exporter import ExporterOptions, exporter_options, port_of
from locust_ext.plugin.gate import load_baseline
from locust_ext.plugin.limits import check_descriptors
from locust_ext.plugin.monitoring import MonitorOptions, monitor_options
from locust_ext.plugin.options import base_address, check_report_dir, seconds, whole_number
from locust_ext.plugin.rate import WantedRate, wanted_rate
from locust_ext.plugin.recording import check_record_file
from locust_ext.plugin.requests import WantedRequests, wanted_requests
from locust_ext.plugin.sinks import parse_sinks
from locust_ext.settings import Settings, load_settings


@dataclass(slots=True)
class Inputs:
    """What was asked for, on the command line and in files; on a worker the defaults, until its master tells."""

    settings: Settings = field(default_factory=Settings)
    """The parameters from ``--ext-config``, or their defaults."""
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
    if config := option("ext_config"):
        inputs.settings = load_settings(config)
    options.ext_seed = whole_number(options, "ext_seed")
    agent_host = base_address(option("ext_agent_host"), "--ext-agent-host")
    options.ext_agent_host = agent_host or inputs.settings.realistic.agent_host
    base_address(environment.host, "--host")
    inputs.wait_s = seconds(options, "ext_wait_for_target")
    if not isinstance(environment.runner, MasterRunner):
        check_descriptors(int(option("num_users") or 0))
    inputs.warmup_s = seconds(options, "ext_warmup") or 0.0
    if baseline := option("ext_baseline"):
        inputs.baseline = load_baseline(baseline)
    if rules := option("ext_rules"):
        inputs.rules = load_rule_file(rules)
    metrics = [rule.metric for rule in inputs.rules.rules] if inputs.rules is not None else []
    inputs.monitor = monitor_options(options, inputs.settings, metrics=metrics)
    inputs.exporter = exporter_options(options, inputs.settings.exporter)
    port_of(options, "ext_worker_metrics")
    inputs.rate = wanted_rate(options, inputs.settings.rate)
    inputs.requests = wanted_requests(options)
    if folder := option("ext_report_dir"):
        inputs.report_dir = check_report_dir(folder)
    inputs.sinks = parse_sinks(option("ext_sink"))
    if record := option("ext_record"):
        check_record_file(record)
    options.ext_settings = inputs.settings.model_dump_json()
    return inputs
