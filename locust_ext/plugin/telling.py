"""What is told of a run besides its figures: what it was (`describe`), and a line of the log now and then (`LogLines`)."""

from __future__ import annotations

from locust import __version__ as locust_version
from locust.env import Environment

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from locust_ext.core.accounting.recorder import Recorder
from locust_ext.model import Snapshot
from locust_ext.outputs.live_line import live_line
from locust_ext.runtime.ticker import Ticker

logger = logging.getLogger("locust_ext")


def describe(recorder: Recorder, environment: Environment, seed: int | None, scenario: str | None = None) -> None:
    """Tell the recorder, at the start of a run, what is run, against what, and by which versions."""
    host = environment.host or next((each.host for each in environment.user_classes if each.host), None)
    here = datetime.now()
    recorder.began_at(here.hour * 3600 + here.minute * 60 + here.second + here.microsecond / 1e6)
    recorder.describe(
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        host=host,
        scenario=scenario or Path(environment.locustfile or "").stem or None,
        seed=seed,
        users=environment.runner.target_user_count if environment.runner is not None else None,
        versions={"locust_ext": _version(), "locust": locust_version, "python": sys.version.split()[0]},
    )


def _version() -> str:
    try:
        return version("locust-ext")
    except PackageNotFoundError:
        return "unknown"


class LogLines:
    """A line of live figures in the log every few seconds, from `begin` to `end`; both may come again."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._ticker: Ticker | None = None

    def begin(self, every_s: float) -> None:
        self.end()
        before = self._snapshot()

        def say(_: float) -> None:
            nonlocal before
            now = self._snapshot()
            logger.info("%s", live_line(before, now))
            before = now

        self._ticker = Ticker(every_s, say)
        self._ticker.start()

    def end(self) -> None:
        """Idempotent."""
        ticker, self._ticker = self._ticker, None
        if ticker is not None:
            ticker.close()
