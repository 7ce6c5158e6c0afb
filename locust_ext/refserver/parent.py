"""The end of the process that started the server: noticed by its pipe, or by its pid.

A server that is embedded must not outlive its owner; one that was started from a shell, with ``&`` or nohup, must
outlive the shell. So the owner is watched if it is no shell, and standard input only if it is a pipe, which the owner
holds open.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import stat
from collections.abc import Callable
from typing import Final

import psutil

_POLL_S: Final = 0.2
_SHELLS: Final = re.compile(r"(ba|z|da|fi|k|mk|c|tc|a|pw)?sh|nu|busybox|login|sshd|screen|tmux|su|sudo")


def parent_to_watch(parent_pid: int | None) -> int | None:
    """The pid whose end ends the server: the one given (0: none), else our parent's unless it is init or a shell, or we
    were started to survive it (nohup)."""
    if parent_pid is not None:
        return parent_pid or None
    parent = os.getppid()
    if parent <= 1 or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return None
    try:
        name = psutil.Process(parent).name().lstrip("-")
    except psutil.Error:
        return parent
    return None if _SHELLS.fullmatch(name.split(":")[0]) else parent


async def watch_parent(pid: int, end: Callable[[], None]) -> None:
    """Call ``end`` once process ``pid`` has gone. As long as it is our parent, a pid taken anew deceives nobody."""
    is_parent = os.getppid() == pid
    while (os.getppid() == pid) if is_parent else psutil.pid_exists(pid):
        await asyncio.sleep(_POLL_S)
    end()


def watch_stdin(end: Callable[[], None]) -> None:
    """Call ``end`` when standard input ends, if it is a pipe; a terminal, a file and /dev/null are not watched."""
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(0).st_mode)
    except OSError:  # closed
        return
    if not is_pipe:
        return
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            ended = os.read(0, 65536) == b""
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            loop.remove_reader(0)
            end()

    loop.add_reader(0, read)
