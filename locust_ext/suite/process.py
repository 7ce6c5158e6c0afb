"""`ScenarioProcess`: the Locust process of one scenario, with its workers: started, ended in order, never left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final

import psutil

END_S: Final = 30.0
"""How long a scenario may take to end in order before it is hurried, beside the time that its users have to stop."""
HURRY_S: Final = 10.0
"""How long it may take then, before it is killed."""
LEFT_S: Final = 3.0
"""How long workers may outlast their master."""
_LAST_BYTES: Final = 65_536
_PREFIX: Final = re.compile(r"^\[[^\]]*\] \S*/([A-Z]+)/\S+: ")
"""What Locust's log puts before a line, with its level."""
_NO_WORDS: Final = ("INFO", "DEBUG")
"""Levels of lines that say nothing of why a process ended."""
_RUN_TIME: Final = re.compile(rb"Run time limit set to (\d+) seconds")


class ScenarioProcess:
    """A process in a group of its own, so that a terminal's Ctrl-C reaches the suite alone. What it says goes to ``log``."""

    def __init__(self, command: Sequence[str], log: Path, environ: Mapping[str, str], stop_s: float = 0.0) -> None:
        """Starts it. ``stop_s``: how long its users may take to stop."""
        self.log = log
        self._stop_s = stop_s
        self._asked_s: float | None = None
        self._hurried_s: float | None = None
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "locust_ext.suite.child", str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code as a shell says it; None while it runs. Goes on with ending it, if that was begun."""
        code = self._process.poll()
        if code is not None:
            return code if code >= 0 else 128 - code
        now_s = monotonic()
        if self._hurried_s is not None and now_s > self._hurried_s + HURRY_S:
            self.kill()
        elif self._hurried_s is None and self._asked_s is not None and now_s > self._asked_s + END_S + self._stop_s:
            self._hurried_s = now_s
            self._signal(signal.SIGINT)  # our extension takes a second one for impatience, and still reports
        return None

    def end(self) -> None:
        """Ask it to end in order, as Ctrl-C does; idempotent. Only the master is told: it tells its workers."""
        if self._asked_s is None:
            self._asked_s = monotonic()
            self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End it and its workers at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def tidy(self) -> None:
        """Once it has ended: wait a moment for workers that it has left behind, and kill what is left then."""
        until_s = monotonic() + LEFT_S
        while left := self._left():
            psutil.wait_procs(left, timeout=max(0.0, until_s - monotonic()))
            if monotonic() >= until_s:
                self.kill()
                return

    def close(self) -> None:
        """However this ends, nothing of it is left: kill what still runs, and wait for its end."""
        if self._process.poll() is None:
            self.kill()
            self._process.wait()
        self.tidy()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _left(self) -> list[psutil.Process]:
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return []
        return [each for each in psutil.process_iter() if _is_of(each, self.pid)]

    def run_time_s(self) -> float | None:
        """The run time that its log tells of, where it does: a locustfile may set it by itself."""
        try:
            with self.log.open("rb") as said:
                found = _RUN_TIME.search(said.read(_LAST_BYTES))
        except OSError:
            return None
        return float(found[1]) if found is not None else None

    def last_words(self) -> str:
        """The last line of its log that speaks of an error, or else the last that may say why it ended; or nothing."""
        try:
            with self.log.open("rb") as said:
                said.seek(max(0, said.seek(0, os.SEEK_END) - _LAST_BYTES))
                lines = said.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        lines = [line for line in lines if (logged := _PREFIX.match(line)) is None or logged[1] not in _NO_WORDS]
        lines = [_PREFIX.sub("", line).strip().replace("__main__.py: ", "locust: ", 1) for line in lines]
        lines = [line for line in lines if line]
        errors = [line for line in lines if "error" in line.lower()]
        return (errors or lines or [""])[-1]


def _is_of(process: psutil.Process, group: int) -> bool:
    """Whether it belongs to this process group, and runs."""
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False
