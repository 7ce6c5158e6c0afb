"""The rules of thumb: each applies where it should, and only there."""

from __future__ import annotations

import pytest

from locust_ext.model import OperationStats, RunInfo, Snapshot
from locust_ext.outputs.advice import advice


def snapshot(*operations: OperationStats) -> Snapshot:
    return Snapshot(run=RunInfo(host="http://127.0.0.1:1"), operations=operations)


def connects(ok: int = 0, **errors: int) -> OperationStats:
    return OperationStats("CONNECT", "/ws", ok=ok, failed=sum(errors.values()), errors=errors)


@pytest.mark.parametrize(
    ("error_class", "words"),
    [
        ("refused", "nothing listens at http://127.0.0.1:1"),
        ("dns", "is not known"),
        ("http_404", "knows no WebSocket at that path"),
        ("http_418", "not the upgrade to a WebSocket"),
        ("http_403", "refuses the upgrade"),
    ],
)
def test_when_no_connect_worked_the_commonest_class_says_where_to_look(error_class: str, words: str) -> None:
    (sentence,) = advice(snapshot(connects(**{error_class: 5}), connects(reset=2)))
    assert words in sentence


def test_one_good_connect_and_the_target_is_known_to_be_there() -> None:
    assert advice(snapshot(connects(ok=1, refused=50))) == []


def test_a_run_full_of_error_replies_asks_for_rights() -> None:
    (sentence,) = advice(
        snapshot(connects(ok=5), OperationStats("WS", "query", ok=10, failed=90, errors={"error_reply": 90}))
    )
    assert "rights" in sentence
    few = OperationStats("WS", "query", ok=90, failed=10, errors={"error_reply": 10})
    assert advice(snapshot(connects(ok=5), few)) == []


def test_a_generator_without_ports_or_descriptors_says_what_to_do() -> None:
    without = advice(snapshot(connects(ok=100, no_ports=3, fd_limit=2)))
    assert any("ulimit -n" in sentence for sentence in without)
    assert any("--ext-source-addresses" in sentence for sentence in without)
