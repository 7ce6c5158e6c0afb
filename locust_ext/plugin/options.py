"""The command line flags (group ``locust-ext``), each also an environment variable ``LOCUST_EXT_…``, and their checks."""

from __future__ import annotations

from locust.argument_parser import LocustArgumentParser

import ipaddress
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from locust_ext.errors import ConfigError
from locust_ext.runtime.address import endpoint

GROUP = "locust-ext"
MAX_S = 7 * 86_400


def add_arguments(parser: LocustArgumentParser) -> None:
    """Add the flags; idempotent (Locust asks at every page load of its web UI)."""
    if any(action.dest == "ext_config" for action in parser._actions):
        return
    group = parser.add_argument_group(GROUP, "Load testing of real-time systems (locust_ext)")

    def add(flag: str, help: str, metavar: str | None, **more: Any) -> None:
        name = flag.removeprefix("--").replace("-", "_").upper()
        if metavar is not None:
            more["metavar"] = metavar
        action = group.add_argument(flag, help=help, env_var=f"LOCUST_{name}", **more)
        action.include_in_web_ui = False
        action.is_secret = action.is_required = action.is_multiple = False

    add(
        "--ext-config",
        "YAML file with the settings of the run: users, shape, rate, rules, report and all others",
        "FILE",
    )
    add("--ext-report-dir", "folder that the run's reports are written to (summary.json and others)", "DIR")
    add("--ext-wait-for-target", "wait up to S seconds for the target to answer before the start", "S")
    add("--ext-seed", "seed of the users' random numbers, for runs that can be repeated", "N")
    add(
        "--ext-profiles",
        "shares of the user profiles, such as active:0.3 regular:0.7; profiles that are not named get no users",
        "NAME:SHARE",
        nargs="+",
    )
    add(
        "--ext-pattern",
        "lifecycle pattern of all user classes, or of one, such as bursty or Crowd=bursty; parameters from --ext-config",
        "[CLASS=]NAME",
        nargs="+",
    )
    add(
        "--ext-generator",
        "message generator of all user classes without tasks, or of one, such as mixed or Crowd=mixed",
        "[CLASS=]NAME",
        nargs="+",
    )
    add(
        "--ext-rate",
        "messages a second over all users and workers, sent on schedule whether or not the replies have come",
        "MSGS_PER_S",
    )
    add("--ext-requests", "end after N operations over all users and workers; 50/user: after 50 of each user", "N")
    add("--ext-agent-host", "base address of the agent channel, where it is not that of --host", "URL")
    add(
        "--ext-rules",
        "YAML file with alert rules, which then decide the exit code; default: the shipped ones, none: none",
        "FILE",
    )
    add("--ext-monitor-interval", "seconds between two samples of CPU, memory and the like, from 0.1 to 60 (1)", "S")
    add("--ext-target-pid", "watch this process of this machine, with its children, as the target", "PID")
    add("--ext-target-port", "watch the process that listens on this port of this machine as the target", "PORT")
    add("--ext-target-metrics", "watch the target by its Prometheus endpoint", "URL")
    add("--ext-metrics-port", "serve the run's Prometheus metrics at this port (0: a free one)", "PORT")
    add("--ext-metrics-host", "address that the metrics are served at (127.0.0.1)", "HOST")
    add(
        "--ext-worker-metrics",
        "serve each worker's own metrics too: at PORT + the worker's index; without PORT at a free one",
        "PORT",
        nargs="?",
        const="0",
    )
    add("--ext-baseline", "summary.json of an earlier run: a regression against it gives exit code 5", "FILE")
    add(
        "--ext-sink",
        "write the run's figures to FILE while it goes on, a line a second and operation; NAME is jsonl (JSON lines)",
        "NAME=FILE",
        nargs="+",
    )
    add("--ext-record", "write the messages of all connections to FILE (JSONL), for messages.Replay to play", "FILE")
    add("--ext-warmup", "keep the first S seconds of the run apart from every figure", "S")
    add(
        "--ext-no-fine-percentiles",
        "leave Locust's own percentiles below 100 ms in whole milliseconds",
        None,
        action="store_true",
        default=False,
    )
    add(
        "--ext-source-addresses",
        "local addresses that connections are opened from in turn, so that one machine can hold more than 28,000",
        "A,B",
    )


def seconds(options: Any, name: str) -> float | None:
    """The flag's value as seconds above 0; None: not given. Raises `ConfigError`."""
    value = getattr(options, name, None)
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < MAX_S:
        raise ConfigError("expected seconds, more than 0", source=flag_of(name), value=value)
    return number


def whole_number(options: Any, name: str) -> int | None:
    """The flag's value as a whole number; None: not given. Raises `ConfigError`."""
    value = getattr(options, name, None)
    try:
        return None if value is None else int(value)
    except ValueError:
        raise ConfigError("expected a whole number", source=flag_of(name), value=value) from None


def base_address(value: str | None, source: str) -> str | None:
    """``value``, if it is the base address of a server; None: not given. Raises `ConfigError`."""
    if not value:
        return None
    try:
        endpoint(value, "/")
    except ConfigError:
        raise ConfigError(
            "expected an address with its scheme, such as http://127.0.0.1:8000",
            source=source,
            value=value,
            shows_value="@" not in value,  # a password stands before it
        ) from None
    return value


def local_addresses(options: Any, name: str) -> tuple[str, ...]:
    """The flag's value as local IP addresses that can be bound to; empty: not given. Raises `ConfigError`."""
    given = getattr(options, name, None)
    addresses = tuple(part.strip() for part in given.split(",")) if given else ()
    for address in addresses:
        try:
            version = ipaddress.ip_address(address).version
            with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.bind((address, 0))
        except (ValueError, OSError):
            raise ConfigError(
                "expected addresses of this machine, such as 127.0.0.2,127.0.0.3", source=flag_of(name), value=address
            ) from None
    return addresses


def flag_of(name: str) -> str:
    """``ext_report_dir`` -> ``--ext-report-dir``."""
    return "--" + name.replace("_", "-")


def check_place(path: str, source: str, key: str) -> None:
    """The same as `check_report_dir`, as far as it can be told without making anything."""
    folder = Path(path)
    try:
        _try_out(next(each for each in (folder, *folder.absolute().parents) if each.exists()))
    except OSError as error:
        raise _no_folder(error, path, source, key) from error


def check_report_dir(path: str, source: str = "--ext-report-dir", key: str = "") -> Path:
    """The folder, made if need be and tried out. Raises `ConfigError` if nothing can be written there."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _try_out(folder)
    except OSError as error:
        raise _no_folder(error, path, source, key) from error
    return folder


def _try_out(folder: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-"):
        pass


def _no_folder(error: OSError, path: str, source: str, key: str) -> ConfigError:
    problem = os.strerror(error.errno or 0).lower()
    return ConfigError(f"expected a folder that can be written to: {problem}", source=source, key=key, value=path)
