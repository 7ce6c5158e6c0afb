"""Writes the report folder: all its files of one run, each whole or not at all, and never the reason why a run fails."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from time import time

logger = logging.getLogger("locust_ext")

LEFT_BEHIND_S = 3600.0
"""A temporary file of this age belongs to nobody any more: its process was killed."""


def write_reports(folder: Path, files: Mapping[str, str | bytes], names: Collection[str] = ()) -> bool:
    """Write ``files`` (name -> content) into ``folder``; False, and one error in the log, if that is not possible.

    Of all the ``names`` that a report may have, those that are not among the files are removed: they are an earlier run's.

    All of them are written beside their places first and renamed into them then: nobody ever reads half of one, and a
    disk that gets full leaves the folder as it was. Should a renaming fail, the error names the files of this run.
    """
    written: dict[str, str] = {}
    placed: list[str] = []
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_what_was_left_behind(folder, files)
            for name, content in files.items():
                written[name] = temporary = _open(folder, name)
                _write(temporary, content.encode() if isinstance(content, str) else content)
            for name in files:
                os.replace(written[name], folder / name)
                del written[name]
                placed.append(name)
            for name in set(names) - set(files):
                (folder / name).unlink(missing_ok=True)
        finally:
            for temporary in written.values():
                _remove(temporary)
    except OSError as error:
        mixed = f"; only {', '.join(placed)} {'is' if len(placed) == 1 else 'are'} of this run" if placed else ""
        reason = error.strerror or type(error).__name__
        logger.error("the report could not be written to %s: %s%s", folder, reason, mixed)
        return False
    return True


def _open(folder: Path, name: str) -> str:
    """The path of a new and empty temporary file beside the place of ``name``."""
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}-", suffix=".tmp")
    os.close(descriptor)
    return temporary


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.chmod(path, 0o644)


def _remove_what_was_left_behind(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Temporary files of a process that was killed; those of one that is just writing are younger."""
    for name in files:
        for path in folder.glob(f".{name}-*.tmp"):
            try:
                if path.stat().st_mtime < time() - LEFT_BEHIND_S:
                    path.unlink()
            except OSError:
                pass  # gone already, or not ours


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
