"""Captures of WebSocket traffic: a browser's HAR export read, and our JSONL read and written.

**HAR** (http://www.softwareishard.com/blog/har-12-spec/): Chromium's DevTools and Playwright add ``_webSocketMessages``
to an entry: ``{"type": "send" | "receive", "time": …, "opcode": 1 | 2, "data": …}``, binary data in base64. DevTools
writes the time in seconds since 1970, Playwright in milliseconds.

**JSONL**: a line for each message, ``{"t": seconds, "dir": "send" | "receive", "data": …}``; data is a text as it was on
the wire, an object or list (JSON), or ``{"b64": "…"}``. Optional: ``conn``, which connection it was; in its first line
``path`` and ``protocol`` (``websocket`` or ``socketio``); and ``client``, the client's name, once.
"""

from __future__ import annotations

import difflib
import math
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from locust_ext.core.messages.replay_frames import Connection, Frame
from locust_ext.core.messages.replay_secrets import in_headers, in_query
from locust_ext.errors import ConfigError

MILLISECONDS_FROM: Final = 1e11
"""Seconds since 1970 reach this in the year 5138; milliseconds did in 1973."""

_DIRECTIONS: Final = ("send", "receive")
_HAR: Final = "expected a HAR file with WebSocket traffic (_webSocketMessages), as Chromium's network tab exports it"


