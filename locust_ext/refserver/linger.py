"""The end of a connection whose client is still sending: what comes is read and thrown away for a moment.

A socket that is closed with unread data in it sends a reset, and the reset overtakes the close frame that says why: a
client in the middle of a message that is too big would see a lost connection instead of 1009.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

from aiohttp import web

_LONGEST_S: Final = 2.0
_QUIET_S: Final = 0.1
"""The client has stopped sending if nothing came for so long."""
_FAULT_OF_THE_CLIENT: Final = (1002, 1007, 1009)


class LingeringResponse(web.WebSocketResponse):
    """An upgraded response that leaves the transport open when it closes for the client's fault; see ``linger()``."""

    lingers = False

    async def close(self, *, code: int = 1000, message: bytes = b"", drain: bool = True) -> bool:
        self.lingers = self.lingers or code in _FAULT_OF_THE_CLIENT
        return await super().close(code=code, message=message, drain=drain)

    def _close_transport(self) -> None:
        if not self.lingers:
            super()._close_transport()


class _Waste(asyncio.Protocol):
    def __init__(self, successor: asyncio.BaseProtocol) -> None:
        self._successor = successor
        self.came = False
        self.ended = False

    def data_received(self, data: bytes) -> None:
        self.came = True

    def eof_received(self) -> None:
        self.ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self._successor.connection_lost(exc)


async def linger(transport: asyncio.Transport) -> None:
    """Throw away what the client sends until it ends or falls quiet, 2 s at most."""
    if transport.is_closing():
        return
    protocol = transport.get_protocol()
    waste = _Waste(protocol)
    transport.set_protocol(cast(asyncio.BaseProtocol, waste))
    transport.resume_reading()
    ends = asyncio.get_running_loop().time() + _LONGEST_S
    while not waste.ended and asyncio.get_running_loop().time() < ends:
        waste.came = False
        await asyncio.sleep(_QUIET_S)
        if not waste.came:
            break
    if not transport.is_closing():
        transport.set_protocol(protocol)
        transport.close()
