"""Markers in payloads: found, read, and never taken for what they are not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from locust_ext.core.marker import HOST_CHARS, LENGTH, MARKER, PROCESS_CHARS, marker, marker_in, read, token


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**50), st.integers(0, 2**32 - 1), st.text(), st.text())
def test_a_marker_comes_through_json_and_is_read_as_it_was_written(
    host: int, sent_us: int, process: int, before: str, after: str
) -> None:
    made = marker(token(host, HOST_CHARS), sent_us, token(process, PROCESS_CHARS))
    assert len(made) == LENGTH
    before = before.replace("~lx:", "")
    payload = json.dumps({"a": before, "value": made + after})
    assert marker_in(payload) == marker_in(payload.encode()) == made
    assert read(made) == (token(host, HOST_CHARS), sent_us)


@given(st.text())
def test_any_other_text_is_none(text: str) -> None:
    assert marker_in(text.replace("~lx:", "")) is None
    assert read(text) is None or len(text) == LENGTH


@pytest.mark.parametrize(
    "text",
    [
        "",
        MARKER,
        MARKER[:-1],
        MARKER + " ",
        "~lx:abc123:00000000zzzzz:p0q1~",
        "~lx:abc123:-000000000001:p0q1~",
        "~lx:abc123;0000000000001:p0q1~",
        "~lx:abc123:0000000000001;p0q1~",
        "~lx:äbc123:0000000000001:p0q1~",
    ],
)
def test_what_is_no_marker_or_was_never_filled_in_is_not_read(text: str) -> None:
    assert read(text) is None
