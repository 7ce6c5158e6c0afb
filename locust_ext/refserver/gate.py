"""Who may connect to the agent and monitor channels: tokens and limits, refused as HTTP 403 on the upgrade."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from locust_ext.refserver.limits import AccountLimit, ConnectLimit
from locust_ext.refserver.options import Options
from locust_ext.refserver.tokens import ANYBODY, Client, verify


class Gate:
    """Decides on upgrades; one for both channels, since an account's connections count together."""

    def __init__(self, options: Options) -> None:
        self._secret = options.token
        self._connects = ConnectLimit(options.max_connects_per_minute)
        self._accounts = AccountLimit(options.max_connections_per_account)

    @contextmanager
    def enter(self, request: web.Request) -> Iterator[Client]:
        """The client that asks, for as long as its connection lasts; raises HTTPForbidden."""
        if not self._connects.admits(request.remote or "", asyncio.get_running_loop().time()):
            raise web.HTTPForbidden
        client = ANYBODY
        if self._secret is not None:
            known = verify(request.query.get("token", ""), self._secret)
            if known is None:
                raise web.HTTPForbidden
            client = known
        if not self._accounts.enter(client.account):
            raise web.HTTPForbidden
        try:
            yield client
        finally:
            self._accounts.leave(client.account)
