"""A worker that joins a run in progress: its master may say "spawn" together with its welcome."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from locust_ext.core.accounting import Recorder
from locust_ext.core.accounting.wire import unpack
from tests.e2e.runs import Locust, free_port, server

pytestmark = pytest.mark.e2e

SPEAKERS = """
from locust import events
import locust_ext
from locust_ext import AgentUser, messages

@events.test_start.add_listener
def told(**_):
    print("THE RUN BEGINS")

locust_ext.install()

@events.init.add_listener
def inited(**_):
    print("INIT IS OVER")

class Speaker(AgentUser):
    generator = messages.Mixed({"ping": 1})
"""

HASTY = """
from locust.rpc import Message, zmqrpc
import base64, psutil, sys, time
port, host = sys.argv[1:]
server = zmqrpc.Server("127.0.0.1", int(port))
options = {"ext_run_id": "joined", "ext_rate": "50", "ext_warmup_s": 0.0, "ext_epoch": 0, "ext_workers": 2}
job = {"timestamp": time.time(), "user_classes_count": {"Speaker": 4}, "host": host, "stop_timeout": 5.0,
       "parsed_options": options}
is_stopped = False
while True:
    name, message = server.recv_from_client()
    if message.type == "client_ready" and not is_stopped:
        every = psutil.process_iter(["cmdline"])
        (worker,) = (each for each in every if {"--worker", port} <= set(each.info["cmdline"] or ()))
        worker.suspend()  # so that it finds both when it looks
        for kind, data in (("ack", {"index": 1}), ("spawn", job)):
            server.send_to_client(Message(kind, data, name))
        time.sleep(0.3)
        worker.resume()
        begun_s = time.monotonic()
    elif message.type == "locust_ext.paced" and message.data["users"] and not is_stopped:
        server.send_to_client(Message("locust_ext.pace", {"run": "joined", "rate": 50.0}, name))
    elif message.type == "locust_ext.delta":
        print(base64.b64encode(message.data["blob"]).decode(), flush=True)
    elif message.type == "quit":
        sys.exit(0)
    if not is_stopped and time.monotonic() > begun_s + 3:
        is_stopped = True
        server.send_to_client(Message("quit", None, name))
"""


def test_a_worker_that_is_sent_to_work_with_its_welcome_keeps_the_rate_and_counts_everything(tmp_path: Path) -> None:
    """For Locust its `test_start` is over before the `init` in which a locustfile's extensions begin to listen."""
    port, locustfile = str(free_port()), tmp_path / "speakers.py"
    locustfile.write_text(SPEAKERS)
    with server() as target:
        command = [sys.executable, "-c", HASTY, port, target.url]
        master = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            join = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
            finished = Locust(*join, folder=tmp_path, locustfile=locustfile).finish(40)
            blobs, _ = master.communicate(timeout=20)
        finally:
            master.kill()
            master.wait()
        counters = target.counters()
    assert finished.code == 0, finished.output
    assert "Traceback" not in finished.output
    assert finished.output.index("THE RUN BEGINS") < finished.output.index("INIT IS OVER"), "the race that is meant"
    deltas = [unpack(base64.b64decode(line)) for line in blobs.split()]
    assert {delta.run_id for delta in deltas} == {"joined"}
    recorder = Recorder()
    recorder.begin("joined", 0.0)
    for delta in deltas:
        recorder.merge(delta)
    recorder.end(60.0)
    counts = {(each.type, each.name): each for each in recorder.snapshot(60.0).operations}
    (connects,) = (each for (kind, _), each in counts.items() if kind == "CONNECT")
    assert connects.ok == counters["connections"] == 4
    assert counts["WS", "ping"].started == counters["messages_received"]
    assert 50 < counts["WS", "ping"].started < 175, "50/s for 3 s"
