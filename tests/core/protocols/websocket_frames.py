"""WebSocket frames built by hand, right and wrong ones, and ways to cut a stream. Nothing here uses the codec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import cycle

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG, FAIL = 0, 1, 2, 8, 9, 10, 16


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
    length_bytes: int | None = None,
    length: int | None = None,
) -> bytes:
    """One frame. ``rsv`` is 4 for RSV1, 2, 1; ``key`` masks; ``length_bytes`` 0, 2 or 8 forces the form of the length;
    ``length`` announces another length than the payload's.
    """
    size = len(payload) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65536 else 8
    field = {0: size, 2: 126, 8: 127}[length_bytes]
    head = bytes(((128 if fin else 0) | rsv << 4 | opcode, (0 if key is None else 128) | field))
    head += size.to_bytes(length_bytes, "big") if length_bytes else b""
    if key is None:
        return head + payload
    return head + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def fragments(opcode: int, payload: bytes, sizes: Iterable[int], *, key: bytes | None = None) -> list[bytes]:
    """The frames of one message; ``sizes`` are repeated until the payload is used up, a size of 0 is an empty frame."""
    parts = list(chunks(payload, sizes)) or [b""]
    return [
        frame(opcode if index == 0 else CONTINUATION, part, fin=index == len(parts) - 1, key=key)
        for index, part in enumerate(parts)
    ]


def chunks(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """``data`` cut into pieces of ``sizes``, which are repeated; one of them at least must not be 0."""
    position = 0
    for size in cycle(sizes):
        if position >= len(data):
            return
        yield data[position : position + size]
        position += size
