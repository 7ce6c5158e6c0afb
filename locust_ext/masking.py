"""What errors may tell of values: nothing that came out of the environment, in one line, and not at any length.

A value that has once been filled in for a ``${NAME}`` is hidden in every error of this process, wherever it turns up: in
the name of a file, inside a list, in what another library says. The paths of settings that hold such values are kept
besides (`locust_ext.settings.whole.Origin`): by these also short ones, and what was made of them, stay hidden.
"""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "***"
LEAST: Final = 4
LEAST_DIGITS: Final = 6
"""Shorter values, and shorter numbers, are hidden by their paths alone: they are in too much that gives nothing away."""
_NO_SECRETS: Final = re.compile(r"true|false|null|none|\w+://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/?", re.IGNORECASE)
"""Words of our own errors."""
MOST: Final = 200
"""Characters of a value that are shown."""

_values: set[str] = set()


def hide(value: str) -> None:
    """From now on no error of this process shows ``value``. From any greenlet; does not block."""
    for each in {value, value.strip(), _escaped(value), repr(value)[1:-1]}:
        if len(each) >= (LEAST_DIGITS if each.isdigit() else LEAST) and not _NO_SECRETS.fullmatch(each):
            _values.add(each)


def forget_hidden() -> None:
    """As if nothing had ever been hidden; for tests."""
    _values.clear()


def masked(text: str) -> str:
    """``text`` with stars where a hidden value stands."""
    for value in sorted(_values, key=len, reverse=True):  # one may be a part of another
        text = text.replace(value, HIDDEN)
    return text


def shown(value: object) -> str:
    """A value as an error shows it: as Python writes it, masked and cut."""
    if isinstance(value, int) and abs(value) >= 1 << 4096:
        return "a number of more than 1,200 digits"  # Python refuses to write the longest
    try:
        text = masked(repr(value))
    except (ValueError, RecursionError):
        return f"a {type(value).__name__}"
    return text if len(text) <= MOST else f"{text[:MOST]}…, {len(text):,} characters"


def one_line(text: str) -> str:
    """``text`` masked, with what ends a line or moves a terminal's cursor as Python writes it: a newline as ``\\n``."""
    return _escaped(masked(text))


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
