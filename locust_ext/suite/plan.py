"""What a suite is going to run: paths found, files read, flags put together; all before the first process starts."""

from __future__ import annotations

import argparse
import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from locust_ext.core.alerts.rules_file import DEFAULT, NONE, load_rule_file, rules_of
from locust_ext.core.schedules import SCHEDULES
from locust_ext.errors import ConfigError
from locust_ext.settings import Settings, load_settings
from locust_ext.settings.run import RunSettings
from locust_ext.suite.file import ScenarioEntry, Suite

GRACE_S: Final = 60.0
"""How long a process may take beyond its run time: to start, to wait for its users, to report."""
_OURS: Final = {
    "-f": "the key locustfile",
    "--locustfile": "the key locustfile",
    "--ext-report-dir": "the key report_dir, or --report-dir,",
    "--master": "--processes",
    "--worker": "--processes",
}
"""Flags that are the suite's own -> what says it instead."""
_MASTER_PORTS: Final = ("--master-port", "--master-bind-port")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says of all scenarios."""

    only: tuple[str, ...] = ()
    """Names of those that run; empty: all."""
    args: RunSettings = field(default_factory=RunSettings)
    processes: int | None = None
    """Workers of each scenario; -1: one for each core; None: each is a single process."""
    flags: tuple[str, ...] = ()
    """More arguments for each Locust, behind all others."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One scenario that is going to run."""

    name: str
    folder: str
    """Of its report, below the suite's: its number in the file and its name."""
    arguments: tuple[str, ...]
    """Of Locust, but for the report's folder and the ports of a master."""
    run_s: float | None = None
    """How long it is going to load; None: that is not known before."""
    limit_s: float | None = None
    """How long its process may take; None: that depends on a run time that its locustfile sets."""
    grace_s: float = GRACE_S
    """How long it may take beyond such a run time."""
    stop_s: float = 0.0
    """How long its users may take to stop."""
    needs_port: bool = False
    """It has workers, and nobody has said where they meet."""


def planned(suite: Suite, overrides: Overrides) -> tuple[Planned, ...]:
    """The scenarios that are asked for, in the order of the file. All of the file is checked: `ConfigError`."""
    _check_flags(overrides.flags, "--", "")
    made = [_planned(suite, number, entry, overrides) for number, entry in enumerate(suite.settings.scenarios)]
    names = [each.name for each in made]
    for name in overrides.only:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            expected = f"unknown scenario, expected one of {', '.join(names)}"
            raise ConfigError(expected, source="--only", value=name, nearest=near[0] if near else None)
    return tuple(each for each in made if not overrides.only or each.name in overrides.only)


def _planned(suite: Suite, index: int, entry: ScenarioEntry, overrides: Overrides) -> Planned:
    key, source = f"scenarios.{index}", str(suite.path)
    _check_flags(entry.flags, source, f"{key}.flags")
    locustfile = _locustfile(suite, entry, key)
    arguments = ["-f", str(locustfile), "--headless", "--only-summary"]
    settings = Settings()
    if entry.config is not None:
        config = _found(suite, entry.config, f"{key}.config")
        settings = load_settings(config)
        rules_of(settings)
        arguments += ["--ext-config", str(config)]
    if entry.rules is not None:
        rules = entry.rules
        if rules not in (DEFAULT, NONE):
            rules = str(_found(suite, rules, f"{key}.rules"))
            load_rule_file(rules)
        arguments += ["--ext-rules", rules]
    suites = RunSettings(host=suite.settings.host)
    args = merged(suites, entry.args, overrides.args)
    arguments += flags_of(args)
    if overrides.processes is not None:
        arguments += ["--processes", str(overrides.processes)]
    flags = (*entry.flags, *overrides.flags)
    run_s, stop_s = _times(settings, args, flags)
    grace_s = GRACE_S + stop_s + (merged(settings.run, args).wait_for_target_s or 0.0)
    limit_s = entry.timeout_s or suite.settings.timeout_s or (None if run_s is None else run_s + grace_s)
    return Planned(
        entry.title,
        f"{index + 1:02}-{re.sub(r'[^A-Za-z0-9_.]+', '-', entry.title).strip('-.') or 'scenario'}",
        (*arguments, *flags),
        run_s,
        limit_s,
        grace_s,
        stop_s,
        _has((*arguments, *flags), ("--processes",)) and not _has(flags, _MASTER_PORTS),
    )