def read_bytes(path: str | Path) -> bytes:
    """The file's content. Raises ``ConfigError``."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", source=str(path)) from error


# ── HAR ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_har(path: str | Path) -> list[Connection]:
    """The WebSocket connections of a HAR file, in its order. Raises ``ConfigError`` with the place of what is wrong."""
    source = str(path)
    try:
        document = orjson.loads(read_bytes(path))
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"not valid JSON at line {error.lineno}, column {error.colno}", source=source) from error
    log = document.get("log") if isinstance(document, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise ConfigError(_HAR, source=source, key="log.entries")
    secrets: set[str] = set()
    connections: list[Connection] = []
    for index, entry in enumerate(entries):
        where = f"log.entries[{index}]"
        if not isinstance(entry, dict):
            raise ConfigError("expected an object", source=source, key=where)
        secrets |= _secrets_of(entry)
        if "_webSocketMessages" in entry:
            connections.append(_connection(entry, source, where))
    if not connections:
        raise ConfigError(_HAR, source=source)
    for connection in connections:
        connection.secrets = frozenset(secrets)
    return connections


def _connection(entry: Mapping[str, Any], source: str, where: str) -> Connection:
    messages = entry["_webSocketMessages"]
    if not isinstance(messages, list):
        raise ConfigError("expected a list of messages", source=source, key=f"{where}._webSocketMessages")
    request = entry.get("request")
    url = request.get("url") if isinstance(request, dict) else None
    if not isinstance(url, str):
        raise ConfigError("expected the address of the connection", source=source, key=f"{where}.request.url")
    parts = _split(url)
    frames: list[Frame] = []
    begun_s: float | None = None
    for index, message in enumerate(messages):
        place = f"{where}._webSocketMessages[{index}]"
        if not isinstance(message, dict):
            raise ConfigError("expected an object", source=source, key=place)
        if message.get("type") == "error" or message.get("opcode") in (8, 9, 10):
            continue  # DevTools' own remark on a failure, and control frames
        is_sent = _direction(message, "type", source, place)
        at_s = _number(message, "time", source, place)
        at_s = at_s / 1000 if at_s >= MILLISECONDS_FROM else at_s
        if begun_s is None:
            begun_s = _begun_s(entry, at_s)
        frames.append(Frame(max(0.0, at_s - begun_s), is_sent, _har_data(message, source, place), place))
    is_socketio = True if parts is not None and "EIO=" in parts.query else None
    return Connection("" if parts is None else parts.path, is_socketio=is_socketio, frames=frames)


def _har_data(message: Mapping[str, Any], source: str, place: str) -> str | bytes:
    data, opcode = message.get("data"), message.get("opcode", 1)
    if not isinstance(data, str):
        raise ConfigError("expected a text", source=source, key=f"{place}.data")
    if opcode == 1:
        return data
    if opcode != 2:
        raise ConfigError("expected 1 (text) or 2 (binary)", source=source, key=f"{place}.opcode", value=opcode)
    return _base64(data, source, f"{place}.data")


def _begun_s(entry: Mapping[str, Any], first_s: float) -> float:
    """When the connection began to open, in seconds since 1970; if that is not told, its first message counts."""
    try:
        begun_s = datetime.fromisoformat(str(entry.get("startedDateTime"))).timestamp()
    except (ValueError, OverflowError, OSError):
        return first_s
    return min(begun_s, first_s)


def _secrets_of(entry: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for side in ("request", "response"):
        part = entry.get(side)
        if not isinstance(part, dict):
            continue
        found |= in_headers(_pairs(part.get("headers")))
        found |= {value for _, value in _pairs(part.get("cookies"))}
        if isinstance(url := part.get("url"), str) and (parts := _split(url)) is not None:
            found |= in_query(parts.query)
    return found


def _pairs(given: Any) -> Iterable[tuple[str, str]]:
    for each in given if isinstance(given, list) else ():
        if isinstance(each, dict) and isinstance(each.get("name"), str) and isinstance(each.get("value"), str):
            yield each["name"], each["value"]


def _split(url: str) -> Any:
    try:
        return urlsplit(url)
    except ValueError:
        return None


# ── JSONL ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def jsonl_line(
    t_s: float, is_sent: bool, data: str | bytes, conn: int | None = None, first: Mapping[str, str] | None = None
) -> bytes:
    """One line of a capture, with its line end; ``first`` is what stands beside a connection's first message."""
    line: dict[str, Any] = {"t": round(t_s, 6), "dir": _DIRECTIONS[0] if is_sent else _DIRECTIONS[1]}
    if conn is not None:
        line["conn"] = conn
    if first:
        line.update(first)
    line["data"] = data if isinstance(data, str) else {"b64": b64encode(data).decode()}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def read_jsonl(path: str | Path) -> list[Connection]:
    """The connections of a JSONL capture, in the order of their first messages. ``ConfigError`` names the line."""
    source = str(path)
    lines: list[tuple[str, Any]] = []
    for number, line in enumerate(read_bytes(path).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            lines.append((f"line {number}", orjson.loads(line)))
        except orjson.JSONDecodeError as error:
            raise ConfigError("expected a JSON object in each line", source=source, key=f"line {number}") from error
    if not lines:
        raise ConfigError('expected lines such as {"t": 0.5, "dir": "send", "data": "…"}', source=source)
    return connections_of(lines, source)


def connections_of(lines: Iterable[tuple[str, Any]], source: str = "") -> list[Connection]:
    """The connections that captured messages belong to; each message comes with its place. Raises ``ConfigError``."""
    connections: dict[Any, Connection] = {}
    begun_s: dict[Any, float] = {}
    for place, line in lines:
        if not isinstance(line, Mapping):
            raise ConfigError(
                'expected an object such as {"t": 0.5, "dir": "send", "data": "…"}', source=source, key=place
            )
        conn = line.get("conn")
        if not isinstance(conn, str | int | None):
            raise ConfigError("expected a text or a number", source=source, key=f"{place}.conn", value=conn)
        at_s = _number(line, "t", source, place)
        connection = connections.get(conn)
        if connection is None:
            connection = connections[conn] = _described(line, source, place)
            # A run's first connection opens some time after its start; alone, it counts from the capture's own zero.
            begun_s[conn] = 0.0 if conn is None else at_s
        elif not connection.client and isinstance(line.get("client"), str):
            connection.client = line["client"]
        is_sent = _direction(line, "dir", source, place)
        data = _jsonl_data(line, source, place)
        connection.frames.append(Frame(max(0.0, at_s - begun_s[conn]), is_sent, data, place))
    for connection in connections.values():
        connection.frames.sort(key=lambda frame: frame.t_s)
    return list(connections.values())


def _described(line: Mapping[str, Any], source: str, place: str) -> Connection:
    for name in ("path", "client", "protocol"):
        if not isinstance(line.get(name, ""), str):
            raise ConfigError("expected a text", source=source, key=f"{place}.{name}", value=line[name])
    protocol = line.get("protocol")
    if protocol not in (None, "websocket", "socketio"):
        raise ConfigError("expected websocket or socketio", source=source, key=f"{place}.protocol", value=protocol)
    is_socketio = None if protocol is None else protocol == "socketio"
    return Connection(line.get("path", ""), line.get("client", ""), is_socketio)


def _jsonl_data(line: Mapping[str, Any], source: str, place: str) -> str | bytes:
    data = line.get("data")
    if isinstance(data, str | bytes):
        return data
    if isinstance(data, Mapping) and set(data) == {"b64"} and isinstance(data["b64"], str):
        return _base64(data["b64"], source, f"{place}.data.b64")
    if isinstance(data, Mapping | list):
        try:
            return orjson.dumps(data).decode()
        except TypeError as error:
            raise ConfigError("expected what JSON can hold", source=source, key=f"{place}.data") from error
    raise ConfigError('expected a text, an object, a list, or {"b64": "…"}', source=source, key=f"{place}.data")


# ── both ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _direction(line: Mapping[str, Any], name: str, source: str, place: str) -> bool:
    value = line.get(name)
    if value not in _DIRECTIONS:
        near = difflib.get_close_matches(str(value), _DIRECTIONS, n=1)
        raise ConfigError(
            "expected send or receive",
            source=source,
            key=f"{place}.{name}",
            value=value,
            nearest=near[0] if near else None,
        )
    return bool(value == _DIRECTIONS[0])


def _number(line: Mapping[str, Any], name: str, source: str, place: str) -> float:
    value = line.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ConfigError("expected seconds, at least 0", source=source, key=f"{place}.{name}", value=value)
    return float(value)


def _base64(text: str, source: str, place: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise ConfigError("expected base64", source=source, key=place) from error
