"""permessage-deflate (RFC 7692): its offer, the strict reading of the answer, and the compression of whole messages.

Pure: no I/O, no clock. ``websocket.py`` does the framing; what passes through here are messages, without frame headers.

A window of 8 bits: zlib inflates a raw stream with it but refuses to deflate one. Where a peer asks for it, 9 bits are
used: zlib looks back at most window - 262 = 250 bytes then, inside the 256 that the peer keeps. We never offer 8.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Final

EXTENSION: Final = "permessage-deflate"

_TAIL: Final = b"\x00\x00\xff\xff"
"""The end of an empty stored block: a sender strips it from each message, a receiver puts it back (RFC 7692, 7.2.1)."""
_HISTORY: Final = 32 * 1024
_MAX_STREAMS: Final = 64
"""Deflate streams (BFINAL set, 7.2.3.4) that one payload may hold; each costs a new inflater and a copy of the rest."""

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER: Final = re.compile(rf'[ \t]*({_TOKEN})[ \t]*(?:=[ \t]*(?:({_TOKEN})|"({_TOKEN})")[ \t]*)?(?:;|\Z)')
_BITS: Final = {str(bits): bits for bits in range(8, 16)}


class ProtocolViolation(ValueError):
    """The peer broke the protocol. The text is ours and holds nothing that the peer sent."""


class MessageTooBig(ProtocolViolation):
    """A message inflates to more than the limit."""


class PerMessageDeflate:
    """The agreed compression of one connection, both directions. Not shared between connections.

    ``local_*`` is about what we send, ``remote_*`` about what the peer sends. Messages under ``min_bytes`` are sent as
    they are (``websocket.py`` looks). A deflater (see ``DeflateOffer`` for its size) and an inflater (some 40 KiB) stay
    in memory from their first use on; where the peer takes no context over, the inflater lives as long as a message.
    """

    __slots__ = (
        "_deflater",
        "_inflater",
        "level",
        "local_max_window_bits",
        "local_no_context_takeover",
        "mem_level",
        "min_bytes",
        "remote_max_window_bits",
        "remote_no_context_takeover",
    )

    def __init__(
        self,
        *,
        local_max_window_bits: int = 15,
        remote_max_window_bits: int = 15,
        local_no_context_takeover: bool = False,
        remote_no_context_takeover: bool = False,
        level: int = 1,
        mem_level: int = 8,
        min_bytes: int = 0,
    ) -> None:
        self.local_max_window_bits = local_max_window_bits
        self.remote_max_window_bits = remote_max_window_bits
        self.local_no_context_takeover = local_no_context_takeover
        self.remote_no_context_takeover = remote_no_context_takeover
        self.level = level
        self.mem_level = mem_level
        self.min_bytes = min_bytes
        self._deflater: zlib._Compress | None = None
        self._inflater: zlib._Decompress | None = None

    def compress(self, data: bytes) -> bytes:
        """The payload of a compressed message, all its fragments together."""
        deflater = self._deflater
        if deflater is None:
            bits = max(self.local_max_window_bits, 9)
            deflater = self._deflater = zlib.compressobj(self.level, zlib.DEFLATED, -bits, self.mem_level)
        # A full flush forgets the window as a new deflater would, for 6 instead of 95 µs.
        flush = zlib.Z_FULL_FLUSH if self.local_no_context_takeover else zlib.Z_SYNC_FLUSH
        return (deflater.compress(data) + deflater.flush(flush))[:-4]

    def decompress(self, data: bytes | bytearray, limit: int, is_final: bool = True) -> bytes:
        """The plain bytes of one frame's payload; ``is_final`` says that the message ends with it.

        Never inflates more than ``limit`` + 1 bytes. Raises ``MessageTooBig`` over the limit and ``ProtocolViolation``
        when ``data`` is no deflate stream; the connection is to be failed then.
        """
        inflater = self._inflater
        if inflater is None:
            inflater = self._inflater = self._new_inflater()
        room = limit + 1  # 0 would mean "without limit" to zlib
        try:
            plain = inflater.decompress(data + _TAIL if is_final else data, room)
            if inflater.eof:
                plain = self._go_on(inflater, plain, room)
        except zlib.error:
            raise ProtocolViolation("the payload is no deflate stream") from None
        if len(plain) > limit:
            raise MessageTooBig("the message inflates to more than the limit")
        if is_final and self.remote_no_context_takeover:
            self._inflater = None
        return plain

    def _new_inflater(self, history: bytes = b"") -> zlib._Decompress:
        return zlib.decompressobj(-max(self.remote_max_window_bits, 9), history)

    def _go_on(self, inflater: zlib._Decompress, plain: bytes, room: int) -> bytes:
        """The rest of a payload after a block with BFINAL set, which ends zlib's stream but not the message.

        The window is refilled from this payload only: a peer that sets BFINAL and then refers further back is told that
        its stream is invalid, and never given wrong data.
        """
        for _ in range(_MAX_STREAMS):
            rest = inflater.unused_data
            inflater = self._inflater = self._new_inflater(plain[-_HISTORY:])
            if len(plain) >= room or not rest:
                return plain
            plain += inflater.decompress(rest, room - len(plain))
            if not inflater.eof:
                return plain
        raise ProtocolViolation("too many deflate streams in one payload")


@dataclass(frozen=True, slots=True)
class DeflateOffer:
    """What a client offers, and how it compresses. Window bits are 9 to 15; None does not mention the parameter.

    ``client_max_window_bits`` as None still tells the server that it may limit our window (the bare parameter).
    ``client_no_context_takeover`` holds whatever the server answers. ``min_bytes``: shorter messages go uncompressed.
    Memory of a deflater is about ``2**(bits + 2) + 2**(mem_level + 9)`` bytes: 256 KiB at 15 and 8.
    """

    client_max_window_bits: int | None = None
    server_max_window_bits: int | None = None
    client_no_context_takeover: bool = False
    server_no_context_takeover: bool = False
    level: int = 1
    mem_level: int = 8
    min_bytes: int = 0

    def __post_init__(self) -> None:
        for name in ("client_max_window_bits", "server_max_window_bits"):
            bits = getattr(self, name)
            if bits is not None and not 9 <= bits <= 15:
                raise ValueError(f"{name} must be 9 to 15, got {bits}")
        if not -1 <= self.level <= 9:
            raise ValueError(f"level must be -1 to 9, got {self.level}")
        if not 1 <= self.mem_level <= 9:
            raise ValueError(f"mem_level must be 1 to 9, got {self.mem_level}")
        if self.min_bytes < 0:
            raise ValueError(f"min_bytes must be at least 0, got {self.min_bytes}")

    def header_value(self) -> str:
        """The value of the request's ``Sec-WebSocket-Extensions``."""
        parts = [EXTENSION]
        if self.server_no_context_takeover:
            parts.append("server_no_context_takeover")
        if self.client_no_context_takeover:
            parts.append("client_no_context_takeover")
        if self.server_max_window_bits is not None:
            parts.append(f"server_max_window_bits={self.server_max_window_bits}")
        if self.client_max_window_bits is None:
            parts.append("client_max_window_bits")
        else:
            parts.append(f"client_max_window_bits={self.client_max_window_bits}")
        return "; ".join(parts)

    def accept(self, response_header: str) -> PerMessageDeflate:
        """The compression that the server's ``Sec-WebSocket-Extensions`` agrees to (RFC 7692, 7.1).

        Raises ``ProtocolViolation`` for anything that was not offered, is not known, comes twice or has no valid value.
        An answer without the header means that nothing was agreed: then this is not to be called.
        """
        given = _parse(response_header)
        if self.server_no_context_takeover and "server_no_context_takeover" not in given:
            raise ProtocolViolation("the server did not agree to server_no_context_takeover")
        remote_bits = _bits(given, "server_max_window_bits")
        if self.server_max_window_bits is not None:
            if remote_bits is None:
                raise ProtocolViolation("the server did not agree to server_max_window_bits")
            if remote_bits > self.server_max_window_bits:
                raise ProtocolViolation("the server's server_max_window_bits is over the offered one")
        local_bits = _bits(given, "client_max_window_bits")
        own_bits = self.client_max_window_bits or 15
        if local_bits is not None and local_bits > own_bits:
            raise ProtocolViolation("the server's client_max_window_bits is over the offered one")
        return PerMessageDeflate(
            local_max_window_bits=local_bits or own_bits,
            remote_max_window_bits=remote_bits or 15,
            local_no_context_takeover=self.client_no_context_takeover or "client_no_context_takeover" in given,
            remote_no_context_takeover="server_no_context_takeover" in given,
            level=self.level,
            mem_level=self.mem_level,
            min_bytes=self.min_bytes,
        )


