"""Compiles and runs ``floor.c``, the least that a WebSocket round trip can cost a client of one thread."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.harness import Figures, cores

SOURCE = Path(__file__).with_name("floor.c")
CONNECTIONS = 100
ROUND_TRIPS = 40_000


def compiled() -> Path | None:
    """The program, in a directory that goes with this process; None: there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if compiler is None:
        return None
    directory = Path(tempfile.mkdtemp(prefix="locust-ext-floor-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    program = directory / "floor"
    subprocess.run([compiler, "-O2", "-o", str(program), str(SOURCE)], check=True)
    return program


def measure(program: Path, port: int, payload_bytes: int) -> Figures:
    """One run on the clients' core; gives ``count`` and ``cpu_s``."""
    done = subprocess.run(
        [str(program), str(port), str(CONNECTIONS), str(payload_bytes), str(ROUND_TRIPS)],
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {cores()[0]}),
    )
    figures: Figures = json.loads(done.stdout)
    return figures
