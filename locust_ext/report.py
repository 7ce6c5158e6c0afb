"""``locust-ext report``: one run once more, in any format, or several beside the first. Reads and writes files only.

Loads neither Locust nor gevent: it answers at once, in a CI job too.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from locust_ext.errors import ConfigError

if TYPE_CHECKING:
    from locust_ext.core.accounting.compare import Tolerance
    from locust_ext.model import Snapshot

NOT_VALID, REGRESSION = 4, 5
"""Exit codes: those of a run with ``--ext-baseline``, in the same order."""
CONSOLE: Final = "console"
_SHORT: Final = {"md": "summary.md", "json": "summary.json", "junit": "junit.xml"}
_ROWS: Final = ("timeline.csv", "resources.csv")
"""What ``summary.json`` does not hold: it is read from the files beside it, where they are."""

_RANGES: Final = {
    "tolerance": "of at least 0",
    "error_rate_tolerance": "from 0 to 1",
    "latency_tolerance_ms": "of at least 0",
    "alpha": "above 0, of at most 0.5",
}


def report(arguments: Sequence[str]) -> int:
    """The command with the arguments after its name; gives its exit code. `ConfigError` for a file that is no result."""
    from locust_ext.core.accounting.compare import compare
    from locust_ext.outputs import REPORTS, texts_of
    from locust_ext.outputs.several import SEVERAL, one_console

    options = _parser().parse_args(arguments)
    tolerance = _tolerance(options)
    paths = [_file_of(given) for given in options.files]
    if len(paths) == 1:
        snapshot, missing = _read(paths[0])
        renderers = {CONSOLE: one_console, **REPORTS}
        name = _format(options.format, renderers)
        if options.out is not None:
            _refuse_own_folder(options.out, paths)
            texts = texts_of(snapshot, [each for each in REPORTS if each not in missing])
            for each, why in missing.items():
                sys.stderr.write(f"locust-ext report: {each} is left out: {why}\n")
            return _write(options.out, {**texts, "console.txt": one_console(snapshot)})
        if name in missing:
            raise ConfigError(missing[name], source=str(paths[0]), key="--format", value=name)
        if not (text := renderers[name](snapshot)):
            raise ConfigError("this run has none", source=str(paths[0]), key="--format", value=name)
        return _print(text)
    snapshots = [_read(path)[0] for path in paths]
    snapshots[1:] = [replace(each, comparison=compare(snapshots[0], each, tolerance)) for each in snapshots[1:]]
    runs = list(zip(map(str, options.files), snapshots, strict=True))
    name = _format(options.format, SEVERAL)
    if options.out is not None:
        _refuse_own_folder(options.out, paths)
        failed = _write(
            options.out, {"console.txt" if each == CONSOLE else each: tell(runs) for each, tell in SEVERAL.items()}
        )
    else:
        failed = _print(SEVERAL[name](runs))
    return failed or _exit_code(snapshots)


def _exit_code(snapshots: Sequence[Snapshot]) -> int:
    if not all(snapshot.run.valid for snapshot in snapshots):
        return NOT_VALID
    worse = [each for each in snapshots if each.comparison is not None and each.comparison.regressions]
    return REGRESSION if worse else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="locust-ext report",
        usage="locust-ext report [-h] [--format NAME | --out DIR] [tolerances] FILE [FILE …]",
        description="One summary.json: show it in a format. Several: compare each with the first, as --ext-baseline does.",
        epilog="exit codes with several files: 0 no regression, 4 a run is not valid, 5 a regression; 1: a wrong file",
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a summary.json, or the folder that it is in")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--format",
        default=CONSOLE,
        metavar="NAME",
        help="console (default), or a file of the report folder: md, junit.xml, timeline.csv, …; console, md or "
        "junit.xml for several",
    )
    where.add_argument("--out", type=Path, metavar="DIR", help="write every format that can be made into this folder")
    limits = parser.add_argument_group("tolerances", "what does not count as a change (the settings baseline.…)")
    limits.add_argument("--tolerance", metavar="SHARE", help="of a latency or a throughput: 0.1 is 10 %%, the default")
    limits.add_argument("--error-rate-tolerance", metavar="SHARE", help="difference of two error rates (0.001)")
    limits.add_argument("--latency-tolerance-ms", metavar="MS", help="differences of latencies up to this (0)")
    limits.add_argument("--alpha", metavar="CHANCE", help="of calling anything changed where nothing is (0.01)")
    limits.add_argument("--config", metavar="FILE", help="settings file with a section baseline; the flags above win")
    return parser


def _tolerance(options: argparse.Namespace) -> Tolerance:
    from pydantic import ValidationError

    from locust_ext.core.accounting.compare import Tolerance
    from locust_ext.settings import BaselineSettings, load_settings

    settings = load_settings(options.config).baseline if options.config else BaselineSettings()
    for field in BaselineSettings.model_fields:
        value = getattr(options, field)
        if value is None:
            continue
        try:
            settings = BaselineSettings.model_validate({**settings.model_dump(), field: value})
        except ValidationError:
            flag = "--" + field.replace("_", "-")
            raise ConfigError(f"expected a number {_RANGES[field]}", source=flag, value=value) from None
    return Tolerance(
        settings.tolerance,
        settings.error_rate_tolerance,
        round(settings.latency_tolerance_ms * 1000),
        settings.alpha,
    )


def _format(given: str, known: Mapping[str, object]) -> str:
    import difflib

    name = _SHORT.get(given, given)
    if name in known:
        return name
    near = difflib.get_close_matches(given, [*known, *_SHORT], n=1)
    raise ConfigError(
        f"expected one of {', '.join(known)}",
        source="--format",
        value=given,
        nearest=near[0] if near else None,
    )


def _file_of(given: str) -> Path:
    path = Path(given)
    return path / "summary.json" if path.is_dir() else path


def _read(path: Path) -> tuple[Snapshot, dict[str, str]]:
    """The run, and why it lacks what some reports are made of (name of the report -> the reason)."""
    from locust_ext.outputs.read import read_summary
    from locust_ext.outputs.read_tables import read_resources, read_timeline

    snapshot = read_summary(_bytes_of(path), str(path))
    missing: dict[str, str] = {}
    beside = {name: path.with_name(name) for name in _ROWS}
    for name, other in beside.items():
        if path.name != "summary.json" or not other.is_file():
            missing[name] = f"its rows are not in summary.json, and there is no {name} beside it"
        elif name == "timeline.csv":
            snapshot = replace(snapshot, timeline=read_timeline(_text_of(other), str(other)))
        else:
            snapshot = read_resources(_text_of(other), snapshot, str(other))
    return snapshot, missing


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {os.strerror(error.errno or 0)}", source=str(path)) from error


def _text_of(path: Path) -> str:
    try:
        return _bytes_of(path).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError("expected a file in UTF-8", source=str(path)) from None


def _refuse_own_folder(folder: Path, paths: Sequence[Path]) -> None:
    for path in paths:
        if path.parent.resolve() == folder.resolve():
            raise ConfigError("expected another folder than that of a file to read", source="--out", value=str(folder))


def _write(folder: Path, files: Mapping[str, str]) -> int:
    from locust_ext.plugin.reports import write_reports  # says itself what went wrong

    return 0 if write_reports(folder, files) else 1


def _print(text: str) -> int:
    """As UTF-8 whatever the terminal says of itself; a reader that has gone (``| head``) is no error."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
