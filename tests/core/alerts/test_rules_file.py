"""A file of rules, and every mistake that one can hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from locust_ext.core.alerts.rules import MAX_RULES, Rule, Webhook
from locust_ext.core.alerts.rules_file import default_path, load_rule_file, load_rules
from locust_ext.core.alerts.units import Limit
from locust_ext.core.alerts.where import Where
from locust_ext.errors import ConfigError

CONFIG = Path(__file__).parents[3] / "config"

EVERYTHING = """
webhook: {url: "https://hooks.example/${TOKEN}", timeout_s: 2}
rules:
  - name: queries
    metric: latency_p95
    where: {type: [WS, SIO], name: "query*", tags: [eu], worker: 3}
    window: 1m
    warning: 100ms
    critical: ">= 0.5 s"
    low_warning: 2ms
    low_critical: "<= 1ms"
    for: 30s
    no_data: fail
    on_warning: [log, webhook]
    on_critical: [record, stop, webhook]
    record: true
    hysteresis: 0.1
    resolve_after: 3
  - name: timeouts
    metric: errors
    where: {class: timeout}
    window: run
    critical: 10
    on_warning: fail
  - {name: reach, metric: push_reach, critical: "< 99 %", record: true}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def error_of(tmp_path: Path, text: str, **environ: str) -> str:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_rules(path, environ)
    shown = str(caught.value)
    assert shown.startswith(f"{path}: ")
    return shown.removeprefix(f"{path}: ")


def test_every_key_of_a_rule_is_read(tmp_path: Path) -> None:
    loaded = load_rule_file(written(tmp_path, EVERYTHING), {"TOKEN": "s3cret"})
    queries, timeouts, reach = loaded.rules
    assert queries == Rule(
        name="queries",
        metric="latency_p95",
        where=Where(("WS", "SIO"), "query*", frozenset({"eu"}), None, "3"),
        window_s=60,
        warning=Limit(">", 100.0, "> 100 ms"),
        critical=Limit(">=", 500.0, ">= 0.5 s"),
        low_warning=Limit("<", 2.0, "< 2 ms"),
        low_critical=Limit("<=", 1.0, "<= 1 ms"),
        for_s=30.0,
        no_data="fail",
        on_warning=("log", "webhook"),
        on_critical=("record", "stop", "webhook"),
        hysteresis=0.1,
        resolve_after=3,
    )
    assert timeouts == Rule(
        "timeouts", "errors", Where(error_class="timeout"), None, critical=Limit(">", 10, "> 10"), on_warning=("fail",)
    )
    assert (reach.critical, reach.low_critical) == (None, Limit("<", 0.99, "< 99 %"))
    assert (reach.window_s, reach.for_s, reach.no_data) == (10, 0.0, "ignore")
    assert (reach.on_warning, reach.on_critical) == (("log",), ("log", "record"))
    assert loaded.webhook == Webhook("https://hooks.example/s3cret", 2.0)
    assert "s3cret" not in repr(loaded)


def test_the_shipped_rules_are_those_of_the_mission() -> None:
    assert default_path() == CONFIG / "rules.yaml"
    rules = {rule.name: rule for rule in load_rules("default")}
    assert {name: rule.limits_text for name, rule in rules.items()} == {
        "generator CPU": "warning > 70 %, critical > 90 %",
        "generator memory": "warning > 500 MB, critical > 1000 MB",
        "target CPU": "warning > 70 %, critical > 90 %",
        "target memory": "warning > 500 MB, critical > 1000 MB",
        "response time": "warning > 100 ms, critical > 500 ms",
        "errors": "warning > 5 %, critical > 15 %",
        "open connections": "",
        "too few requests": "warning < 1/s",
    }
    assert rules["errors"].critical == Limit(">", 0.15, "> 15 %")


