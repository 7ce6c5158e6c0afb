"""`plugin.reports`: all files of one run, each whole or not at all, and never the reason why a run fails."""

from __future__ import annotations

import logging
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from locust_ext.plugin import reports
from locust_ext.plugin.reports import write_reports


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses more, as it does on a full disk (Python ignores the signal that comes with it)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_files_are_written_into_a_folder_that_is_made(tmp_path: Path) -> None:
    """Text in UTF-8, bytes as they are; readable for others, and nothing else beside them."""
    folder = tmp_path / "a" / "b"
    assert write_reports(folder, {"a.txt": "ü€", "b.bin": b"\x00\xff"})
    assert (folder / "a.txt").read_bytes() == "ü€".encode()
    assert (folder / "b.bin").read_bytes() == b"\x00\xff"
    assert names(folder) == ["a.txt", "b.bin"]
    assert stat.S_IMODE((folder / "a.txt").stat().st_mode) == 0o644


def test_a_file_that_is_there_is_replaced(tmp_path: Path) -> None:
    """In one step: whoever has it open goes on reading the old one."""
    (tmp_path / "a.txt").write_text("old")
    with (tmp_path / "a.txt").open() as reader:
        assert write_reports(tmp_path, {"a.txt": "new"})
        assert reader.read() == "old"
    assert (tmp_path / "a.txt").read_text() == "new"


def test_fault_35_a_full_disk_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No file is of another run than the rest, no temporary one stays behind; one clear error, no exception."""
    (tmp_path / "small.txt").write_text("old")
    (tmp_path / "big.txt").write_text("old")
    with caplog.at_level(logging.ERROR), files_of_at_most(4096):
        is_written = write_reports(tmp_path, {"small.txt": "x", "big.txt": "y" * 100_000, "new.txt": "z"})
    assert not is_written
    assert (tmp_path / "small.txt").read_text() == "old"
    assert (tmp_path / "big.txt").read_text() == "old"
    assert names(tmp_path) == ["big.txt", "small.txt"]
    assert [each.getMessage() for each in caplog.records] == [
        f"the report could not be written to {tmp_path}: File too large"
    ]


def test_the_error_names_the_files_of_this_run_if_a_renaming_fails_midway(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder is in the place of the third of four."""
    for name in ("a.txt", "b.txt", "d.txt"):
        (tmp_path / name).write_text("old")
    (tmp_path / "c.txt").mkdir()
    with caplog.at_level(logging.ERROR):
        assert not write_reports(tmp_path, dict.fromkeys(("a.txt", "b.txt", "c.txt", "d.txt"), "new"))
    assert [each.getMessage() for each in caplog.records] == [
        f"the report could not be written to {tmp_path}: Is a directory; only a.txt, b.txt are of this run"
    ]
    assert names(tmp_path) == ["a.txt", "b.txt", "c.txt", "d.txt"]
    assert (tmp_path / "b.txt").read_text() == "new"
    assert (tmp_path / "d.txt").read_text() == "old"


def test_temporary_files_of_a_killed_process_go_with_the_next_report(tmp_path: Path) -> None:
    """Those of one that may be writing at this moment stay, and so does everything else."""
    for name in (".a.txt-dead.tmp", ".a.txt-alive.tmp", ".other-dead.tmp", "a.txt-mine.tmp"):
        (tmp_path / name).write_text("half")
    for name in (".a.txt-dead.tmp", ".other-dead.tmp", "a.txt-mine.tmp"):
        os.utime(tmp_path / name, (0, 0))
    assert write_reports(tmp_path, {"a.txt": "x"})
    assert names(tmp_path) == [".a.txt-alive.tmp", ".other-dead.tmp", "a.txt", "a.txt-mine.tmp"]


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_fault_35_a_disk_that_fails_later_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    """At whichever step."""

    def fails(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(reports.os, step, fails)
    with caplog.at_level(logging.ERROR):
        assert not write_reports(tmp_path, {"a.txt": "x"})
    assert names(tmp_path) == []
    assert "No space left on device" in caplog.text


def test_fault_35_a_place_where_no_folder_can_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One error that names it."""
    (tmp_path / "file").write_text("x")
    with caplog.at_level(logging.ERROR):
        assert not write_reports(tmp_path / "file" / "folder", {"a.txt": "x"})
    assert f"the report could not be written to {tmp_path / 'file' / 'folder'}" in caplog.text


def test_an_interrupt_in_the_middle_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not swallowed."""

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reports.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_reports(tmp_path, {"a.txt": "x"})
    assert names(tmp_path) == []


def test_a_report_of_an_earlier_run_that_this_one_has_none_of_is_removed(tmp_path: Path) -> None:
    """And nothing else that stands in the folder."""
    (tmp_path / "notes.txt").write_text("mine")
    assert write_reports(tmp_path, {"summary.md": "first", "limit.svg": "<svg/>"}, ["summary.md", "limit.svg"])
    assert write_reports(tmp_path, {"summary.md": "second"}, ["summary.md", "limit.svg"])
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"notes.txt": "mine", "summary.md": "second"}
