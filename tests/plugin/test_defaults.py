"""What settings say of flags: they are the parser's defaults, so that flags and environment variables win by themselves."""

from __future__ import annotations

from locust.argument_parser import LocustArgumentParser, get_empty_argument_parser, setup_parser_arguments

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from locust_ext.errors import ConfigError
from locust_ext.plugin import defaults
from locust_ext.plugin.options import add_arguments

YAML = "run: {users: 7, run_time: 1m30s, stop_timeout: 2s, log_level: debug, profiles: {active: 0.3, idle: 1}}\n"


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["locust"])
    for name in ("LOCUST_EXT_CONFIG", "LOCUST_USERS", "LOCUST_EXT_SEED"):
        monkeypatch.delenv(name, raising=False)
    defaults.forget_code()
    yield
    defaults.forget_code()


def parsed(*arguments: str) -> Namespace:
    """As Locust parses its command line, once the locustfile has been imported."""
    parser: LocustArgumentParser = get_empty_argument_parser()
    setup_parser_arguments(parser)
    add_arguments(parser)
    defaults.use_settings(parser)
    options: Namespace = parser.parse_args(list(arguments))
    return options


def test_the_file_is_found_on_the_command_line_in_the_environment_and_in_locusts_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert defaults.config_path([]) is None
    (tmp_path / "locust.conf").write_text("users = 5\next-config = from.conf\nexpect-workers = 2\n")
    assert defaults.config_path([]) == "from.conf"
    monkeypatch.setenv("LOCUST_EXT_CONFIG", "from.environment")
    assert defaults.config_path([]) == "from.environment"
    line = ["-f", "a.py,b.py", "--headless", "-u", "5", "--host=http://x", "--ext-config", "from.line", "Crowd", "-s3"]
    assert defaults.config_path(line) == "from.line"
    assert defaults.config_path(["--ext-config=from.line"]) == "from.line"


def test_what_the_file_says_are_the_flags_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.yaml").write_text(
        YAML.replace("{users", "{host: embedded, spawn_rate: 3, requests: 50/user, warmup_s: 2, seed: 9, users")
        + "report: {dir: out, baseline: before}\n"
    )
    monkeypatch.setattr("sys.argv", ["locust", "--ext-config", "x.yaml"])
    options = parsed()
    assert {name: getattr(options, name) for name in defaults._FLAGS} == {
        "host": "embedded",
        "num_users": 7,
        "spawn_rate": 3.0,
        "run_time": 90,
        "stop_timeout": 2,
        "loglevel": "DEBUG",
        "ext_requests": "50/user",
        "ext_warmup": 2.0,
        "ext_wait_for_target": None,
        "ext_seed": 9,
        "ext_profiles": ["active:0.3", "idle:1.0"],
        "ext_report_dir": "out",
        "ext_baseline": "before",
    }
    assert isinstance(options.run_time, int)  # Locust's log says "90 seconds", as of a flag


def test_flag_environment_file_install_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed().num_users is None
    defaults.add_code({"run": {"users": 3, "seed": 3}}, str(tmp_path / "locustfile.py"))
    assert (parsed().num_users, parsed().ext_seed) == (3, 3)
    (tmp_path / "x.yaml").write_text(YAML)
    monkeypatch.setattr("sys.argv", ["locust", "--ext-config", "x.yaml"])
    assert (parsed().num_users, parsed().ext_seed) == (7, 3)
    (tmp_path / "locust.conf").write_text("users = 8\n")
    assert parsed().num_users == 8
    monkeypatch.setenv("LOCUST_USERS", "9")
    assert parsed().num_users == 9
    assert parsed("-u", "10").num_users == 10


def test_the_file_is_read_once_however_often_locust_makes_its_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.yaml").write_text(YAML)
    monkeypatch.setattr("sys.argv", ["locust", "--ext-config", "x.yaml"])
    assert parsed().num_users == 7
    (tmp_path / "x.yaml").write_text("half written: [")  # somebody edits it while the web UI is looked at
    assert parsed().num_users == 7
    assert defaults.layered("x.yaml").run.users == 7


def test_a_wrong_file_ends_the_process_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.yaml").write_text("run: {usres: 5}")
    monkeypatch.setattr("sys.argv", ["locust", "--ext-config", "x.yaml"])
    with pytest.raises(SystemExit) as caught:
        parsed()
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("locust-ext: error: x.yaml: run.usres: unknown key, ")
    assert said.count("\n") == 1


def test_settings_in_code_are_named_by_their_locustfile(tmp_path: Path) -> None:
    path = tmp_path / "locustfiles" / "steady.py"
    with pytest.raises(ConfigError) as caught:
        defaults.add_code({"run": {"users": "many"}}, str(path))
    assert str(caught.value) == "locustfiles/steady.py: run.users: expected a whole number (got 'many')"
    defaults.add_code({"run": {"users": 3}}, str(path))
    assert defaults.layered(None).source == "locustfiles/steady.py"


def test_several_calls_add_up(tmp_path: Path) -> None:
    defaults.add_code({"run": {"users": 3, "seed": 3}}, "a.py")
    defaults.add_code({"run": {"users": 4}, "rate": 5}, "b.py")
    settings = defaults.layered(None)
    assert (settings.run.users, settings.run.seed) == (4, 3)
    assert settings.rate is not None
    assert settings.rate.per_s == 5


def test_as_a_library_our_own_options_are_filled_in_where_none_are_given() -> None:
    defaults.add_code({"run": {"users": 3, "seed": 3, "warmup_s": 2}, "report": {"dir": "out"}}, "a.py")
    options: Any = Namespace(ext_seed=8, ext_warmup=None)
    defaults.fill_in(options, defaults.layered(None))
    assert vars(options) == {"ext_seed": 8, "ext_warmup": 2.0, "ext_report_dir": "out"}
