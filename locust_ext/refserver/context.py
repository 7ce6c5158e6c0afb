"""The context server's HTTP side (CONTRACTS, section 1): ``/ctx`` and below, JSON in and out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from locust_ext.refserver.clock import iso_now
from locust_ext.refserver.dumps import CONTENT_TYPES, FORMATS, DumpFolder, is_safe_name
from locust_ext.refserver.live import LiveChannel
from locust_ext.refserver.responses import complaint, json_response, read_json_object
from locust_ext.refserver.state import State


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() in ("1", "true", "yes", "on"))


class ContextApi:
    """The handlers; ``live`` is told of every change."""

    def __init__(self, state: State, live: LiveChannel) -> None:
        self._context = state.context
        self._live = live
        self._dumps = DumpFolder(state.options.dump_dir)

    def routes(self) -> list[web.RouteDef]:
        """The routes, the more special first."""
        return [
            web.get("/ctx", self.get),
            web.post("/ctx", self.set),
            web.get("/ctx/all", self.get_all),
            web.get("/ctx/history", self.get_history),
            web.post("/ctx/dump", self.dump),
            web.get("/ctx/dump/list", self.list_dumps),
            web.get("/ctx/dump/{filename:.+}", self.get_dump),
        ]

    async def get(self, request: web.Request) -> web.Response:
        """One value; an unknown key's is null."""
        key = request.query.get("key")
        if not key:
            return complaint("key is missing")
        value = self._context.values.get(key)
        return json_response({"key": key, "value": value, "timestamp": iso_now(), "status": "success"})

    async def set(self, request: web.Request) -> web.Response:
        """Set a value and tell all sockets."""
        body = await read_json_object(request)
        key, value, who = body.get("key"), body.get("value"), body.get("who") or "api_client"
        if not isinstance(key, str) or not key:
            return complaint("key is missing")
        if value is None:
            return complaint("value is missing")
        timestamp = iso_now()
        self._context.set(key, value, who, timestamp)
        self._live.push("context_updated", {"key": key, "value": value, "who": who, "timestamp": timestamp})
        return json_response({"status": "success", "key": key, "value": value, "who": who, "timestamp": timestamp})

    async def get_all(self, request: web.Request) -> web.Response:
        """The whole context."""
        return json_response(
            {
                "context": self._context.values,
                "history_count": len(self._context.history),
                "connected_clients": self._live.client_count,
                "timestamp": iso_now(),
                "status": "success",
            }
        )

    async def get_history(self, request: web.Request) -> web.Response:
        """The changes, all or of one key or author."""
        found = self._context.changes(request.query.get("key"), request.query.get("who"))
        return json_response(
            {
                "history": found,
                "total_entries": len(self._context.history),
                "filtered_entries": len(found),
                "timestamp": iso_now(),
                "status": "success",
            }
        )

    async def dump(self, request: web.Request) -> web.Response:
        """Write the context to a file and tell all sockets; the parameters come as JSON or in the query."""
        parameters: dict[str, Any] = await read_json_object(request) if await request.read() else {}
        ask: Callable[[str], Any] = lambda name: parameters.get(name, request.query.get(name))  # noqa: E731
        format, name, who = ask("format") or "json", ask("filename") or None, ask("who") or "api_client"
        if format not in FORMATS:
            return complaint("format must be one of " + ", ".join(FORMATS))
        if name is not None and not (isinstance(name, str) and is_safe_name(name)):
            return complaint("filename must be one plain file name, without a separator")
        try:
            made = self._dumps.write(self._context, format, name, str(who), iso_now(), _is_true(ask("include_history")))
        except OSError as problem:
            return complaint(f"the dump could not be written: {problem.strerror}", 500)
        told = {field: made[field] for field in ("filename", "format", "who", "key_count", "timestamp")}
        self._live.push("context_dumped", told)
        return json_response({"status": "success", **made})

    async def list_dumps(self, request: web.Request) -> web.Response:
        """The files of the dump folder and the last ten dumps made."""
        files = self._dumps.files()
        return json_response(
            {
                "status": "success",
                "dump_directory": str(self._dumps.path),
                "dump_count": len(files),
                "dump_files": files,
                "dump_history": list(self._dumps.recent),
                "timestamp": iso_now(),
            }
        )

    async def get_dump(self, request: web.Request) -> web.Response:
        """One dump's content."""
        filename = request.match_info["filename"]
        if not is_safe_name(filename):
            return complaint("filename must be one plain file name, without a separator")
        path = self._dumps.find(filename)
        if path is None:
            return complaint("no such dump", 404)
        content_type = CONTENT_TYPES.get(path.suffix, "text/plain")
        charset = None if content_type == "application/json" else "utf-8"
        return web.Response(body=path.read_bytes(), content_type=content_type, charset=charset)
