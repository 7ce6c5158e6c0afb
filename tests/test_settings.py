from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from locust_ext.core.messages import GENERATORS, bind
from locust_ext.errors import ConfigError
from locust_ext.settings import MIX_NAMES, Profile, Settings, json_schema, load_settings, parse_profiles
from locust_ext.settings.users import UserSettings

CONFIG = Path(__file__).parent.parent / "config"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def error_of(tmp_path: Path, text: str, **environ: str) -> str:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ)
    shown = str(caught.value)
    assert shown.startswith(f"{path}: ")
    return shown.removeprefix(f"{path}: ")


def test_the_shipped_file_holds_exactly_the_defaults_of_the_scenario() -> None:
    assert load_settings(CONFIG / "realistic.yaml").realistic == Settings().realistic


def test_the_demonstration_shows_comings_and_goings_within_30_seconds() -> None:
    profiles = load_settings(CONFIG / "demo.yaml").realistic.scaled_profiles()
    assert list(profiles) == ["active", "regular", "passive", "idle"]
    for name in ("passive", "idle"):
        connected_s, away_s = profiles[name].connected_s, profiles[name].away_s
        assert connected_s is not None
        assert away_s is not None
        assert connected_s[1] + away_s[1] + connected_s[0] < 30
        assert profiles[name].interval_s < connected_s[0]
    assert profiles["active"].interval_s == 0.5


def test_the_defaults_are_those_of_the_scenario() -> None:
    realistic = Settings().realistic
    assert {name: (one.share, one.interval_s) for name, one in realistic.profiles.items()} == {
        "active": (0.2, 0.5),
        "regular": (0.5, 2),
        "passive": (0.2, 10),
        "idle": (0.1, 30),
    }
    assert realistic.profiles["active"].mix == {
        "command": 0.4, "query": 0.3, "event": 0.2, "monitoring": 0.05, "ping": 0.05,
    }  # fmt: skip
    assert realistic.profiles["idle"].connected_s == (300, 600)
    assert realistic.profiles["idle"].away_s == (60, 300)
    assert realistic.profiles["active"].connected_s is None
    assert (realistic.shares.agent, realistic.shares.context, realistic.shares.live) == (0.7, 0.2, 0.1)


def test_every_name_that_a_mix_may_have_is_a_generator() -> None:
    assert set(MIX_NAMES) <= set(GENERATORS)
    for profile in Settings().realistic.profiles.values():
        assert bind(profile.mix, random.Random(1), "user").generate().name


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().realistic.time_scale = 2


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load_settings(written(tmp_path, "# nothing\n")) == Settings()


def test_a_known_profile_is_changed_key_by_key_and_a_new_one_is_added(tmp_path: Path) -> None:
    text = """
    realistic:
      profiles:
        active: {share: 0.5}
        lurker: {share: 1, interval_s: 5, mix: {heartbeat: 1}, connected_s: [1, 2], away_s: [3, 4]}
    """
    profiles = load_settings(written(tmp_path, text)).realistic.profiles
    assert list(profiles) == ["active", "regular", "passive", "idle", "lurker"]
    assert profiles["active"] == Settings().realistic.profiles["active"].model_copy(update={"share": 0.5})
    assert profiles["lurker"].away_s == (3, 4)
    assert profiles["idle"] == Settings().realistic.profiles["idle"]


def test_the_time_scale_multiplies_all_times(tmp_path: Path) -> None:
    profiles = load_settings(written(tmp_path, "realistic: {time_scale: 0.1}")).realistic.scaled_profiles()
    assert profiles["passive"].interval_s == 1
    assert profiles["passive"].connected_s == (30, 60)
    assert profiles["passive"].away_s == (6, 30)
    assert profiles["active"].connected_s is None


