"""The JSON Schema: an editor knows every key, marks what is wrong, and takes a variable wherever a value may stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from locust_ext.core.alerts.metrics import METRICS
from locust_ext.core.alerts.rules_file import rules_of
from locust_ext.errors import ConfigError
from locust_ext.settings import Settings, json_schema, layer, settings_of
from locust_ext.settings.rules import RULE_SCHEMA, WHERE_SCHEMA


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema()


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> Any:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {
            "run": {
                "users": "${USERS}",
                "run_time": "1m30s",
                "log_level": "${LEVEL}",
                "requests": 500,
                "host": "${HOST}",
            }
        },
        {"run": {"run_time": 90, "requests": "50/user", "log_level": "debug", "profiles": {"active": "${SHARE}"}}},
        {"rate": 2000},
        {"rate": "${RATE}"},
        {"rate": {"stages": [{"for_s": "${S}", "rate": 5}]}},
        {"rules": "default"},
        {"rules": [{"name": "p95", "metric": "latency_p95", "critical": "200ms", "where": {"type": ["WS", "SIO"]}}]},
        {"rules": {"rules": [{"name": "x", "metric": "rate", "window": "run", "low_critical": "< 5/s"}]}},
        {"rules": {"webhook": {"url": "${URL}"}, "rules": [{"name": "x", "metric": "rate", "warning": None}]}},
        {"statistics": {"fine_percentiles": "${FINE}"}},
        {"realistic": {"context": {"value_bytes": [16, "${MOST}"]}}},
        {"users": {"Crowd": {"kind": "agent", "think_time": [1, 3], "connect_timeout_s": "${S}"}}},
    ],
)
def test_it_takes_what_a_file_may_say(validator: Any, document: dict[str, Any]) -> None:
    assert [error.message for error in validator.iter_errors(document)] == []


@pytest.mark.parametrize(
    "document",
    [
        {"run": {"usres": 5}},
        {"run": {"users": "many"}},
        {"run": {"users": 0}},
        {"run": {"run_time": "90 seconds"}},
        {"run": {"log_level": "loud"}},
        {"rate": 0},
        {"timeouts": {"connect_s": "fast"}},
        {"rules": [{"name": "x", "metric": "rate", "crtical": 5}]},
        {"rules": [{"metric": "rate"}]},
        {"rules": [{"name": "x", "metric": "rate", "on_critical": ["shout"]}]},
        {"rules": 5},
        {"report": {"formats": []}},
    ],
)
def test_it_marks_what_a_file_may_not_say(validator: Any, document: dict[str, Any]) -> None:
    assert list(validator.iter_errors(document))
    with pytest.raises(ConfigError):
        rules_of(settings_of(layer(document, "x.yaml", is_file=True)))


def test_each_key_of_a_run_is_explained(schema: dict[str, Any]) -> None:
    for name in ("RunSettings", "TimeoutSettings", "ReportSettings"):
        for key, told in schema["$defs"][name]["properties"].items():
            assert len(told["description"]) > 20, f"{name}.{key}"


def test_what_it_says_of_rules_is_what_rules_have() -> None:
    document = {"rules": [{"name": "x", "metric": "rate", "no such key": 1}]}
    with pytest.raises(ConfigError) as caught:
        rules_of(settings_of(layer(document, "x.yaml", is_file=True)))
    known = caught.value.expected.removeprefix("unknown key, expected one of ").split(", ")
    assert sorted(known) == sorted(RULE_SCHEMA["properties"])
    scopes = {scope for metric in METRICS.values() for scope in metric.scopes}
    assert scopes <= set(WHERE_SCHEMA["properties"])


def numbers(node: Any) -> Iterator[dict[str, Any]]:
    """Every part of the schema that takes a number or a truth value, and the alternatives that it is one of."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in ("default", "enum"):
                yield from numbers(value)
        if node.get("type") in ("number", "integer", "boolean"):
            yield node
    elif isinstance(node, list):
        for each in node:
            yield from numbers(each)


def test_a_variable_may_stand_for_every_number(schema: dict[str, Any]) -> None:
    def alternatives(node: Any) -> Iterator[list[Any]]:
        if isinstance(node, dict):
            if "anyOf" in node:
                yield node["anyOf"]
            for value in node.values():
                yield from alternatives(value)
        elif isinstance(node, list):
            for each in node:
                yield from alternatives(each)

    beside = [id(one) for group in alternatives(schema) for one in group if any("\\$" in str(each) for each in group)]
    found = list(numbers(schema))
    assert len(found) > 50
    assert [each for each in found if id(each) not in beside] == []


def test_it_names_the_keys_in_the_order_of_the_settings(schema: dict[str, Any]) -> None:
    assert list(schema["properties"]) == list(Settings.model_fields)
