"""``--ext-record FILE``: one recording a run in each process that has users."""

from __future__ import annotations

from locust.runners import MasterRunner, WorkerRunner

import logging
import os
from pathlib import Path
from typing import Any

from locust_ext.errors import ConfigError
from locust_ext.runtime.process import shared
from locust_ext.runtime.recording import Recording

logger = logging.getLogger("locust_ext")


def check_record_file(path: str) -> None:
    """Before the run. Raises `ConfigError` if no such file can be written: its folder has to be there."""
    whole = Path(path)
    if whole.is_dir() or not os.access(whole if whole.exists() else whole.parent, os.W_OK):
        raise ConfigError("expected a file in a folder that can be written to", source="--ext-record", value=path)


def path_of_worker(path: str, worker: int | None) -> Path:
    """The file of one process: ``capture.jsonl``, or of worker 3 ``capture-3.jsonl``."""
    whole = Path(path)
    return whole if worker is None else whole.with_name(f"{whole.stem}-{worker}{whole.suffix}")


def begin_recording(path: str | None, runner: Any, max_bytes: int) -> None:
    """At the start of a run: what connections say that are opened from now on is written down; the file is replaced."""
    end_recording()
    if not path or isinstance(runner, MasterRunner):
        return
    process = shared()
    file = path_of_worker(path, max(runner.worker_index, 0) if isinstance(runner, WorkerRunner) else None)
    try:
        process.recording = Recording(file, max_bytes=max_bytes, client_prefix=process.client_prefix)
    except ConfigError as error:  # a worker's disk is not the one that was looked at before the run
        logger.error("Nothing is recorded: %s", error)


def end_recording() -> None:
    """At the end of a run, when its users are gone. Idempotent."""
    process = shared()
    recording, process.recording = process.recording, None
    if recording is not None:
        recording.close()