PROFILE_KEYS = "share, interval_s, mix, connected_s, away_s"
MIX = "event, command, query, monitoring, ping, heartbeat"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "realstic: {}",
            f"realstic: unknown key, expected one of {', '.join(Settings.model_fields)}; did you mean 'realistic'?",
        ),
        (
            "realistic: {time_scal: 2}",
            "realistic.time_scal: unknown key, expected one of time_scale, agent_host, context, shares, profiles;"
            " did you mean 'time_scale'?",
        ),
        (
            "realistic: {context: {key: 5}}",
            "realistic.context.key: unknown key, expected one of reads, keys, value_bytes; did you mean 'keys'?",
        ),
        (
            "realistic: {profiles: {active: {shar: 1}}}",
            f"realistic.profiles.active.shar: unknown key, expected one of {PROFILE_KEYS}; did you mean 'share'?",
        ),
        (
            "realistic: {profiles: {active: {mix: {comand: 1}}}}",
            f"realistic.profiles.active.mix.comand: unknown name, expected one of {MIX}; did you mean 'command'?",
        ),
        (
            "realistic: {profiles: {active: {mix: {ping: -1}}}}",
            "realistic.profiles.active.mix.ping: expected a number of at least 0 (got -1)",
        ),
        (
            "realistic: {profiles: {active: {mix: {ping: 0}}}}",
            "realistic.profiles.active.mix: expected at least one weight above 0",
        ),
        ("realistic: {profiles: {mine: {share: 1}}}", "realistic.profiles.mine.interval_s: this key is required"),
        ("realistic: {profiles: {mine: 3}}", "realistic.profiles.mine: expected a mapping of keys (got 3)"),
        ("realistic: {profiles: [active]}", "realistic.profiles: expected a mapping of keys (got ['active'])"),
        ("realistic: {time_scale: 0}", "realistic.time_scale: expected a number above 0 (got 0)"),
        ("realistic: {time_scale: fast}", "realistic.time_scale: expected a number (got 'fast')"),
        ("realistic: {time_scale: true}", "realistic.time_scale: expected a number (got True)"),
        ("realistic: {time_scale: .inf}", "realistic.time_scale: expected a finite number (got inf)"),
        ("realistic: {context: {reads: 1.5}}", "realistic.context.reads: expected a number of at most 1 (got 1.5)"),
        ("realistic: {context: {keys: 1.5}}", "realistic.context.keys: expected a whole number (got 1.5)"),
        ("realistic: {context: {keys: many}}", "realistic.context.keys: expected a whole number (got 'many')"),
        (
            "realistic: {context: {value_bytes: [9, 1]}}",
            "realistic.context.value_bytes: expected a pair [low, high] with low not above high (got [9, 1])",
        ),
        (
            "realistic: {profiles: {idle: {away_s: 5}}}",
            "realistic.profiles.idle.away_s: expected a pair [low, high] (got 5)",
        ),
        (
            "realistic: {profiles: {idle: {away_s: [0, 5]}}}",
            "realistic.profiles.idle.away_s[0]: expected a number above 0 (got 0)",
        ),
        (
            "realistic: {profiles: {idle: {away_s: null}}}",
            "realistic.profiles.idle: expected connected_s and away_s together, or neither",
        ),
        (
            "realistic: {shares: {agent: 0, context: 0, live: 0}}",
            "realistic.shares: expected at least one share above 0",
        ),
        (
            "realistic: {profiles: {active: {share: 0}, regular: {share: 0}, passive: {share: 0}, idle: {share: 0}}}",
            "realistic: expected at least one profile with a share above 0",
        ),
        (
            "realistic: {agent_host: localhost:8000}",
            "realistic.agent_host: expected a base URL, such as http://127.0.0.1:8000 (got 'localhost:8000')",
        ),
        (
            "realistic: {agent_host: 'http://h:99999'}",
            "realistic.agent_host: expected a base URL, such as http://127.0.0.1:8000 (got 'http://h:99999')",
        ),
        ("- realistic", "expected a mapping of keys (got ['realistic'])"),
        ("realistic: 7", "realistic: expected a mapping of keys (got 7)"),
        (
            "generator: {max_loop_lag: 20}",
            "generator.max_loop_lag: unknown key, expected one of max_loop_lag_ms, max_cpu_percent;"
            " did you mean 'max_loop_lag_ms'?",
        ),
        (
            "generator: {max_cpu_percent: 0}",
            "generator.max_cpu_percent: expected a number above 0 (got 0)",
        ),
        ("baseline: {tolerance: low}", "baseline.tolerance: expected a number (got 'low')"),
        ("baseline: {alpha: 0.9}", "baseline.alpha: expected a number of at most 0.5 (got 0.9)"),
        ("record: {max_bytes: 0}", "record.max_bytes: expected a number of at least 1 (got 0)"),
        ("log: {summary_every_s: -1}", "log.summary_every_s: expected a number of at least 0 (got -1)"),
        (
            "statistics: {fine_percentiles: maybe}",
            "statistics.fine_percentiles: expected true or false (got 'maybe')",
        ),
        (
            "realistic:\n  a: 1\n b: 2\n",
            "not valid YAML at line 3, column 2: expected <block end>, but found '<block mapping start>'",
        ),
        (
            "realistic: {}\nrealistic: {}\n",
            "not valid YAML at line 2, column 1: the key 'realistic' stands here a second time",
        ),
        (
            "a: !!python/object:os.system x",
            "not valid YAML at line 1, column 4: could not determine a constructor for"
            " the tag 'tag:yaml.org,2002:python/object:os.system'",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_what_was_expected(tmp_path: Path, text: str, shown: str) -> None:
    assert error_of(tmp_path, text) == shown


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path / 'none.yaml'}: the file cannot be read: No such file or directory"
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path)
    assert str(caught.value) == f"{tmp_path}: the file cannot be read: Is a directory"
    (tmp_path / "s.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "s.yaml")
    assert str(caught.value) == f"{tmp_path / 's.yaml'}: expected a file in UTF-8"


def test_environment_variables_are_filled_in(tmp_path: Path) -> None:
    text = "realistic: {agent_host: 'http://${HOST}:${PORT}', time_scale: '${SCALE}'}"
    realistic = load_settings(written(tmp_path, text), {"HOST": "h", "PORT": "81", "SCALE": "0.5"}).realistic
    assert realistic.agent_host == "http://h:81"
    assert realistic.time_scale == 0.5


def test_the_processs_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCUST_EXT_TEST_SCALE", "3")
    path = written(tmp_path, "realistic: {time_scale: '${LOCUST_EXT_TEST_SCALE}'}")
    assert load_settings(path).realistic.time_scale == 3


def test_a_missing_environment_variable_is_named(tmp_path: Path) -> None:
    text = "realistic: {profiles: {idle: {away_s: ['${NOT_THERE}', 5]}}}"
    assert error_of(tmp_path, text) == (
        "realistic.profiles.idle.away_s[0]: the environment variable 'NOT_THERE' is not set"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("realistic: {time_scale: '${SECRET}'}", "realistic.time_scale: expected a number"),
        (
            "realistic: {agent_host: '${SECRET}'}",
            "realistic.agent_host: expected a base URL, such as http://127.0.0.1:8000",
        ),
        (
            "realistic: {profiles: {idle: {away_s: ['${SECRET}', 2]}}}",
            "realistic.profiles.idle.away_s[0]: expected a number",
        ),
        ("realistic: {profiles: ['${SECRET}']}", "realistic.profiles: expected a mapping of keys"),
    ],
)
def test_what_came_from_the_environment_is_never_shown(tmp_path: Path, text: str, shown: str) -> None:
    assert error_of(tmp_path, text, SECRET="hunter2") == shown


