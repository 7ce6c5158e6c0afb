"""`limit.svg`: well-formed, every step where its figures are, and readable whatever the spread."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from locust_ext.model import LimitSearch, Snapshot
from locust_ext.model.search import BAD, FOUND, NO_DATA, UP
from locust_ext.outputs import REPORTS
from locust_ext.outputs.search_axes import axis_of
from tests.outputs.examples import good
from tests.outputs.searches import CRITERIA, EVERY_OUTCOME, FOUND_IT, many, searched, step

SVG = "{http://www.w3.org/2000/svg}"


def picture(search: LimitSearch) -> ElementTree.Element:
    return ElementTree.fromstring(REPORTS["limit.svg"](searched(search)))


def marks(root: ElementTree.Element) -> list[ElementTree.Element]:
    return root.findall(f"{SVG}g")


def texts(root: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SVG}text")]


def places(root: ElementTree.Element) -> list[tuple[float, float]]:
    """Those of the good steps."""
    circles = [circle for mark in marks(root) if (circle := mark.find(f"{SVG}circle")) is not None]
    return [(float(each.get("cx", "")), float(each.get("cy", ""))) for each in circles]


@pytest.mark.parametrize("name", EVERY_OUTCOME)
def test_it_is_there_for_every_outcome_with_a_step_and_has_a_mark_for_each_step_of_the_load(name: str) -> None:
    search = EVERY_OUTCOME[name][0]
    loaded = [each for each in search.steps if each.kind != "recover"]
    text = REPORTS["limit.svg"](searched(search))
    assert bool(text) == bool(loaded)
    if text:
        assert len(marks(picture(search))) == len(loaded)


def test_a_run_without_a_search_has_no_picture() -> None:
    assert REPORTS["limit.svg"](good()) == REPORTS["limit.svg"](Snapshot()) == ""


def test_it_says_the_answer_the_axes_with_units_the_limit_and_what_was_sustained() -> None:
    root = picture(FOUND_IT)
    said = texts(root)
    assert said[:2] == [
        "sustains 430 users (1,720 messages/s, p95 84 ms); breaks at 455: p95 > 100 ms",
        "for 10 s; recovered in 6 s",
    ]
    assert {"users", "p95, milliseconds, logarithmic", "limit 100 ms", "sustained 430", "breaks 455"} <= set(said)
    told = [mark.findtext(f"{SVG}title") for mark in marks(root)]
    assert told[1] == "up: 160 users, 640 messages/s, p95 22 ms: good; extended to 12 s for 100 samples"
    assert (
        told[-1]
        == "up: 640 users, 2,560 messages/s, p95 512 ms: BREAKS; p95 > 100 ms: 512 ms; 3 of 320 connects failed"
    )


def test_good_bad_and_discarded_steps_differ_in_shape_and_in_class_and_both_modes_have_their_colours() -> None:
    root = picture(many(40))
    kinds = {(mark[1].tag.removeprefix(SVG), mark[1].get("class")) for mark in marks(root)}
    assert kinds == {("circle", "good"), ("path", "bad"), ("path", "none")}
    style = root.findtext(f"{SVG}style") or ""
    light, _, dark = style.partition("@media (prefers-color-scheme: dark)")
    for name in (".back", ".text", ".good", ".bad", ".none", ".limit ", ".grid"):
        assert name in light
        assert name in dark


@pytest.mark.parametrize("count", [1, 3, 8, 40])
def test_more_users_stand_further_right_higher_latencies_higher_and_all_within_the_picture(count: int) -> None:
    root = picture(many(count))
    found = places(root)
    assert found == sorted(found, key=lambda place: place[0])
    assert [y for _, y in found] == sorted((y for _, y in found), reverse=True)
    assert all(74 <= x <= 738 and 75 <= y <= 362 for x, y in found)


def test_a_step_without_an_answer_stands_on_the_line_of_users() -> None:
    steps = (step(UP, 10, 3, 5.0), step(UP, 20, 15, None, BAD, because="error ratio > 5 %", value="100 %"))
    root = picture(LimitSearch(FOUND, CRITERIA, 100, "messages", steps))
    assert (marks(root)[1][1].get("d") or "").split("l")[0].endswith(" 357.0")
    nothing = LimitSearch(NO_DATA, (), 100, "messages", (step(UP, 10, 3, None, NO_DATA),))
    assert len(marks(picture(nothing))) == 1


@pytest.mark.parametrize(
    ("values", "is_log", "ticks"),
    [
        ([10, 20, 43], False, ["0", "10", "20", "30", "40", "50"]),
        ([1.2, 512], True, ["1", "2", "5", "10", "20", "50", "100", "200", "500"]),
        ([0.02, 80_000], True, ["0.1", "1", "10", "100", "1,000", "10,000", "100,000"]),
        ([3.0], False, ["0", "0.5", "1", "1.5", "2", "2.5", "3", "3.5"]),
        ([], False, ["0", "0.2", "0.4", "0.6", "0.8", "1", "1.2"]),
    ],
)
def test_an_axis_has_round_numbers_and_room_for_all(values: list[float], is_log: bool, ticks: list[str]) -> None:
    axis = axis_of(values, 0.0, 100.0, may_be_logarithmic=True)
    assert (axis.is_log, [text for _, text in axis.ticks]) == (is_log, ticks)
    assert all(axis.least <= value <= axis.most for value in values)


@pytest.mark.parametrize("most", [1, 2, 7, 12, 99, 1234, 50_000])
def test_an_axis_of_users_has_whole_numbers_and_not_too_many(most: int) -> None:
    axis = axis_of([float(most)], 0.0, 100.0, whole=True)
    assert all(value == int(value) for value, _ in axis.ticks)
    assert 2 <= len(axis.ticks) <= 10
    assert axis.most >= most