def negotiate(offer_header: str, *, level: int = 1, mem_level: int = 8) -> tuple[str, PerMessageDeflate]:
    """The server's side: the answer to an offer, and the compression agreed. Agrees to all that is asked.

    For scripted peers and tests: one offer, no alternatives. Raises ``ProtocolViolation`` for an invalid offer.
    """
    asked = _parse(offer_header)
    local_bits = _bits(asked, "server_max_window_bits")
    remote_bits = 15 if asked.get("client_max_window_bits") is None else _bits(asked, "client_max_window_bits")
    parts = [EXTENSION]
    parts += [name for name in ("server_no_context_takeover", "client_no_context_takeover") if name in asked]
    if local_bits is not None:
        parts.append(f"server_max_window_bits={local_bits}")
    if "client_max_window_bits" in asked:
        parts.append(f"client_max_window_bits={remote_bits}")
    agreed = PerMessageDeflate(
        local_max_window_bits=local_bits or 15,
        remote_max_window_bits=remote_bits or 15,
        local_no_context_takeover="server_no_context_takeover" in asked,
        remote_no_context_takeover="client_no_context_takeover" in asked,
        level=level,
        mem_level=mem_level,
    )
    return "; ".join(parts), agreed


def _parse(header: str) -> dict[str, str | None]:
    """Parameter -> value (None without one) of a header that names this extension alone."""
    name, semicolon, rest = header.strip(" \t").partition(";")
    if name.rstrip(" \t") != EXTENSION:
        raise ProtocolViolation("the extension is not the one offered")
    parameters: dict[str, str | None] = {}
    if semicolon and not rest.strip():
        raise ProtocolViolation("an extension parameter is empty")
    position = 0
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        if match is None or (match.end() == len(rest) and rest.endswith(";")):
            raise ProtocolViolation("the extension parameters cannot be read")
        key, plain, quoted = match.groups()
        value = plain if plain is not None else quoted
        if key in parameters:
            raise ProtocolViolation("an extension parameter comes twice")
        if key in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                raise ProtocolViolation("a context takeover parameter has a value")
        elif key not in ("server_max_window_bits", "client_max_window_bits"):
            raise ProtocolViolation("an extension parameter is unknown")
        parameters[key] = value
        position = match.end()
    return parameters


def _bits(parameters: dict[str, str | None], name: str) -> int | None:
    """The window bits of parameter ``name``, None if it was not sent. 8 to 15, without leading zeros."""
    if name not in parameters:
        return None
    value = parameters[name]
    if value is None or value not in _BITS:
        raise ProtocolViolation(f"{name} is not a number from 8 to 15")
    return _BITS[value]
