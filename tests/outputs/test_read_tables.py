"""`timeline.csv` and `resources.csv`, read back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from locust_ext.errors import ConfigError
from locust_ext.model import GeneratorRow, GeneratorStats, Second, Snapshot
from locust_ext.outputs import REPORTS
from locust_ext.outputs.read_tables import read_resources, read_timeline
from tests.outputs.examples import full


def test_a_timeline_read_back_is_the_same_to_the_microsecond() -> None:
    rows = (
        *full().timeline,
        Second(99, 2, finished=3, min_us=1, p50_us=1234567, in_flight=0, complete=False, valid=False),
    )
    text = REPORTS["timeline.csv"](Snapshot(timeline=rows))
    assert read_timeline(text) == rows


def test_resources_read_back_are_given_to_their_workers() -> None:
    rows = (GeneratorRow(0.0, 1.0, 95.5, 80_001, 90_000, None, True), GeneratorRow(1.0, 1.25, 3.0))
    named = tuple(GeneratorStats(worker, rows=rows[number:]) for number, worker in enumerate(("", "=1+1")))
    text = REPORTS["resources.csv"](Snapshot(generators=named))
    assert "'=1+1" in text
    assert read_resources(text, tuple(replace(each, rows=()) for each in named)) == named


@pytest.mark.parametrize(
    ("spoil", "key"),
    [
        (lambda text: text.replace("start_s", "begin_s"), "line 1"),
        (lambda text: text.replace("\r\n0,1,", "\r\nx,1,"), "line 2, start_s"),
        (lambda text: text.replace("\r\n0,1,", "\r\n,1,"), "line 2, start_s"),
        (lambda text: text.replace("\r\n0,1,", "\r\n-3,1,"), "line 2, start_s"),
        (lambda text: text + "5,1\r\n", "line 14"),
        (lambda text: "", "line 1"),
    ],
)
def test_a_timeline_that_was_tampered_with_is_refused_by_its_line(spoil: object, key: str) -> None:
    assert callable(spoil)
    with pytest.raises(ConfigError) as caught:
        read_timeline(spoil(REPORTS["timeline.csv"](full())), "old/timeline.csv")
    assert (caught.value.source, caught.value.key) == ("old/timeline.csv", key)
