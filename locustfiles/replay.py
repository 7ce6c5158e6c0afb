"""Plays a recorded conversation again: a browser's HAR export, or a capture that --ext-record has written.

    locust -f locustfiles/replay.py --headless                               # the shipped capture, on the embedded server
    REPLAY_FILE=page.har REPLAY_PATH=/ws/{client_id} locust -f locustfiles/replay.py --host http://127.0.0.1:8080

REPLAY_PATH chooses the connections, where the recording has several kinds; {client_id} stands for the client's name.
REPLAY_SPEED: 2 is twice as fast as recorded, inf as fast as the replies come. Passes if 99 % of what was recorded as
answered is answered.
"""

import os
from pathlib import Path

import locust_ext
from locust_ext import FastSocketIOUser, WebSocketUser, messages

AT_THE_END = {"window": "run", "no_data": "fail"}  # judged over the whole run, which fails if nothing was answered

locust_ext.install(
    run={"users": 5, "spawn_rate": 5, "run_time": "20s", "stop_timeout": 5},
    rules=[{"name": "99 % succeed", "metric": "success_ratio", "low_critical": "< 99 %", **AT_THE_END}],
)

FILE = os.environ.get("REPLAY_FILE") or Path(__file__).parents[1] / "config" / "replay.jsonl"
read = messages.Replay.from_har if str(FILE).endswith(".har") else messages.Replay.from_jsonl
recording = read(FILE, url_path=os.environ.get("REPLAY_PATH"), speed=float(os.environ.get("REPLAY_SPEED") or 1))

if recording.is_socketio:

    class Player(FastSocketIOUser):
        host = "embedded"
        socketio_path = recording.url_path
        generator = recording

else:

    class Player(WebSocketUser):
        host = "embedded"
        path = recording.url_path
        generator = recording
