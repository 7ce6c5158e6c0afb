"""The ``locust-ext`` command: what it prints, and its exit codes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from locust_ext import cli
from locust_ext.errors import ConfigError, TargetUnavailable

DEADLINE_S = 20


def start(*arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """The command as a process of its own, as the console script starts it."""
    return subprocess.Popen(
        [sys.executable, "-c", "import sys; from locust_ext.cli import main; sys.exit(main())", *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def add_command(monkeypatch: pytest.MonkeyPatch, name: str, outcome: object) -> list[Sequence[str]]:
    """A subcommand that returns ``outcome``, or raises it; the list takes the arguments that it is called with."""
    calls: list[Sequence[str]] = []

    def run(arguments: Sequence[str]) -> int:
        calls.append(arguments)
        if isinstance(outcome, BaseException):
            raise outcome
        assert isinstance(outcome, int)
        return outcome

    monkeypatch.setattr(cli, "COMMANDS", {**cli.COMMANDS, name: cli.Command("made up", run)})
    return calls


def test_without_a_subcommand_it_prints_the_help_and_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: locust-ext ")
    width = max(map(len, cli.COMMANDS))
    for name, command in cli.COMMANDS.items():
        assert f"  {name:<{width}}  {command.help}" in printed.err


def test_help_exits_0_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    assert "start the reference server" in capsys.readouterr().out


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    import locust_ext

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"locust-ext {locust_ext.__version__}\n"


def test_an_unknown_subcommand_exits_2_and_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["sever"])
    assert ended.value.code == 2
    names = ", ".join(cli.COMMANDS)
    said = capsys.readouterr().err
    assert f"unknown command 'sever', expected one of {names}; did you mean 'server'?" in said


def test_a_subcommand_gets_all_arguments_after_its_name_and_gives_the_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = add_command(monkeypatch, "judge", 3)
    assert cli.main(["judge", "--help", "--version", "-x", "a file", "--", "server"]) == 3
    assert calls == [["--help", "--version", "-x", "a file", "--", "server"]]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ConfigError("expected a number", source="rules.yaml", key="p95_ms", value="fast"),
            "locust-ext judge: rules.yaml: p95_ms: expected a number (got 'fast')\n",
        ),
        (
            TargetUnavailable("http://127.0.0.1:1", "nothing listens there"),
            "locust-ext judge: http://127.0.0.1:1: nothing listens there\n",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, line: str
) -> None:
    add_command(monkeypatch, "judge", error)
    assert cli.main(["judge"]) == 1
    assert capsys.readouterr() == ("", line)


def test_ctrl_c_in_a_subcommand_is_130_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_command(monkeypatch, "judge", KeyboardInterrupt())
    assert cli.main(["judge"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    add_command(monkeypatch, "judge", ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["judge"])


def test_server_says_ready_and_ends_in_order_at_ctrl_c() -> None:
    process = start("server", "--port", "0", "--parent-pid", str(os.getpid()), stdin=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("READY http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, out, err) == (0, "", "")
    finally:
        process.kill()
        process.wait(DEADLINE_S)


def test_server_takes_the_flags_of_the_reference_server() -> None:
    process = start("server", "--port", "99999")
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 2
    assert out == ""
    assert "argument --port" in err
    assert "Traceback" not in err


def test_the_help_loads_neither_locust_nor_gevent_nor_a_server() -> None:
    code = (
        "import sys; from locust_ext.cli import main; main([]);"
        "print([name for name in ('aiohttp', 'gevent', 'locust', 'pydantic', 'socketio') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    assert result.stdout == "[]\n"


def test_metrics_lists_every_metric_with_its_unit_in_eighty_columns(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    from locust_ext.core.alerts.metrics import METRICS

    assert cli.main(["metrics"]) == 0
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line for line in lines if line and line.split()[0] in METRICS}
    assert list(rows) == list(METRICS)
    assert rows["rate"].split()[1] == "/s"
    above = lines[: lines.index(rows["error_ratio"])]
    assert above[-1] == "where: type, name, tags, worker, class"


def test_metrics_as_json_are_for_programs(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    from locust_ext.core.alerts.metrics import METRICS

    assert cli.main(["metrics", "--format", "json"]) == 0
    rows = json.loads(capfdbinary.readouterr().out)
    assert [row["metric"] for row in rows] == list(METRICS)
    assert rows[0] == {
        "metric": "latency_average",
        "unit": "ms",
        "help": "average response time, without CONNECT, POOL and PUSH",
        "where": ["type", "name", "tags", "worker"],
    }


def test_metrics_loads_neither_locust_nor_gevent() -> None:
    code = (
        "import sys; from locust_ext.cli import main; main(['metrics']); "
        "sys.exit(', '.join(name for name in ('locust', 'gevent', 'flask') if name in sys.modules) or 0)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S)
    assert (process.returncode, process.stderr) == (0, "")
