"""Load testing of real-time systems with Locust: WebSocket, Socket.IO and HTTP context servers.

Importing this package imports neither gevent nor Locust: each public name is fetched from its module when it is first
asked for (PEP 562). Nothing happens until ``install()`` is called. To add a public name: one entry in ``_HOMES``, one
in ``__all__`` and one import for the type checkers; a test compares the three.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

__all__ = [
    "AgentChannel",
    "AgentUser",
    "ByCall",
    "ById",
    "ByType",
    "CheckFailed",
    "ClosedLoop",
    "ConfigError",
    "ConfirmedBy",
    "ConnectFailed",
    "ConnectionLost",
    "ConnectionPool",
    "ContextServerUser",
    "DeflateOffer",
    "ErrorReply",
    "Extension",
    "FanOut",
    "FastSocketIOUser",
    "Fifo",
    "LocustExtError",
    "MonitorChannel",
    "OpenLoop",
    "OperationError",
    "RealisticUser",
    "RequestTimeout",
    "TargetUnavailable",
    "WebSocketUser",
    "__version__",
    "attach",
    "install",
    "lifecycle",
    "messages",
    "scenario",
    "shapes",
]

_HOMES: Final[dict[str, tuple[str, ...]]] = {
    "locust_ext.core": ("lifecycle", "messages"),
    "locust_ext.core.pacing": ("ClosedLoop", "OpenLoop"),
    "locust_ext.core.protocols.correlation": (
        "AgentChannel",
        "ByCall",
        "ById",
        "ByType",
        "ConfirmedBy",
        "Fifo",
        "MonitorChannel",
    ),
    "locust_ext.core.protocols.deflate": ("DeflateOffer",),
    "locust_ext.core.protocols.ties": ("FanOut",),
    "locust_ext.errors": (
        "CheckFailed",
        "ConfigError",
        "ConnectFailed",
        "ConnectionLost",
        "ErrorReply",
        "LocustExtError",
        "OperationError",
        "RequestTimeout",
        "TargetUnavailable",
    ),
    "locust_ext.plugin": ("shapes",),
    "locust_ext.plugin.extension": ("Extension", "attach"),
    "locust_ext.plugin.installing": ("install",),
    "locust_ext.plugin.scenario": ("scenario",),
    "locust_ext.plugin.users.agent": ("AgentUser",),
    "locust_ext.plugin.users.context": ("ContextServerUser",),
    "locust_ext.plugin.users.pool": ("ConnectionPool",),
    "locust_ext.plugin.users.realistic": ("RealisticUser",),
    "locust_ext.plugin.users.socketio": ("FastSocketIOUser",),
    "locust_ext.plugin.users.websocket": ("WebSocketUser",),
}
"""Module -> the public names that live there. Submodules stand under their parent package."""

if TYPE_CHECKING:
    from locust_ext.core import lifecycle, messages
    from locust_ext.core.pacing import ClosedLoop, OpenLoop
    from locust_ext.core.protocols.correlation import (
        AgentChannel,
        ByCall,
        ById,
        ByType,
        ConfirmedBy,
        Fifo,
        MonitorChannel,
    )
    from locust_ext.core.protocols.deflate import DeflateOffer
    from locust_ext.core.protocols.ties import FanOut
    from locust_ext.errors import (
        CheckFailed,
        ConfigError,
        ConnectFailed,
        ConnectionLost,
        ErrorReply,
        LocustExtError,
        OperationError,
        RequestTimeout,
        TargetUnavailable,
    )
    from locust_ext.plugin import shapes
    from locust_ext.plugin.extension import Extension, attach
    from locust_ext.plugin.installing import install
    from locust_ext.plugin.scenario import scenario
    from locust_ext.plugin.users.agent import AgentUser
    from locust_ext.plugin.users.context import ContextServerUser
    from locust_ext.plugin.users.pool import ConnectionPool
    from locust_ext.plugin.users.realistic import RealisticUser
    from locust_ext.plugin.users.socketio import FastSocketIOUser
    from locust_ext.plugin.users.websocket import WebSocketUser

    __version__: str
else:  # hidden from type checkers, which would otherwise take any misspelt name for this function's Any
    _HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

    def __getattr__(name: str) -> object:
        if name == "__version__":
            value = _version()
        elif name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        else:
            home = import_module(_HOME_OF[name])
            try:
                value = getattr(home, name)
            except AttributeError:
                value = import_module(f"{home.__name__}.{name}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


def _version() -> str:
    """The installed version; ``0+unknown`` in a source tree that was never installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("locust-ext")
    except PackageNotFoundError:
        return "0+unknown"
