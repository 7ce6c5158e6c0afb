"""What a context server answers, as types: see `ContextServerUser`'s methods."""

from __future__ import annotations

from typing import Any, TypedDict


class ContextValue(TypedDict):
    """Answer of ``get``; ``value`` is None for an unknown key."""

    key: str
    value: Any
    timestamp: str
    status: str


class ContextSet(TypedDict):
    """Answer of ``set``."""

    status: str
    key: str
    value: Any
    who: str
    timestamp: str


class ContextAll(TypedDict):
    """Answer of ``all``."""

    context: dict[str, Any]
    history_count: int
    connected_clients: int
    timestamp: str
    status: str


class ContextHistory(TypedDict):
    """Answer of ``history``; each entry has ``timestamp, key, before, after, who``."""

    history: list[dict[str, Any]]
    total_entries: int
    filtered_entries: int
    timestamp: str
    status: str


class ContextDump(TypedDict):
    """Answer of ``dump``; ``file_size`` in bytes."""

    status: str
    filename: str
    format: str
    path: str
    key_count: int
    file_size: int
    timestamp: str
    who: str


class ContextDumps(TypedDict):
    """Answer of ``dumps``; sizes in bytes."""

    status: str
    dump_directory: str
    dump_count: int
    dump_files: list[dict[str, Any]]
    dump_history: list[dict[str, Any]]
    timestamp: str
