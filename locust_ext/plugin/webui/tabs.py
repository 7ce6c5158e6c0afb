"""`Tabs`: tables of ours in Locust's own web UI, which refresh with its statistics."""

from __future__ import annotations

from locust.web import WebUI

import json
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

import orjson
from flask import Response, request

from locust_ext.model import Snapshot
from locust_ext.plugin.webui.rows import TABS

logger = logging.getLogger("locust_ext")

MIN_AGE_S: Final = 1.9
"""Locust keeps its statistics for 2 s; ours are made no sooner anew, whoever asks how often."""
_KEYS: Final = frozenset(tab.key for tab in TABS)
_ENDPOINT: Final = "locust.request_stats"


class Tabs:
    """The tabs of `TABS`, and their rows in the JSON of ``/stats/requests``, until `close`."""

    def __init__(self, web_ui: WebUI, take: Callable[[], Snapshot]) -> None:
        self._web_ui = web_ui
        self._take = take
        self._tables: list[dict[str, Any]] = []
        self._made_s = float("-inf")
        self._written: bytes | None = None
        self._has_failed = False
        self._put("extended_tabs", [{"key": tab.key, "title": tab.title} for tab in TABS])
        self._put(
            "extended_tables",
            [
                {"key": tab.key, "structure": [{"key": key, "title": title} for key, title in tab.columns.items()]}
                for tab in TABS
            ],
        )
        # The hooks run from the last to the first: this one after a stranger's, which may write `extended_stats` anew.
        self._hooks.insert(0, self._extend)

    @property
    def _hooks(self) -> list[Any]:
        app: Any = self._web_ui.app
        hooks: list[Any] = app.after_request_funcs.setdefault(None, [])
        return hooks

    def _put(self, name: str, ours: list[dict[str, Any]]) -> None:
        """Into the page's arguments, behind a stranger's entries; none of ours twice."""
        arguments = self._web_ui.template_args
        entries = [*_others(arguments.get(name)), *ours]
        if entries:
            arguments[name] = entries
        else:
            arguments.pop(name, None)

    def _extend(self, response: Response) -> Response:
        """Called with every response of the UI; Locust gives the same one again for 2 s."""
        if request.endpoint != _ENDPOINT or response.status_code != 200:
            return response
        if self._written is not None and response.get_data() is self._written:
            return response
        try:
            report = _loaded(response.get_data())
            report["extended_stats"] = [*_others(report.get("extended_stats")), *self._current()]
            self._written = _dumped(report)
            response.set_data(self._written)
        except Exception:  # Locust's statistics are shown without ours
            if not self._has_failed:
                self._has_failed = True
                logger.exception("the tables of the web UI could not be made; this is not said again")
        return response

    def _current(self) -> list[dict[str, Any]]:
        now_s = monotonic()
        if now_s - self._made_s >= MIN_AGE_S:
            snapshot = self._take()
            self._tables = [{"key": tab.key, "data": tab.table(snapshot)} for tab in TABS]
            self._made_s = now_s
        return self._tables

    def close(self) -> None:
        """The tabs and their rows go; a stranger's stay. Idempotent."""
        if self._extend in self._hooks:
            self._hooks.remove(self._extend)
        self._put("extended_tabs", [])
        self._put("extended_tables", [])


def _others(entries: Any) -> list[Any]:
    """A stranger's."""
    known = entries if isinstance(entries, list) else []
    return [each for each in known if not (isinstance(each, dict) and each.get("key") in _KEYS)]


def _loaded(data: bytes) -> dict[str, Any]:
    try:
        report: dict[str, Any] = orjson.loads(data)
    except orjson.JSONDecodeError:  # Python's own takes NaN, which Locust may have written
        report = json.loads(data)
    return report


def _dumped(report: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(report)
    except TypeError:  # half of a surrogate pair in a name
        return json.dumps(report).encode()
