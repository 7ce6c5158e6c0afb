"""``python -m locust_ext.refserver``: the arguments, the ``READY`` line, and the end.

Without ``--token`` the server is open: no token is asked for, one that is sent is not looked at, and every client has
every right, so that a first run shows no failures. With ``--token SECRET`` the agent and monitor channels take tokens
that ``locust_ext.refserver.tokens.sign(SECRET, …)`` made, and the literal ``dev-token``, which has no right.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import math
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from locust_ext.refserver.options import (
    TOKEN_MODE_CONNECTS_PER_MINUTE,
    TOKEN_MODE_MESSAGES_PER_S,
    Options,
)

_MANY_CONNECTIONS = 300


def _seconds(text: str) -> float:
    value = float(text)
    if not (0 < value < math.inf):
        raise argparse.ArgumentTypeError("a number of seconds above 0 is expected")
    return value


def _limit(text: str) -> float:
    value = float(text)
    if not (0 <= value < math.inf):
        raise argparse.ArgumentTypeError("a number of at least 0 is expected, 0 for no limit")
    return value


def _secret(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("a secret of at least one character is expected")
    return text


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("a port from 0 to 65535 is expected")
    return value


def build_parser() -> argparse.ArgumentParser:
    """The flags; their defaults are the real servers' own."""
    parser = argparse.ArgumentParser(
        prog="python -m locust_ext.refserver",
        description="The embedded reference server of locust-ext: a context server and an agent server on one port.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_port, default=0, help="port to listen on; 0 (default): a free one, see the READY line")
    add(
        "--token",
        metavar="SECRET",
        type=_secret,
        help="ask for tokens signed with SECRET (default: open, every client has every right)",
    )
    add("--dump-dir", metavar="DIR", type=Path, help="folder of the context's dumps (default: a temporary one)")
    add(
        "--silence-s",
        type=_seconds,
        default=30.0,
        help="agent connections silent for so long are dropped (%(default)s)",
    )
    add("--heartbeat-s", type=_seconds, default=30.0, help="period of the agent channel's heartbeat push (%(default)s)")
    add("--ping-interval-s", type=_seconds, default=25.0, help="Engine.IO's ping interval (%(default)s)")
    add("--ping-timeout-s", type=_seconds, default=20.0, help="Engine.IO's ping timeout (%(default)s)")
    add(
        "--max-connects-per-minute",
        type=_limit,
        help="agent and monitor connects of one address; 0: no limit "
        f"(default: {TOKEN_MODE_CONNECTS_PER_MINUTE} with --token, else 0)",
    )
    add(
        "--rate-limit",
        metavar="MSGS_PER_S",
        type=_limit,
        help="messages of one agent connection; 0: no limit "
        f"(default: {TOKEN_MODE_MESSAGES_PER_S:g} with --token, else 0)",
    )
    add("--max-backlog-bytes", type=int, default=4 * 1024 * 1024, help="unread bytes that drop a client (%(default)s)")
    add(
        "--parent-pid",
        metavar="PID",
        type=int,
        help="end with this process; 0: with none (default: our parent, if no shell)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT, the end of a piped standard input or of the parent; returns the exit code.

    1, after one line on standard error, if the server could not start. Must be called in the main thread, as the last
    thing a process does: with hundreds of connections open at the end it exits by itself.
    """
    arguments = build_parser().parse_args(argv)
    try:
        import aiohttp  # noqa: F401
        import socketio  # noqa: F401
    except ImportError as missing:
        return _fail(f"the reference server needs {missing.name}: pip install 'locust-ext[demo]'")
    with contextlib.ExitStack() as cleanup:
        try:
            dump_dir = arguments.dump_dir
            if dump_dir is None:
                dump_dir = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="locust-ext-dumps-")))
            dump_dir.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=dump_dir):
                pass
        except OSError as problem:
            return _fail(f"--dump-dir {arguments.dump_dir}: not writable: {problem.strerror}")
        return asyncio.run(_serve(_options(arguments, dump_dir), arguments, cleanup))


def _options(arguments: argparse.Namespace, dump_dir: Path) -> Options:
    takes_tokens = arguments.token is not None
    connects, rate = arguments.max_connects_per_minute, arguments.rate_limit
    if connects is None and takes_tokens:
        connects = TOKEN_MODE_CONNECTS_PER_MINUTE
    if rate is None and takes_tokens:
        rate = TOKEN_MODE_MESSAGES_PER_S
    return Options(
        dump_dir=dump_dir,
        token=arguments.token,
        silence_s=arguments.silence_s,
        heartbeat_s=arguments.heartbeat_s,
        ping_interval_s=arguments.ping_interval_s,
        ping_timeout_s=arguments.ping_timeout_s,
        max_connects_per_minute=int(connects) if connects else None,
        rate_limit_per_s=rate or None,
        max_backlog_bytes=arguments.max_backlog_bytes,
    )


async def _serve(options: Options, arguments: argparse.Namespace, cleanup: contextlib.ExitStack) -> int:
    from locust_ext.refserver.app import Server
    from locust_ext.refserver.parent import parent_to_watch, watch_parent, watch_stdin

    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    _allow_many_descriptors()
    server = Server(options)
    try:
        port = await server.start(arguments.host, arguments.port)
    except OSError as problem:
        await server.stop()
        return _fail(f"cannot listen on {arguments.host}:{arguments.port}: {problem.strerror or problem}")
    watch_stdin(ended.set)
    parent = parent_to_watch(arguments.parent_pid)
    watching = loop.create_task(watch_parent(parent, ended.set)) if parent is not None else None
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    gc.freeze()
    sys.stdout.write(f"READY http://{host}:{port}\n")
    sys.stdout.flush()
    await ended.wait()
    if watching is not None:
        watching.cancel()
    many = server.state.open_count > _MANY_CONNECTIONS
    await server.say_goodbye()
    if many:  # tidying up after thousands of connections takes seconds; the kernel does it at once
        cleanup.close()
        os._exit(0)
    await server.stop()
    # It ends anyway: a further signal would meet a loop that is half closed, which Python tells of with a traceback.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    return 0


def _allow_many_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _fail(sentence: str) -> int:
    sys.stderr.write(f"locust-ext server: {sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
