"""`ContextServerUser`: the context server's HTTP interface, typed, and its live event channel over Socket.IO."""

from __future__ import annotations

from locust.contrib.fasthttp import FastHttpUser
from locust.exception import StopTest

from collections.abc import Callable, Mapping
from time import monotonic
from types import MappingProxyType
from typing import Any, ClassVar, Literal, cast
from urllib.parse import quote, urlencode

import orjson

from locust_ext.core.accounting.fanout import Cause, Member
from locust_ext.core.messages.context_ops import ContextOps
from locust_ext.core.messages.message import Message
from locust_ext.core.protocols.correlation import ConfirmedBy
from locust_ext.core.protocols.ties import KeyedFanOut, filled, key_and_value
from locust_ext.errors import CheckFailed, ConfigError, ErrorReply
from locust_ext.plugin.users.base import RealTimeUser
from locust_ext.plugin.users.context_answers import (
    ContextAll,
    ContextDump,
    ContextDumps,
    ContextHistory,
    ContextSet,
    ContextValue,
)
from locust_ext.plugin.users.failures import quiet
from locust_ext.plugin.users.http_session import ContextSession, RequestEvent, operation_error
from locust_ext.plugin.users.http_side import close_http
from locust_ext.plugin.users.socketio import SocketIOChannel, socketio_profile
from locust_ext.runtime.address import endpoint
from locust_ext.runtime.profile import MessagingProfile
from locust_ext.runtime.proxy import ENVIRONMENT, Proxy, parse_proxy, proxy_for

DumpFormat = Literal["json", "pretty", "csv", "txt"]


CONTEXT_UPDATED = KeyedFanOut("context_updated")


class LiveChannel(SocketIOChannel):
    """The live event channel: a ``context_set`` is told to all others as ``context_updated``."""

    def _begin_event(self, event: str, data: Any) -> tuple[Any, Cause] | None:
        connection = self.connection
        if event != "context_set" or connection is None or connection.state != "open":
            return None
        if not isinstance(data, dict) or "key" not in data or "value" not in data:
            return None
        value, cause = self._user.begin_change(data["key"], data["value"], connection.member)
        return {**data, "value": value}, cause