def test_profiles_of_the_command_line_are_normalised_and_the_others_get_no_users() -> None:
    assert parse_profiles(["active:0.3", "regular:0.7"], Settings()) == {"active": 0.3, "regular": 0.7}
    assert parse_profiles(["active:3", "idle:1"], Settings()) == {"active": 0.75, "idle": 0.25}
    assert parse_profiles(["active:1 idle:1,regular:2"], Settings()) == {"active": 0.25, "idle": 0.25, "regular": 0.5}


def test_without_profiles_on_the_command_line_the_settings_count(tmp_path: Path) -> None:
    text = "realistic: {profiles: {idle: {share: 0}, passive: {share: 0}, active: {share: 1.5}}}"
    assert parse_profiles([], load_settings(written(tmp_path, text))) == {"active": 0.75, "regular": 0.25}


@given(st.dictionaries(st.sampled_from(list(Settings().realistic.profiles)), st.floats(0.001, 1000), min_size=1))
def test_shares_always_add_up_to_1(shares: dict[str, float]) -> None:
    parsed = parse_profiles([f"{name}:{share}" for name, share in shares.items()], Settings())
    assert sum(parsed.values()) == pytest.approx(1)
    assert set(parsed) == set(shares)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (
            ["actve:0.3"],
            "--ext-profiles: unknown profile, expected one of active, regular, passive, idle (got 'actve');"
            " did you mean 'active'?",
        ),
        (["active"], "--ext-profiles: expected NAME:SHARE, such as active:0.3 (got 'active')"),
        (["active:"], "--ext-profiles: expected a share above 0 (got 'active:')"),
        (["active:0"], "--ext-profiles: expected a share above 0 (got 'active:0')"),
        (["active:-1"], "--ext-profiles: expected a share above 0 (got 'active:-1')"),
        (["active:nan"], "--ext-profiles: expected a share above 0 (got 'active:nan')"),
        (["active:1", "active:2"], "--ext-profiles: expected each profile once (got 'active')"),
    ],
)
def test_wrong_profiles_of_the_command_line_are_refused(given: list[str], shown: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_profiles(given, Settings())
    assert str(caught.value) == shown


def test_the_json_schema_forbids_unknown_keys_and_names_the_known_ones() -> None:
    schema = json_schema()
    assert list(schema["properties"]) == list(Settings.model_fields)
    assert schema["additionalProperties"] is False
    assert list(schema["$defs"]["Profile"]["properties"]) == list(Profile.model_fields)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "users: {Crowd: {patern: churn}}",
            f"users.Crowd.patern: unknown key, expected one of {', '.join(UserSettings.model_fields)}; "
            "did you mean 'pattern'?",
        ),
        (
            "users: {Crowd: {pattern: {churn: {}, bursty: {}}}}",
            "users.Crowd.pattern: expected a name, or a mapping with one name over its parameters",
        ),
        (
            "lifecycle: {churn: 5}",
            "lifecycle: expected a mapping of parameters under churn",
        ),
        (
            "users: {Crowd: {pacing: {closed_lop: 5}}}",
            "users.Crowd.pacing.closed_lop: unknown key, expected one of closed_loop, open_loop, poisson; "
            "did you mean 'closed_loop'?",
        ),
        ("users: {Crowd: {pacing: {}}}", "users.Crowd.pacing: expected either closed_loop or open_loop"),
        (
            "users: {Crowd: {pacing: {closed_loop: [3, 1]}}}",
            "users.Crowd.pacing.closed_loop: expected seconds, or a pair [low, high] of them (got [3, 1])",
        ),
        ("users: {Crowd: {pacing: {open_loop: 0}}}", "users.Crowd.pacing.open_loop: expected a number above 0 (got 0)"),
    ],
)
def test_the_rules_of_a_user_class_are_looked_at_with_the_file(tmp_path: Path, text: str, shown: str) -> None:
    assert error_of(tmp_path, text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("interval_s: 0.05", "monitor.interval_s"),
        ("interval_s: 61", "monitor.interval_s"),
        ("history: 5", "monitor.history"),
        ("max_age_s: 0", "monitor.max_age_s"),
        ("warmup_s: -1", "monitor.warmup_s"),
        ("target_metrics: up", "monitor.target_metrics"),
        ("intervall_s: 1", "intervall_s"),
    ],
)
def test_the_monitor_is_set_within_its_bounds(tmp_path: Path, text: str, shown: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(written(tmp_path, f"monitor: {{{text}}}"))
    assert shown in str(caught.value)
    good = load_settings(written(tmp_path, "monitor: {interval_s: 0.1, history: 10, target_metrics: [up]}")).monitor
    assert (good.interval_s, good.history, good.target_metrics, good.max_age_s) == (0.1, 10, ["up"], None)
