"""Reads one rule of a file or of settings: its keys, what may stand under them, and what goes together.

Errors name the key inside the rule (`where.type`); whoever knows the file and the place adds them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from locust_ext.core.alerts.metrics import METRICS, Metric, meant_by, metric_named
from locust_ext.core.alerts.rules import (
    ACTIONS,
    DEFAULT_WINDOW_S,
    LIMITS,
    MAX_WINDOW_S,
    NO_DATA,
    Rule,
    slot,
)
from locust_ext.core.alerts.units import Limit, parse_duration_s, parse_limit
from locust_ext.core.alerts.where import EVERYTHING, Where
from locust_ext.errors import ConfigError, is_error_class

_KEYS: Final = (
    *("name", "metric", "where", "window", *LIMITS, "for", "no_data", "on_warning", "on_critical", "record"),
    *("hysteresis", "resolve_after"),
)
_WHERE: Final = ("type", "name", "tags", "worker", "class")
_OWN_TYPES: Final = ("WS", "SIO", "CONNECT", "SEND", "PUSH", "DROP", "POOL")
_TYPES: Final = frozenset((*_OWN_TYPES, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""The types of our own users and of Locust's: another case of one of them is a slip, any other word somebody's own."""
_SYNONYMS: Final = {
    "p50": "latency_p50",
    "p90": "latency_p90",
    "p95": "latency_p95",
    "p99": "latency_p99",
    "median": "latency_p50",
    "average": "latency_average",
    "avg": "latency_average",
    "max": "latency_max",
    "response_time": "latency_average",
    "latency": "latency_average",
    "error_rate": "error_ratio",
    "fail_ratio": "error_ratio",
    "success_rate": "success_ratio",
    "failures": "errors",
    "rps": "rate",
    "cpu": "generator.cpu_percent",
    "cpu_percent": "generator.cpu_percent",
    "memory": "generator.memory_bytes",
    "memory_bytes": "generator.memory_bytes",
    "connections": "connections_open",
    "loop_lag": "loop_lag_p99",
}
"""What people call a metric -> its name, for the hint in an error."""


def read_rule(given: object) -> Rule:
    """The rule that a mapping describes. Raises `ConfigError` without a source."""
    if not isinstance(given, dict):
        raise ConfigError("expected a mapping of keys", value=given)
    known(given, _KEYS, "")
    name = _text(given, "name")
    if name.strip() in (".", ".."):
        raise ConfigError("expected another name: browsers rewrite an address with it", key="name", value=name)
    metric = _metric(_text(given, "metric"))
    where = _where(given["where"], given["metric"], metric) if given.get("where") is not None else EVERYTHING
    window_s = _window(given.get("window", DEFAULT_WINDOW_S))
    for_s = _for(given.get("for", 0), window_s)
    no_data = given.get("no_data", "ignore")
    if no_data not in NO_DATA:
        raise _unknown("no_data", _or_null(no_data), NO_DATA)
    on_warning, on_critical = (_actions(given, key, window_s) for key in ("on_warning", "on_critical"))
    record = _truth(given.get("record", False))
    if not isinstance(record, bool):
        raise ConfigError("expected true or false", key="record", value=record)
    if record and window_s is None:
        raise ConfigError("expected no record: with window run nothing fires", key="record", value=record)
    if record and "record" not in on_critical:
        on_critical = (*on_critical, "record")
    share = number_of(given.get("hysteresis", 0.05), "hysteresis", "from 0 to 1", 0, 1)
    times = _number(given.get("resolve_after", 2))
    if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= 1000:
        raise ConfigError("expected a whole number of evaluations from 1 to 1000", key="resolve_after", value=times)
    rule = Rule(
        name=name,
        metric=given["metric"],
        where=where,
        window_s=window_s,
        for_s=for_s,
        no_data=no_data,
        on_warning=on_warning,
        on_critical=on_critical,
        hysteresis=share,
        resolve_after=times,
    )
    if not any(key in given for key in LIMITS):
        raise ConfigError(f"expected at least one of {', '.join(LIMITS)}")
    return _with_limits(rule, given, metric)


def _with_limits(rule: Rule, given: Mapping[str, Any], metric: Metric) -> Rule:
    limits: dict[str, Limit | None] = {}
    for key in LIMITS:
        if given.get(key) is None:
            continue
        default = "<" if key.startswith("low_") else ">"
        try:
            limit = parse_limit(
                given[key], metric.unit, default=default, at_most=metric.at_most, at_least=metric.at_least
            )
        except ConfigError as error:
            raise error.under(key) from None
        field = slot(key, limit, default)
        if field in limits or (field != key and given.get(field) is not None):
            raise ConfigError(f"expected one limit from below, here or under {field}", key=key, value=given[key])
        limits[field] = limit
    return rule.with_limits(limits)


def _metric(name: str) -> Metric:
    metric = metric_named(name)
    if metric is None:
        if (meant := meant_by(name)) is not None:
            raise ConfigError(
                "expected what the monitor calls it: counters are read as their increase a second",
                key="metric",
                value=name,
                nearest=meant,
            )
        near = _SYNONYMS.get(name.lower()) or next(iter(difflib.get_close_matches(name, METRICS, n=1)), None)
        raise ConfigError("unknown metric; locust-ext metrics lists them", key="metric", value=name, nearest=near)
    return metric


