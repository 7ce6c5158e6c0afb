"""`timeline.csv` and `resources.csv`, read back."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from locust_ext.errors import ConfigError
from locust_ext.model import GeneratorRow, GeneratorStats, ResourceSample, ResourceStats, Second, Snapshot
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
    assert (
        read_resources(text, Snapshot(generators=tuple(replace(each, rows=()) for each in named))).generators == named
    )


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


def test_a_resources_table_read_back_gives_the_same_table() -> None:
    given = full()
    text = REPORTS["resources.csv"](given)
    stripped = replace(
        given,
        generators=tuple(replace(each, rows=()) for each in given.generators),
        resources=tuple(replace(each, samples=()) for each in given.resources),
    )
    after = read_resources(text, stripped)
    assert REPORTS["resources.csv"](after) == text
    samples = {(stats.side, stats.source): stats.samples for stats in after.resources}
    assert [sample.at_s for sample in samples["master", ""]] == [0.5 + number for number in range(12)]
    assert samples["target", "pid 123"][3].values == {"cpu_percent": 30.0, "memory_bytes": 1e8, "processes": 2.0}
    assert [row.start_s for row in after.generators[0].rows] == [float(start) for start in range(2, 12)]
    assert after.generators[0].rows[0].over_limit


def test_a_sample_stands_beside_the_period_that_it_was_read_in_and_alone_where_there_is_none() -> None:
    periods = (GeneratorRow(0.0, 1.0, 5.0), GeneratorRow(1.0, 1.0, 6.0, 700, 900, 200, True))
    samples = tuple(ResourceSample("generator", "", at_s, {"greenlets": at_s * 10}) for at_s in (1.2, 1.4, 2.5))
    text = REPORTS["resources.csv"](
        Snapshot(
            generators=(GeneratorStats("", rows=periods),), resources=(ResourceStats("generator", "", samples=samples),)
        )
    )
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    shown = ("at_s", "start_s", "cpu_percent", "greenlets", "loop_lag_p99_ms", "send_lateness_p99_ms", "over_limit")
    assert [tuple(row[column] for column in shown) for row in table] == [
        ("", "0.0", "5", "", "", "", "0"),
        ("1.2", "", "", "12", "", "", ""),
        ("1.4", "1.0", "6", "14", "0.7", "0.2", "1"),
        ("2.5", "", "", "25", "", "", ""),
    ]


def test_a_resources_table_of_an_earlier_version_is_read() -> None:
    text = (
        "worker,start_s,length_s,cpu_percent,loop_lag_p99_ms,loop_lag_max_ms,send_lateness_p99_ms,over_limit\r\n"
        "1,0,1.0,95.0,80.0,90.0,,1\r\n"
    )
    (generator,) = read_resources(text, Snapshot(generators=(GeneratorStats("1"),))).generators
    assert generator.rows == (GeneratorRow(0.0, 1.0, 95.0, 80_000, 90_000, None, True),)


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("side,source", "source,side", "line 1"),
        ("generator,,0.5", "nobody,,0.5", "line 2, side"),
        ("generator,,0.5", "generator,,-0.5", "line 2, at_s"),
        (",90,50000000,", ",x,50000000,", "line 2, cpu_percent"),
        (",90,50000000,", ",nan,50000000,", "line 2, cpu_percent"),
        ("generator,,0.5", "generator,0.5", "line 2"),
    ],
)
def test_a_resources_table_that_was_tampered_with_is_refused_by_its_line(before: str, after: str, key: str) -> None:
    text = REPORTS["resources.csv"](full())
    assert before in text
    with pytest.raises(ConfigError) as caught:
        read_resources(text.replace(before, after, 1), full(), "old/resources.csv")
    assert (caught.value.source, caught.value.key) == ("old/resources.csv", key)
