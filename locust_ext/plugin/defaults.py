"""What settings say of the flags: the defaults of Locust's own and of ours, from ``--ext-config`` and from ``install``.

Locust imports the locustfile before it makes its parser, and makes that again at every page of its web UI. The file is
found beforehand, by a parser of our own that knows of nothing else, and read once.

Precedence: flag, environment variable, ``locust.conf``, the file of ``--ext-config``, ``install(…)``, default. Flags and
environment variables win by themselves: what the settings say are defaults of the parser.
"""

from __future__ import annotations

from locust.argument_parser import LocustArgumentParser, get_empty_argument_parser

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from locust_ext.errors import ConfigError
from locust_ext.settings import Layer, Settings, check_names, layer, read_layer, settings_of

_FLAGS: Final[Mapping[str, Callable[[Settings], Any]]] = {
    "host": lambda settings: settings.run.host,
    "num_users": lambda settings: settings.run.users,
    "spawn_rate": lambda settings: settings.run.spawn_rate,
    "run_time": lambda settings: _whole(_run_time(settings)),
    "stop_timeout": lambda settings: _whole(settings.run.stop_timeout),
    "loglevel": lambda settings: settings.run.log_level and settings.run.log_level.upper(),
    "ext_requests": lambda settings: settings.run.requests,
    "ext_warmup": lambda settings: settings.run.warmup_s,
    "ext_wait_for_target": lambda settings: settings.run.wait_for_target_s,
    "ext_seed": lambda settings: settings.run.seed,
    "ext_profiles": lambda settings: profile_texts(settings),
    "ext_report_dir": lambda settings: settings.report.dir,
    "ext_baseline": lambda settings: settings.report.baseline,
}
"""Name of the option -> what the settings say of it; None: nothing."""

_code: Layer | None = None
"""What `install` was given, in all locustfiles of this process."""
_read: dict[str, Layer] = {}
"""Files that were read for the parser: they are not read again, however often Locust makes it (or if they are pipes)."""


def _whole(seconds: float | None) -> float | None:
    """As Locust's own flags have them, where that is possible."""
    return int(seconds) if seconds is not None and seconds.is_integer() else seconds


def _run_time(settings: Settings) -> float | None:
    """That of a locustfile does not cut off a shape that a file has brought along."""
    shape, said = settings.origin("shape"), settings.origin("run", "run_time")
    if shape is not None and shape.is_file and said is not None and not said.is_file:
        return None
    return settings.run.run_time


def profile_texts(settings: Settings) -> list[str] | None:
    """``run.profiles`` as ``--ext-profiles`` would have it."""
    shares = settings.run.profiles
    return None if shares is None else [f"{name}:{share}" for name, share in shares.items()]


def add_code(given: Mapping[str, Any], path: str) -> None:
    """The settings that a locustfile gives to `install`; they stand over those of an earlier call. Raises `ConfigError`."""
    global _code
    made = layer(dict(given), _shown(path), is_file=False)
    check_names(made)
    _code = made if _code is None else made.over(_code)


def forget_code() -> None:
    """As if `install` had never been given any settings."""
    global _code
    _code = None
    _read.clear()


def _shown(path: str) -> str:
    """The path as a person in the working directory would write it."""
    try:
        relative = os.path.relpath(path)
    except ValueError:
        return path
    return path if relative.startswith("..") else relative


def layered(path: str | Path | None) -> Settings:
    """The settings of this file over those of `install`. Raises `ConfigError`."""
    layers = [_code] if _code is not None else []
    if path:
        layers.append(_read.get(str(path)) or read_layer(path))
    return settings_of(*layers)


def config_path(arguments: list[str] | None = None) -> str | None:
    """The file that ``--ext-config``, ``LOCUST_EXT_CONFIG`` or ``locust.conf`` names; None: none of them does.

    To be asked while the locustfile is being imported: Locust has not read its flags by then.
    """
    parser = get_empty_argument_parser(add_help=False)
    parser.add_argument("--ext-config", env_var="LOCUST_EXT_CONFIG")
    found = parser.parse_known_args(args=arguments)[0].ext_config
    return found or None


def settings_at_start() -> Settings:
    """What holds for this process, before Locust has read its flags. The file is read once. Raises `ConfigError`."""
    path = config_path()
    if path and path not in _read:
        _read[path] = read_layer(path)
    return layered(path)


def flag_defaults(settings: Settings) -> dict[str, Any]:
    """The options that the settings say something of, by name."""
    said = {name: value_of(settings) for name, value_of in _FLAGS.items()}
    return {name: value for name, value in said.items() if value is not None}


def use_settings(parser: LocustArgumentParser) -> None:
    """Give the flags the defaults that the settings say. What is wrong with these ends the process, in one line."""
    try:
        parser.set_defaults(**flag_defaults(settings_at_start()))
    except ConfigError as error:
        refuse(error)


def fill_in(options: Any, settings: Settings) -> None:
    """The same for who uses Locust as a library, without its parser: our options that are not given."""
    for name, value in flag_defaults(settings).items():
        if name.startswith("ext_") and getattr(options, name, None) is None:
            setattr(options, name, value)


def refuse(error: Exception) -> None:
    """End the process before the run, with one line that says why."""
    sys.stderr.write(f"locust-ext: error: {error}\n")
    sys.stderr.flush()
    sys.exit(1)
