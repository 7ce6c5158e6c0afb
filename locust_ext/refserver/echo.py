"""``/echo``: every message comes back as it was, text as text and binary as binary."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from locust_ext.refserver.connection import upgrade
from locust_ext.refserver.frames import binary_frame, text_frame
from locust_ext.refserver.lane import Answer
from locust_ext.refserver.options import MAX_MESSAGE_BYTES
from locust_ext.refserver.replies import error
from locust_ext.refserver.state import State


def _echo(data: str | bytes, answer: Answer) -> None:
    if isinstance(data, str):
        answer("text", text_frame(data))
    else:
        answer("binary", binary_frame(data))


def _fail(answer: Answer) -> None:
    error(answer, "INJECTED_FAULT", "the fault error_ratio struck")


class EchoChannel:
    """All connections of ``/echo``."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from the upgrade to its end."""
        connection = await upgrade(request, "echo", MAX_MESSAGE_BYTES, self._state)
        try:
            while (data := await connection.read()) is not None:
                self._state.counters.received("echo", "text" if isinstance(data, str) else "binary")
                connection.lane.admit(partial(_echo, data), _fail, connection.answer)
        finally:
            await connection.forget()
        return connection.response
