"""`python -m tests`: every test runs once, arguments reach each pytest, and the exit code is that of one pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import __main__ as side_by_side

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], True),
        (["-k", "name"], True),
        (["-kname", "-q"], True),
        (["--continue-on-collection-errors", "--durations=5", "-m", "not e2e"], True),
        (["tests/core"], False),
        (["-x"], False),
        (["--junitxml=out.xml"], False),
        (["--lf"], False),
        (["-k"], False),
    ],
)
def test_only_arguments_that_each_pytest_can_take_make_many(arguments: list[str], expected: bool) -> None:
    assert side_by_side.is_for_many(arguments) == expected


def test_a_marker_that_is_asked_for_is_kept_beside_ours() -> None:
    assert side_by_side.choice([], "alone") == ["-m", "alone"]
    assert side_by_side.choice(["-k", "a or b", "-q"], "not alone") == ["-k", "a or b", "-q", "-m", "not alone"]
    assert side_by_side.choice(["-m", "e2e or x"], "not alone") == ["-m", "(e2e or x) and not alone"]
    assert side_by_side.choice(["-me2e", "-q"], "alone") == ["-q", "-m", "(e2e) and alone"]


def test_each_file_of_tests_is_in_exactly_one_part() -> None:
    """Those beside one another are some folders and the files of `tests/e2e`; the slowest begin first."""
    side, rest = side_by_side.parts()
    paths = [Path(path) for path in (*side, *rest)]
    for file in HERE.rglob("test_*.py"):
        assert sum(file == path or path in file.parents for path in paths) == 1, file
    assert all(path.exists() for path in paths)
    named = [Path(path).name for path in side]
    assert named[: len(side_by_side.SLOWEST_FIRST)] == list(side_by_side.SLOWEST_FIRST)


def test_alone_is_said_only_in_files_that_run_side_by_side() -> None:
    """In the other folders everything is alone: the mark would make `python -m tests` no promise there."""
    side, _ = side_by_side.parts()
    for file in HERE.rglob("test_*.py"):
        if "mark." + "alone" in file.read_text():
            assert any(str(each) in side for each in (file, *file.parents)), file


def some_tests(folder: Path) -> None:
    """A tree of tests of the same build as ours, without a test."""
    for name in (*side_by_side.BESIDE, "e2e", "runtime"):
        (folder / "tests" / name).mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = alone\n")
    (folder / "tests" / "__init__.py").touch()
    (folder / "tests" / "__main__.py").write_text((HERE / "__main__.py").read_text())
    (folder / "tests" / "runtime" / "test_nothing.py").write_text("")


@pytest.mark.parametrize(("tests", "code"), [("pass", 0), ("assert False", 1), (None, 5)])
def test_the_exit_code_is_that_of_one_pytest(tmp_path: Path, tests: str | None, code: int) -> None:
    """5, no tests, from one part is fine if another has some."""
    some_tests(tmp_path)
    (tmp_path / "tests" / "e2e" / "test_run.py").write_text(f"def test_this():\n    {tests}\n" if tests else "")
    command = [sys.executable, "-m", "tests", "-k", "this", "-q"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout
    assert ("def test_this" in done.stdout) == (code == 1), "of a failure everything is shown"
    assert ("== tests/e2e/test_run.py" in done.stdout) == (code != 5)


def test_what_fails_beside_others_is_run_once_more_alone_and_that_counts(tmp_path: Path) -> None:
    some_tests(tmp_path)
    (tmp_path / "tests" / "e2e" / "test_run.py").write_text(
        "from pathlib import Path\n"
        "def test_busy():\n    seen = Path('seen').exists()\n    Path('seen').touch()\n    assert seen\n"
        "def test_good():\n    with open('good', 'a') as file: file.write('x')\n"
    )
    command = [sys.executable, "-m", "tests", "-q"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert "== alone: " in done.stdout
    assert (tmp_path / "good").read_text() == "x", "what has passed is not run again"
