"""WebSocket frames as bytes, encoded once by aiohttp's own writer and then written to any number of connections.

A server's frames are unmasked and, without compression, the same for every receiver: a fan-out to N clients is one
encoding and N writes.
"""

from __future__ import annotations

from typing import Any, Final, cast

import orjson
from aiohttp import WSMsgType
from aiohttp.http import WebSocketWriter


class _Sheet:
    """A transport, and its protocol, that keeps what is written to it and is never full."""

    _paused = False

    def __init__(self) -> None:
        self.written = b""

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.written += data


_SHEET: Final = _Sheet()
_WRITER: Final = WebSocketWriter(cast(Any, _SHEET), cast(Any, _SHEET))


def _frame(payload: bytes, opcode: WSMsgType) -> bytes:
    _SHEET.written = b""
    try:
        _WRITER.send_frame(payload, opcode).send(None)
    except StopIteration:  # it never waits: nothing is compressed and the sheet is never full
        pass
    return _SHEET.written


def text_frame(payload: bytes | str) -> bytes:
    """One unfragmented text message; ``payload`` as UTF-8."""
    return _frame(payload if isinstance(payload, bytes) else payload.encode(), WSMsgType.TEXT)


def binary_frame(payload: bytes) -> bytes:
    """One unfragmented binary message."""
    return _frame(payload, WSMsgType.BINARY)


def json_frame(message: object) -> bytes:
    """One text message that holds ``message`` as JSON."""
    return _frame(orjson.dumps(message), WSMsgType.TEXT)


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """A close frame, at most 123 bytes of UTF-8 as reason."""
    return _frame(code.to_bytes(2, "big") + reason, WSMsgType.CLOSE)
