"""WebSocket frames to send (RFC 6455, section 5): headers, masks, fragments; `WebSocketCodec` reads them too.

Literals stand where a module's constant would cost a look-up for each frame.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Iterable
from typing import Final

from locust_ext.core.protocols.deflate import PerMessageDeflate
from locust_ext.errors import ConfigError

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
CONTINUATION: Final = 0
FIN: Final = 0x80
RSV1: Final = 0x40

_from_bytes = int.from_bytes

# Tables for payloads of up to 125 bytes, which make a masked text frame by one XOR of big integers: the frame is
# header(2) key(4) payload(n), which is "header 0000 payload" XOR "00 key key key …", the latter being key * _REPEAT[n],
# cut to the frame's length by _KEEP[n].
_UNMASKED: Final = [bytes((0x81, 0x80 | n, 0, 0, 0, 0)) for n in range(126)]
_REPEAT: Final = [_from_bytes(b"\x01\0\0\0" * (1 + (n + 3) // 4), "little") << 16 for n in range(126)]
_KEEP: Final = [(1 << 8 * (n + 6)) - 1 for n in range(126)]

_BLOCK: Final = 4096
"""Bytes that are XORed at once: 1.6 ns a byte. Integers of 64 KiB fall out of the first-level cache and cost 3.3 ns;
four strided ``bytes.translate`` cost 2.1 ns at that size and twice as much as an integer below 300 bytes."""


def is_wire_code(code: int) -> bool:
    """Whether ``code`` may stand in a close frame (RFC 6455, 7.4, and IANA's registry)."""
    return 3000 <= code <= 4999 or 1000 <= code <= 1003 or 1007 <= code <= 1014


def check_close(code: int | None, reason: str = "") -> None:
    """Raises ``ConfigError`` for a close code that may not be sent (1005 and 1006 among them), or a reason over 123 bytes."""
    if code is not None and (type(code) is not int or not is_wire_code(code)):
        raise ConfigError(
            "expected a close code that may be sent: 1000 to 1003, 1007 to 1014, or 3000 to 4999",
            key="code",
            value=code,
        )
    if len(reason.encode()) > 123:
        raise ConfigError("expected at most 123 bytes of UTF-8", key="reason", value=reason)


def apply_mask(payload: bytes | bytearray, key: bytes) -> bytes:
    """``payload`` XORed with the four bytes of ``key``, repeated (RFC 6455, 5.3): masks and unmasks."""
    size = len(payload)
    if size <= _BLOCK:
        repeated = _from_bytes((key * ((size + 3) >> 2))[:size], "little")
        return (_from_bytes(payload, "little") ^ repeated).to_bytes(size, "little")
    repeated = _from_bytes(key * (_BLOCK >> 2), "little")
    whole = size - size % _BLOCK
    blocks = [
        (_from_bytes(payload[start : start + _BLOCK], "little") ^ repeated).to_bytes(_BLOCK, "little")
        for start in range(0, whole, _BLOCK)
    ]
    blocks.append(apply_mask(payload[whole:], key))
    return b"".join(blocks)


class FrameEncoder:
    """Makes frames; ``random`` gives the masking keys, ``is_client=False`` sends unmasked."""

    __slots__ = ("_deflate", "_getrandbits", "_is_client", "_sends_plain")

    def __init__(self, random: random_module.Random, is_client: bool, deflate: PerMessageDeflate | None) -> None:
        self._getrandbits = random.getrandbits
        self._is_client = is_client
        self._deflate = deflate
        self._sends_plain = is_client and deflate is None
        """Texts go masked and uncompressed: the fast path of ``encode_text`` is open."""

    def encode_text(self, text: str | bytes) -> bytes:
        """One text frame. Bytes are taken as UTF-8, unchecked (orjson gives them)."""
        payload = text.encode() if isinstance(text, str) else text
        size = len(payload)
        if self._sends_plain:
            if size <= 125:
                plain = _from_bytes(_UNMASKED[size] + payload, "little")
                return (plain ^ self._getrandbits(32) * _REPEAT[size] & _KEEP[size]).to_bytes(size + 6, "little")
            if size <= 4096:  # as _encode_frame and apply_mask do it, without their two calls
                head = (0x81FE_0000_0000_0000 | size << 32 | self._getrandbits(32)).to_bytes(8, "big")
                repeated = _from_bytes((head[4:] * ((size + 3) >> 2))[:size], "little")
                return head + (_from_bytes(payload, "little") ^ repeated).to_bytes(size, "little")
        return self._encode_message(1, payload)

    def encode_texts(self, texts: Iterable[str | bytes]) -> bytes:
        """One text frame for each of ``texts``, for one write."""
        return b"".join(map(self.encode_text, texts))

    def encode_binary(self, data: bytes) -> bytes:
        """One binary frame."""
        return self._encode_message(BINARY, data)

    def encode_ping(self, payload: bytes = b"") -> bytes:
        """A ping of up to 125 bytes; raises ``ValueError`` for more."""
        return self._encode_control(PING, payload)

    def encode_pong(self, payload: bytes = b"") -> bytes:
        """A pong, with its ping's payload; raises ``ValueError`` over 125 bytes."""
        return self._encode_control(PONG, payload)

    def encode_close(self, code: int | None = 1000, reason: str = "") -> bytes:
        """A close frame; without a payload if ``code`` is None.

        Raises ``ValueError`` for a code that may not be sent (1005 and 1006 among them) and a reason over 123 bytes.
        """
        if code is None:
            if reason:
                raise ValueError("a close reason needs a close code")
            return self._encode_control(CLOSE, b"")
        if not is_wire_code(code):
            raise ValueError(f"close code {code} may not be sent")
        return self._encode_control(CLOSE, code.to_bytes(2, "big") + reason.encode())

    def encode_fragments(self, opcode: int, payload: bytes, fragment_bytes: int) -> bytes:
        """One message in frames of ``fragment_bytes`` each, the last one shorter; an empty message is one frame."""
        if fragment_bytes < 1:
            raise ValueError(f"fragment_bytes must be at least 1, got {fragment_bytes}")
        first = opcode
        if self._deflate is not None and len(payload) >= self._deflate.min_bytes:
            payload = self._deflate.compress(payload)
            first |= RSV1
        frames = []
        last = max(0, len(payload) - 1) // fragment_bytes * fragment_bytes
        for start in range(0, last + 1, fragment_bytes):
            fin = FIN if start == last else 0
            frames.append(self._encode_frame(first | fin, payload[start : start + fragment_bytes]))
            first = CONTINUATION
        return b"".join(frames)

    def _encode_message(self, opcode: int, payload: bytes) -> bytes:
        deflate = self._deflate
        if deflate is not None and len(payload) >= deflate.min_bytes:
            return self._encode_frame(FIN | RSV1 | opcode, deflate.compress(payload))
        return self._encode_frame(FIN | opcode, payload)

    def _encode_control(self, opcode: int, payload: bytes) -> bytes:
        if len(payload) > 125:
            raise ValueError(f"the payload of a control frame has at most 125 bytes, got {len(payload)}")
        return self._encode_frame(FIN | opcode, payload)

    def _encode_frame(self, first: int, payload: bytes) -> bytes:
        size = len(payload)
        if not self._is_client:
            if size <= 125:
                return bytes((first, size)) + payload
            if size <= 0xFFFF:
                return bytes((first, 126, size >> 8, size & 0xFF)) + payload
            return bytes((first, 127)) + size.to_bytes(8, "big") + payload
        if size <= 125:
            head = (((first << 8 | 0x80 | size) << 32) | self._getrandbits(32)).to_bytes(6, "big")
        elif size <= 0xFFFF:
            head = ((first << 8 | 0xFE) << 48 | size << 32 | self._getrandbits(32)).to_bytes(8, "big")
        else:
            head = ((first << 8 | 0xFF) << 96 | size << 32 | self._getrandbits(32)).to_bytes(14, "big")
        return head + apply_mask(payload, head[-4:])
