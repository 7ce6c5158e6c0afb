"""Answers over HTTP: the application's in JSON, the framework's as HTML pages."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web


def json_response(body: object, status: int = 200) -> web.Response:
    """``body`` as JSON."""
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def complaint(text: str, status: int = 400) -> web.Response:
    """An error that the application found."""
    return json_response({"error": text, "status": "error"}, status)


def framework_page(status: int, headers: dict[str, str] | None = None) -> web.Response:
    """An error of the framework: an HTML page, not JSON."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Status"
    page = f"<!doctype html>\n<html lang=en>\n<title>{status} {phrase}</title>\n<h1>{phrase}</h1>\n"
    if status in (204, 304):
        return web.Response(status=status, headers=headers)
    return web.Response(text=page, status=status, content_type="text/html", headers=headers)


async def read_json_object(request: web.Request) -> dict[str, Any]:
    """The body, a JSON object; raises HTTPBadRequest (an HTML page) if it is none."""
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise web.HTTPBadRequest from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest
    return body
