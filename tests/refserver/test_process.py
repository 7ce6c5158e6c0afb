"""The process: its one line, its flags, its errors, its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.refserver.conftest import DEADLINE_S, Server, Talk, eventually

COMMAND = [sys.executable, "-m", "locust_ext.refserver"]


def _run(*flags: str, **options: object) -> subprocess.CompletedProcess[str]:
    ended: subprocess.CompletedProcess[str] = subprocess.run(
        [*COMMAND, *flags], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, **options
    )  # type: ignore[call-overload]
    return ended


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_a_second_and_closes_with_1001(start: Callable[..., Server], number: int) -> None:
    server = start()
    talks: list[Talk] = []
    for index in range(100):
        talks.append(server.connect(f"/api/v1/ws/c{index}"))
        talks[-1].receive()
    began = time.monotonic()
    server.process.send_signal(number)
    assert server.process.wait(DEADLINE_S) == 0
    assert time.monotonic() - began < 1.0
    for talk in talks:
        talk.close()
        assert talk.close_code == 1001
    assert server.process.stdout is not None
    assert server.process.stdout.read() == ""


def test_it_ends_within_a_second_with_many_clients_that_do_not_answer(start: Callable[..., Server]) -> None:
    server = start()
    sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(600)]
    for index, each in enumerate(sockets):
        each.sendall(
            f"GET /api/v1/ws/c{index} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
    eventually(lambda: server.counters()["pushes_sent"] == 600)
    folder = Path(server.get("/ctx/dump/list").json()["dump_directory"])
    assert folder.is_dir()
    began = time.monotonic()
    server.process.terminate()
    assert server.process.wait(DEADLINE_S) == 0
    assert time.monotonic() - began < 1.0
    assert not folder.exists()
    for each in sockets:
        got = b""
        while chunk := each.recv(65536):
            got += chunk
        assert got.endswith(b"\x88\x02" + (1001).to_bytes(2, "big"))
        each.close()


def test_a_hanging_request_does_not_hold_up_the_end(start: Callable[..., Server]) -> None:
    server = start()
    server.put_faults(latency_ms=60_000)
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(b"GET /ctx/all HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: server.counters()["http_requests"] == 1)
        began = time.monotonic()
        server.process.terminate()
        assert server.process.wait(DEADLINE_S) == 0
        assert time.monotonic() - began < 1.5


def test_it_ends_when_the_pipe_of_its_standard_input_is_closed(start: Callable[..., Server]) -> None:
    server = start()
    assert server.process.stdin is not None
    server.process.stdin.write("what is written there is ignored\n")
    server.process.stdin.flush()
    assert server.get("/ctx/all").status_code == 200
    server.process.stdin.close()
    assert server.process.wait(DEADLINE_S) == 0


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "locust_ext.refserver", *sys.argv[1:]], stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE, text=True, start_new_session=True)
print(child.pid, child.stdout.readline(), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("flags", [(), ("--parent-pid", "{parent}")])
def test_it_ends_when_its_parent_is_killed(flags: tuple[str, ...]) -> None:
    launch = PARENT.replace(
        "*sys.argv[1:]", "*[a.replace('{parent}', str(__import__('os').getpid())) for a in sys.argv[1:]]"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", launch, *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline().split()[0])
    server = psutil.Process(pid)
    assert server.is_running()
    parent.kill()
    parent.wait(DEADLINE_S)
    eventually(lambda: not psutil.pid_exists(pid) or server.status() == psutil.STATUS_ZOMBIE)


def test_it_outlives_a_shell_that_started_it_in_the_background(tmp_path: Path) -> None:
    out = tmp_path / "out"
    subprocess.run(
        ["bash", "-c", f"{sys.executable} -m locust_ext.refserver > {out} 2>&1 & echo $! > {tmp_path / 'pid'}"],
        stdin=subprocess.DEVNULL,
        timeout=DEADLINE_S,
        check=True,
    )
    pid = int((tmp_path / "pid").read_text())
    try:
        eventually(lambda: out.exists() and out.read_text().startswith("READY "))
        time.sleep(0.5)  # longer than the watch's period
        assert psutil.pid_exists(pid)
    finally:
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_signals_that_come_while_it_ends_already_are_not_told_of() -> None:
    """As from an owner that closes the pipe and sends SIGTERM, so that one of them may come while the loop is closed."""
    for _ in range(3):
        server = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stdout.readline().startswith("READY ")
        until_s = time.monotonic() + DEADLINE_S
        while server.poll() is None:
            assert time.monotonic() < until_s
            server.terminate()
            time.sleep(0.0002)  # not for safety: so many signals a second, and time for the server to end
        _, said = server.communicate(timeout=DEADLINE_S)
        assert (server.returncode, said) == (0, "")


def test_a_port_that_is_taken_is_one_clear_line_and_exit_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = _run("--port", str(port))
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert f"cannot listen on 127.0.0.1:{port}" in line
    assert "in use" in line


def test_a_dump_folder_that_cannot_be_written_is_one_clear_line_and_exit_1(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    ended = _run("--dump-dir", str(file / "below"))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert str(file / "below") in line
    assert "not writable" in line


def test_without_aiohttp_one_line_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "aiohttp.py").write_text("raise ImportError('no aiohttp', name='aiohttp')\n")
    ended = _run(env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "pip install 'locust-ext[demo]'" in line


def test_a_given_dump_folder_is_made_and_kept(start: Callable[..., Server], tmp_path: Path) -> None:
    folder = tmp_path / "new" / "dumps"
    server = start("--dump-dir", str(folder))
    server.post("/ctx/dump", {"format": "json", "filename": "kept"})
    server.stop()
    assert [path.name for path in folder.iterdir()] == ["kept.json"]


@pytest.mark.parametrize("flags", [("--silence-s", "0"), ("--port", "70000"), ("--rate-limit", "-1"), ("--nonsense",)])
def test_a_bad_flag_is_a_usage_error(flags: tuple[str, ...]) -> None:
    ended = _run(*flags)
    assert ended.returncode == 2
    assert flags[0] in ended.stderr
