"""Limits as text with their units: `> 200ms`, `>= 0.5 %`, `< 1/s`, `500MB`; and values as people read them."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from locust_ext.errors import ConfigError

_MS: Final = {"us": 0.001, "µs": 0.001, "μs": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "min": 60_000.0}
_DECIMAL: Final = {"B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_BYTES: Final = {**_DECIMAL, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40}
_PER: Final = {"/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600}

UNITS: Final[Mapping[str, Mapping[str, float]]] = {
    "ms": _MS,
    "%": {"%": 1.0, "": 1.0},
    "share": {"%": 0.01, "ratio": 1.0, "": 1.0},
    "B": _BYTES,
    "B/s": {f"{size}{per}": a * b for size, a in _BYTES.items() for per, b in _PER.items()},
    "/s": _PER,
    "": {"": 1.0},
}
"""A metric's unit -> spelling in a limit -> how many of the metric's unit that is. `share`: 0 to 1, shown in per cent."""

_EXAMPLES: Final = {
    "ms": "> 200ms (us, ms, s, min)",
    "%": "> 90 %",
    "share": "> 5 % (or > 0.05)",
    "B": "> 500MB (B, KB, MB, GB, KiB, MiB, GiB)",
    "B/s": "> 10MB/s (B, KB, MB, KiB, … a /s, /min, /h)",
    "/s": "< 1/s (/s, /min, /h)",
    "": "> 1000",
}
_LIMIT: Final = re.compile(r"(>=|<=|>|<)?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+(?![\w.]))?)\s*(\S*)")
_DURATION: Final = re.compile(r"(\d+\.?\d*|\.\d+)\s*([a-z]*)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: which values break it."""

    operator: str
    """`>`, `>=`, `<` or `<=`."""
    value: float
    """In the metric's unit."""
    text: str
    """For people, as it was written: `> 200 ms`."""

    @property
    def is_low(self) -> bool:
        """Whether it is broken from below."""
        return self.operator[0] == "<"

    @property
    def is_strict(self) -> bool:
        """Whether its own value keeps it."""
        return len(self.operator) == 1

    def is_broken_by(self, value: float) -> bool:
        if self.operator == ">":
            return value > self.value
        if self.operator == ">=":
            return value >= self.value
        return value < self.value if self.operator == "<" else value <= self.value

    def is_cleared_by(self, value: float, margin: float) -> bool:
        """Whether `value` keeps it by at least `margin`, which is relative to the limit (0 to 1)."""
        if self.is_broken_by(value):
            return False
        distance = self.value - value if not self.is_low else value - self.value
        return distance >= margin * abs(self.value)

    def excess(self, value: float) -> float:
        """How far `value` is beyond it (negative: it keeps it), in the metric's unit."""
        return self.value - value if self.is_low else value - self.value


def parse_limit(
    given: object,
    unit: str,
    *,
    default: str = ">",
    at_most: float | None = None,
    at_least: float | None = None,
) -> Limit:
    """A limit of a metric with this unit; `default` is the operator where none is written.

    A number alone needs a unit unless the metric is a count, a share or a percentage, or the number is 0. The metric's
    values are from `at_least` to `at_most`: a limit that none of them breaks, or every one, is none. `ConfigError`
    without source and key: the caller knows them.
    """
    expected = f"expected a limit such as {_EXAMPLES[unit].replace('>', default, 1)}"
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise ConfigError(expected, value=given)
    match = _LIMIT.fullmatch(given.strip() if isinstance(given, str) else repr(given))
    if match is None:
        raise ConfigError(expected, value=given)
    operator, number, spelling = match[1] or default, match[2], match[3]
    factor = UNITS[unit].get(spelling)
    if factor is None and not spelling and float(number) == 0:
        factor = 1.0
    if factor is None:
        known = [each for each in UNITS[unit] if each]
        near = _nearest(spelling, known)
        raise ConfigError(expected, value=given, nearest=f"{number}{near[0]}" if near else None)
    value = float(number) * factor
    if not math.isfinite(value):
        raise ConfigError(expected, value=given)
    if at_most is not None and value > at_most:
        raise ConfigError("expected at most 100 %; five per cent is 5 % or 0.05", value=given)
    if unit == "%" and not spelling:
        spelling = "%"
    limit = Limit(operator, value, f"{operator} {_with_unit(number, spelling)}")
    _check_reach(limit, given, unit, at_most, at_least)
    return limit


