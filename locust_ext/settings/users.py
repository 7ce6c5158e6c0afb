"""The settings of user classes: of which kind each is, how many there are of it, where it connects, what it says and when.

A pattern or generator stands by its name, or as the one key of a mapping of its parameters. Names, parameters and what
goes together are looked at where they are put into the classes (`plugin.users.rules`), by the tables that hold them.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from locust_ext.settings.matching import Confirm, Correlate, FanOutSettings, Texts
from locust_ext.settings.types import (
    MOST_S,
    MOST_USERS,
    NAMES,
    Above0,
    BaseUrl,
    Host,
    Weight,
    exactly_one,
    number,
    wrong,
)

Kind = Literal["agent", "websocket", "socketio", "context", "realistic"]
KIND_NAMES: Final[tuple[str, ...]] = get_args(Kind)
SECRET_KEYS: Final = ("token", "headers", "auth", "proxy")
"""Those of a user class whose values are never shown, wherever they come from."""
_SECRET_PATH: Final = re.compile(rf"users\.[^.]+\.({'|'.join(SECRET_KEYS)})(\.|$)|rules\.webhook\.url$")


def is_always_secret(key: str) -> bool:
    """Whether the value at this path of a settings file is a secret whatever it is."""
    return _SECRET_PATH.match(key) is not None


def _chosen(value: Any) -> Any:
    """A check of ``intermittent`` or ``{intermittent: {connected_s: [60, 300]}}``."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise wrong("expected a name, or a mapping with one name over its parameters")
    return _parameters(value)


def _parameters(value: dict[str, Any]) -> dict[str, Any]:
    """A check of parameters by name."""
    for name, parameters in value.items():
        if not isinstance(parameters, dict) or not all(isinstance(key, str) for key in parameters):
            raise wrong(f"expected a mapping of parameters under {name}")
    return value


Pattern = Annotated[Any, AfterValidator(_chosen), WithJsonSchema({NAMES: "patterns", "form": "one of"})]
Generator = Annotated[Any, AfterValidator(_chosen), WithJsonSchema({NAMES: "generators", "form": "one of"})]


def _think_time(value: Any) -> Any:
    if isinstance(value, str):  # out of an environment variable
        try:
            value = float(value)
        except ValueError:
            raise wrong("expected seconds, or a pair [low, high] of them") from None
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_S):
        return value
    if isinstance(value, list | tuple) and len(value) == 2:
        low, high = (_think_time(each) for each in value)
        if isinstance(low, int | float) and isinstance(high, int | float) and low <= high:
            return [low, high]
    raise wrong("expected seconds, or a pair [low, high] of them")


_SECONDS_SCHEMA: Final = {"type": "number", "minimum": 0, "maximum": MOST_S}
ThinkTime = Annotated[
    Any,
    AfterValidator(_think_time),
    WithJsonSchema(
        {
            "anyOf": [
                _SECONDS_SCHEMA,
                {"type": "array", "items": _SECONDS_SCHEMA, "minItems": 2, "maxItems": 2},
                {"type": "null"},
            ]
        }
    ),
]
"""Seconds, or a pair [low, high] that they are drawn from."""