def _where(given: object, name: str, metric: Metric) -> Where:
    if not isinstance(given, dict):
        raise ConfigError("expected a mapping of keys", key="where", value=given)
    known(given, _WHERE, "where")
    for key in given:
        if key not in metric.scopes:
            allowed = f"only by {', '.join(metric.scopes)}" if metric.scopes else "by nothing"
            raise ConfigError(f"{name} can be narrowed {allowed}", key=f"where.{key}", value=given[key])
    worker = given.get("worker")
    if isinstance(worker, int) and not isinstance(worker, bool):
        worker = str(worker)
    if worker is not None and (not isinstance(worker, str) or not worker):
        raise ConfigError("expected a worker's number, or * for each", key="where.worker", value=worker)
    types = _texts(given.get("type"), "where.type")
    for each in types:
        if each not in _TYPES and each.upper() in _TYPES:
            raise ConfigError(
                "expected a type as the statistics name it", key="where.type", value=each, nearest=each.upper()
            )
    pattern = given.get("name")
    if pattern is not None and (not isinstance(pattern, str) or not pattern):
        raise ConfigError("expected a name, in which * stands for any text", key="where.name", value=pattern)
    error_class = given.get("class")
    if error_class is not None and not (
        isinstance(error_class, str) and ("*" in error_class or is_error_class(error_class))
    ):
        raise ConfigError(
            "expected an error class such as timeout, refused, http_503, or http_5*",
            key="where.class",
            value=error_class,
        )
    return Where(types, pattern, frozenset(_texts(given.get("tags"), "where.tags")), error_class, worker)


def _texts(given: object, key: str) -> tuple[str, ...]:
    """A text, or a list of texts."""
    texts = () if given is None else (given,) if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) and text for text in texts):
        raise ConfigError("expected a text, or a list of texts", key=key, value=given)
    return tuple(texts)


def _window(given: object) -> int | None:
    if given == "run":
        return None
    try:
        seconds = parse_duration_s(given)
    except ConfigError:
        seconds = 0.0
    if not seconds.is_integer() or not 1 <= seconds <= MAX_WINDOW_S:
        raise ConfigError("expected whole seconds from 1s to 1h, or run", key="window", value=_or_null(given))
    return int(seconds)


def _for(given: object, window_s: int | None) -> float:
    try:
        seconds = parse_duration_s(given)
    except ConfigError as error:
        error.value = _or_null(given)
        raise error.under("for") from None
    if seconds and window_s is None:
        raise ConfigError("expected no for: with window run a rule is judged once, at the end", key="for", value=given)
    return seconds


def _actions(given: Mapping[str, Any], key: str, window_s: int | None) -> tuple[str, ...]:
    if key not in given:
        return ("log",)
    actions = given[key]
    actions = [actions] if isinstance(actions, str) else [] if actions is None else actions
    if not isinstance(actions, list):
        raise ConfigError("expected a list of actions", key=key, value=actions)
    for action in actions:
        if action not in ACTIONS:
            raise _unknown(key, action, ACTIONS)
        if window_s is None and action not in ("log", "fail"):
            raise ConfigError(f"expected no {action}: with window run nothing fires", key=key, value=action)
    return tuple(dict.fromkeys(actions))


def number_of(given: object, key: str, expected: str, low: float, high: float) -> float:
    """The number, if it is one from ``low`` to ``high``; else `ConfigError`, which says what was ``expected``."""
    number = _number(given)
    if isinstance(number, bool) or not isinstance(number, int | float) or not low <= number <= high:
        raise ConfigError(f"expected a number {expected}", key=key, value=given)
    return float(number)


def _number(given: object) -> object:
    """The number that a text is, out of an environment variable for one."""
    if not isinstance(given, str):
        return given
    for kind in (int, float):
        try:
            return kind(given)
        except ValueError:
            continue
    return given


def _truth(given: object) -> object:
    """The truth value that a text is."""
    return {"true": True, "false": False}.get(given.lower(), given) if isinstance(given, str) else given


class _Null:
    """An empty value in a message: None there means that no value is to be shown."""

    def __repr__(self) -> str:
        return "null"

    __str__ = __repr__


def _or_null(given: object) -> object:
    return _Null() if given is None else given


def _text(given: Mapping[str, Any], key: str) -> str:
    if given.get(key) is None:
        raise ConfigError("this key is required", key=key)
    text = given[key]
    if not isinstance(text, str) or not text.strip() or len(text) > 200 or not text.isprintable():
        raise ConfigError("expected a text of one line, of at most 200 characters", key=key, value=text)
    return text


def known(given: Mapping[Any, Any], valid: Iterable[str], key: str) -> None:
    """Raise `ConfigError` for a key that is not valid; ``key`` is the path of the mapping."""
    valid = list(valid)
    for name in given:
        if name not in valid:
            raise _unknown(f"{key}.{name}".lstrip("."), name, valid, is_key=True)


def _unknown(key: str, value: object, valid: Iterable[str], *, is_key: bool = False) -> ConfigError:
    valid = list(valid)
    near = difflib.get_close_matches(str(value), valid, n=1)
    word = "unknown key, expected" if is_key else "expected"
    return ConfigError(
        f"{word} one of {', '.join(valid)}",
        key=key,
        value=None if is_key else value,
        nearest=near[0] if near else None,
    )
