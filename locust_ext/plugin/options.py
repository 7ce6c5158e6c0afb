"""The command line flags (group ``locust-ext``), each also an environment variable ``LOCUST_EXT_…``, and their checks."""

from __future__ import annotations

from locust.argument_parser import LocustArgumentParser

import argparse
import ipaddress
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from locust_ext.errors import ConfigError

GROUP = "locust-ext"


def _positive_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 86_400:
        raise argparse.ArgumentTypeError(f"expected seconds, more than 0, got {text!r}")
    return seconds


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None


def _base_address(text: str) -> str:
    if not text.startswith(("http://", "https://", "ws://", "wss://")):
        raise argparse.ArgumentTypeError(f"expected an address such as http://127.0.0.1:8000, got {text!r}")
    return text


def _addresses(text: str) -> str:
    for part in text.split(","):
        try:
            ipaddress.ip_address(part.strip())
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"expected local addresses such as 127.0.0.2,127.0.0.3, got {part.strip()!r}"
            ) from None
    return text


def add_arguments(parser: LocustArgumentParser) -> None:
    """Add the flags; idempotent (Locust asks at every page load of its web UI)."""
    if any(action.dest == "ext_config" for action in parser._actions):
        return
    group = parser.add_argument_group(GROUP, "Load testing of real-time systems (locust_ext)")

    def add(flag: str, help: str, metavar: str, type: Callable[[str], Any] = str, **more: Any) -> None:
        name = flag.removeprefix("--").replace("-", "_").upper()
        action = group.add_argument(flag, help=help, metavar=metavar, type=type, env_var=f"LOCUST_{name}", **more)
        action.include_in_web_ui = False  # type: ignore[attr-defined]
        action.is_secret = action.is_required = action.is_multiple = False  # type: ignore[attr-defined]

    add("--ext-config", "YAML file with the scenario's parameters", "FILE")
    add("--ext-report-dir", "folder that the run's reports are written to (summary.json and others)", "DIR")
    add("--ext-wait-for-target", "wait up to S seconds for the target to answer before the start", "S", _positive_seconds)
    add("--ext-seed", "seed of the users' random numbers, for runs that can be repeated", "N", _whole_number)
    add(
        "--ext-profiles",
        "shares of the user profiles, such as active:0.3 regular:0.7; profiles that are not named get no users",
        "NAME:SHARE",
        nargs="+",
    )
    add("--ext-agent-host", "base address of the agent channel, where it is not that of --host", "URL", _base_address)
    add(
        "--ext-source-addresses",
        "local addresses that connections are opened from in turn, so that one machine can hold more than 28,000",
        "A,B",
        _addresses,
    )


def check_report_dir(path: str) -> Path:
    """The folder, made if need be and tried out. Raises `ConfigError` if nothing can be written there."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-"):
            pass
    except OSError as error:
        raise ConfigError(
            f"expected a folder that can be written to: {os.strerror(error.errno or 0).lower()}",
            source="--ext-report-dir",
            value=path,
        ) from error
    return folder
