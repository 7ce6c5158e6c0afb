"""Feeds the sinks of ``--ext-sink``: opens their files, hands each second's `Snapshot` on, and closes them with the run."""

from __future__ import annotations

import difflib
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import gevent

from locust_ext.errors import ConfigError
from locust_ext.model import Snapshot
from locust_ext.outputs.sinks import SINKS, Sink
from locust_ext.runtime.ticker import Ticker

logger = logging.getLogger("locust_ext")

INTERVAL_S = 1.0
PIECES = 20
"""Lines that are made and written at one go: some 2 ms."""
_SOURCE = "--ext-sink"


def parse_sinks(given: str | Iterable[str] | None) -> list[tuple[str, Path]]:
    """(name, file) of each ``NAME=FILE``, tried out. Raises `ConfigError`."""
    texts = [given] if isinstance(given, str) and given else list(given or ())
    sinks: list[tuple[str, Path]] = []
    for text in texts:
        name, equals, file = text.partition("=")
        if not equals or not file:
            raise ConfigError("expected NAME=FILE, such as jsonl=run.jsonl", source=_SOURCE, value=text)
        if name not in SINKS:
            near = difflib.get_close_matches(name, [*SINKS, "json"], n=1)
            raise ConfigError(
                f"unknown sink, expected one of {', '.join(SINKS)}",
                source=_SOURCE,
                value=name,
                nearest="jsonl" if near == ["json"] else near[0] if near else None,
            )
        path = Path(file).absolute()
        if path in (known for _, known in sinks):
            raise ConfigError("expected each file once", source=_SOURCE, value=file)
        _try_out(path, file)
        sinks.append((name, path))
    return sinks


def _try_out(path: Path, shown: str) -> None:
    """A pipe or a terminal could make every user of the process wait for its reader."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o644)
        try:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError(
            f"expected a file that can be written to: {os.strerror(error.errno or 0).lower()}",
            source=_SOURCE,
            value=shown,
        ) from error
    if not is_file:
        raise ConfigError("expected a file, not a device or a pipe", source=_SOURCE, value=shown)


class SinkFile:
    """One sink and its file. After the first failure (a full disk) it says so once, and takes nothing more."""

    def __init__(self, name: str, path: Path, is_first_run: bool) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._sink: Sink = SINKS[name]()
        self._unwritten: Iterator[str] = iter(())
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK
            self._descriptor = os.open(path, flags | (os.O_TRUNC if is_first_run else 0), 0o644)
        except OSError as error:
            self._give_up(error)

    def feed(self, snapshot: Snapshot) -> None:
        """In the feeding greenlet: lets others run in between; killed there, it leaves the rest to `end`."""
        self._finish()
        self._unwritten = self._sink.feed(snapshot)
        while self._descriptor is not None and self._append(PIECES):
            gevent.sleep(0)

    def end(self, snapshot: Snapshot) -> None:
        """The run's last lines, then `close`; idempotent."""
        self._finish()
        self._unwritten = self._sink.end(snapshot)
        self._finish()
        self.close()

    def _finish(self) -> None:
        while self._append(PIECES):
            pass

    def _append(self, pieces: int) -> bool:
        """Write the next ``pieces`` of the sink's text; False: there is no more, or the file takes no more."""
        if self._descriptor is None:
            return False
        text = "".join(islice(self._unwritten, pieces))
        try:
            self._write(text)
        except OSError as error:
            self._give_up(error)
        return bool(text)

    def _write(self, text: str) -> None:
        """Whole or not at all, so that the last line can be read."""
        assert self._descriptor is not None
        size = os.fstat(self._descriptor).st_size
        left = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            os.ftruncate(self._descriptor, size)
            raise

    def _give_up(self, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        logger.error("%s ends here: nothing more can be written to it: %s; the run goes on", self.path, reason)
        self.close()

    def close(self) -> None:
        """Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            try:
                os.close(descriptor)
            except OSError as error:  # a network's disk may say only here that it is full
                logger.error("%s may be cut short: %s", self.path, error.strerror or type(error).__name__)


class SinkFeed:
    """The sinks of one process over its runs; a run's lines follow those of the run before in the same file."""

    def __init__(self, sinks: list[tuple[str, Path]], take: Callable[[], Snapshot]) -> None:
        self._given = sinks
        self._take = take
        self._files: list[SinkFile] = []
        self._ticker: Ticker | None = None
        self._has_run = False

    def begin(self) -> None:
        """A run starts: from now on a greenlet feeds each sink once a second."""
        self.close()
        if not self._given:
            return
        self._files = [SinkFile(name, path, not self._has_run) for name, path in self._given]
        self._has_run = True
        self._ticker = Ticker(INTERVAL_S, self._tick)
        self._ticker.start()

    def _tick(self, _: float) -> None:
        snapshot = self._take()
        for file in self._files:
            file.feed(snapshot)

    def pause(self) -> None:
        """The run is over and its last figures are on their way: no more until `end`, for rows may still grow."""
        if self._ticker is not None:
            self._ticker.close()
            self._ticker = None

    def end(self) -> None:
        """The run's figures are complete: the last second, and the last words. Does nothing a second time."""
        self.pause()
        if self._files:
            snapshot = self._take()
            for file in self._files:
                file.end(snapshot)
            self._files = []

    def close(self) -> None:
        """Without last words; idempotent."""
        self.pause()
        for file in self._files:
            file.close()
        self._files = []
