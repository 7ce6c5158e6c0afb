"""Rules that stand in a settings file, or in a call of ``install``: as in a file of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from locust_ext.core.alerts.rules_file import load_rules, rules_of
from locust_ext.errors import ConfigError
from locust_ext.settings import layer, settings_of

P95 = {"name": "p95", "metric": "latency_p95", "critical": "200ms"}


def given(rules: Any, source: str = "conf/x.yaml", **environ: str) -> Any:
    return rules_of(settings_of(layer({"rules": rules}, source, is_file=True, environ=environ)))


def error_of(rules: Any, source: str = "conf/x.yaml", **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        given(rules, source, **environ)
    return str(caught.value)


def test_a_list_of_rules_stands_for_a_file_of_them() -> None:
    rules = given([P95, {"name": "errors", "metric": "error_ratio", "critical": "${MOST}"}], MOST="5%")
    assert [(rule.name, rule.metric) for rule in rules.rules] == [("p95", "latency_p95"), ("errors", "error_ratio")]
    assert rules.rules[1].critical.value == 0.05
    assert rules.webhook is None


def test_a_mapping_is_what_stands_in_a_file_of_rules() -> None:
    rules = given(
        {"webhook": {"url": "http://${HOST}/"}, "rules": [{**P95, "on_critical": "webhook"}]}, HOST="127.0.0.1"
    )
    assert rules.webhook.url == "http://127.0.0.1/"
    assert rules.rules[0].on_critical == ("webhook",)


def test_default_are_the_shipped_ones() -> None:
    assert given("default").rules == load_rules("default")


def test_a_path_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules: [{name: p95, metric: latency_p95, critical: 200ms}]")
    assert [rule.name for rule in given("rules.yaml", str(tmp_path / "x.yaml")).rules] == ["p95"]
    assert [rule.name for rule in given(str(tmp_path / "rules.yaml")).rules] == ["p95"]


def test_no_rules_are_none() -> None:
    assert given(None) is None
    assert given("none") is None  # over those that a locustfile brings


@pytest.mark.parametrize(
    ("rules", "shown"),
    [
        (
            [P95, {"name": "x", "metric": "latency_p95s", "critical": 1}],
            "conf/x.yaml: rules[1].metric: unknown metric; locust-ext metrics lists them (got 'latency_p95s'); "
            "did you mean 'latency_p95'?",
        ),
        ([], "conf/x.yaml: rules: expected a list of rules (got [])"),
        ({"rules": [{**P95, "critical": "fast"}]}, "conf/x.yaml: rules.rules[0].critical: expected"),
        (
            {"ruls": []},
            "conf/x.yaml: rules.ruls: unknown key, expected one of rules, webhook; did you mean 'rules'?",
        ),
        ("rulez.yaml", "conf/x.yaml: rules: expected default, none, or the path of a file of rules (got 'rulez.yaml')"),
        ([{**P95, "critical": "${WORD}"}], "conf/x.yaml: rules[0].critical: expected"),
        (
            {"rules": [P95], "webhook": {"url": "hunter2"}},
            "conf/x.yaml: rules.webhook.url: expected an http or https URL",
        ),
        ("${WORD}.yaml", "conf/x.yaml: rules: expected default, none, or the path of a file of rules"),
    ],
)
def test_what_is_wrong_is_named_with_the_whole_path_and_without_secrets(rules: Any, shown: str) -> None:
    said = error_of(rules, WORD="hunter2")
    assert said.startswith(shown)
    assert "hunter2" not in said


def test_what_is_wrong_in_a_file_of_rules_is_told_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules: [{name: p95, metric: latency_p95, crtical: 200ms}]")
    said = error_of("rules.yaml", str(tmp_path / "x.yaml"))
    assert said.startswith(f"{tmp_path}/rules.yaml: rules[0].crtical: unknown key")
