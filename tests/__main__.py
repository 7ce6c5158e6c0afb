"""Runs all tests: ``python -m tests [arguments of pytest]``, in much less time than one pytest would take.

Most tests of `tests/e2e` wait for processes: they run side by side, a pytest for each file, and most folders beside them.
What measures time itself comes after that: the tests that are marked ``alone``, two at a time, and one after the other what
is left; and before this, once more, what has failed beside others, which says little on a machine that is too
busy: this counts. Arguments go to each pytest; if there is one that makes sense for a single pytest only (a path, ``-x``,
``--junitxml``, …), there is a single one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LANES = 4
"""More than there are cores: these tests wait most of the time."""
FEW = 2
"""Of those that measure time, as many as there are cores."""
ALONE = "mark." + "alone"
BESIDE = ("config", "core", "outputs", "plugin", "refserver", "suite")
SLOWEST_FIRST = (
    "test_scenarios.py",
    "plugin",
    "core",
    "test_readme.py",
    "test_fanout.py",
    "test_locusts_table.py",
    "test_slow_stops.py",
    "test_outputs.py",
)
NO_TESTS = 5
"""pytest's exit code where no test was chosen; fine as long as another has some."""
WITH_VALUE = ("-k", "-m", "-r", "--tb", "--durations", "--timeout", "-p", "-W")
WITHOUT = ("-q", "-v", "-vv", "--continue-on-collection-errors", "--quiet", "--verbose")


@dataclass(frozen=True)
class Done:
    """One pytest that has ended."""

    code: int
    said: str
    took_s: float

    @property
    def has_failed(self) -> bool:
        return self.code not in (0, NO_TESTS)


def is_for_many(arguments: Sequence[str]) -> bool:
    """Whether each pytest may be given these ``arguments``."""
    words = iter(arguments)
    for word in words:
        name, is_joined, _ = word.partition("=")
        if name in WITH_VALUE:
            if not is_joined and next(words, None) is None:
                return False
        elif word not in WITHOUT and not (word[:2] in WITH_VALUE and not word.startswith("--")):
            return False
    return True


def choice(arguments: Sequence[str], marker: str) -> list[str]:
    """The ``arguments``, with ``marker`` beside what they choose by ``-m`` (the last counts, as for pytest)."""
    rest, chosen = [], ""
    words = iter(arguments)
    for word in words:
        if word == "-m":
            chosen = next(words)
        elif word.startswith("-m"):
            chosen = word[2:].removeprefix("=")
        elif word in WITH_VALUE:
            rest += [word, next(words)]
        else:
            rest.append(word)
    return [*rest, "-m", f"({chosen}) and {marker}" if chosen else marker]


def parts() -> tuple[list[str], list[str]]:
    """Paths of what may run side by side, the slowest first, and of the other folders and files."""
    side = [*(HERE / name for name in BESIDE), *sorted((HERE / "e2e").glob("test_*.py"))]
    side.sort(key=lambda path: SLOWEST_FIRST.index(path.name) if path.name in SLOWEST_FIRST else len(SLOWEST_FIRST))
    rest = [
        path
        for path in sorted(HERE.iterdir())
        if path.match("test_*.py") or (path.is_dir() and any(path.rglob("test_*.py")))
    ]
    return [str(path) for path in side], [str(path) for path in rest if path.name not in (*BESIDE, "e2e")]


def pytest(*arguments: str) -> Done:
    """Run one to its end, and keep what it says."""
    begun_s = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        command = [sys.executable, "-m", "pytest", *arguments]
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, check=False)
        said.seek(0)
        return Done(code.returncode, said.read(), time.monotonic() - begun_s)


def memory(folder: str, path: str) -> str:
    """The option by which the pytest of ``path`` remembers, in ``folder``, which of its tests have failed."""
    return f"--override-ini=cache_dir={folder}/{Path(path).stem}"


def has_alone(path: str) -> bool:
    """Whether a test below ``path`` is marked to run alone."""
    files = Path(path).rglob("test_*.py") if Path(path).is_dir() else [Path(path)]
    return any(ALONE in file.read_text() for file in files)


def side_by_side(paths: Sequence[str], arguments: Sequence[str], folder: str, width: int = LANES) -> Iterator[Done]:
    """In the order of ``paths``, ``width`` at a time; tells of each as soon as it and those before it have ended."""
    with ThreadPoolExecutor(width) as lanes:
        runs = lanes.map(lambda path: pytest(path, *arguments, memory(folder, path)), paths)
        for path, done in zip(paths, runs, strict=True):
            if done.code != NO_TESTS:
                print(f"== {Path(path).relative_to(HERE.parent)}")
                print(done.said if done.has_failed else done.said.rstrip().rpartition("\n")[2], flush=True)
            yield done


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 if every test passed, 5 if none was chosen, 1 or pytest's own otherwise."""
    if not is_for_many(arguments):
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])
    begun_s = time.monotonic()
    side, rest = parts()
    with tempfile.TemporaryDirectory() as folder:
        beside = choice(arguments, "not alone")
        codes, alone = [], [[*rest, *arguments]]
        marked = choice(arguments, "alone")
        quiet = [path for path in side if has_alone(path)]
        for paths, chosen, width, under in ((side, beside, LANES, "beside"), (quiet, marked, FEW, "alone")):
            kept = f"{folder}/{under}"
            for path, done in zip(paths, side_by_side(paths, chosen, kept, width), strict=True):
                if done.has_failed:
                    again = ["--last-failed", "--last-failed-no-failures=all"]
                    alone.insert(0, [path, *chosen, memory(kept, path), *again])
                else:
                    codes.append(done.code)
        for one in alone:
            print(f"== alone: {' '.join(one)}", flush=True)
            codes.append(subprocess.run([sys.executable, "-m", "pytest", *one], check=False).returncode)
    failed = [code for code in codes if code not in (0, NO_TESTS)]
    outcome = f"{len(failed)} parts of the tests FAILED: see above" if failed else "all passed"
    print(f"== {outcome}, in {time.monotonic() - begun_s:.0f} s", flush=True)
    if failed:
        return max(failed)
    return NO_TESTS if all(code == NO_TESTS for code in codes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