def limit_of(
    value: float, unit: str, operator: str, *, at_most: float | None = None, at_least: float | None = None
) -> Limit:
    """A limit from a number in the metric's own unit. `ConfigError` as above."""
    if isinstance(value, bool) or not math.isfinite(value) or (at_most is not None and value > at_most):
        raise ConfigError("expected a finite number in the metric's unit", value=value)
    limit = Limit(operator, float(value), f"{operator} {value_text(value, unit)}")
    _check_reach(limit, value, unit, at_most, at_least)
    return limit


def _check_reach(limit: Limit, given: object, unit: str, at_most: float | None, at_least: float | None) -> None:
    """`ConfigError` for a limit that no value of the metric can break, or that each one does."""
    lowest = -math.inf if at_least is None else at_least
    highest = math.inf if at_most is None else at_most
    mildest, furthest = (highest, lowest) if limit.is_low else (lowest, highest)
    if math.isfinite(mildest) and limit.is_broken_by(mildest):
        side = "above" if limit.is_low else "below"
        raise ConfigError(
            f"expected a limit that some value keeps: none is {side} {value_text(mildest, unit)}", value=given
        )
    if math.isfinite(furthest) and not limit.is_broken_by(furthest):
        side, bound = "below" if limit.is_low else "above", value_text(furthest, unit)
        only = f" ({limit.operator}= {bound} is that alone)" if limit.value == furthest else ""
        hint = "; five per cent is 5 % or 0.05" if unit == "share" and not limit.is_low else ""
        raise ConfigError(f"expected a limit that some value breaks: none is {side} {bound}{only}{hint}", value=given)


def _nearest(spelling: str, known: list[str]) -> list[str]:
    """The unit that was meant, as a list of one: the same in another case first; empty: none is near."""
    same = [each for each in known if each.casefold() == spelling.casefold()]
    return same[:1] or (difflib.get_close_matches(spelling, known, n=1) if spelling else [])


def parse_duration_s(given: object) -> float:
    """Seconds, from a number of them or a text such as `10s`, `1m`, `500ms`. `ConfigError` without source and key."""
    value = -1.0
    if isinstance(given, int | float) and not isinstance(given, bool):
        value = float(given)
    elif isinstance(given, str) and (match := _DURATION.fullmatch(given.strip())):
        value = float(match[1]) * _SECONDS.get(match[2] or "s", -1.0)
    if not 0 <= value < math.inf:
        raise ConfigError("expected a time such as 10s, 1m or a number of seconds", value=given)
    return value


def _with_unit(number: str, spelling: str) -> str:
    return f"{number}{'' if spelling.startswith('/') or not spelling else ' '}{spelling}"


def value_text(value: float, unit: str) -> str:
    """A value of a metric for people, to three significant digits: `812 ms`, `5.2 %`, `523 MB`, `1.5/s`."""
    if unit == "share":
        return f"{_digits(value * 100)} %"
    if unit in ("B", "B/s"):
        size, spelling = value, "B"
        for bigger in ("KB", "MB", "GB", "TB"):
            if abs(size) < 999.5:
                break
            size, spelling = size / 1000, bigger
        return f"{_digits(size)} {spelling}{unit[1:]}"
    return _with_unit(_digits(value), unit)


def _digits(value: float) -> str:
    """Three significant digits, whole ones all, without trailing zeros: `0.0123`, `12.3`, `12,345`."""
    if not value or abs(value) >= 999.5:
        return f"{value:,.0f}"
    if float(value).is_integer():
        return f"{value:.0f}"
    decimals = min(max(0, 2 - math.floor(math.log10(abs(value)))), 9)
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
