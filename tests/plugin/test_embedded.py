"""`plugin.embedded`: the reference server as a child process: its end, its last words, and what holds them up."""

from __future__ import annotations

import locust  # noqa: F401 – monkey-patches, before anything below imports a socket

import sys
from time import monotonic
from typing import Final

import gevent
import pytest

from locust_ext.errors import TargetUnavailable
from locust_ext.plugin import embedded
from locust_ext.plugin.embedded import EmbeddedServer

LINES: Final = 200
TALKS_AT_ITS_END: Final = f"""
import os, sys
os.write(1, b"READY http://127.0.0.1:1\\n")
os.write(2, b"begins\\n")
sys.stdin.buffer.read()
for number in range({LINES}):
    os.write(2, b"ends %d\\n" % number)
"""
LEAVES_A_CHILD: Final = """
import os, sys, time
if os.fork() == 0:
    sys.stdin.close()
    time.sleep(4)  # it holds the error stream open
    os._exit(0)
os.write(1, b"READY http://127.0.0.1:1\\n")
sys.stdin.buffer.read()
"""


def server_of(code: str) -> EmbeddedServer:
    return EmbeddedServer((sys.executable, "-I", "-S", "-c", f"import signal; signal.signal(15, signal.SIG_IGN){code}"))


def test_a_server_that_talks_at_its_end_is_heard_and_ends_without_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Thirty times in a row: nobody closes the stream while it is read, and the last line comes through."""
    for _ in range(30):
        server = server_of(TALKS_AT_ITS_END)
        assert server.start() == "http://127.0.0.1:1"
        gevent.sleep(0)  # its error stream is being read
        server.stop()
        server.stop()
        assert server.pid is None
    told = capsys.readouterr().err.splitlines()
    assert told.count("refserver: begins") == 30
    assert told.count(f"refserver: ends {LINES - 1}") == 30
    assert len(told) == 30 * (LINES + 1)


def test_a_stream_that_somebody_else_holds_open_delays_the_end_by_a_second_at_most(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A child of the server that lives on: what reads the stream is ended, and the stream closed."""
    monkeypatch.setattr(embedded, "LAST_WORDS_S", 0.2)
    server = server_of(LEAVES_A_CHILD)
    server.start()
    process, reader = server._process, server._reader
    assert reader is not None
    gevent.sleep(0)
    begun_s = monotonic()
    server.stop()
    assert 0.2 <= monotonic() - begun_s < 3.5
    assert reader.dead
    assert process.stderr.closed
    assert process.returncode == 0
    assert capsys.readouterr().err == ""


def test_a_server_that_does_not_come_up_is_told_by_its_last_words() -> None:
    server = server_of("\nimport sys\nsys.exit('no port is free')")
    with pytest.raises(TargetUnavailable, match=r"^the embedded reference server: no port is free$"):
        server.start()
    assert server.pid is None
