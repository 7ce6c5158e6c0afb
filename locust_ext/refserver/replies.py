"""Replies of the JSON channels, as frames."""

from __future__ import annotations

from locust_ext.refserver.clock import iso_now
from locust_ext.refserver.frames import json_frame
from locust_ext.refserver.lane import Answer


def reply(answer: Answer, kind: str, **fields: object) -> None:
    """Reply with ``{type: kind, …}``."""
    answer(kind, json_frame({"type": kind, **fields}))


def error(answer: Answer, code: str | None, message: str, **fields: object) -> None:
    """Reply with ``{type: error, …}``; without a ``code`` where the contract has none."""
    coded = {} if code is None else {"code": code}
    reply(answer, "error", **coded, message=message, **fields, timestamp=iso_now())
