"""The WebSocket protocol (RFC 6455) after its opening handshake: bytes in, events out; messages in, bytes out.

Pure: no socket, no clock, no global random. Compression (RFC 7692) is in ``deflate.py``.

This is the hottest code of the package. A chunk of whole, unfragmented, uncompressed text frames (nearly every chunk
of a load test) never leaves ``receive_data``; all else goes through ``_receive``, which is complete. Literals stand
where a module's constant would cost a look-up for each frame.
"""

from __future__ import annotations

import random as random_module
from codecs import utf_8_decode
from typing import Any, Final

from locust_ext.core.protocols.deflate import MessageTooBig, PerMessageDeflate, ProtocolViolation
from locust_ext.core.protocols.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    PING,
    PONG,
    RSV1,
    TEXT,
    FrameEncoder,
    apply_mask,
    is_wire_code,
)

__all__ = [
    "BINARY",
    "CLOSE",
    "FAIL",
    "PING",
    "PONG",
    "TEXT",
    "Event",
    "WebSocketCodec",
    "apply_mask",
    "is_wire_code",
]

Event = tuple[int, Any]

FAIL: Final = 16

_NO_STATUS: Final = 1005

_PROTOCOL: Final = (1002, "protocol")
_BAD_UTF8: Final = (1007, "bad_utf8")
_TOO_BIG: Final = (1009, "too_big")


