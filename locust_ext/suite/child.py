"""The first thing that the process of a scenario does: ``python -m locust_ext.suite.child PID COMMAND …``.

It makes sure that the scenario ends in order if the suite is killed (Linux), that it hears Ctrl-C's signal even if the
suite was started in the background of a shell, which has its commands ignore it, and becomes ``COMMAND``.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final, NoReturn

_PR_SET_PDEATHSIG: Final = 1
"""prctl(2): the signal that this process gets when its parent's thread ends; it outlasts ``execve``."""


def become(suite_pid: int, command: list[str]) -> NoReturn:
    """Replace this process by ``command``, whose parent is ``suite_pid``."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != suite_pid:
            sys.exit(128 + signal.SIGTERM)  # the suite had ended already: there will be no signal
    os.execv(command[0], command)


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
