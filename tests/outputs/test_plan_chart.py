"""The plan of a shape beside its users, as a chart in `summary.md`."""

from __future__ import annotations

import pytest

from locust_ext.model import Second, Snapshot
from locust_ext.outputs import REPORTS
from locust_ext.outputs.plan_chart import LEGEND, plan_chart
from tests.outputs.examples import good
from tests.outputs.searches import moving


def test_users_that_are_late_and_users_that_were_not_planned_can_be_told_from_the_others() -> None:
    assert plan_chart(moving(100)) == [
        "50 |                           ############################",
        "   |                           ############################",
        "   |                    -##################################",
        "   |                    -##################################",
        "   |             -#########################################",
        "25 |             -#########################################",
        "   |      -################################################",
        "   |      -################################################",
        "   |#######################################################+++++++++++++",
        "   |####################################################################",
        " 0 +--------------------------------------------------------------------",
        "    0                                                              100 s",
    ]


@pytest.mark.parametrize("seconds", [21, 68, 69, 100, 3600])
def test_it_is_ten_rows_of_at_most_72_columns_whatever_the_length_of_the_run(seconds: int) -> None:
    lines = plan_chart(moving(seconds))
    assert len(lines) == 12
    assert max(map(len, lines)) <= 72
    assert lines[-1].endswith(f" {seconds:,} s")
    assert all(line.isascii() for line in lines)


def test_a_burst_of_a_second_is_not_lost_in_an_hour() -> None:
    rows = [Second(number, users=1, planned_users=1) for number in range(3600)]
    rows[1800] = Second(1800, users=100, planned_users=100)
    assert [line.count("#") for line in plan_chart(Snapshot(timeline=tuple(rows)))[:9]] == [1] * 9


def test_rows_of_several_seconds_fill_their_columns() -> None:
    rows = (Second(0, 4, users=10, planned_users=10), Second(4, 2, users=5, planned_users=5))
    lines = plan_chart(Snapshot(timeline=rows))
    assert (lines[0], lines[-3]) == ("10 |" + "#" * 44, "   |" + "#" * 66)


@pytest.mark.parametrize(
    "rows",
    [(), (Second(0, users=5, planned_users=5),) * 3, (Second(0, users=5), Second(1, planned_users=7))],
    ids=["none", "steady", "unknown"],
)
def test_a_plan_that_does_not_move_has_no_chart(rows: tuple[Second, ...]) -> None:
    assert plan_chart(Snapshot(timeline=rows)) == []


def test_the_summary_shows_it_with_its_legend() -> None:
    text = REPORTS["summary.md"](moving())
    assert "\n### Users beside the plan\n\n```text\n50 |" in text
    assert f"\n\n{LEGEND}\n```\n" in text
    assert "### Users beside the plan" not in REPORTS["summary.md"](good())
