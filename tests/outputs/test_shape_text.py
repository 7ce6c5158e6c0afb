"""A run's shape beside its users: in the timeline, in a sentence, and in what is read back."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from locust_ext.core.accounting import Recorder
from locust_ext.model import RunInfo, Second, Snapshot
from locust_ext.outputs import REPORTS
from locust_ext.outputs.console import console
from locust_ext.outputs.read import read_summary
from locust_ext.outputs.read_tables import read_timeline
from locust_ext.outputs.shape_text import followed, shape_text
from tests.outputs.examples import HOSTILE, full


def rows(*users: tuple[int | None, int | None]) -> tuple[Second, ...]:
    """``(users, planned users)`` second by second."""
    return tuple(Second(number, users=there, planned_users=planned) for number, (there, planned) in enumerate(users))


@pytest.mark.parametrize(
    ("timeline", "seconds", "on_plan", "furthest"),
    [
        (rows(), 0, 0, 0),
        (rows((5, None), (None, 5)), 0, 0, 0),
        (rows((5, 5), (5, 5)), 2, 2, 0),
        (rows((0, 5), (5, 20), (20, 20), (20, 3), (3, 3)), 5, 4, 5),
        (rows((5, 5), (5, 60), (55, 10), (10, 10)), 4, 3, 5),
        (rows((5, 5), (5, 60)), 2, 2, 0),
        (rows((5, 5), (5, 20), (5, 20), (20, 20)), 4, 2, 15),
    ],
)
def test_users_are_on_plan_if_it_had_them_a_second_ago_or_has_them_in_a_second(
    timeline: tuple[Second, ...], seconds: int, on_plan: int, furthest: int
) -> None:
    assert followed(timeline) == (seconds, on_plan, furthest)


def test_a_row_of_several_seconds_counts_as_many() -> None:
    assert followed((Second(0, 4, users=3, planned_users=3), Second(4, 1, users=9, planned_users=3))) == (5, 4, 6)


def test_the_sentence_is_in_the_console_and_in_the_summary() -> None:
    snapshot = Snapshot(run=RunInfo(shape="ramp, 0 to 9 users"), timeline=rows((5, 5), (5, 5), (2, 5)))
    line = "ramp, 0 to 9 users: users on plan in 2 of 3 s, at most 3 users off"
    assert shape_text(snapshot) == line
    assert line in " ".join(console(snapshot).split())
    assert f"| Shape | {line} |" in REPORTS["summary.md"](snapshot)
    assert shape_text(Snapshot(timeline=snapshot.timeline)) == ""
    assert "Shape" not in console(full())


def test_a_hostile_name_of_a_shape_is_harmless() -> None:
    snapshot = Snapshot(run=RunInfo(shape=HOSTILE))
    assert "\x1b" not in shape_text(snapshot)
    assert "<script>" not in REPORTS["summary.md"](snapshot)


def test_a_shape_and_its_plan_are_read_back() -> None:
    snapshot = replace(full(), run=replace(full().run, shape="steady, 5 users"), timeline=rows((5, 5), (4, None)))
    assert read_summary(REPORTS["summary.json"](snapshot)).run.shape == "steady, 5 users"
    text = REPORTS["timeline.csv"](snapshot)
    found = [(row["users"], row["planned_users"]) for row in csv.DictReader(io.StringIO(text))]
    assert found == [("5", "5"), ("4", "")]
    assert read_timeline(text) == snapshot.timeline


def test_a_timeline_of_an_earlier_version_is_read_too() -> None:
    reader = csv.DictReader(io.StringIO(REPORTS["timeline.csv"](full())))
    columns = [column for column in reader.fieldnames or () if column not in ("users", "planned_users")]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(reader)
    assert read_timeline(out.getvalue()) == full().timeline


def test_users_stand_in_the_second_at_whose_end_they_were_told() -> None:
    """A tick is some milliseconds early or late; what nobody told is not known."""
    recorder = Recorder()
    recorder.begin("r", 100.0)
    recorder.describe(shape="steady, 5 users")
    for at_s, present, planned in ((101.004, 3, 5), (101.998, 5, 5), (104.01, 6, None)):
        recorder.users(at_s, present, planned)
        recorder.tick(at_s)
    recorder.users(105.0, 7)
    recorder.end(105.2)
    recorder.users(105.9, 8)
    snapshot = recorder.snapshot(106.0)
    told = [(row.users, row.planned_users) for row in snapshot.timeline]
    assert told == [(3, 5), (5, 5), (None, None), (6, None), (7, None)]
    assert snapshot.run.shape == "steady, 5 users"
    recorder.begin("s", 200.0)
    recorder.tick(201.0)
    assert [(row.users, row.planned_users) for row in recorder.snapshot(201.0).timeline] == [(None, None)]
    assert recorder.snapshot(201.0).run.shape is None