def _has(flags: Iterable[str], names: Iterable[str]) -> bool:
    return any(flag.partition("=")[0] in names for flag in flags)


def _check_flags(flags: Iterable[str], source: str, key: str) -> None:
    for flag in flags:
        instead = _OURS.get(flag.partition("=")[0])
        if instead is not None:
            raise ConfigError(f"expected {instead} instead of this flag", source=source, key=key, value=flag)


def _found(suite: Suite, given: str, key: str) -> Path:
    """The file, seen from the suite file's folder or else from the working directory."""
    places = dict.fromkeys((suite.path.parent / given, Path(given)))
    for place in places:
        if place.is_file():
            return place
    where = " nor ".join(str(place.parent.resolve()) for place in places)
    expected = f"there is no such file in {where}" if len(places) == 1 else f"there is no such file, neither in {where}"
    shown = suite.masked(given)
    raise ConfigError(suite.masked(expected), source=str(suite.path), key=key, value=shown)


def generic_locustfile() -> Path:
    """The shipped locustfile that takes everything from a settings file: in an installed package, or in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "locustfiles" / "scenario.py"
    return installed if installed.is_file() else package.parent / "locustfiles" / "scenario.py"


def _locustfile(suite: Suite, entry: ScenarioEntry, key: str) -> Path:
    """The scenario's locustfile, or the generic one; `ConfigError` if it is no Python."""
    if entry.locustfile is None:
        return generic_locustfile()
    path = _found(suite, entry.locustfile, f"{key}.locustfile")
    if path.suffix != ".py":
        raise ConfigError(
            "expected a Python file", source=str(suite.path), key=f"{key}.locustfile", value=suite.masked(str(path))
        )
    try:
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        where = f" at line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else f": {error}"
        raise ConfigError(f"not valid Python{where}", source=str(path)) from None
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", source=str(path)) from None
    return path


def merged(*layers: RunSettings) -> RunSettings:
    """What each says over those before it."""
    keys: dict[str, object] = {}
    for layer in layers:
        keys |= {name: value for name in layer.model_fields_set if (value := getattr(layer, name)) is not None}
    return RunSettings.model_construct(**keys)  # type: ignore[arg-type]


def flags_of(args: RunSettings) -> list[str]:
    """The arguments of Locust, and of ours, that say the same."""
    told = {
        "--host": args.host,
        "--users": args.users,
        "--spawn-rate": _number(args.spawn_rate),
        "--run-time": None if args.run_time is None else f"{math.ceil(args.run_time)}s",
        "--stop-timeout": _number(args.stop_timeout),
        "--ext-requests": args.requests,
        "--ext-warmup": _number(args.warmup_s),
        "--ext-wait-for-target": _number(args.wait_for_target_s),
        "--ext-seed": args.seed,
        "--loglevel": args.log_level.upper() if args.log_level is not None else None,
    }
    flags = [part for flag, value in told.items() if value is not None for part in (flag, str(value))]
    if args.profiles is not None:
        flags += ["--ext-profiles", ",".join(f"{name}:{share:g}" for name, share in args.profiles.items())]
    return flags


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.15g}"


def _times(settings: Settings, args: RunSettings, flags: Sequence[str]) -> tuple[float | None, float]:
    """How long it is going to load, where that is known; and how long its users may take to stop."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-t", "--run-time")
    parser.add_argument("-s", "--stop-timeout")
    try:
        given = RunSettings.model_validate(
            {name: value for name, value in vars(parser.parse_known_args(flags)[0]).items() if value is not None}
        )
    except (argparse.ArgumentError, ValidationError):
        given = RunSettings()  # Locust says what is wrong with it
    run = merged(settings.run, args, given)
    times = [run.run_time, _shape_s(settings)]
    return min((time for time in times if time is not None), default=None), run.stop_timeout or 0.0


def _shape_s(settings: Settings) -> float | None:
    """Length of the settings' shape; None: there is none, or it does not end by itself, or ends when it knows enough."""
    shape = settings.shape
    if shape is None or shape.name not in SCHEDULES:
        return None
    length_s = SCHEDULES[shape.name](**shape.parameters).plan().length_s
    return length_s if math.isfinite(length_s) else None
