"""Runs what is planned: one scenario after the other, told as it goes, with a report of all however it ends."""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final

from locust_ext.errors import ConfigError
from locust_ext.model import Snapshot
from locust_ext.model.suite import (
    CRASHED,
    ENDED,
    HUNG,
    NO_REPORT,
    SIGNALS,
    SKIPPED,
    ScenarioResult,
    SuiteResult,
    outcome_of,
)
from locust_ext.outputs import REPORTS, read_summary
from locust_ext.outputs.suite_reports import SUITE_REPORTS
from locust_ext.outputs.suite_text import begun_line, ended_line
from locust_ext.outputs.text import shown
from locust_ext.suite.plan import Planned
from locust_ext.suite.process import ScenarioProcess

LOCUST: Final = (sys.executable, "-m", "locust")
LONGEST_S: Final = 3600.0
"""How long a process may take of which nobody knows how long it is going to run."""
LOOK_S: Final = 0.05
"""Between two looks at the process that runs."""
ONE_CTRL_C_S: Final = 1.0
"""Signals so soon after the first belong to it: ``timeout -s INT`` sends two, to its child and to its group."""
LOG: Final = "locust.log"


@dataclass(slots=True)
class Signals:
    """What came while the suite ran: the first signal ends it in order, a later one at once."""

    first: str | None = None
    """Its name."""
    is_impatient: bool = False
    _first_s: float = 0.0

    def on_signal(self, number: int, _: FrameType | None = None) -> None:
        now_s = time.monotonic()
        if self.first is None:
            self.first, self._first_s = _signal_name(number), now_s
        elif now_s >= self._first_s + ONE_CTRL_C_S:
            self.is_impatient = True

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Ctrl-C, SIGTERM and the end of the terminal, but not what whoever started us wanted to be ignored (nohup)."""
        numbers = [signal.Signals[name] for name in SIGNALS]
        before = {number: signal.getsignal(number) for number in numbers}
        heard = [number for number in numbers if before[number] is not signal.SIG_IGN]
        for number in heard:
            signal.signal(number, self.on_signal)
        try:
            yield
        finally:
            for number in heard:
                signal.signal(number, before[number])


@dataclass(slots=True)
class Run:
    """One run of a suite. To be used by the main thread, which hears the signals."""

    name: str
    scenarios: Sequence[Planned]
    folder: Path
    """Of the suite's reports."""
    say: Callable[[str], None]
    write: Callable[[Path, Mapping[str, str]], bool]
    """Writes files into a folder, each whole; False, and told, if that is not possible."""
    stop_on_failure: bool = False
    verbose: bool = False
    """Whether what the scenarios say is passed on."""
    masked: Callable[[str], str] = str
    """Takes secrets out of a text."""
    program: Sequence[str] = LOCUST
    signals: Signals = field(default_factory=Signals)
    is_written: bool = True
    """False: a report could not be written."""

    def run(self) -> SuiteResult:
        """All scenarios. The suite's report is written anew after each, so that a killed suite leaves what it had."""
        begun_s = time.monotonic()
        suite = SuiteResult(self.name, started_at=_now(), complete=False)
        with self.signals.heard():
            for scenario in self.scenarios:
                self._forget(scenario)
            self._report(suite)
            for number, scenario in enumerate(self.scenarios, 1):
                why_not = self._why_not(suite) if self.is_written else "the reports cannot be written"
                if why_not:
                    result = ScenarioResult(scenario.name, SKIPPED, because=why_not)
                else:
                    self.say(begun_line(number, len(self.scenarios), scenario.name, scenario.run_s))
                    result = self._one(scenario)
                self.say(ended_line(number, len(self.scenarios), result, str(self.folder)))
                suite = replace(
                    suite,
                    scenarios=(*suite.scenarios, result),
                    took_s=time.monotonic() - begun_s,
                    ended_by=self.signals.first,
                    complete=number == len(self.scenarios),
                )
                self._report(suite)
        return suite

    def _why_not(self, suite: SuiteResult) -> str:
        """Why the next scenario is not run; empty: it is."""
        if self.signals.first is not None:
            return "the suite was ended"
        if self.stop_on_failure and suite.failed:
            return f"{suite.failed[0].name} failed"
        return ""

    def _report(self, suite: SuiteResult) -> None:
        self.is_written &= self.write(self.folder, {name: tell(suite) for name, tell in SUITE_REPORTS.items()})

    def _forget(self, scenario: Planned) -> None:
        """An earlier run's results in the scenario's folder: nobody shall take them for those of this one."""
        folder = self.folder / scenario.folder
        for name in (*REPORTS, LOG):
            try:
                (folder / name).unlink(missing_ok=True)
            except OSError as error:
                raise ConfigError(
                    f"the report of an earlier run cannot be removed: {error.strerror}", source=str(folder / name)
                ) from None

    def _one(self, scenario: Planned) -> ScenarioResult:
        folder = self.folder / scenario.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the folder cannot be made: {error.strerror}", source=str(folder)) from None
        command = [*self.program, *scenario.arguments, "--ext-report-dir", str(folder.resolve())]
        if scenario.needs_port:
            port = str(free_port())
            command += ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]
        begun_s, started_at = time.monotonic(), _now()
        process = ScenarioProcess(
            command, folder / LOG, {**os.environ, "PYTHONUNBUFFERED": "1"}, stop_s=scenario.stop_s
        )
        try:
            code, hung = self._wait(process, scenario)
            process.tidy()
        finally:
            process.close()
        snapshot, problem = _report_of(folder)
        outcome = outcome_of(code, has_report=snapshot is not None)
        because = [problem] if problem else []
        if hung:
            outcome, because = HUNG, [hung, *because]
        elif self.signals.first is not None:
            outcome = ENDED
        elif outcome in (NO_REPORT, CRASHED) and snapshot is None:
            because.append(shown(self.masked(process.last_words()), 300))
        if outcome == CRASHED and code > 128:
            because.insert(0, f"ended by {_signal_name(code - 128)}")
        return ScenarioResult(
            scenario.name,
            outcome,
            code,
            started_at,
            time.monotonic() - begun_s,
            scenario.folder,
            "; ".join(part for part in because if part),
            snapshot,
        )

    def _wait(self, process: ScenarioProcess, scenario: Planned) -> tuple[int, str]:
        """Until it has ended. Gives its exit code, and why it had to be ended, where it had."""
        begun_s, limit_s, hung, told = time.monotonic(), scenario.limit_s, "", False
        with process.log.open("rb") as said:
            while True:
                code = process.poll()
                if self.verbose and (text := said.read()):
                    self.say(text.decode(errors="replace"))
                if code is not None:
                    return code, hung
                if self.signals.is_impatient:
                    process.kill()
                elif self.signals.first is not None:
                    if not told:
                        told = True
                        self.say(f"{self.signals.first}: {shown(scenario.name)} ends in order; once more: at once\n")
                    process.end()
                elif not hung:
                    took_s = time.monotonic() - begun_s
                    if limit_s is None and (run_s := process.run_time_s()) is not None:
                        limit_s = run_s + scenario.grace_s
                    if took_s > (limit_s or LONGEST_S):
                        hung = f"ended by the suite: it had not ended by itself after {took_s:.0f} s"
                        process.end()
                time.sleep(LOOK_S)


def _report_of(folder: Path) -> tuple[Snapshot | None, str]:
    """What the scenario has measured, or why that cannot be read."""
    path = folder / "summary.json"
    try:
        return read_summary(path.read_bytes(), str(path)), ""
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"its report cannot be read: {error.strerror}"
    except ConfigError as error:
        return None, f"its report cannot be read: {error}"


def free_port() -> int:
    """A port of 127.0.0.1 for a master, below those that the kernel gives to the connections of a test beside it."""
    while True:
        port = random.SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
