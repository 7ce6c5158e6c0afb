"""`AgentUser`: the agent channel and, at its first use, the monitor channel of the same client."""

from __future__ import annotations

import locust  # noqa: F401 – monkey-patches, before anything below imports a socket

from typing import Any, ClassVar
from urllib.parse import quote

from locust_ext.core.messages.message import Message
from locust_ext.core.protocols.correlation import AgentChannel, MonitorChannel
from locust_ext.plugin.users.websocket import WebSocketChannel, WebSocketUser
from locust_ext.runtime.address import Endpoint
from locust_ext.runtime.profile import MessagingProfile


class AgentUser(WebSocketUser):
    """A client of an agent platform: ``self.ws`` is its agent channel, ``self.monitor`` its monitor channel.

    The server drops a client that sends no text for 30 s, so this one sends ``heartbeat`` after 20 s of its own silence.
    """

    abstract = True

    path = "/api/v1/ws/{client_id}"
    monitor_path: str = "/api/v1/ws/monitor/{client_id}"
    correlate = AgentChannel()
    agent_host: str | None = None
    """Base address of the agent channel where it is not ``host``; the flag ``--ext-agent-host`` wins."""
    heartbeat_s: float = 20.0
    """Seconds of its own silence after which it sends ``heartbeat``; 0: it never does."""

    _monitor_correlation: ClassVar[MonitorChannel] = MonitorChannel()

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._monitor: WebSocketChannel | None = None

    @property
    def monitor(self) -> WebSocketChannel:
        """The monitor channel, connected at its first use. Raises `ConnectFailed`."""
        if self._monitor is None:
            self._monitor = self.open(self.monitor_path, self._monitor_correlation, connect=False)
            self._monitor.label = "monitor"
        self._monitor.ensure()
        return self._monitor

    def profile(self, correlate: Any = None, **more: Any) -> MessagingProfile:
        if correlate is None and self.heartbeat_s:
            return super().profile(
                None,
                heartbeat_s=self.heartbeat_s,
                heartbeat_timeout_s=self.request_timeout_s,
                heartbeat_message={"type": "heartbeat"},
                **more,
            )
        if correlate is self._monitor_correlation and self.heartbeat_s:
            return super().profile(
                correlate,
                heartbeat_s=self.heartbeat_s,
                heartbeat_timeout_s=self.request_timeout_s,
                heartbeat_message={"type": "ping"},
                **more,
            )
        return super().profile(correlate, **more)

    def base_url(self, channel: WebSocketChannel) -> str:
        options = self.environment.parsed_options
        return getattr(options, "ext_agent_host", None) or self.agent_host or self.host or ""

    def authorization(self, target: Endpoint) -> dict[str, str]:
        """None beside a token in the query: a callable is asked once a connect, and may give another one each time."""
        return {} if "token=" in target.url.partition("?")[2] else super().authorization(target)

    def path_and_query(self, path: str) -> tuple[str, str]:
        """The agent channel takes its token in the query, not in a header (CONTRACTS, section 2)."""
        path, query = super().path_and_query(path)
        if "token=" not in path.partition("?")[2] and (token := self.bearer_token()):
            query = f"token={quote(token, safe='')}"
        return path, query

    message_channels: ClassVar[frozenset[str | None]] = frozenset({"agent", "monitor"})

    def channel_of(self, message: Message) -> WebSocketChannel | None:
        if message.channel == "monitor":
            return self.monitor
        return self.ws if message.channel in (None, "agent") else None
