"""The ``locust-ext`` console command: one row of ``COMMANDS`` and one function a subcommand.

Exit codes: the subcommand's own · 1 bad input or no target, told in one line · 2 a wrong command line · 130 Ctrl-C.
A subcommand's function is handed the arguments after its name, parses them itself, and imports what it needs when it
is called: ``locust-ext --help`` loads neither Locust nor a server.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from locust_ext.errors import ConfigError, TargetUnavailable

PROGRAM: Final = "locust-ext"


def server(arguments: Sequence[str]) -> int:
    """Serve the reference server until it is told to end; its flags are those of ``python -m locust_ext.refserver``."""
    from locust_ext.refserver.__main__ import main as serve

    return serve(arguments)


def suite(arguments: Sequence[str]) -> int:
    """Run the scenarios of a suite file one after the other: see ``locust-ext suite --help``.

    Exit codes: 0 · 1 a wrong suite file, or errors · 2 to 5 as those of a run, the worst of all · 130 Ctrl-C · 143 SIGTERM.
    """
    from locust_ext.plugin.reports import write_reports
    from locust_ext.suite.command import suite as run

    return run(arguments, write_reports)


def report(arguments: Sequence[str]) -> int:
    """Show one run again, or several beside the first: see ``locust-ext report --help``.

    Exit codes: 0 · 1 a file that is no result · 4 one of several runs is not valid · 5 a regression against the first.
    """
    from locust_ext.report import report as tell

    return tell(arguments)


def metrics(arguments: Sequence[str]) -> int:
    """List what a rule can be about: see ``locust-ext metrics --help``. Exit code 0."""
    from locust_ext.metrics_command import metrics as tell

    return tell(arguments)


def settings(arguments: Sequence[str]) -> int:
    """Check a settings file and print what it comes to: see ``locust-ext settings --help``. Exit code 0, or 1."""
    from locust_ext.settings_command import settings as tell

    return tell(arguments)


def schema(arguments: Sequence[str]) -> int:
    """Print or write the JSON Schema of settings files: see ``locust-ext schema --help``. Exit code 0, or 1."""
    from locust_ext.settings_command import schema as tell

    return tell(arguments)


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand: its line in the help, and what it does with the arguments after its name."""

    help: str
    run: Callable[[Sequence[str]], int]


COMMANDS: Final[Mapping[str, Command]] = {
    "server": Command("start the reference server (locust-ext server --help: its flags)", server),
    "suite": Command("run several scenarios one after the other: one report, one exit code", suite),
    "report": Command("show a summary.json in any format, or compare several with the first of them", report),
    "metrics": Command("list what a rule (--ext-rules) can be about, with units and what narrows it", metrics),
    "settings": Command(
        "check a settings file (--ext-config) and print what it comes to, without its secrets", settings
    ),
    "schema": Command("print the JSON Schema of settings files, for editors", schema),
}


def build_parser() -> argparse.ArgumentParser:
    """The part of the command line up to and including the subcommand's name; the rest is the subcommand's."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [-h] [--version] COMMAND …",
        description="What locust-ext does outside a Locust run.",
        epilog=f"commands:\n{rows}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the subcommand that ``argv`` (default: the process's arguments) names; returns the exit code.

    Raises ``SystemExit`` where argparse does: 0 after a help text, 2 after a usage error.
    """
    parser = build_parser()
    parsed = parser.parse_args(argv)
    if parsed.version:
        from locust_ext import __version__

        print(f"{PROGRAM} {__version__}")
        return 0
    if parsed.command is None:
        parser.print_help(sys.stderr)
        return 2
    command = COMMANDS.get(parsed.command)
    if command is None:
        near = difflib.get_close_matches(parsed.command, COMMANDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        parser.error(f"unknown command {parsed.command!r}, expected one of {', '.join(COMMANDS)}{hint}")
    try:
        return command.run(parsed.arguments)
    except (ConfigError, TargetUnavailable) as error:
        print(f"{PROGRAM} {parsed.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
