"""What a generated and encoded message costs, for each generator: median microseconds of CPU time. No I/O.

    python benchmarks/generators.py

The demand: at most 5 µs for ``Mixed``, encoding included.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Any

import orjson

from locust_ext.core import messages

ROUNDS = 15
MESSAGES = 20_000
LIMIT_US = 5.0

CASES: dict[str, Any] = {
    "mixed": {"event": 3, "command": 3, "query": 2, "ping": 1},
    "mixed, active profile": {"command": 0.4, "query": 0.3, "event": 0.2, "monitoring": 0.05, "ping": 0.05},
    "mixed, with metadata": messages.Mixed(metadata=True, now=lambda: 1_700_000_000.5),
    "event": "event",
    "command": "command",
    "command, 64 to 512 bytes of payload": messages.Command(payload_bytes=(64, 512)),
    "query": "query",
    "monitoring": "monitoring",
    "context_ops": "context_ops",
    "realistic": "realistic",
    "template": messages.Template({"type": "ping", "id": "{uuid}", "n": "{seq}", "who": "{user}", "k": "{int:1:9}"}),
    "callable": lambda: {"type": "ping"},
}


def cost_us(generator: Any) -> float:
    """Median over the rounds of the CPU time of one message, generated and encoded, in microseconds."""
    generate = messages.bind(generator, random.Random(1), "user-1").generate
    dumps = orjson.dumps
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(MESSAGES):
            dumps(generate().body)
        rounds.append((time.process_time() - started) / MESSAGES * 1e6)
    return statistics.median(rounds)


def main() -> int:
    """Print the table; 1 if ``Mixed`` costs more than its limit, else 0."""
    costs = {name: cost_us(generator) for name, generator in CASES.items()}
    for name, cost in costs.items():
        print(f"{name:40} {cost:6.2f} µs a message")
    good = costs["mixed"] <= LIMIT_US
    print(f"limit for mixed: {LIMIT_US:.1f} µs: {'kept' if good else 'EXCEEDED'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
