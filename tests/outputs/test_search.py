"""A search for the limit as it is told: the answer, the table and chart of its steps, the verdict, `summary.json`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

import locust_ext.outputs
from locust_ext.errors import ConfigError
from locust_ext.model import Check, LimitSearch, LoadStep, OperationStats
from locust_ext.model.search import BAD, FOUND, GENERATOR_LIMIT, INTERRUPTED, NEVER_GOOD, NO_DATA, NOT_RECOVERED, UP
from locust_ext.outputs import REPORTS, console, read_summary, verdict
from locust_ext.outputs.advice import advice
from locust_ext.outputs.highlights import highlights
from locust_ext.outputs.readiness import readiness
from locust_ext.outputs.search_chart import chart, p95_limit_us
from locust_ext.outputs.search_table import steps_table
from locust_ext.outputs.search_text import answer
from tests.outputs.examples import HOSTILE
from tests.outputs.searches import ANSWER, EVERY_OUTCOME, FOUND_IT, STEPS, many, searched, step

SCHEMA = json.loads(Path(locust_ext.outputs.__file__).with_name("summary.schema.json").read_text())


@pytest.mark.parametrize("name", EVERY_OUTCOME)
def test_the_answer_is_one_sentence_for_every_outcome(name: str) -> None:
    search, expected = EVERY_OUTCOME[name]
    assert answer(search) == expected


@pytest.mark.parametrize("name", EVERY_OUTCOME)
def test_it_is_the_first_thing_on_the_console_the_verdict_and_the_heading(name: str) -> None:
    search, expected = EVERY_OUTCOME[name]
    snapshot = searched(search)
    lines = console(snapshot).splitlines()
    assert lines[1].startswith("Limit          ")
    assert expected in " ".join(" ".join(lines).split())
    assert verdict(snapshot) == expected
    heading = REPORTS["summary.md"](snapshot).splitlines()[0].replace("\\", "")
    assert heading == f"## realistic: {expected}"
    assert max(map(len, lines)) <= 80


def test_the_steps_are_a_table_in_the_order_of_time_with_the_reasons_below() -> None:
    assert steps_table(FOUND_IT) == [
        "Step     Users   s  messages/s  p50 ms  p95 ms  p99 ms  failed  outcome",
        "up          10  10        40.0    0.48    1.20    1.56     0 %  good",
        "up         160  12         640    8.80    22.0    28.6     0 %  good",
        "         extended to 12 s for 100 samples",
        "up         320  10       1,280    24.8    62.1    80.7     0 %  good",
        "up         640  10       2,560     205     512     666   2.0 %  BREAKS",
        "         p95 > 100 ms: 512 ms",
        "         3 of 320 connects failed",
        "recover     10   6                                              back after 6 s",
        "bisect     430  10       1,720    34.4    86.0     112     0 %  good",
        "bisect     455  10       1,820    57.2     143     186     0 %  BREAKS",
        "         p95 > 100 ms: 143 ms",
        "recover     10   6                                              back after 6 s",
        "confirm    430  30       1,720    33.6    84.0     109     0 %  good",
    ]


def test_the_chart_has_a_bar_for_each_step_by_users_with_the_limit_marked() -> None:
    assert chart(FOUND_IT) == [
        "users      p95  (logarithmic)",
        "   10   1.2 ms  ##                              |",
        "  160    22 ms  ######################          |",
        "  320  62.1 ms  #############################   |",
        "  430    86 ms  ################################|",
        "  430    84 ms  ############################### |             sustained",
        "  455   143 ms  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx|xx           breaks",
        "  640   512 ms  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx|xxxxxxxxxxx",
        "                                                | p95 100 ms",
    ]


def test_a_chart_of_a_small_spread_is_linear_and_a_step_without_an_answer_has_no_bar() -> None:
    steps = (step(UP, 1000, 3, 50.0), step(UP, 2000, 15, 100.0, GENERATOR_LIMIT), step(UP, 4000, 30, None, NO_DATA))
    assert chart(LimitSearch(NO_DATA, ("error ratio > 5 %",), 9000, "messages", steps)) == [
        "users     p95",
        "1,000   50 ms  " + "#" * 22 + " " * 25 + "sustained",
        "2,000  100 ms  " + "." * 45 + "  generator",
        "4,000    none" + " " * 49 + "no data",
    ]
    assert chart(LimitSearch(NO_DATA, (), 10, "messages", steps[2:])) == []


@pytest.mark.parametrize("count", [1, 3, 40, 90])
def test_table_and_chart_are_narrow_and_tell_of_every_step_however_many_there_are(count: int) -> None:
    search = many(count)
    table, bars = steps_table(search), chart(search)
    assert sum(not line.startswith("  ") for line in table) == count + 1
    assert len(bars) == count + 2
    assert max(map(len, table)) <= 80
    assert max(map(len, bars)) <= 72
    assert all(line.isascii() for line in bars)


@pytest.mark.parametrize(
    ("criteria", "limit_us"),
    [
        (("p95 > 100 ms",), 100_000),
        (("error ratio > 5 %", "p95 >= 1.5 s"), 1_500_000),
        (("rule slow: response time p95 > 80ms", "p95 > 100 ms"), 80_000),
        (("rule slow: response time p95 of WS query > 80 ms",), None),
        (("average > 100 ms", "p95 > 1.2.3 ms"), None),
        ((), None),
    ],
)
def test_the_limit_of_the_chart_is_the_lowest_that_is_about_all_operations(
    criteria: tuple[str, ...], limit_us: float | None
) -> None:
    assert p95_limit_us(replace(FOUND_IT, criteria=criteria)) == limit_us


@pytest.mark.parametrize("name", EVERY_OUTCOME)
def test_summary_json_holds_it_by_its_schema_and_gives_it_back(name: str) -> None:
    snapshot = searched(EVERY_OUTCOME[name][0])
    text = REPORTS["summary.json"](snapshot)
    jsonschema.validate(json.loads(text), SCHEMA)
    assert read_summary(text).search == snapshot.search
    assert console(read_summary(text)) == console(snapshot)


def test_summary_json_has_the_answer_in_figures() -> None:
    search = json.loads(REPORTS["summary.json"](searched()))["search"]
    steps = search.pop("steps")
    assert search == {
        "outcome": "found",
        "answer": ANSWER,
        "criteria": ["p95 > 100 ms", "error ratio > 5 %"],
        "max_users": 2000,
        "unit": "messages",
        "sustained": {
            "users": 430,
            "confirmed": True,
            "per_second": 1720.0,
            "average_ms": 42.0,
            "p50_ms": 33.6,
            "p95_ms": 84.0,
            "p99_ms": 109.2,
        },
        "breaks_at": {"users": 455, "length_s": 10.0, "because": "p95 > 100 ms", "value": "143 ms"},
        "recovery": {"recovered": True, "users": 10, "seconds": 6.0},
    }
    assert [each["kind"] for each in steps] == [each.kind for each in STEPS]
    assert steps[3] == {
        "kind": "up",
        "users": 640,
        "start_s": 43,
        "length_s": 10.0,
        "outcome": "bad",
        "because": "p95 > 100 ms",
        "value": "512 ms",
        "finished": 25_600,
        "failures": 512,
        "error_rate": 0.02,
        "per_second": 2560.0,
        "average_ms": 256.0,
        "p50_ms": 204.8,
        "p95_ms": 512.0,
        "p99_ms": 665.6,
        "connects": 320,
        "connect_failures": 3,
    }


def test_a_wrong_key_of_a_step_is_named_when_it_is_read() -> None:
    document = json.loads(REPORTS["summary.json"](searched()))
    document["search"]["steps"][2]["outcome"] = "fine"
    with pytest.raises(ConfigError, match=r"search\.steps\[2\]\.outcome: expected one of good, bad"):
        read_summary(json.dumps(document))


def test_failures_of_a_search_are_expected_and_no_verdict() -> None:
    failing = replace(searched(), operations=(OperationStats("WS", "q", ok=90, timed_out=50, errors={"timeout": 50}),))
    assert verdict(failing) == ANSWER
    text = " ".join(console(failing).split())
    assert "Failures 50 of 140 operations (36 %): timeout 50; the search goes beyond the limit: see its steps" in text
    assert "| Failures | 50 of 140 (36 %): timeout 50; the search goes beyond the limit |" in REPORTS["summary.md"](
        failing
    )
    assert advice(failing) == []
    assert readiness(failing)[0] == "Ready"


def test_what_else_is_wrong_with_the_run_stands_before_the_answer() -> None:
    run = searched().run
    invalid = replace(searched(), run=replace(run, invalid_because=("worker 1 was lost",)))
    assert verdict(invalid) == f"not valid: worker 1 was lost; {ANSWER}"
    failed = replace(searched(), rules=(Check("enough users", "failed", "", "430", "< 500"),))
    assert verdict(failed) == f"rule failed: enough users; {ANSWER}"
    raised = replace(searched(), run=replace(run, exceptions=2))
    assert verdict(raised) == f"the locustfile raised 2 exceptions; {ANSWER}"
    idle = replace(searched(), rules=(Check("errors", "no_data"),))
    assert verdict(idle) == ANSWER


@pytest.mark.parametrize(
    ("name", "word", "reasons"),
    [
        (FOUND, "Ready", ["for up to 430 users (1,720 messages/s, p95 84 ms); at 455: p95 > 100 ms for 10 s"]),
        (
            GENERATOR_LIMIT,
            "Ready",
            [
                "for up to 320 users (1,280 messages/s, p95 60 ms)",
                "more could not be tried: the generator was the limit",
            ],
        ),
        (NEVER_GOOD, "Not ready", ["breaks at 1 user already: p95 > 100 ms for 10 s"]),
        (
            NOT_RECOVERED,
            "Not ready",
            [EVERY_OUTCOME[NOT_RECOVERED][1], "what was sustained was not measured a second time"],
        ),
        (NO_DATA, "Cannot say", ["no answer: nothing could be measured with 10 users"]),
        (
            INTERRUPTED,
            "Ready",
            [
                "for up to 320 users (1,280 messages/s, p95 62.1 ms); at 640: p95 > 100 ms for 10 s",
                "the run ended before the limit was found",
                "what was sustained was not measured a second time",
            ],
        ),
        ("searching", "Cannot say", [EVERY_OUTCOME["searching"][1]]),
    ],
)
def test_a_system_is_ready_up_to_what_it_sustains(name: str, word: str, reasons: list[str]) -> None:
    assert readiness(searched(EVERY_OUTCOME[name][0])) == (word, reasons)


def test_rules_that_were_criteria_are_not_counted_as_kept() -> None:
    rules = (Check("p95", "passed", "criterion of the search: broke at 455 users"), Check("enough", "passed", "430"))
    assert readiness(replace(searched(), rules=rules))[1][1:] == ["1 rule kept"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("not_reached", "the limit lies above the 1,000 users that were allowed: raise max_users to find it"),
        (GENERATOR_LIMIT, "the load generator was too slow for more users"),
        (NEVER_GOOD, "not even the smallest load was good (p95 > 100 ms, error ratio > 5 %)"),
        (NOT_RECOVERED, "the target stayed bad after the load had fallen"),
        (INTERRUPTED, "the run ended before the search did: leave out --run-time"),
        (NO_DATA, "no operation finished in a step"),
    ],
)
def test_a_search_without_a_limit_says_what_to_do(name: str, said: str) -> None:
    (sentence,) = advice(searched(EVERY_OUTCOME[name][0]))
    assert sentence.startswith(said)


def test_highlights_do_not_mix_steps_that_held_with_steps_that_broke() -> None:
    found = highlights(searched())
    assert (found.fastest, found.slowest, found.best_throughput, found.most_reliable) == (None, None, None, None)


def test_the_summary_has_the_steps_the_chart_and_a_link_to_the_picture() -> None:
    text = REPORTS["summary.md"](searched())
    lines = text.splitlines()
    assert "### Search for the limit: found" in lines
    assert (
        "| **confirm** | **430** | **30** | **1,720** | **33.6** | **84.0** | **109** | **0 %** | **good** |   |"
        in lines
    )
    cells = {
        line.count("|") for line in lines[lines.index("### Search for the limit: found") :] if line.startswith("| up")
    }
    assert cells == {11}
    fence = lines.index("```text")
    assert lines[fence + 1 : lines.index("```", fence + 1)] == chart(FOUND_IT)
    assert "The same as a picture: [limit.svg](limit.svg)" in lines


@pytest.mark.parametrize(
    ("name", "outcome", "tag"),
    [(FOUND, "passed", "system-out"), (NEVER_GOOD, "failed", "failure"), (NOT_RECOVERED, "failed", "failure")],
)
def test_junit_has_a_case_for_the_limit_with_the_answer(name: str, outcome: str, tag: str) -> None:
    search, expected = EVERY_OUTCOME[name]
    root = ElementTree.fromstring(REPORTS["junit.xml"](searched(search)))
    (suite,) = [each for each in root if each.get("name") == "search"]
    assert suite.findtext(f"testcase/{tag}") == expected
    assert suite.get("failures") == ("1" if outcome == "failed" else "0")


def test_hostile_texts_are_harmless_everywhere() -> None:
    bad: LoadStep = step(UP, 9, 1, 9.0, BAD, because=HOSTILE, value=HOSTILE, notes=(HOSTILE,))
    snapshot = searched(LimitSearch(NEVER_GOOD, (HOSTILE,), 9, HOSTILE, (bad,), HOSTILE))
    for text in (console(snapshot), REPORTS["summary.md"](snapshot), REPORTS["limit.svg"](snapshot)):
        assert not set(text) & set("\r\t\x1b\u202e")
    assert "<script>" not in REPORTS["limit.svg"](snapshot)
    assert "\\<script\\>" in REPORTS["summary.md"](snapshot)
    assert "<script>" not in REPORTS["summary.md"](snapshot)
    assert {
        line.replace("\\|", "").count("|") for line in REPORTS["summary.md"](snapshot).splitlines() if "| up |" in line
    } == {11}