RULE = "rules:\n  - {name: a, metric: rate, warning: 5/s}\n  - {name: b, "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping with the key rules"),
        ("[1]", "expected a mapping with the key rules (got [1])"),
        ("rules: []", "rules: expected a list of rules (got [])"),
        ("webhook: {url: http://h}", "rules: expected a list of rules"),
        (
            "rule: []",
            "rule: unknown key, expected one of rules, webhook; did you mean 'rules'?",
        ),
        ("rules: [5]", "rules[0]: expected a mapping of keys (got 5)"),
        ("rules: [{metric: rate, warning: 1/s}]", "rules[0].name: this key is required"),
        ("rules: [{name: a, warning: 1/s}]", "rules[0].metric: this key is required"),
        (
            "rules: [{name: 5, metric: rate, warning: 1/s}]",
            "rules[0].name: expected a text of one line, of at most 200 characters (got 5)",
        ),
        (
            RULE + "metric: latncy_p95, warning: 5ms}",
            "rules[1].metric: unknown metric; locust-ext metrics lists them (got 'latncy_p95'); "
            "did you mean 'latency_p95'?",
        ),
        (
            RULE + "metric: p95, warning: 5ms}",
            "rules[1].metric: unknown metric; locust-ext metrics lists them (got 'p95'); did you mean 'latency_p95'?",
        ),
        (
            RULE + "metric: rate, warnin: 5/s}",
            "rules[1].warnin: unknown key, expected one of name, metric, where, window, warning, critical, low_warning, "
            "low_critical, for, no_data, on_warning, on_critical, record, hysteresis, resolve_after; "
            "did you mean 'warning'?",
        ),
        (
            "rules:\n  - {name: a, metric: rate, warning: 5/s}\n  - {name: a, metric: rate, warning: 5/s}",
            "rules[1].name: expected each rule's name once (got 'a')",
        ),
        (
            RULE + "metric: rate}",
            "rules[1]: expected at least one of warning, critical, low_warning, low_critical",
        ),
        (RULE + "metric: rate, warning: 5}", "rules[1].warning: expected a limit such as < 1/s (/s, /min, /h) (got 5)"),
        (
            RULE + "metric: error_ratio, critical: 5}",
            "rules[1].critical: expected at most 100 %; five per cent is 5 % or 0.05 (got 5)",
        ),
        (
            RULE + "metric: rate, warning: 5/s, critical: 4/s}",
            "rules[1].critical: expected a limit that is not milder than warning (got '> 4/s')",
        ),
        (
            RULE + "metric: rate, low_warning: 5/s, low_critical: 6/s}",
            "rules[1].low_critical: expected a limit that is not milder than low_warning (got '< 6/s')",
        ),
        (
            RULE + "metric: rate, critical: 5/s, low_warning: 6/s}",
            "rules[1].low_warning: expected a limit under critical: no value keeps both (got '< 6/s')",
        ),
        (
            RULE + "metric: rate, critical: 5/s, low_warning: '<= 5/s'}",
            "rules[1].low_warning: expected a limit under critical: no value keeps both (got '<= 5/s')",
        ),
        (
            RULE + "metric: rate, low_warning: '> 5/s'}",
            "rules[1].low_warning: expected a limit from below, such as < 1 (got '> 5/s')",
        ),
        (
            RULE + "metric: rate, warning: '< 5/s', low_warning: 4/s}",
            "rules[1].warning: expected one limit from below, here or under low_warning (got '< 5/s')",
        ),
        (
            RULE + "metric: connections_open, where: {type: WS}, warning: 5}",
            "rules[1].where.type: connections_open can be narrowed only by worker (got 'WS')",
        ),
        (
            RULE + "metric: users, where: {worker: 1}, warning: 5}",
            "rules[1].where.worker: users can be narrowed by nothing (got 1)",
        ),
        (
            RULE + "metric: rate, where: {typ: WS}, warning: 5/s}",
            "rules[1].where.typ: unknown key, expected one of type, name, tags, worker, class; did you mean 'type'?",
        ),
        (RULE + "metric: rate, where: WS, warning: 5/s}", "rules[1].where: expected a mapping of keys (got 'WS')"),
        (
            RULE + "metric: rate, where: {tags: [1]}, warning: 5/s}",
            "rules[1].where.tags: expected a text, or a list of texts (got [1])",
        ),
        (
            RULE + "metric: errors, where: {class: slow}, warning: 5}",
            "rules[1].where.class: expected an error class such as timeout, refused, http_503, or http_5* (got 'slow')",
        ),
        (
            RULE + "metric: rate, warning: 5/s, window: 1.5s}",
            "rules[1].window: expected whole seconds from 1s to 1h, or run (got '1.5s')",
        ),
        (
            RULE + "metric: rate, warning: 5/s, window: 2h}",
            "rules[1].window: expected whole seconds from 1s to 1h, or run (got '2h')",
        ),
        (
            RULE + "metric: rate, warning: 5/s, for: soon}",
            "rules[1].for: expected a time such as 10s, 1m or a number of seconds (got 'soon')",
        ),
        (
            RULE + "metric: rate, warning: 5/s, window: run, for: 5}",
            "rules[1].for: expected no for: with window run a rule is judged once, at the end (got 5)",
        ),
        (
            RULE + "metric: rate, warning: 5/s, window: run, on_critical: [stop]}",
            "rules[1].on_critical: expected no stop: with window run nothing fires (got 'stop')",
        ),
        (
            RULE + "metric: rate, warning: 5/s, window: run, record: true}",
            "rules[1].record: expected no record: with window run nothing fires (got True)",
        ),
        (
            RULE + "metric: rate, warning: 5/s, on_warning: [lgo]}",
            "rules[1].on_warning: expected one of log, record, stop, fail, webhook (got 'lgo'); did you mean 'log'?",
        ),
        (
            RULE + "metric: rate, warning: 5/s, on_warning: 5}",
            "rules[1].on_warning: expected a list of actions (got 5)",
        ),
        (
            RULE + "metric: rate, warning: 5/s, on_critical: [webhook]}",
            "rules[1].on_critical: expected a webhook with its url at the top of the file (got 'webhook')",
        ),
        (
            RULE + "metric: rate, warning: 5/s, no_data: ignored}",
            "rules[1].no_data: expected one of pass, fail, ignore (got 'ignored'); did you mean 'ignore'?",
        ),
        (
            RULE + "metric: rate, warning: 5/s, no_data: }",
            "rules[1].no_data: expected one of pass, fail, ignore (got null)",
        ),
        (
            RULE + "metric: rate, warning: 5/s, for: null}",
            "rules[1].for: expected a time such as 10s, 1m or a number of seconds (got null)",
        ),
        (
            RULE + "metric: rate, warning: 5/s, window: null}",
            "rules[1].window: expected whole seconds from 1s to 1h, or run (got null)",
        ),
        (
            "webhook: http://h/s3cret\nrules: [1]",
            'webhook: expected a mapping such as {url: "https://…"}, not a text',
        ),
        ("webhook: [http://h]\nrules: [1]", 'webhook: expected a mapping such as {url: "https://…"}, not a list'),
        (
            RULE + "metric: rate, warning: 5/s, where: {type: ws}}",
            "rules[1].where.type: expected a type as the statistics name it (got 'ws'); did you mean 'WS'?",
        ),
        (
            RULE + "metric: rate, warning: 5/s, where: {type: [WS, Get]}}",
            "rules[1].where.type: expected a type as the statistics name it (got 'Get'); did you mean 'GET'?",
        ),
        (
            "rules: [{name: .., metric: rate, warning: 1/s}]",
            "rules[0].name: expected another name: browsers rewrite an address with it (got '..')",
        ),
        (
            "rules: [{name: '.', metric: rate, warning: 1/s}]",
            "rules[0].name: expected another name: browsers rewrite an address with it (got '.')",
        ),
        (
            RULE + "metric: target.jobs_total, warning: 5/s}",
            "rules[1].metric: expected what the monitor calls it: counters are read as their increase a second "
            "(got 'target.jobs_total'); did you mean 'target.jobs_per_second'?",
        ),
        (
            RULE + "metric: 'target.jobs_total{kind=\"a\"}', warning: 5/s}",
            "rules[1].metric: expected what the monitor calls it: counters are read as their increase a second "
            "(got 'target.jobs_total{kind=\"a\"}'); did you mean 'target.jobs_per_second{kind=\"a\"}'?",
        ),
        (
            RULE + "metric: error_ratio, critical: 1}",
            "rules[1].critical: expected a limit that some value breaks: none is above 100 % (>= 100 % is that alone); "
            "five per cent is 5 % or 0.05 (got 1)",
        ),
        (
            RULE + "metric: connections_open, low_critical: -1}",
            "rules[1].low_critical: expected a limit that some value breaks: none is below 0 (got -1)",
        ),
        (RULE + "metric: rate, warning: 5/s, record: 1}", "rules[1].record: expected true or false (got 1)"),
        (
            RULE + "metric: rate, warning: 5/s, hysteresis: 5 %}",
            "rules[1].hysteresis: expected a number from 0 to 1 (got '5 %')",
        ),
        (
            RULE + "metric: rate, warning: 5/s, resolve_after: 0}",
            "rules[1].resolve_after: expected a whole number of evaluations from 1 to 1000 (got 0)",
        ),
        ("webhook: {timeout_s: 1}\nrules: [1]", "webhook.url: expected an http or https URL"),
        ("webhook: {url: 'ftp://secret@h'}\nrules: [1]", "webhook.url: expected an http or https URL"),
        (
            "webhook: {url: 'http://h', timeout_s: 0}\nrules: [1]",
            "webhook.timeout_s: expected a number above 0, of at most 60 (got 0.0)",
        ),
        (
            "rules:\n  - {name: a, name: b}",
            "not valid YAML at line 2, column 15: the key 'name' stands here a second time",
        ),
        (
            "rules: [{name: a, metric: rate, warning: '${LIMIT}'}]",
            "rules[0].warning: the environment variable 'LIMIT' is not set",
        ),
    ],
)
def test_a_mistake_is_told_with_file_key_value_and_what_was_expected(tmp_path: Path, text: str, message: str) -> None:
    assert error_of(tmp_path, text) == message


