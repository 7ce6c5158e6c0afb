"""CPU nanoseconds for one frame: our codec, wsproto and websockets, on the same bytes, taking turns.

Run: ``python -m benchmarks.codec [ROUNDS]`` from the repository, or ``python benchmarks/codec.py``. Each figure is the
median of ``ROUNDS`` (default 15) in process CPU time; the implementations alternate inside a round, so that a busy
minute meets all of them. Ours decodes to ``str``, and so does wsproto; websockets' core stops at bytes, to which the
decoding that its connections do is added here. It masks in C, where its extension is installed: better from 1 KiB on.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
from collections.abc import Callable
from time import process_time_ns
from typing import Any

if __name__ == "__main__" and not __package__:  # run by its path
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import wsproto.connection
import wsproto.events
from websockets.frames import Opcode
from websockets.protocol import CLIENT, Protocol

from locust_ext.core.protocols.websocket import WebSocketCodec

FRAMES_A_ROUND = 2000
SIDES = ("locust_ext", "wsproto", "websockets")


def json_of(size: int) -> bytes:
    """A JSON text of ``size`` bytes, of the kind that a load test sends."""
    start, end = b'{"type":"query","id":"7f3a","data":{"text":"', b'"},"sent_at":1712345678.123456}'
    return (start + b"x" * size)[: size - len(end)] + end


def decoders() -> dict[str, Callable[[bytes], Any]]:
    """For each implementation a function that takes a chunk and makes texts of it."""
    ours = WebSocketCodec(random=random.Random(os.urandom(32)))
    wsproto_client = wsproto.connection.Connection(wsproto.connection.ConnectionType.CLIENT)
    websockets_client = Protocol(CLIENT)

    def by_wsproto(chunk: bytes) -> list[str]:
        wsproto_client.receive_data(chunk)
        return [event.data for event in wsproto_client.events() if isinstance(event, wsproto.events.TextMessage)]

    def by_websockets(chunk: bytes) -> list[str]:
        websockets_client.receive_data(chunk)
        return [
            event.data.decode()  # type: ignore[union-attr]
            for event in websockets_client.events_received()
            if event.opcode is Opcode.TEXT  # type: ignore[union-attr]
        ]

    return {"locust_ext": ours.receive_data, "wsproto": by_wsproto, "websockets": by_websockets}


def encoders() -> dict[str, Callable[[bytes], Any]]:
    """For each implementation a function that makes a masked text frame of UTF-8 bytes."""
    ours = WebSocketCodec(random=random.Random(os.urandom(32)))
    wsproto_client = wsproto.connection.Connection(wsproto.connection.ConnectionType.CLIENT)
    websockets_client = Protocol(CLIENT)

    def by_wsproto(payload: bytes) -> bytes:
        return wsproto_client.send(wsproto.events.TextMessage(data=payload.decode()))

    def by_websockets(payload: bytes) -> bytes:
        websockets_client.send_text(payload)
        return b"".join(websockets_client.data_to_send())

    return {"locust_ext": ours.encode_text, "wsproto": by_wsproto, "websockets": by_websockets}


def measure(actions: dict[str, Callable[[bytes], Any]], data: bytes, frames_each: int, rounds: int) -> dict[str, float]:
    """Median CPU nanoseconds a frame, by implementation; ``data`` holds ``frames_each`` frames."""
    times = max(1, FRAMES_A_ROUND // frames_each)
    figures: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds + 1):
        for name, action in actions.items():
            started = process_time_ns()
            for _ in range(times):
                action(data)
            figures[name].append((process_time_ns() - started) / times / frames_each)
    return {name: statistics.median(values[1:]) for name, values in figures.items()}  # the first one warms up


def table(rounds: int) -> list[tuple[str, dict[str, float]]]:
    """One row for each case: its name and the figures."""
    peer = WebSocketCodec(random=random.Random(1), is_client=False)
    rows = []
    for size in (115, 200):
        frame = peer.encode_text(json_of(size))
        rows.append((f"decode {size} B, 1 frame a chunk", measure(decoders(), frame, 1, rounds)))
        rows.append((f"decode {size} B, 50 frames a chunk", measure(decoders(), frame * 50, 50, rounds)))
    for size in (115, 200, 1024, 65536):
        few = max(1, rounds // 5) if size > 10_000 else rounds
        rows.append((f"encode {size} B", measure(encoders(), json_of(size), 1, few)))
    return rows


def main() -> None:
    """Prints the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"{'CPU ns a frame':34}" + "".join(f"{name:>14}" for name in SIDES) + f"{'next best ÷ ours':>20}")
    for name, figures in table(rounds):
        ours, *others = (figures[side] for side in SIDES)
        cells = "".join(f"{figures[side]:14,.0f}" for side in SIDES)
        print(f"{name:34}{cells}{min(others) / ours:20.1f}")


if __name__ == "__main__":
    main()