class ContextServerUser(RealTimeUser, FastHttpUser):
    """A client of a context server: typed HTTP methods, ``self.client`` (FastHttpSession), and ``self.live`` (Socket.IO).

    The typed methods give the decoded answer, or record the failure and raise `OperationError`, as the requests of the
    real-time users do. The live channel shares the HTTP side's cookies, headers and token.
    """

    abstract = True

    network_timeout = 10.0
    connection_timeout = 10.0
    insecure = False
    socketio_path: str = "/socket.io/"
    confirm: Mapping[str, str | tuple[str, tuple[str, ...]]] | ConfirmedBy = MappingProxyType(
        {"context_set": ("context_set_confirmed", ("key", "value"))}
    )
    """Live events that are confirmed by another event."""
    prepared_entries: int = 0
    """So many keys that are set before the users of each run start, by the process that owns the run: see
    `prepared_entry`. They are counted nowhere."""

    _live_profile: ClassVar[MessagingProfile | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._live_profile = None
        if cls.proxy not in (None, ENVIRONMENT) and cls.proxy_host is None and not cls.__dict__.get("abstract", False):
            _http_only(parse_proxy(cls.proxy), cls)

    @classmethod
    def check_settings(cls) -> None:
        super().check_settings()
        count = cls.prepared_entries
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise ConfigError(
                "expected a whole number of at least 0", key=f"{cls.__name__}.prepared_entries", value=count
            )

    def __init__(self, environment: Any) -> None:
        headers = self.setting("headers")
        if not callable(headers) and (headers or self.default_headers):
            self.headers = self.default_headers = {**headers, **(self.default_headers or {})}
        proxy = self._use_tls_and_proxy()
        super().__init__(environment)
        session = cast(ContextSession, self.client)
        session.__class__ = ContextSession  # all that FastHttpUser has set up, with our requests
        if proxy is not None and self.client_pool is None:
            session.client.clientpool.client_args.update(proxy_user=proxy.username, proxy_password=proxy.password)
        if callable(headers):
            session.own_headers = self.own_headers
        session.request_event = cast(Any, RequestEvent(self.intake))
        session.recorder = self.intake.recorder
        if self.setting("token") is not None:
            session.bearer = self.bearer_token
        self._live: SocketIOChannel | None = None

    def share_http(self) -> None:
        """Nothing is left to be done: its session has been told all when it was made."""

    def _use_tls_and_proxy(self) -> Proxy | None:
        """Give the HTTP side what the upgrades use too; what was set in Locust's own words stays."""
        cls = type(self)
        if self.ssl_context_factory is None and not self.insecure:
            # geventhttpclient would switch the checks of a context on again, unless it is told otherwise.
            own = cls.tls_context
            self.insecure = not cls.verify_tls if own is None else not own.check_hostname
            self.ssl_context_factory = lambda **_: cls.tls_context_in_use()
        if not self.host or self.proxy_host is not None:
            return None
        try:
            proxy = proxy_for(endpoint(self.host, "/"), self.proxy)
            if proxy is not None:
                _http_only(proxy, cls)
        except ConfigError as error:
            raise StopTest(str(error)) from error  # what FastHttpUser raises without a host
        if proxy is not None:
            self.proxy_host, self.proxy_port = proxy.hostname, proxy.port
        return proxy

    def _close_all(self) -> None:
        try:
            super()._close_all()
        finally:
            close_http(self)  # now, and not when the user's greenlet has ended

    # ── HTTP ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def get(self, key: str) -> ContextValue:
        """``GET /ctx``: the value of a key. Raises `OperationError`, recorded."""
        return cast(ContextValue, self._ask("GET", f"/ctx?key={quote(key, safe='')}", "/ctx"))

    def set(self, key: str, value: Any, who: str | None = None) -> ContextSet:
        """``POST /ctx``: set a key; the server tells all sockets. Raises `OperationError`, recorded."""
        value, cause = self.begin_change(key, value)
        succeeded = False
        try:
            body = {"key": key, "value": value} if who is None else {"key": key, "value": value, "who": who}
            answer = cast(ContextSet, self._ask("POST", "/ctx", "/ctx", body))
            succeeded = True
            return answer
        finally:
            self.intake.recorder.fan_outs.settle(cause, succeeded)

    def all(self) -> ContextAll:
        """``GET /ctx/all``: the whole context. Raises `OperationError`, recorded."""
        return cast(ContextAll, self._ask("GET", "/ctx/all", "/ctx/all"))

    def history(self, key: str | None = None, who: str | None = None) -> ContextHistory:
        """``GET /ctx/history``, of one key or of one author on request. Raises `OperationError`, recorded."""
        query = urlencode({name: value for name, value in (("key", key), ("who", who)) if value is not None})
        return cast(
            ContextHistory, self._ask("GET", f"/ctx/history?{query}" if query else "/ctx/history", "/ctx/history")
        )

    def dump(
        self,
        format: DumpFormat = "json",
        filename: str | None = None,
        who: str | None = None,
        include_history: bool | None = None,
        name: str = "/ctx/dump",
    ) -> ContextDump:
        """``POST /ctx/dump``: write the context to a file of the server; ``name`` is its row in the statistics.

        Raises `OperationError`, recorded.
        """
        given = {"format": format, "filename": filename, "who": who, "include_history": include_history}
        body = {key: value for key, value in given.items() if value is not None}
        return cast(ContextDump, self._ask("POST", "/ctx/dump", name, body))

    def dumps(self) -> ContextDumps:
        """``GET /ctx/dump/list``: the dumps there are. Raises `OperationError`, recorded."""
        return cast(ContextDumps, self._ask("GET", "/ctx/dump/list", "/ctx/dump/list"))

    def download(self, filename: str) -> bytes:
        """``GET /ctx/dump/<filename>``: a dump's bytes. Raises `OperationError`, recorded."""
        with self.client.request(
            "GET", f"/ctx/dump/{quote(filename, safe='')}", name="/ctx/dump/{filename}", catch_response=True
        ) as response:
            pass
        self._raise_for(response)
        return response.content or b""

    def _ask(self, method: str, path: str, name: str, body: Any = None) -> Any:
        """One request with a JSON answer whose ``status`` is ``success``."""
        answer = None
        with self.client.request(
            method,
            path,
            name=name,
            data=cast(Any, None if body is None else orjson.dumps(body)),
            headers=None if body is None else JSON_HEADERS,
            catch_response=True,
        ) as response:
            if response.status_code == 200 and response.request_meta["exception"] is None:
                try:
                    answer = orjson.loads(response.content or b"")
                except orjson.JSONDecodeError:
                    response.failure(CheckFailed("the answer is not JSON"))
                else:
                    if not isinstance(answer, dict) or answer.get("status") != "success":
                        response.failure(ErrorReply("the answer's status is not success", answer))
        self._raise_for(response)
        return answer

    @staticmethod
    def _raise_for(response: Any) -> None:
        error = response.request_meta["exception"]
        if error is not None:
            raise quiet(operation_error(error, response))

    def prepared_entry(self, index: int) -> tuple[str, Any]:
        """Key and value of one of ``prepared_entries``, from 0 on: ``key_0``, … or the shared keys of its `ContextOps`.

        Override it for entries of your own. The user that is asked was made for this; it is never started.
        """
        generator = self.setting("generator")
        return (generator if isinstance(generator, ContextOps) else ContextOps()).entry(self.random, index)

    # ── live events ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def live(self) -> SocketIOChannel:
        """The live event channel; its first use makes it, ``connect()`` opens it, its other methods wait for that."""
        if self._live is None:
            cls = type(self)
            if cls._live_profile is None:
                cls._live_profile = socketio_profile(cls, cls.confirm, "error", CONTEXT_UPDATED)
            self._live = LiveChannel(self, self.socketio_path, cls._live_profile)
            self._live.label = "live"
            self.channels.append(self._live)
        return self._live

    def socketio_url(self, channel: SocketIOChannel) -> str:
        return self.host or ""

    def begin_change(self, key: Any, value: Any, skips: Member | None = None) -> tuple[Any, Cause]:
        """The context is about to be changed, and all live channels to be told of it: the value to send, and the cause.

        An empty marker in the value is filled in. ``skips``: the server does not tell this connection.
        """
        now_us = round(monotonic() * 1e6)
        fan_outs = self.intake.recorder.fan_outs
        marker = fan_outs.mark(now_us)
        marked = filled(value, marker)
        tie = key_and_value(key, value) if marked is value else marker
        audience = f"{self.host or ''}{self.socketio_path.partition('?')[0]}/"
        return marked, fan_outs.send(audience, CONTEXT_UPDATED.event, tie, now_us, skips)

    # ── driven by a generator ──────────────────────────────────────────────────────────────────────────────────────

    message_channels: ClassVar[frozenset[str | None]] = frozenset({"http", "live"})

    def perform(self, message: Message, intended_s: float | None = None) -> bool:
        body = message.body
        if message.channel == "live" and isinstance(body, dict):
            self.live.ensure()
            self.live.call("context_set", {"key": body["key"], "value": body["value"]}, intended_s=intended_s)
            return True
        if message.channel == "http" and isinstance(body, dict):
            event = cast(RequestEvent, cast(ContextSession, self.client).request_event)
            event.late_us = None if intended_s is None else max(0, int((monotonic() - intended_s) * 1e6))
            try:
                self._operations[body["op"]](self, body)
            finally:
                event.late_us = None
            return True
        return super().perform(message, intended_s)

    _operations: ClassVar[dict[str, Callable[[ContextServerUser, dict[str, Any]], object]]] = {
        "get": lambda user, body: user.get(body["key"]),
        "set": lambda user, body: user.set(body["key"], body["value"]),
        "all": lambda user, body: user.all(),
        "history": lambda user, body: user.history(body.get("key")),
        "dump": lambda user, body: user.dump(
            body.get("format", "json"), body.get("filename"), name=body.get("name", "/ctx/dump")
        ),
    }


def _http_only(proxy: Proxy, cls: type[ContextServerUser]) -> None:
    """Locust's HTTP client knows no SOCKS. Raises `ConfigError`."""
    if proxy.scheme != "http":
        raise ConfigError("expected http:// for a user with an HTTP side", key=f"{cls.__name__}.proxy")


JSON_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