class WebSocketCodec(FrameEncoder):
    """One connection's codec, from the first byte after the handshake.

    ``random`` gives the masking keys (32 bits each, no system call): the caller seeds it from ``os.urandom`` and may
    share it between connections. ``max_message_bytes`` limits a message after decompression, ``max_frame_bytes`` the
    payload of one frame as it is on the wire (default: as much as a message needs). ``is_client=False`` sends unmasked
    and demands masks: the other end, for scripted peers and tests.
    """

    __slots__ = (
        "_head",
        "_is_compressed",
        "_is_done",
        "_is_plain",
        "_long",
        "_max_frame",
        "_max_message",
        "_message",
        "_message_opcode",
        "_missing",
        "_payload",
        "_pending_first",
        "_pending_key",
        "_short",
        "_utf8_from",
    )

    def __init__(
        self,
        *,
        random: random_module.Random,
        is_client: bool = True,
        max_message_bytes: int = 16 * 2**20,
        max_frame_bytes: int | None = None,
        deflate: PerMessageDeflate | None = None,
    ) -> None:
        super().__init__(random, is_client, deflate)
        self._max_message = max_message_bytes
        self._max_frame = max_frame_bytes
        limit = max_message_bytes if max_frame_bytes is None else min(max_message_bytes, max_frame_bytes)
        self._short = min(limit, 125)
        self._long = min(limit, 0xFFFF)
        """Payload bytes up to which frames with a short and a 16-bit length take the fast path."""
        self._is_plain = is_client
        """Nothing is buffered, no message is open, the connection is not at its end: the fast path is open."""
        self._is_done = False
        self._head = b""
        """The start of a frame header that is not complete."""
        self._payload = bytearray()
        """What has come of a frame's payload while its last ``_missing`` bytes have not."""
        self._missing = 0
        self._pending_first = 0
        self._pending_key = b""
        """The first header byte and the masking key of that frame."""
        self._message = bytearray()
        """The fragments so far, decompressed, of the open message; ``_message_opcode`` is 0 when none is open."""
        self._message_opcode = 0
        self._is_compressed = False
        self._utf8_from = 0
        """How much of ``_message`` is checked; the rest is the start of a character that a fragment's end has cut."""

    # -- receiving

    @property
    def is_in_message(self) -> bool:
        """Whether a frame or a message has begun and not ended."""
        return not self._is_done and bool(self._head or self._missing or self._message_opcode)

    @property
    def bytes_buffered(self) -> int:
        """Bytes held back: of a header, a frame and a fragmented message that are not complete."""
        return len(self._head) + len(self._payload) + len(self._message)

    def end_of_data(self) -> bool:
        """The peer will send no more: frees what is buffered; whether a frame or message had begun and not ended."""
        was_in_message = self.is_in_message
        self._end()
        return was_in_message

    def receive_data(self, data: bytes) -> list[Event]:
        """All events of this chunk, in order.

        ``(TEXT, str)``, ``(BINARY, bytes)``, ``(PING, bytes)``, ``(PONG, bytes)``, ``(CLOSE, (code, reason))`` with
        code 1005 when the frame was empty, and last of all ``(FAIL, (close_code, error_class))``: 1002 ``protocol``,
        1007 ``bad_utf8``, 1009 ``too_big``. After CLOSE or FAIL data is ignored. To answer is the caller's part.
        """
        if not self._is_plain:
            return [] if self._is_done else self._receive(data, 0, [])
        size = len(data)
        short = self._short
        position = 0
        events: list[Event] = []
        try:
            if data[0] == 0x81:
                length = data[1]
                if length == size - 2 and length <= short:
                    return [(1, data[2:].decode())]
                if length == 126 and 125 < (length := data[2] << 8 | data[3]) == size - 4 and length <= self._long:
                    return [(1, data[4:].decode())]
            append = events.append
            while position < size:
                if data[position] != 0x81:
                    break
                length = data[position + 1]
                if length <= short:
                    start = position + 2
                elif length == 126 and 125 < (length := data[position + 2] << 8 | data[position + 3]) <= self._long:
                    start = position + 4
                else:
                    break
                end = start + length
                if end > size:
                    break
                append((1, data[start:end].decode()))
                position = end
            else:
                return events
        except IndexError:  # the chunk ends inside a header
            pass
        except UnicodeDecodeError:
            return self._fail(events, _BAD_UTF8)
        return self._receive(data, position, events)

    def _receive(self, data: bytes, position: int, events: list[Event]) -> list[Event]:
        """The complete decoder, from ``position`` of ``data``; ``events`` are those of the chunk so far."""
        size = len(data)
        if self._missing:
            part = data[position : position + self._missing]
            self._payload += part
            self._missing -= len(part)
            if self._missing:
                return events
            position += len(part)
            payload, self._payload = self._payload, bytearray()
            if not self._end_frame(self._pending_first, self._pending_key, payload, events):
                return events
        elif self._head:
            data = self._head + data[position:]
            self._head = b""
            position = 0
            size = len(data)
        while position < size:
            available = size - position
            if available < 2:
                break
            first = data[position]
            length = data[position + 1]
            is_masked = length >= 128
            length &= 127
            if is_masked == self._is_client or not self._is_allowed(first, length):
                return self._fail(events, _PROTOCOL)
            start = position + 2
            if length == 126:
                start += 2
                if available < 4:
                    break
                length = data[position + 2] << 8 | data[position + 3]
                if length < 126:
                    return self._fail(events, _PROTOCOL)
            elif length == 127:
                start += 8
                if available < 10:
                    break
                length = int.from_bytes(data[position + 2 : start], "big")
                if length < 65536 or length >> 63:
                    return self._fail(events, _PROTOCOL)
            if first & 8 == 0 and self._is_over(first, length):
                return self._fail(events, _TOO_BIG)
            key = b""
            if is_masked:
                start += 4
                if available < start - position:
                    break
                key = data[start - 4 : start]
            end = start + length
            if end > size:
                self._payload += data[start:]
                self._missing = end - size
                self._pending_first = first
                self._pending_key = key
                self._is_plain = False
                return events
            if not self._end_frame(first, key, data[start:end], events):
                return events
            position = end
        self._head = data[position:]
        self._is_plain = self._is_client and not self._head and not self._message_opcode
        return events

    def _is_allowed(self, first: int, length: int) -> bool:
        """Whether a frame may begin so here; ``length`` is the 7-bit field."""
        opcode = first & 0x0F
        if first & 0x70 and (first & 0x70 != RSV1 or self._deflate is None or opcode not in (TEXT, BINARY)):
            return False
        if opcode >= 8:
            return opcode <= PONG and first >= FIN and length <= 125
        if opcode == CONTINUATION:
            return self._message_opcode != 0
        return opcode <= BINARY and self._message_opcode == 0

    def _is_over(self, first: int, length: int) -> bool:
        """Whether a data frame of ``length`` bytes is over a limit; known before any of its payload is buffered."""
        if self._max_frame is not None and length > self._max_frame:
            return True
        room = self._max_message - len(self._message)
        if first & RSV1 or (self._is_compressed and first & 0x0F == CONTINUATION):
            # What does not shrink grows: by 4 % with zlib's smallest memory. What it inflates to is checked exactly.
            room += (room >> 4) + 64
        return length > room

    def _end_frame(self, first: int, key: bytes, payload: bytes | bytearray, events: list[Event]) -> bool:
        """Takes a whole frame; False when the connection is at its end with it."""
        if key:
            payload = apply_mask(payload, key)
        opcode = first & 0x0F
        if opcode >= 8:
            if opcode == CLOSE:
                self._receive_close(bytes(payload), events)
                return False
            events.append((opcode, bytes(payload)))
            return True
        is_final = first >= FIN
        if opcode != CONTINUATION:
            self._is_compressed = first & RSV1 != 0
        try:
            if self._is_compressed:
                assert self._deflate is not None
                payload = self._deflate.decompress(payload, self._max_message - len(self._message), is_final)
            if opcode != CONTINUATION:
                if is_final:
                    events.append((TEXT, payload.decode()) if opcode == TEXT else (BINARY, bytes(payload)))
                    return True
                self._message_opcode = opcode
            self._message += payload
            if self._message_opcode == TEXT:
                # A view, so that the text before is not copied; released before the message grows again.
                with memoryview(self._message) as whole, whole[self._utf8_from :] as unchecked:
                    self._utf8_from += utf_8_decode(unchecked, "strict", is_final)[1]
        except UnicodeDecodeError:
            self._fail(events, _BAD_UTF8)
            return False
        except MessageTooBig:
            self._fail(events, _TOO_BIG)
            return False
        except ProtocolViolation:
            self._fail(events, _PROTOCOL)
            return False
        if is_final:
            message = self._message
            events.append((TEXT, message.decode()) if self._message_opcode == TEXT else (BINARY, bytes(message)))
            self._message = bytearray()
            self._message_opcode = 0
            self._utf8_from = 0
        return True

    def _receive_close(self, payload: bytes, events: list[Event]) -> None:
        if not payload:
            events.append((CLOSE, (_NO_STATUS, "")))
        else:
            code = int.from_bytes(payload[:2], "big")
            if len(payload) == 1 or not is_wire_code(code):
                self._fail(events, _PROTOCOL)
                return
            try:
                events.append((CLOSE, (code, payload[2:].decode())))
            except UnicodeDecodeError:
                self._fail(events, _BAD_UTF8)
                return
        self._end()

    def _fail(self, events: list[Event], violation: tuple[int, str]) -> list[Event]:
        self._end()
        events.append((FAIL, violation))
        return events

    def _end(self) -> None:
        self._is_done = True
        self._is_plain = False
        self._missing = 0
        self._message_opcode = 0
        self._head = b""
        self._payload = bytearray()
        self._message = bytearray()
