"""The leak verdict on real runs: twenty of a minute against a flat server, which must not be accused, and one that leaks.

``python -m benchmarks.leak_verdicts [RUNS]``; four runs at a time, some six minutes. Not a part of ``make bench``: it takes
too long. Each run has a seed of its own and a reference server of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.e2e.runs import DEMO, Locust, server

RUN_S = 60
AT_ONCE = 4
LEAK_BYTES = 20_000


def verdicts(seed: int, leak_bytes: int) -> dict[str, dict[str, Any]]:
    """The verdict on each source of one run."""
    with tempfile.TemporaryDirectory() as folder, server() as target:
        port = target.url.rpartition(":")[2]
        arguments = ["--headless", "-u", "30", "-r", "15", "-t", f"{RUN_S}s", "-s", "3", "--only-summary"]
        arguments += ["--host", target.url, "--ext-target-port", port, "--ext-seed", str(seed)]
        run = Locust(*arguments, "--ext-config", str(DEMO), "--ext-report-dir", "out", folder=Path(folder))
        if leak_bytes:
            threading.Timer(5.0, target.misbehave, kwargs={"leak_bytes_per_message": leak_bytes}).start()
        finished = run.finish(RUN_S + 60)
        resources = json.loads((finished.folder / "summary.json").read_bytes())["resources"]
        return {side: each["leak"] for side in ("generator", "target") for each in resources[side] if "leak" in each}


def run_all() -> int:
    """0: the leak was found, and nobody was accused who was flat."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    begun_s = time.monotonic()
    accused = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(verdicts, seed, 0) for seed in range(1, runs + 1)]
        leaking = pool.submit(verdicts, 0, LEAK_BYTES)
        for seed, future in enumerate(futures, 1):
            found = future.result()
            accused += sum(each["verdict"] == "leak likely" for each in found.values())
            print(
                f"flat {seed:2}: " + " · ".join(f"{side}: {each['text']}" for side, each in found.items()), flush=True
            )
        found = leaking.result()
    print("leak:    " + " · ".join(f"{side}: {each['text']}" for side, each in found.items()))
    is_found = found["target"]["verdict"] == "leak likely"
    print(
        f"accused of {2 * runs}: {accused}; the leak was {'' if is_found else 'not '}found; {time.monotonic() - begun_s:.0f} s"
    )
    return int(accused > 0 or not is_found)


if __name__ == "__main__":
    try:
        sys.exit(run_all())
    except subprocess.SubprocessError as error:
        sys.exit(str(error))
