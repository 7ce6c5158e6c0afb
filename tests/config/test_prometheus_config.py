"""``config/prometheus``: promtool takes it, Prometheus runs it on a real run, and its alerts fire when they should."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from locust_ext.outputs.metrics.catalogue import COUNTED, HISTOGRAM
from tests.config.alert_cases import cases
from tests.config.files import PROMETHEUS, rules
from tests.config.watching import Watched

RECORDED = [rule for rule in rules() if "record" in rule]
ALERTS = [rule for rule in rules() if "alert" in rule]


def promtool(*arguments: str | Path) -> str:
    """What it says to files it takes."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("needs prometheus")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_configuration_and_its_rules() -> None:
    said = promtool("check", "config", "--lint=all", "--lint-fatal", PROMETHEUS / "prometheus.yml")
    assert said.count("SUCCESS") == 4, said
    assert f"SUCCESS: {len(RECORDED)} rules found" in said
    assert f"SUCCESS: {len(ALERTS)} rules found" in said


def test_each_alert_fires_in_a_bad_run_and_is_silent_in_a_good_one_and_after_the_end(tmp_path: Path) -> None:
    (tmp_path / "cases.yml").write_text(yaml.safe_dump(cases()))
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "cases.yml")
    fired = {each["alertname"] for case in cases()["tests"] for each in case["alert_rule_test"] if "exp_alerts" in each}
    assert fired == {rule["alert"] for rule in ALERTS}


def test_each_alert_says_how_bad_it_is_and_what_to_make_of_it() -> None:
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert rule["alert"].startswith("LocustExt"), "the dashboard finds them by that"
        assert rule["labels"]["severity"] in ("warning", "critical", "{{ $labels.severity }}")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert "{{ $" in rule["annotations"]["summary"] or rule["alert"] in ("LocustExtNoLoad", "LocustExtRunNotValid")


@pytest.mark.e2e
@pytest.mark.parametrize("rule", RECORDED, ids=lambda rule: rule["record"])
def test_each_recording_rule_gives_data_of_a_real_run(watched: Watched, rule: dict[str, str]) -> None:
    computed = watched.values(rule["expr"])
    recorded = watched.values(f'{rule["record"]}{{job="locust"}}')
    assert len(computed) > 0
    assert len(recorded) == len(computed)
    assert any(value == value for value in recorded), "every value is NaN"


@pytest.mark.e2e
@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_series_that_an_alert_reads_is_told_by_a_real_run(watched: Watched, rule: dict[str, str]) -> None:
    watched.query(rule["expr"])
    known = {each["__name__"] for each in (found["metric"] for found in watched.query('{__name__=~".*locust_ext.*"}'))}
    read = set(re.findall(r"[a-z_]*:?locust_ext_[a-z_]+(?::[a-z0-9_]+)?", rule["expr"]))
    assert read
    assert read - known == set()


@pytest.mark.e2e
def test_prometheus_itself_evaluates_every_rule_without_an_error(watched: Watched) -> None:
    groups = watched.ask("rules", {})["groups"]
    found = {rule["name"]: (rule["health"], rule.get("lastError", "")) for group in groups for rule in group["rules"]}
    assert found == {rule.get("record") or rule["alert"]: ("ok", "") for rule in rules()}


@pytest.mark.e2e
def test_what_the_rules_say_of_the_run_is_what_its_counters_say(watched: Watched) -> None:
    bad = 'sum(rate(locust_ext_requests_total{outcome=~"failed|timed_out|lost"}[1m]))'
    all_ = 'sum(rate(locust_ext_requests_total{outcome!="cancelled"}[1m]))'
    (ratio,) = watched.values("instance:locust_ext_request_failures:ratio_rate1m")
    (low,), (high,) = watched.values(f"0.7 * {bad} / {all_}"), watched.values(f"1.4 * {bad} / {all_}")
    assert low < ratio < high
    assert ratio > 0.05, "the target answers every tenth message with an error"
    assert watched.values("instance:locust_ext_run:running") == [1.0]


@pytest.mark.e2e
def test_a_run_with_dropped_connections_and_errors_raises_their_alerts(watched: Watched) -> None:
    raised = {
        (each["metric"]["alertname"], each["metric"]["alertstate"])
        for each in watched.query(f'ALERTS{{instance="{watched.instance}"}}')
    }
    assert ("LocustExtConnectionsDropped", "firing") in raised
    assert ("LocustExtErrorRatio", "pending") in raised, "it fires after 30 s"
    quiet = {"LocustExtNoLoad", "LocustExtWorkerLost", "LocustExtGeneratorPorts", "LocustExtTargetMemoryGrows"}
    assert quiet & {name for name, _ in raised} == set()


@pytest.mark.e2e
def test_the_run_tells_every_family_that_the_catalogue_names(watched: Watched) -> None:
    """So that the tests of dashboard and rules see all that there is to see."""
    known = {each["metric"]["__name__"] for each in watched.query('{__name__=~"locust_ext_.*"}')}
    names = {f"{family.name}_{'bucket' if family.kind == HISTOGRAM else 'total'}" for family in COUNTED}
    assert names - known == set()


@pytest.mark.e2e
def test_the_target_of_the_shipped_configuration_is_scraped_too(watched: Watched) -> None:
    assert watched.values('up{job="target"}') == [1.0]
    assert sum(watched.values("refserver_messages_received_total")) > 0
