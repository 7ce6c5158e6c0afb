"""What a suite is going to run: paths, flags, times; and that everything is checked before."""

from __future__ import annotations

from pathlib import Path

import pytest

from locust_ext.errors import ConfigError
from locust_ext.settings.run import RunSettings
from locust_ext.suite.file import load_suite
from locust_ext.suite.plan import GRACE_S, Overrides, Planned, flags_of, generic_locustfile, merged, planned

BEGINNING = ("--headless", "--only-summary")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a suite's folder and a working directory beside it."""
    for name in ("suites", "here"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"of_{name}.py").write_text("x = 1\n")
    (tmp_path / "suites" / "fast.yaml").write_text("run: {users: 3, run_time: 20s, stop_timeout: 5}\n")
    (tmp_path / "suites" / "rules.yaml").write_text("rules: [{name: errors, metric: error_ratio, critical: 5%}]\n")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def plan(folder: Path, text: str, **overrides: object) -> tuple[Planned, ...]:
    path = folder / "suites" / "all.yaml"
    path.write_text(text)
    return planned(load_suite(path), Overrides(**overrides))  # type: ignore[arg-type]


def complaint(folder: Path, text: str, **overrides: object) -> str:
    with pytest.raises(ConfigError) as raised:
        plan(folder, text, **overrides)
    return str(raised.value)


def test_a_file_is_looked_for_beside_the_suite_first_and_then_in_the_working_directory(folder: Path) -> None:
    (folder / "here" / "of_suites.py").write_text("wrong one (")
    first, second = plan(folder, "scenarios: [{locustfile: of_suites.py}, {locustfile: of_here.py}]")
    assert first.arguments == ("-f", str(folder / "suites" / "of_suites.py"), *BEGINNING)
    assert second.arguments == ("-f", "of_here.py", *BEGINNING)


def test_a_scenario_that_is_only_settings_has_the_generic_locustfile(folder: Path) -> None:
    (one,) = plan(folder, "scenarios: [{config: fast.yaml, rules: rules.yaml}]")
    suites = folder / "suites"
    assert one.arguments == (
        *("-f", str(generic_locustfile()), *BEGINNING),
        *("--ext-config", str(suites / "fast.yaml"), "--ext-rules", str(suites / "rules.yaml")),
    )
    assert generic_locustfile().is_file()


@pytest.mark.parametrize("rules", ["default", "none"])
def test_the_shipped_rules_and_no_rules_are_no_files(folder: Path, rules: str) -> None:
    (one,) = plan(folder, f"scenarios: [{{config: fast.yaml, rules: {rules}}}]")
    assert one.arguments[-2:] == ("--ext-rules", rules)


def test_every_key_of_args_is_a_flag(folder: Path) -> None:
    args = RunSettings.model_validate(
        {
            "host": "http://h:1",
            "users": 20,
            "spawn_rate": 2.5,
            "run_time": "1m",
            "stop_timeout": "5s",
            "requests": "50/user",
            "warmup_s": 3,
            "wait_for_target_s": 4,
            "seed": 7,
            "log_level": "debug",
            "profiles": {"active": 0.3, "idle": 0.7},
        }
    )
    assert set(args.model_fields_set) == set(RunSettings.model_fields)
    assert flags_of(args) == [
        *("--host", "http://h:1", "--users", "20", "--spawn-rate", "2.5", "--run-time", "60s", "--stop-timeout", "5"),
        *("--ext-requests", "50/user", "--ext-warmup", "3", "--ext-wait-for-target", "4", "--ext-seed", "7"),
        *("--loglevel", "DEBUG", "--ext-profiles", "active:0.3,idle:0.7"),
    ]
    assert flags_of(RunSettings()) == []


def test_the_command_line_wins_over_a_scenario_and_that_over_the_suite(folder: Path) -> None:
    text = (
        "host: http://suite:1\n"
        "scenarios: [{locustfile: of_here.py, args: {users: 5, host: http://one:1}}, {config: fast.yaml}]"
    )
    one, fast = plan(folder, text)
    assert one.arguments[4:] == ("--host", "http://one:1", "--users", "5")
    assert fast.arguments[-2:] == ("--host", "http://suite:1")
    one, fast = plan(folder, text, args=RunSettings(host="embedded", users=9), flags=("--ext-seed", "3"), processes=2)
    end = ("--host", "embedded", "--users", "9", "--processes", "2", "--ext-seed", "3")
    assert one.arguments[4:] == end
    assert fast.arguments[-8:] == end
    assert one.needs_port


def test_a_port_that_somebody_has_said_is_kept(folder: Path) -> None:
    text = "scenarios: [{locustfile: of_here.py, flags: [--master-bind-port=5000]}]"
    assert not plan(folder, text, processes=2)[0].needs_port
    assert not plan(folder, "scenarios: [{locustfile: of_here.py}]")[0].needs_port
    assert plan(folder, "scenarios: [{locustfile: of_here.py, flags: [--processes=2]}]")[0].needs_port


