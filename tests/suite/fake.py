"""A program in the place of Locust: it does what the flags say, at once, and writes the report that it is given."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from locust_ext.model.suite import SuiteResult
from locust_ext.outputs import summary_json
from locust_ext.plugin.reports import write_reports
from locust_ext.suite.plan import GRACE_S, Planned
from locust_ext.suite.running import Run
from tests.outputs.examples import good

PROGRAM = """
import os, shutil, signal, subprocess, sys, time
from pathlib import Path

folder = Path(sys.argv[sys.argv.index("--ext-report-dir") + 1])
HERE = Path(__file__).parent
(folder / "argv").write_text("\\n".join(sys.argv[1:]))


def report():
    shutil.copy(HERE / "good.json", folder / "summary.json")


def on_sigint(*_):
    if "deaf" in sys.argv:
        (folder / "asked").touch()
        return
    report()
    print("ended in order", flush=True)
    sys.exit(0)


signal.signal(signal.SIGINT, on_sigint)
signal.signal(signal.SIGTERM, on_sigint)
for word in sys.argv[1:]:
    what, _, value = word.partition("=")
    if what == "say":
        print(value, flush=True)
    elif what == "report":
        report()
    elif what == "broken-report":
        (folder / "summary.json").write_text("{}")
    elif what == "exit":
        sys.exit(int(value))
    elif what == "signal":
        os.kill(os.getpid(), int(value))
    elif what == "worker":
        worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        (folder / "worker").write_text(str(worker.pid))
    elif what == "wait":
        (folder / "pid").write_text(str(os.getpid()))
        (folder / "runs").touch()
        time.sleep(60)
"""


def program(folder: Path) -> tuple[str, ...]:
    """The command of the made-up Locust, which is put into ``folder``."""
    (folder / "good.json").write_text(summary_json(good()))
    path = folder / "made_up_locust.py"
    path.write_text(PROGRAM)
    return sys.executable, str(path)


def scenario(name: str, *words: str, limit_s: float | None = 30.0) -> Planned:
    return Planned(name, f"01-{name}", words, limit_s=limit_s, grace_s=GRACE_S)


@dataclass
class Suite:
    """A run of made-up scenarios, and what it has said and written."""

    folder: Path
    said: list[str] = field(default_factory=list)
    writes: list[list[str]] = field(default_factory=list)
    """The names of each writing's files."""

    def of(self, *scenarios: Planned, stop_on_failure: bool = False, verbose: bool = False) -> Run:
        return Run(
            "made up",
            scenarios,
            self.folder / "reports",
            self.said.append,
            self._write,
            stop_on_failure=stop_on_failure,
            verbose=verbose,
            masked=lambda text: text.replace("s3cret", "***"),
            program=program(self.folder),
        )

    def run(self, *scenarios: Planned, stop_on_failure: bool = False, verbose: bool = False) -> SuiteResult:
        return self.of(*scenarios, stop_on_failure=stop_on_failure, verbose=verbose).run()

    def _write(self, folder: Path, files: Mapping[str, str]) -> bool:
        self.writes.append(list(files))
        return write_reports(folder, files)
