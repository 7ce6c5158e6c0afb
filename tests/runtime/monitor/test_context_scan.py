"""The context server's whole context, counted piece by piece."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from locust_ext.runtime.monitor.context_scan import ContextScan


def scanned(text: bytes, piece_bytes: int = 1_000_000) -> dict[str, float]:
    scan = ContextScan()
    for at in range(0, len(text), piece_bytes):
        scan.feed(text[at : at + piece_bytes])
    return scan.values


NASTY = st.text(st.sampled_from('"\\{}[]:, ab\né'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NASTY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=3),
    max_leaves=8,
)


@given(
    context=st.dictionaries(NASTY, VALUES, max_size=6),
    clients=st.integers(0, 10**6),
    more=st.dictionaries(NASTY, VALUES, max_size=3),
    piece_bytes=st.integers(1, 40),
    is_last=st.booleans(),
    is_ascii=st.booleans(),
)
def test_it_counts_as_a_decoder_does_wherever_the_pieces_are_cut(
    context: dict[str, Any], clients: int, more: dict[str, Any], piece_bytes: int, is_last: bool, is_ascii: bool
) -> None:
    figures = {"context": context, "connected_clients": clients}
    answer = {**more, **figures} if is_last else {**figures, "status": "success", "more": more}
    text = json.dumps(answer, ensure_ascii=is_ascii).encode()
    assert scanned(text, piece_bytes) == {"context_keys": len(context), "connected_clients": clients}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html>",
        b'["context"]',
        b'{"context": {"a": 1}, "connected_clients": 3',
        b'{"context": {"a": 1]}, "connected_clients": 3}',
        b'{"connected_clients": 3} {"connected_clients": 4}',
        b'{"connected_clients": 3}}',
        b'{"status": "success"}',
    ],
)
def test_what_is_no_whole_answer_gives_no_values(text: bytes) -> None:
    assert scanned(text) == {}


def test_a_value_of_another_kind_is_absent_and_the_other_is_there() -> None:
    assert scanned(b'{"context": [1, 2], "connected_clients": 3}') == {"connected_clients": 3}
    assert scanned(b'{"context": {"a": {"b": 1, "c": 2}}, "connected_clients": "3"}') == {"context_keys": 1}
    assert scanned(b'{"context": {}, "connected_clients": 1.5}') == {"context_keys": 0}
