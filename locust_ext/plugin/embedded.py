"""`EmbeddedServer`: the reference server as a child process, for user classes whose host is ``"embedded"``."""

from __future__ import annotations

from locust import User

import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
from gevent import select, subprocess

from locust_ext.errors import TargetUnavailable

EMBEDDED = "embedded"
START_S = 20.0
STOP_S = 2.0
LAST_WORDS_S = 1.0
"""How long `EmbeddedServer.stop` waits for what the server has said at its end."""
ARGUMENTS = ("-m", "locust_ext.refserver", "--host", "127.0.0.1", "--port", "0")


def machine_id() -> str:
    """Tells whether two processes share their loopback: the machine's boot and the network namespace."""
    parts = [socket.gethostname()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/net"):
        try:
            parts.append(str(Path(path).readlink()) if path.endswith("net") else Path(path).read_text().strip())
        except OSError:
            continue
    return "|".join(parts)


def embedded_classes(user_classes: list[type[User]]) -> list[type[User]]:
    """The classes that want the embedded server."""
    return [each for each in user_classes if each.host == EMBEDDED]


class EmbeddedServer:
    """Started on a free loopback port; ends with `stop`, and by itself when this process dies (its stdin ends)."""

    def __init__(self, command: Sequence[str] | None = None) -> None:
        """``command`` (the reference server's, unless given) says ``READY <base address>`` once it serves, and ends at
        SIGTERM or at the end of its stdin.
        """
        self._command = list(command or (sys.executable, *ARGUMENTS))
        self._process: Any = None
        self._reader: gevent.Greenlet[..., None] | None = None
        self.url = ""

    def start(self) -> str:
        """Give the base address once it serves. Blocks the calling greenlet. Raises `TargetUnavailable`."""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C must not end the server before the users
            close_fds=True,
        )
        line = self._read_ready_line()
        if not line.startswith("READY "):
            reason = self._last_words() or "it did not say READY in time"
            self.stop()
            raise TargetUnavailable("the embedded reference server", reason)
        self.url = line.removeprefix("READY ").strip()
        self._reader = gevent.spawn(self._pass_on, self._process.stderr)
        return self.url

    @property
    def pid(self) -> int | None:
        """The number of its process; None: it does not run."""
        return None if self._process is None else int(self._process.pid)

    def _read_ready_line(self) -> str:
        until_s = monotonic() + START_S
        text = b""
        out = self._process.stdout
        while b"\n" not in text and monotonic() < until_s:
            readable, _, _ = select.select([out], [], [], max(0.0, until_s - monotonic()))
            if not readable:
                break
            chunk = out.read1(4096) if hasattr(out, "read1") else out.read(1)
            if not chunk:
                break
            text += chunk
        return text.decode(errors="replace").partition("\n")[0]

    def _last_words(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=LAST_WORDS_S)  # its streams end a little before it does
        if self._process.poll() is None:
            return ""
        text = self._process.stderr.read().decode(errors="replace").strip()
        return text.splitlines()[-1][:300] if text else f"it ended with exit code {self._process.returncode}"

    @staticmethod
    def _pass_on(stream: Any) -> None:
        """What the server says on its error stream is passed on; a full pipe would stop it."""
        try:
            for line in iter(stream.readline, b""):
                sys.stderr.write(f"refserver: {line.decode(errors='replace')}")
        except (OSError, ValueError):
            return  # there is nothing left to read, or nobody to tell

    def stop(self) -> None:
        """End the server and wait for its end and its last words, at most 5 s; idempotent. Blocks the calling greenlet."""
        process, self._process = self._process, None
        reader, self._reader = self._reader, None
        if process is None:
            return
        with suppress(OSError):
            process.stdin.close()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=STOP_S)
        if reader is not None:
            reader.join(timeout=LAST_WORDS_S)  # the server's end ends its stream; one of its children may hold it open
            reader.kill()
        for stream in (process.stdout, process.stderr):
            with suppress(OSError):
                stream.close()
