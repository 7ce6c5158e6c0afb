"""`plugin.recording`: where each process of a run records, and that nothing is left open."""

from __future__ import annotations

from locust.env import Environment

import os
from pathlib import Path

import pytest

from locust_ext.errors import ConfigError
from locust_ext.plugin.recording import begin_recording, check_record_file, end_recording, path_of_worker
from locust_ext.runtime.process import shared


@pytest.mark.parametrize(
    ("path", "worker", "found"),
    [
        ("c.jsonl", None, "c.jsonl"),
        ("out/c.jsonl", 0, "out/c-0.jsonl"),
        ("/tmp/a.b/c.x.jsonl", 12, "/tmp/a.b/c.x-12.jsonl"),
        ("capture", 3, "capture-3"),
    ],
)
def test_a_workers_number_stands_before_the_suffix(path: str, worker: int | None, found: str) -> None:
    """One process alone has none."""
    assert path_of_worker(path, worker) == Path(found)


def test_a_run_begins_and_ends_its_recording(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A second run replaces the file; without the flag there is none; a file that cannot be does not stop a worker."""
    runner = Environment().create_local_runner()
    path = tmp_path / "c.jsonl"
    path.write_text("old")
    begin_recording(str(path), runner, 1000)
    first = shared().recording
    assert first is not None
    assert first.path == path
    begin_recording(str(path), runner, 1000)
    assert shared().recording is not first
    end_recording()
    end_recording()
    assert shared().recording is None
    assert path.read_bytes() == b""
    begin_recording(None, runner, 1000)
    assert shared().recording is None
    begin_recording(str(tmp_path / "nowhere" / "c.jsonl"), runner, 1000)
    assert shared().recording is None
    assert "Nothing is recorded: --ext-record: expected a file that can be written to: no such file" in caplog.text
    runner.quit()


def test_a_master_records_nothing(tmp_path: Path) -> None:
    """It has no users."""
    environment = Environment()
    runner = environment.create_master_runner("127.0.0.1", 0)
    begin_recording(str(tmp_path / "c.jsonl"), runner, 1000)
    assert shared().recording is None
    assert list(tmp_path.iterdir()) == []
    runner.quit()


def test_where_nothing_can_be_written_is_said_before_the_run(tmp_path: Path) -> None:
    """A folder, a file in a folder that is not there; what is fine leaves no trace."""
    check_record_file(str(tmp_path / "c.jsonl"))
    assert list(tmp_path.iterdir()) == []
    for wrong in (tmp_path, tmp_path / "nowhere" / "c.jsonl"):
        with pytest.raises(ConfigError) as caught:
            check_record_file(str(wrong))
        assert str(caught.value) == (
            f"--ext-record: expected a file in a folder that can be written to (got {str(wrong)!r})"
        )
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        check_record_file("c.jsonl")  # in the present folder
    finally:
        os.chdir(here)
