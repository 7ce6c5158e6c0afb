"""The composition: every endpoint on one port, what stands before them all, and the end of a server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from locust_ext.refserver.agent import AgentChannel
from locust_ext.refserver.connection import UpgradeAbandoned
from locust_ext.refserver.context import ContextApi
from locust_ext.refserver.control import CONTROL_PATHS, ControlApi
from locust_ext.refserver.echo import EchoChannel
from locust_ext.refserver.gate import Gate
from locust_ext.refserver.live import LiveChannel
from locust_ext.refserver.monitor import MonitorChannel
from locust_ext.refserver.options import MAX_MESSAGE_BYTES, Options
from locust_ext.refserver.page import serve_page
from locust_ext.refserver.responses import framework_page
from locust_ext.refserver.state import State

_BACKLOG = 4096
_GRACE_S = 0.3
"""How long connections have to take their close frames when the server ends."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """One reference server; ``start()`` and ``stop()`` are called once each, in the event loop that serves it."""

    def __init__(self, options: Options) -> None:
        self.state = State(options)
        gate = Gate(options)
        live = LiveChannel(self.state)
        agents = AgentChannel(self.state, gate)
        monitor = MonitorChannel(self.state, gate)
        app = web.Application(middlewares=[self._stand_before], client_max_size=MAX_MESSAGE_BYTES)
        app.add_routes(
            [
                web.get("/", serve_page),
                web.get("/echo", EchoChannel(self.state).serve),
                web.get("/api/v1/ws/monitor/{client_id}", monitor.serve),
                web.get("/api/v1/ws/{client_id}", agents.serve),
                *ContextApi(self.state, live).routes(),
                *ControlApi(self.state, agents).routes(),
            ]
        )
        live.attach(app)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_GRACE_S)

    async def start(self, host: str, port: int) -> int:
        """Serve on ``host``; returns the port, which is a free one if ``port`` is 0. Raises OSError."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=_BACKLOG, shutdown_timeout=_GRACE_S)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def say_goodbye(self) -> None:
        """Let go of the port and close every connection with 1001; they have 0.3 s to take it."""
        for site in list(self._runner.sites):
            await site.stop()
        self.state.reading.set()
        leaving = [connection.transport for connection in self.state.connections]
        for connection in list(self.state.connections):
            connection.leave(1001)
        ends = asyncio.get_running_loop().time() + _GRACE_S
        while any(t.get_write_buffer_size() for t in leaving) and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(0.01)
        for transport in leaving:
            if transport.get_write_buffer_size():
                transport.abort()

    async def stop(self) -> None:
        """End what ``say_goodbye()`` has left: some 0.3 ms for each connection."""
        await self._runner.cleanup()

    @web.middleware
    async def _stand_before(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.path in CONTROL_PATHS:
            return await handler(request)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._upgrade(request, handler)
        counters = self.state.counters
        counters.http_requests += 1
        response = await self._answer(request, handler)
        counters.http_by_status[str(response.status)] += 1
        return response

    async def _upgrade(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        response: web.StreamResponse
        chosen = self.state.faults.chosen
        if chosen.refuse_upgrades:
            self.state.faults.note("refuse_upgrades")
            response = self._refusal(chosen.http_status or 503)
        else:
            try:
                response = await handler(request)
            except UpgradeAbandoned as abandoned:
                return abandoned.response
            except web.HTTPException as refusal:
                response = framework_page(refusal.status)
        if response.status != 101:
            self.state.counters.refused_upgrades += 1
        return response

    async def _answer(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        faults = self.state.faults
        if faults.chosen.http_status is not None:
            faults.note("http_status")
            return self._refusal(faults.chosen.http_status)
        if faults.touches_messages and not request.path.startswith("/socket.io/"):  # its messages are judged one by one
            fails, delay_s = faults.judge_http(asyncio.get_running_loop().time(), self.state.open_count)
            if delay_s:
                await asyncio.sleep(delay_s)
            if fails:
                return framework_page(500)
        try:
            return await handler(request)
        except web.HTTPException as problem:
            allow = problem.headers.get("Allow")
            return framework_page(problem.status, {"Allow": allow} if allow else None)

    def _refusal(self, status: int) -> web.Response:
        retry_after_s = self.state.faults.chosen.retry_after_s
        if retry_after_s is None or status not in (429, 503):
            return framework_page(status)
        return framework_page(status, {"Retry-After": f"{retry_after_s:g}"})
