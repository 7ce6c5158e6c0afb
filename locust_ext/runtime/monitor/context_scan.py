"""`ContextScan`: counts the keys of a context server's whole context, fed with pieces of ``/ctx/all``'s answer.

The context grows with a run; decoding megabytes of JSON at once would stall the loop for tens of milliseconds.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)
_STRING_END = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*("|\\?\Z)', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_CLOSED = re.compile(rb"\{:*\}|\[:*\]")
_NO_SHAPE = bytes(set(range(256)) - set(b"{}[]:"))
_OPENING, _CLOSING = b"{[", b"}]"
SLICE_BYTES = 4096
COLLAPSES = 6
MAX_WORD = 64


class ContextScan:
    """Follows JSON (RFC 8259) without building it; what is no such object gives no values."""

    def __init__(self) -> None:
        self._nesting = bytearray()
        self._is_in_string = False
        self._has_backslash = False
        self._field = b""
        """The member of the outermost object whose value is being read; before its colon, its name."""
        self._is_value = False
        self._scalar = b""
        self._keys: int | None = None
        self._clients: int | None = None
        self._is_whole = False
        self._is_broken = False

    @property
    def values(self) -> dict[str, float]:
        """``context_keys`` and ``connected_clients``; empty before the end, or if this was no such answer."""
        if not self._is_whole or self._is_broken:
            return {}
        found = {"context_keys": self._keys, "connected_clients": self._clients}
        return {name: float(value) for name, value in found.items() if value is not None}

    def feed(self, piece: bytes) -> None:
        """The next piece; some 20 µs a KB."""
        for at in range(0, len(piece), SLICE_BYTES):
            self._feed(piece[at : at + SLICE_BYTES])

    def _feed(self, piece: bytes) -> None:
        if self._is_broken:
            return
        at = 0
        if self._is_in_string:
            if self._has_backslash:
                piece, self._has_backslash = b"\\" + piece, False
            ended = _STRING_END.match(piece)
            assert ended is not None  # it matches anything
            if len(self._nesting) == 1 and not self._is_value:
                self._field = (self._field + ended[0][:MAX_WORD])[:MAX_WORD]
            if ended[1] != b'"':
                self._has_backslash = ended[1] == b"\\"
                return
            self._is_in_string, at = False, ended.end()
        if len(self._nesting) >= 2 and self._skip(piece[at:]):
            return
        for match in _TOKEN.finditer(piece, at):
            token = match[0]
            first = token[:1]
            if first == b'"':
                self._is_in_string = match.end() == len(piece) and not _is_closed(token)
                if self._is_in_string:
                    self._has_backslash = _ends_in_backslash(token)
                if len(self._nesting) == 1 and not self._is_value:
                    self._field = token[:MAX_WORD]
            else:
                self._on_token(token, first)

    def _skip(self, piece: bytes) -> bool:
        """What lies inside a member of the outermost object is reduced to its brackets and colons, by C code.

        False, with nothing done: the member ends in this piece, or is no JSON.
        """
        before, quote, begun = _STRING.sub(b"", piece).partition(b'"')  # after the whole strings: one that goes on
        shape = before.translate(None, _NO_SHAPE)
        for _ in range(COLLAPSES):
            length, shape = len(shape), _CLOSED.sub(b"", shape)
            if len(shape) == length:
                break
        nesting, keys = bytearray(self._nesting), 0
        for byte in shape:
            if byte == 58:  # a colon
                keys += len(nesting) == 2
            elif byte in _OPENING:
                nesting.append(byte)
            elif len(nesting) <= 2 or _OPENING.index(nesting[-1]) != _CLOSING.index(byte):
                return False
            else:
                nesting.pop()
        self._nesting = nesting
        if self._keys is not None and self._field == b'"context"':
            self._keys += keys
        if quote:
            self._is_in_string = True
            self._has_backslash = (len(begun) - len(begun.rstrip(b"\\"))) % 2 == 1
        return True

    def _on_token(self, token: bytes, first: bytes) -> None:
        depth = len(self._nesting)
        if first in (b"{", b"["):
            if self._is_whole or (depth == 0 and first != b"{"):
                self._is_broken = True
                return
            if depth == 1 and self._field == b'"context"' and first == b"{":
                self._keys = 0
            self._nesting += first
        elif first in (b"}", b"]"):
            if depth == 0 or _OPENING.index(self._nesting[-1]) != _CLOSING.index(first):
                self._is_broken = True
                return
            if depth == 1:
                self._end_member()
            self._nesting.pop()
            self._is_whole = not self._nesting
        elif depth == 1:
            if token == b":":
                self._is_value = True
            elif token == b",":
                self._end_member()
            else:
                self._scalar += token[:MAX_WORD]
        elif depth == 2 and token == b":" and self._field == b'"context"':
            if self._keys is not None:
                self._keys += 1
        elif depth == 0:
            self._is_broken = True

    def _end_member(self) -> None:
        if self._field == b'"connected_clients"' and self._scalar.isdigit() and len(self._scalar) < 16:
            self._clients = int(self._scalar)
        self._field, self._scalar, self._is_value = b"", b"", False


def _is_closed(token: bytes) -> bool:
    """Whether a string's token that stands at the end of a piece is whole: it ends in a quote that is not escaped."""
    if len(token) < 2 or not token.endswith(b'"'):
        return False
    body = token[1:-1]
    return (len(body) - len(body.rstrip(b"\\"))) % 2 == 0


def _ends_in_backslash(token: bytes) -> bool:
    body = token[1:]
    return (len(body) - len(body.rstrip(b"\\"))) % 2 == 1