@pytest.mark.parametrize("limit", ["> 200ms", ">200ms", ">= 5 %", ">1.5s"])
@pytest.mark.parametrize("form", ["rules:\n  - name: a\n    critical: LIMIT", "rules: [{name: a, critical: LIMIT}]"])
def test_a_limit_that_yaml_takes_for_a_block_of_text_is_told_to_be_quoted(
    tmp_path: Path, form: str, limit: str
) -> None:
    told = error_of(tmp_path, form.replace("LIMIT", limit))
    assert told.startswith("not valid YAML at line ")
    assert told.endswith('; a limit with > stands in quotes: "> 200ms"')


@pytest.mark.parametrize(
    "text",
    [
        RULE + "metric: rate, warning: '${SECRET}'}",
        RULE + "metric: '${SECRET}', warning: 5/s}",
        RULE + "metric: rate, warning: 5/s, where: {tags: ['${SECRET}', 5]}}",
        "webhook: {url: '${SECRET}'}\n" + RULE + "metric: rate, warning: 5/s}",
        RULE + "metric: rate, warning: 5/s, on_warning: ['${SECRET}']}",
    ],
)
def test_what_came_from_the_environment_is_never_shown(tmp_path: Path, text: str) -> None:
    assert "hush" not in error_of(tmp_path, text, SECRET="hush")


def test_a_type_of_somebodys_own_and_a_target_of_ones_own_are_taken_as_they_are(tmp_path: Path) -> None:
    text = (
        RULE
        + "metric: rate, where: {type: [grpc, Kafka]}, warning: 5/s}\n  - {name: c, metric: target.balance, low_warning: -5}"
    )
    _, typed, balance = load_rules(written(tmp_path, text))
    assert typed.where.types == ("grpc", "Kafka")
    assert balance.low_warning == Limit("<", -5.0, "< -5")


def test_too_many_rules_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"  - {{name: r{number}, metric: rate, warning: 5/s}}\n" for number in range(MAX_RULES + 1))
    assert error_of(tmp_path, f"rules:\n{rows}") == "rules: expected at most 1,000 rules (got 1001)"


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match=r"nowhere.yaml: the file cannot be read: No such file"):
        load_rules("nowhere.yaml")
