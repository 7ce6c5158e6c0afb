"""The settings of the alert rules, which stand under ``rules`` as they do in a file of their own.

They are read where rules are made (`core.alerts.rules_file`); here is only what an editor is told of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, WithJsonSchema

from locust_ext.settings.types import NAMES, wrong

_Schema = dict[str, Any]


def _told(about: str, **kind: Any) -> _Schema:
    return {"description": about, **kind}


_TEXT: Final[_Schema] = {"type": "string"}
_TEXTS: Final[_Schema] = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_LIMIT: Final[_Schema] = {"type": ["number", "string", "null"]}
_TIME: Final[_Schema] = {"type": ["number", "string"]}
_ACTION: Final[_Schema] = {"enum": ["log", "record", "stop", "fail", "webhook"]}
_ACTIONS: Final[_Schema] = {"anyOf": [_ACTION, {"type": "array", "items": _ACTION}, {"type": "null"}]}
WHERE_SCHEMA: Final[_Schema] = {
    "type": "object",
    "properties": {
        "type": _told("WS, SIO, CONNECT, SEND, PUSH, DROP, POOL, GET, POST, …, or a list of them", **_TEXTS),
        "name": _told("of the operation; * stands for any text", **_TEXT),
        "tags": _told("that the operation has, all of them", **_TEXTS),
        "worker": _told("a worker's number, or * for each", type=["integer", "string"]),
        "class": _told("of errors: timeout, refused, http_503, http_5*", **_TEXT),
    },
    "additionalProperties": False,
}
RULE_SCHEMA: Final[_Schema] = {
    "type": "object",
    "properties": {
        "name": _told("In reports and in the log; each once.", **_TEXT, maxLength=200),
        "metric": _told("What is judged: locust-ext metrics lists them.", **{NAMES: "metrics", "form": "name"}),
        "where": _told("Which part of the run: all that is named must hold.", anyOf=[WHERE_SCHEMA, {"type": "null"}]),
        "window": _told(
            "Seconds looked back on, such as 10s or 1m; run: judged at the end only.", **_TIME, default="10s"
        ),
        "warning": _told('Above it: 200ms, 5%, 500MB. With a sign in quotes: "> 200ms".', **_LIMIT),
        "critical": _told("Above it the rule fails, and the run with it: exit code 3.", **_LIMIT),
        "low_warning": _told('Below it: "< 10/s".', **_LIMIT),
        "low_critical": _told("Below it the rule fails, and the run with it: exit code 3.", **_LIMIT),
        "for": _told("How long a limit is broken without a break before the alert fires.", **_TIME, default=0),
        "no_data": _told("What no value at the end means.", enum=["pass", "fail", "ignore"], default="ignore"),
        "on_warning": _told("What is done when the alert fires.", **_ACTIONS, default=["log"]),
        "on_critical": _told("What is done when the alert fires.", **_ACTIONS, default=["log"]),
        "record": _told("Short for on_critical: [record].", type="boolean", default=False),
        "hysteresis": _told(
            "Share of the limit by which the value is back before the alert resolves.",
            type="number",
            minimum=0,
            maximum=1,
            default=0.05,
        ),
        "resolve_after": _told(
            "So many evaluations in a row before it resolves.", type="integer", minimum=1, maximum=1000, default=2
        ),
    },
    "required": ["name", "metric"],
    "anyOf": [{"required": [key]} for key in ("warning", "critical", "low_warning", "low_critical")],
    "additionalProperties": False,
}
_LIST: Final[_Schema] = {"type": "array", "items": RULE_SCHEMA, "minItems": 1, "maxItems": 1000}
_FILE: Final[_Schema] = {
    "type": "object",
    "properties": {
        "rules": _LIST,
        "webhook": {
            "type": ["object", "null"],
            "description": "Where the action webhook is told of alerts.",
            "properties": {"url": _TEXT, "timeout_s": {"type": "number", "exclusiveMinimum": 0, "maximum": 60}},
            "required": ["url"],
            "additionalProperties": False,
        },
    },
    "required": ["rules"],
    "additionalProperties": False,
}


def _rules(value: Any) -> Any:
    if value is None or (isinstance(value, str) and value) or isinstance(value, list | dict):
        return value
    raise wrong("expected default, none, the path of a file, a list of rules, or a mapping with the key rules")


Rules = Annotated[
    Any,
    AfterValidator(_rules),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, _LIST, _FILE, {"type": "null"}]}),
]
"""Alert rules: ``default``, ``none``, a path, a list of rules, or a mapping as in a file of rules."""