class _OfUsers(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PacingSettings(_OfUsers):
    """How often a user speaks; one of the two models."""

    model_config = ConfigDict(json_schema_extra=exactly_one("closed_loop", "open_loop"))

    closed_loop: ThinkTime = None
    """Seconds of think time after a reply, or [low, high] to draw them from."""
    open_loop: Above0 | None = None
    """Messages a second of each user, whether or not the replies have come."""
    poisson: bool = False
    """Of an open loop: exponentially distributed gaps, instead of even ones."""

    @model_validator(mode="after")
    def _one_of_two(self) -> PacingSettings:
        if (self.closed_loop is None) == (self.open_loop is None):
            raise wrong("expected either closed_loop or open_loop")
        if self.poisson and self.open_loop is None:
            raise wrong("expected poisson beside open_loop only")
        return self


def _filled(value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise wrong("expected a text that is not empty")
    return value


def _quoted(value: Any) -> Any:
    """Of a number YAML does not tell how it was written: 0123 is 83 to it."""
    if not isinstance(value, str):
        raise wrong("expected a text, in quotes")
    return value


_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2


def _headers(headers: dict[str, str] | None) -> dict[str, str] | None:
    for name, value in (headers or {}).items():
        if not _TOKEN.fullmatch(name):
            raise wrong("expected names of headers, without spaces and colons")
        if any(sign in value for sign in "\r\n\0") or not value.isascii():
            raise wrong("expected ASCII values of one line")
    return headers


Text = Annotated[str, AfterValidator(_filled)]
Count = Annotated[int, BeforeValidator(number), Field(ge=1, le=10**9)]
Some = Annotated[int, BeforeValidator(number), Field(ge=0, le=MOST_USERS)]


def _not_null(key: str) -> dict[str, Any]:
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}


class UserSettings(_OfUsers):
    """What one user class is and does, instead of what its code says; what is left out stays as it is there."""

    model_config = ConfigDict(json_schema_extra={"not": {"allOf": [_not_null("think_time"), _not_null("pacing")]}})

    kind: Kind | None = None
    """What the class is: in locustfiles/scenario.py it is made so, in another locustfile it has to be so already."""
    weight: Weight | None = None
    """Its part of all users, beside the weights of the other classes; 0: none of it is started."""
    fixed_count: Some | None = None
    """Exactly so many users of it, whatever the weights; 0: the weight counts."""
    host: Host = None
    """Base address of this class's server, or "embedded". ``--host`` wins."""

    generator: Generator = None
    """What it says: the name of a message generator, or that name over its parameters; without one it only listens."""
    pattern: Pattern = None
    """When it connects, goes and returns: the name of a lifecycle pattern, or that name over its parameters."""
    think_time: ThinkTime = None
    """Seconds between a reply and the next message, or [low, high]; of a class with tasks: between two tasks."""
    pacing: PacingSettings | None = None
    """How often it speaks, as a closed or an open loop; ``think_time`` is the short form of a closed one."""
    max_in_flight: Count | None = None
    """Requests that may be open on a connection at once, in an open loop."""

    path: Text | None = None
    """Path of the WebSocket, with ``{client_id}`` filled in for each user."""
    monitor_path: Text | None = None
    """Path of an agent platform's monitor channel."""
    agent_host: BaseUrl = None
    """Base address of the agent channel where it is not the host. ``--ext-agent-host`` wins."""
    heartbeat_s: Weight | None = None
    """Seconds of its own silence after which an agent platform's client sends ``heartbeat``; 0: it never does."""
    correlate: Correlate = None
    """Which reply answers which request: fifo, by_id, agent, monitor, {by_id: field}, {by_type: {ping: pong}}, …"""
    fan_out: FanOutSettings = None
    """The push that a message with a marker brings to all connections, by its name: its delay and reach are measured."""
    socketio_path: Text | None = None
    """Path of the Socket.IO endpoint."""
    namespace: Text | None = None
    """Of Socket.IO."""
    auth: dict[str, Any] | None = Field(default=None, repr=False)
    """Sent with the CONNECT of the Socket.IO namespace. Never shown."""
    confirm: Confirm = None
    """Socket.IO events that another event confirms: {join: joined}, or with the fields that tell: {set: [done, [key]]}."""
    prepared_entries: Some | None = None
    """So many keys are set on the context server before its users start; they are in no figure."""

    connect_timeout_s: Above0 | None = None
    """One deadline over name resolution, TCP, TLS and the upgrade; of HTTP too."""
    request_timeout_s: Above0 | None = None
    """Deadline of a reply; of HTTP too."""
    ping_interval_s: Weight | None = None
    """Seconds between keep-alive pings of a WebSocket; 0: none."""
    ping_timeout_s: Above0 | None = None
    """Seconds that the answer to a keep-alive ping may take."""
    max_message_bytes: Count | None = None
    """A longer message ends the connection."""
    max_inbox: Count | None = None
    """Pushes kept for the tasks of a class with tasks."""
    inbox_policy: Literal["drop_oldest", "close"] | None = None
    """What happens at a full inbox."""

    headers: Annotated[dict[str, Annotated[str, BeforeValidator(_quoted)]] | None, AfterValidator(_headers)] = Field(
        default=None, repr=False
    )
    """Of the upgrade, and of each HTTP request. Values are never shown."""
    token: Text | None = Field(default=None, repr=False)
    """Sent as ``Authorization: Bearer``, on the agent channel in its query. Never shown."""
    origin: Text | None = None
    """The ``Origin`` header of the upgrade."""
    subprotocols: Texts = None
    """Offered with the upgrade."""
    compression: bool | None = None
    """Whether permessage-deflate is offered."""
    verify_tls: bool | None = None
    """false: any certificate will do."""
    ca_file: Text | None = None
    """PEM file with the authorities to trust; relative to this file."""
    client_certificate: Texts = None
    """PEM file of our own certificate with its key, or a pair of both; relative to this file."""
    proxy: Text | None = Field(default=None, repr=False)
    """``http://[user:password@]host:port``, ``socks5://…`` or ``environment``. Never shown."""

    @model_validator(mode="after")
    def _one_pace(self) -> UserSettings:
        if self.think_time is not None and self.pacing is not None:
            raise wrong("expected either think_time or pacing")
        return self


Lifecycle = Annotated[
    dict[str, Any], AfterValidator(_parameters), WithJsonSchema({NAMES: "patterns", "form": "by name"})
]
"""Parameters of patterns that are given by their name alone."""
Messages = Annotated[
    dict[str, Any], AfterValidator(_parameters), WithJsonSchema({NAMES: "generators", "form": "by name"})
]
"""Parameters of generators that are given by their name alone."""