@pytest.mark.parametrize(
    ("entry", "run_s", "limit_s"),
    [
        ("{locustfile: of_here.py}", None, None),
        ("{locustfile: of_here.py, args: {run_time: 90}}", 90, 90 + GRACE_S),
        ("{config: fast.yaml}", 20, 25 + GRACE_S),
        ("{config: fast.yaml, args: {run_time: 10, wait_for_target_s: 7}}", 10, 22 + GRACE_S),
        ("{config: fast.yaml, flags: [-t, 1m, '-s', 9]}", 60, 69 + GRACE_S),
        ("{config: fast.yaml, flags: [--run-time=30s]}", 30, 35 + GRACE_S),
        ("{config: fast.yaml, timeout_s: 33}", 20, 33),
        ("{config: shape.yaml}", 12, 12 + GRACE_S),
        ("{config: shape.yaml, args: {run_time: 5}}", 5, 5 + GRACE_S),
        ("{config: endless.yaml}", None, None),
        ("{locustfile: of_here.py, flags: [-t]}", None, None),
    ],
)
def test_how_long_a_process_may_take_follows_from_its_run_time(
    folder: Path, entry: str, run_s: float | None, limit_s: float | None
) -> None:
    suites = folder / "suites"
    (suites / "shape.yaml").write_text("shape: {stages: [{users: 3, time_s: 5}, {users: 9, time_s: 7}]}\n")
    (suites / "endless.yaml").write_text("shape: {steady: {users: 3}}\n")
    (one,) = plan(folder, f"scenarios: [{entry}]")
    assert (one.run_s, one.limit_s) == (run_s, limit_s)


def test_the_folder_of_a_scenario_is_its_number_and_its_name_also_of_a_choice(folder: Path) -> None:
    names = ("first", "se/co\\nd ü", "..")
    text = "scenarios: [" + ", ".join(f'{{name: "{name}", config: fast.yaml}}' for name in names) + "]"
    assert [each.folder for each in plan(folder, text)] == ["01-first", "02-se-co-d", "03-scenario"]
    (chosen,) = plan(folder, text, only=("..",))
    assert chosen.folder == "03-scenario"
    assert complaint(folder, text, only=("frist",)).endswith("(got 'frist'); did you mean 'first'?")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{locustfile: nix.py}", "scenarios[0].locustfile: there is no such file, neither in "),
        ("{config: nix.yaml}", "scenarios[0].config: there is no such file, neither in "),
        ("{config: fast.yaml, rules: nix.yaml}", "scenarios[0].rules: there is no such file, neither in "),
        ("{locustfile: fast.yaml}", "scenarios[0].locustfile: expected a Python file"),
        ("{locustfile: broken.py}", "broken.py: not valid Python at line 2: "),
        ("{config: wrong.yaml}", "wrong.yaml: run.user: unknown key, "),
        ("{config: unruly.yaml}", "unruly.yaml: rules[0].metric: "),
        (
            "{config: lost.yaml}",
            "lost.yaml: rules: expected default, none, or the path of a file of rules (got 'nix.yaml')",
        ),
        ("{config: fast.yaml, rules: wrong.yaml}", "wrong.yaml: run: unknown key, expected one of rules, webhook"),
        ("{config: fast.yaml, flags: [--ext-report-dir, x]}", "scenarios[0].flags: expected the key report_dir, or "),
        (
            "{config: fast.yaml, flags: ['-f=x']}",
            "scenarios[0].flags: expected the key locustfile instead of this flag",
        ),
    ],
)
def test_a_scenario_that_cannot_run_is_told_before_any_does(folder: Path, entry: str, expected: str) -> None:
    suites = folder / "suites"
    (suites / "broken.py").write_text("x = 1\ny = (\n")
    (suites / "wrong.yaml").write_text("run: {user: 3}\n")
    (suites / "unruly.yaml").write_text("rules: [{name: fast, metric: p95x, critical: 1s}]\n")
    (suites / "lost.yaml").write_text("rules: nix.yaml\n")
    assert expected in complaint(folder, f"scenarios: [{entry}, {{config: fast.yaml, name: good}}]", only=("good",))


def test_flags_of_the_command_line_that_are_the_suites_own_are_refused(folder: Path) -> None:
    said = complaint(folder, "scenarios: [{config: fast.yaml}]", flags=("--worker",))
    assert said == "--: expected --processes instead of this flag (got '--worker')"


def test_a_later_layer_of_args_wins_key_by_key() -> None:
    both = merged(RunSettings(users=3, seed=1), RunSettings(users=5))
    assert (both.users, both.seed, both.host) == (5, 1, None)
