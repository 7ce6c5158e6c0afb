"""``locust-ext suite FILE``: the command line."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from locust_ext.errors import ConfigError
from locust_ext.outputs.suite_text import suite_console
from locust_ext.outputs.text import shown
from locust_ext.settings.complaints import complaint
from locust_ext.settings.run import RunSettings
from locust_ext.suite.file import Suite, load_suite
from locust_ext.suite.plan import Overrides, Planned, planned
from locust_ext.suite.running import Run

_EPILOG: Final = """\
everything after -- goes to each locust: locust-ext suite FILE -- --loglevel DEBUG
exit codes: 0 all passed; else the worst of the scenarios' codes, in this order: 2 an exception, a crash, or ended for
taking too long; 4 not valid; 3 a rule failed; 5 a regression; 1 errors; before any scenario: 1 a wrong suite file,
2 a wrong command line; 130 Ctrl-C, 143 SIGTERM (the report then holds what was done)
"""


def suite(arguments: Sequence[str], write: Callable[[Path, Mapping[str, str]], bool]) -> int:
    """The command with the arguments after its name; gives its exit code. ``write`` puts files into a folder.

    `ConfigError` for wrong input, before any scenario has started.
    """
    options, flags = _parse(arguments)
    read = load_suite(options.file)
    overrides = Overrides(
        only=tuple(dict.fromkeys(name for text in options.only for name in re.split(r"\s*,\s*", text) if name)),
        args=_args(options),
        processes=_processes(options.processes),
        flags=tuple(flags),
    )
    scenarios = planned(read, overrides)
    if options.list:
        say(_listed(read, scenarios))
        return 0
    folder = Path(options.report_dir or read.settings.report_dir or Path("reports") / _slug(read.name))
    count = f"{len(scenarios)} scenario{'' if len(scenarios) == 1 else 's'}"
    say(f"suite {shown(read.name)}: {count}, one after the other; reports in {folder}\n")
    run = Run(
        read.name,
        scenarios,
        folder,
        say,
        write,
        stop_on_failure=options.stop_on_failure or read.settings.stop_on_failure,
        verbose=options.verbose,
        masked=read.masked,
    )
    result = run.run()
    say(f"\n{suite_console(result)}")
    return result.exit_code or (0 if run.is_written else 1)


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Our options, and what stands behind ``--``."""
    ours = list(arguments)
    flags: list[str] = []
    if "--" in ours:
        at = ours.index("--")
        ours, flags = ours[:at], ours[at + 1 :]
    return _parser().parse_args(ours), flags


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="locust-ext suite",
        usage="locust-ext suite [options] FILE [-- LOCUST FLAGS]",
        description="Run the scenarios of a suite file one after the other, each in a Locust process of its own, with "
        "one report of all (suite.json, suite.md, junit.xml) and one exit code.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="a YAML file, such as config/suite.yaml")
    add("--list", action="store_true", help="show what would run, and the command of each; everything is checked")
    add("--only", action="append", default=[], metavar="NAME,…", help="these scenarios only")
    add("--host", metavar="URL", help="the target of all scenarios; embedded: the reference server")
    add("--report-dir", metavar="DIR", help="folder of the reports (reports/NAME of the suite)")
    add("--users", metavar="N", help="users of each scenario without a shape")
    add("--run-time", metavar="TIME", help="how long each scenario lasts: 90, 90s, 1m30s")
    add("--processes", metavar="N", help="workers of each scenario, on this machine; -1: one for each core")
    add("--stop-on-failure", action="store_true", help="skip what comes after a scenario that failed")
    add("--verbose", action="store_true", help="show what the scenarios say, too; it is in their locust.log anyway")
    return parser


def _args(options: argparse.Namespace) -> RunSettings:
    """The flags that say what ``args:`` says in the file. `ConfigError` names the flag."""
    given: dict[str, object] = {}
    for name in ("host", "users", "run_time"):
        value = getattr(options, name)
        if value is None:
            continue
        try:
            RunSettings.model_validate({name: value})
        except ValidationError as error:
            wrong = complaint(error.errors(include_url=False)[0], "", is_secret=False, whole=RunSettings)
            flag = "--" + name.replace("_", "-")
            raise ConfigError(wrong.expected, source=flag, value=value, shows_value="@" not in value) from None
        given[name] = value
    return RunSettings.model_validate(given)


def _processes(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"-1|[1-9][0-9]*", text):
        raise ConfigError("expected a number of workers, or -1 for one for each core", source="--processes", value=text)
    return int(text)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.") or "suite"


def _listed(suite: Suite, scenarios: Sequence[Planned]) -> str:
    """A command for each, which is what will run but for the folder of its report."""
    lines = []
    for each in scenarios:
        lasts = "" if each.run_s is None else f"   # {each.run_s:g} s"
        lines.append(f"{each.name}{lasts}\n    {suite.masked(shlex.join(('locust', *each.arguments)))}\n")
    return "".join(lines)


def say(text: str) -> None:
    """As UTF-8 whatever the terminal says of itself, at once; a reader that has gone (``| head``) is no error."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
