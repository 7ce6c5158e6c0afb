"""`plugin.sinks`: which files are taken, what is written to them, and what a disk does that is full."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import gevent
import pytest

from locust_ext.core.accounting import Recorder
from locust_ext.errors import ConfigError
from locust_ext.model import Snapshot
from locust_ext.plugin import sinks
from locust_ext.plugin.sinks import PIECES, SinkFeed, SinkFile, parse_sinks
from tests.peers import eventually
from tests.plugin.test_reports import files_of_at_most


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_text()
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def kinds(path: Path) -> list[str]:
    return [line["kind"] for line in lines(path)]


def running(names: int = 1) -> Recorder:
    recorder = Recorder()
    recorder.begin("r1", 0.0)
    for number in range(names):
        recorder.operation("WS", f"ask{number}", 1000, 10)
    recorder.tick(1.0)
    return recorder


def test_a_sink_is_asked_for_by_its_name_and_its_file(tmp_path: Path) -> None:
    given = [f"jsonl={tmp_path}/a=b.jsonl", f"jsonl={tmp_path}/c.jsonl"]
    assert parse_sinks(given) == [("jsonl", tmp_path / "a=b.jsonl"), ("jsonl", tmp_path / "c.jsonl")]
    assert parse_sinks(given[0]) == [("jsonl", tmp_path / "a=b.jsonl")], "from an environment variable"
    assert parse_sinks(None) == parse_sinks("") == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("run.jsonl", r"--ext-sink: expected NAME=FILE, such as jsonl=run.jsonl \(got 'run.jsonl'\)"),
        ("jsonl=", "expected NAME=FILE"),
        ("json=x", r"unknown sink, expected one of jsonl \(got 'json'\); did you mean 'jsonl'\?"),
        ("jsonl=/dev/null", "expected a file, not a device or a pipe"),
        ("jsonl=/nowhere/x", "expected a file that can be written to: no such file or directory"),
        ("jsonl=/proc", "expected a file that can be written to: is a directory"),
    ],
)
def test_what_cannot_be_a_sink_is_refused_before_the_run(given: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_sinks([given])


def test_a_file_is_no_sink_twice_and_a_pipe_is_none_that_the_run_would_wait_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected each file once"):
        parse_sinks([f"jsonl={tmp_path}/a", f"jsonl={tmp_path}/a"])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="expected a file"):
        parse_sinks([f"jsonl={tmp_path}/pipe"])


def test_trying_a_file_out_leaves_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("yesterday\n")
    parse_sinks([f"jsonl={tmp_path}/a"])
    assert (tmp_path / "a").read_text() == "yesterday\n"


def test_a_run_is_fed_each_second_and_closed_once_with_its_last_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "INTERVAL_S", 0.02)
    path = tmp_path / "a.jsonl"
    path.write_text("yesterday\n")
    recorder = running()
    feed = SinkFeed([("jsonl", path)], lambda: recorder.snapshot(2.0))
    feed.begin()
    eventually(lambda: path.exists() and "operation" in kinds(path))
    recorder.operation("WS", "ask0", 1000, 10)
    recorder.end(2.5)
    feed.end()
    feed.end()
    assert kinds(path)[-2:] == ["operation", "end"]
    assert sum(line["ok"] for line in lines(path) if line["kind"] == "operation") == 2
    assert [line["start_s"] for line in lines(path) if line["kind"] == "second"] == [0, 1, 2]
    written = path.read_text()
    gevent.sleep(0.1)
    assert path.read_text() == written, "nobody feeds it any more"


def test_while_the_last_figures_are_on_their_way_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a master: the rows of its last seconds still grow until every worker has reported."""
    monkeypatch.setattr(sinks, "INTERVAL_S", 0.01)
    path = tmp_path / "a.jsonl"
    recorder = running()
    recorder.expect_worker("w1")
    feed = SinkFeed([("jsonl", path)], lambda: recorder.snapshot(2.0))
    feed.begin()
    eventually(lambda: path.exists() and "operation" in kinds(path))
    feed.pause()
    written = path.read_text()
    recorder.end(2.0)
    gevent.sleep(0.1)
    assert path.read_text() == written
    feed.end()
    assert kinds(path)[-1] == "end"


def test_a_second_run_follows_the_first_in_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    recorder = running()
    feed = SinkFeed([("jsonl", path)], lambda: recorder.snapshot(2.0))
    for run_id in ("one", "two"):
        recorder.begin(run_id, 0.0)
        feed.begin()
        feed.end()
    assert [(line["kind"], line["run_id"]) for line in lines(path)] == [
        ("run", "one"),
        ("end", "one"),
        ("run", "two"),
        ("end", "two"),
    ]


def test_closing_in_the_middle_of_a_run_leaves_whole_lines_and_may_be_done_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    recorder = running(names=100)
    feed = SinkFeed([("jsonl", path)], lambda: recorder.snapshot(2.0))
    feed.begin()
    feed._tick(0.0)
    feed.close()
    feed.close()
    feed.end()
    assert kinds(path)[0] == "run"
    assert "end" not in kinds(path)


def test_others_run_while_a_long_list_is_written_and_a_feeder_that_is_killed_loses_no_line(tmp_path: Path) -> None:
    file = SinkFile("jsonl", tmp_path / "a.jsonl", True)
    recorder = running(names=10 * PIECES)
    feeder = gevent.spawn(file.feed, recorder.snapshot(1.0))
    gevent.sleep(0)
    gevent.sleep(0)
    assert 0 < len(lines(file.path)) < 10 * PIECES, "it has let us run in between"
    feeder.kill()
    file.end(recorder.snapshot(1.0))
    asked = [line["name"] for line in lines(file.path) if line["kind"] == "operation"]
    assert sorted(asked) == sorted(f"ask{number}" for number in range(10 * PIECES))
    assert kinds(file.path)[-1] == "end"


def test_fault_35_a_full_disk_is_one_error_and_leaves_whole_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = running(names=500)
    file = SinkFile("jsonl", tmp_path / "a.jsonl", True)
    with caplog.at_level(logging.ERROR), files_of_at_most(20_000):
        file.feed(recorder.snapshot(1.0))
        file.feed(recorder.snapshot(1.0))
        file.end(recorder.snapshot(1.0))
    assert kinds(file.path)[0] == "run", "and each line can be read"
    assert 10_000 < file.path.stat().st_size <= 20_000
    assert [each.getMessage() for each in caplog.records] == [
        f"{file.path} ends here: nothing more can be written to it: File too large; the run goes on"
    ]


def test_a_folder_that_has_gone_by_the_start_is_one_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        file = SinkFile("jsonl", tmp_path / "gone" / "a.jsonl", True)
        file.feed(Snapshot())
        file.end(Snapshot())
    assert len(caplog.records) == 1
    assert "No such file or directory; the run goes on" in caplog.text


def test_without_sinks_nothing_is_asked_for() -> None:
    def never() -> Snapshot:
        raise AssertionError("a snapshot costs something")

    feed = SinkFeed([], never)
    feed.begin()
    feed.end()
    feed.close()
