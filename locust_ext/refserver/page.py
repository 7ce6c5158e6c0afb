"""The page at ``/``: a browser that talks to both systems by plain WebSockets, with nothing loaded from elsewhere."""

from __future__ import annotations

from typing import Final

from aiohttp import web

PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>locust-ext reference server</title>
<link rel="icon" href="data:,">
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
pre { background: #f4f4f4; padding: 1rem; overflow-x: auto; }
</style>
<h1>locust-ext reference server</h1>
<p id="state">talking …</p>
<pre id="log"></pre>
<script>
"use strict";
const id = "page-" + Math.random().toString(36).slice(2, 10);
const address = location.origin.replace(/^http/, "ws");
const token = new URLSearchParams(location.search).get("token");
const log = (where, text) => {
  document.getElementById("log").textContent += where + "  " + text + "\\n";
};
const open = (where, path, received) => {
  const socket = new WebSocket(address + path);
  socket.onmessage = (event) => { log(where + " <", event.data); received(socket, event.data); };
  socket.onclose = (event) => log(where + " closed", String(event.code));
  return socket;
};
const send = (where, socket, text) => { log(where + " >", text); socket.send(text); };
const waiting = new Set(["agent", "live"]);
const done = (where) => {
  waiting.delete(where);
  if (waiting.size === 0) document.getElementById("state").textContent = "done";
};

const stamp = (sequence, message) =>
  JSON.stringify({ ...message, id: id + "-" + sequence, timestamp: new Date().toISOString(), sequence });
const script = [
  { type: "ping" },
  { type: "subscribe", event_types: ["agent:status_changed", "world:updated"] },
  { type: "query", data: { query_type: "agent_status" } },
  { type: "agent_command", data: { agent_id: "agent-1", command: "status", params: {} } },
  { type: "heartbeat" },
];
let next = 0;
open("agent", "/api/v1/ws/" + id + (token ? "?token=" + encodeURIComponent(token) : ""), (socket) => {
  if (next < script.length) send("agent", socket, stamp(next, script[next++]));
  else done("agent");
});

open("live", "/socket.io/?EIO=4&transport=websocket", (socket, text) => {
  if (text[0] === "0") send("live", socket, "40");
  else if (text === "2") send("live", socket, "3");
  else if (text.startsWith("40"))
    send("live", socket, '420["client_register",' + JSON.stringify({ type: "browser", name: id }) + "]");
  else if (text.startsWith('42["registration_confirmed"'))
    send("live", socket, '42["context_set",' + JSON.stringify({ key: id, value: "hello", who: id }) + "]");
  else if (text.startsWith('42["context_set_confirmed"')) done("live");
});

fetch("/ctx/all").then((answer) => answer.json()).then((body) => log("http <", JSON.stringify(body)));
</script>
</html>
"""


async def serve_page(request: web.Request) -> web.Response:
    """The page."""
    return web.Response(text=PAGE, content_type="text/html")
