"""Writes the report folder: each file whole or not at all, and never the reason why a run fails."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

logger = logging.getLogger("locust_ext")


def write_reports(folder: Path, files: Mapping[str, str | bytes]) -> bool:
    """Write ``files`` (name -> content) into ``folder``; False, and one error in the log, if that is not possible.

    Each file is written beside its place and renamed into it, so that nobody ever reads half of one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            _write(folder / name, content.encode() if isinstance(content, str) else content)
    except OSError as error:
        logger.error("the report could not be written to %s: %s", folder, error.strerror or type(error).__name__)
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass
        raise
