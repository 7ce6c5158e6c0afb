"""The sink `jsonl`, and what every sink of the table does."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from locust_ext.core.accounting import Recorder
from locust_ext.model import AlertEvent, Snapshot
from locust_ext.outputs.json_lines import JsonLines
from locust_ext.outputs.sinks import SINKS
from tests.outputs.examples import HOSTILE, bad, good


def decoded(lines: Any) -> list[dict[str, Any]]:
    text = "".join(lines)
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def of_kind(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["kind"] == kind]


def running() -> Recorder:
    recorder = Recorder()
    recorder.begin("r1", 0.0)
    recorder.describe(started_at="2026-01-01T12:00:00+00:00", scenario="chat", seed=7)
    return recorder


@pytest.mark.parametrize("name", SINKS)
@pytest.mark.parametrize("snapshot", [Snapshot(), good(), bad()], ids=["empty", "good", "bad"])
def test_every_sink_gives_whole_lines_that_can_be_written(name: str, snapshot: Snapshot) -> None:
    sink = SINKS[name]()
    for texts in (sink.feed(snapshot), sink.feed(snapshot), sink.end(snapshot)):
        for text in texts:
            assert text.endswith("\n")
            assert text.encode("utf-8", "backslashreplace")


def test_the_lines_of_a_run_add_up_to_its_ledger() -> None:
    recorder, sink = running(), JsonLines()
    lines: list[dict[str, Any]] = []
    for second in range(5):
        for number in range(10 * second):
            recorder.operation("WS", "ask", 1000 * (second + 1) + number, 10)
        recorder.operation("WS", "ask", None, 0, "timed_out", "timeout")
        recorder.operation("WS", "ask", 5000, 3, tags=("eu",))
        recorder.tick(second + 1.0)
        lines += decoded(sink.feed(recorder.snapshot(second + 1.0)))
    recorder.operation("WS", "ask", 7000, 10)
    recorder.end(5.5)
    lines += decoded(sink.end(recorder.snapshot(6.0)))
    total: Counter[str] = Counter()
    for line in of_kind(lines, "operation"):
        if "tags" not in line:
            total.update({key: line.get(key, 0) for key in ("ok", "timed_out", "bytes_received")})
            total["timeout"] += line.get("errors", {}).get("timeout", 0)
    assert dict(total) == {"ok": 101, "timed_out": 5, "bytes_received": 1010, "timeout": 5}
    assert sum(line["ok"] for line in of_kind(lines, "operation") if line.get("tags") == ["eu"]) == 5
    assert sum(line["finished"] for line in of_kind(lines, "second")) == 111
    assert [line["start_s"] for line in of_kind(lines, "second")] == [0, 1, 2, 3, 4, 5], (
        "each second once, the last too"
    )


def test_latencies_are_of_the_time_since_the_line_before() -> None:
    recorder, sink = running(), JsonLines()
    for ms in (1, 50):
        for _ in range(100):
            recorder.operation("WS", "ask", ms * 1000, 10, service_us=ms * 500)
        recorder.tick(float(ms))
        (line,) = of_kind(decoded(sink.feed(recorder.snapshot(float(ms)))), "operation")
        assert line["ok"] == 100
        assert line["p50_ms"] == pytest.approx(ms, rel=0.01)
        assert line["service_p99_ms"] == pytest.approx(ms / 2, rel=0.01)
    assert of_kind(decoded(sink.feed(recorder.snapshot(50.0))), "operation") == [], "nothing new, nothing told"


def test_the_first_line_says_which_run_and_the_last_what_came_of_it() -> None:
    recorder, sink = running(), JsonLines()
    recorder.operation("WS", "ask", 1000, 10)
    recorder.tick(1.0)
    first, *_ = decoded(sink.feed(recorder.snapshot(1.0)))
    assert first == {
        "kind": "run",
        "run_id": "r1",
        "started_at": "2026-01-01T12:00:00+00:00",
        "scenario": "chat",
        "seed": 7,
        "versions": {},
    }
    recorder.end(2.0)
    *_, last = decoded(sink.end(recorder.snapshot(2.0)))
    assert last == {
        "kind": "end",
        "run_id": "r1",
        "duration_s": 2.0,
        "finished": 1,
        "failures": 0,
        "messages_sent": 0,
        "messages_received": 0,
        "pushes_received": 0,
        "valid": True,
        "verdict": "good: 1 operation, no failure",
    }


def test_a_second_has_the_columns_of_the_timeline_and_nothing_that_was_not_measured() -> None:
    recorder, sink = running(), JsonLines()
    recorder.operation("WS", "ask", 1500, 10)
    recorder.tick(1.0)
    recorder.tick(2.0)
    one, two = of_kind(decoded(sink.feed(recorder.snapshot(2.0))), "second")
    assert (one["start_s"], one["finished"], one["round_trips"], one["p95_ms"]) == (0, 1, 1, 1.5)
    assert two["finished"] == 0
    assert "p95_ms" not in two
    assert None not in two.values()


def test_after_a_reset_the_lines_count_from_zero() -> None:
    recorder, sink = running(), JsonLines()
    for _ in range(100):
        recorder.operation("WS", "ask", 1000, 10)
    recorder.tick(5.0)
    list(sink.feed(recorder.snapshot(5.0)))
    recorder.reset(5.5)
    for _ in range(200):
        recorder.operation("WS", "ask", 3000, 10)
    recorder.tick(6.0)
    (line,) = of_kind(decoded(sink.feed(recorder.snapshot(6.0))), "operation")
    assert line["ok"] == 200


def test_hostile_names_stay_inside_their_line() -> None:
    lines = decoded(JsonLines().end(bad()))
    assert HOSTILE in {line.get("name") for line in lines}


def test_each_change_of_an_alert_is_one_line_also_when_the_oldest_have_left_the_list() -> None:
    events = tuple(AlertEvent(float(number), number, "p95", "critical", "firing", 9.5, "> 5 ms") for number in range(4))
    lines = JsonLines()
    told = [
        [json.loads(line)["alert"] for line in lines.feed(Snapshot(alert_events=part)) if '"alert"' in line]
        for part in (events[:1], events[:1], events[:3], events[1:4], events[3:])
    ]
    assert told == [[0], [], [1, 2], [3], []]
    (line,) = (line for line in JsonLines().feed(Snapshot(alert_events=events[:1])) if '"alert"' in line)
    assert json.loads(line) == {
        "kind": "alert",
        "run_id": "",
        "at_s": 0.0,
        "alert": 0,
        "rule": "p95",
        "severity": "critical",
        "state": "firing",
        "value": 9.5,
        "limit": "> 5 ms",
    }
