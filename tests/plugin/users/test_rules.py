"""`plugin.users.rules`: patterns, generators and paces from the settings file and the command line."""

from __future__ import annotations

from locust import User

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from locust_ext import AgentUser, ConfigError, FastSocketIOUser, RealisticUser, WebSocketUser
from locust_ext.core.lifecycle import PATTERNS, Bursty, FullJitter, Intermittent, Persistent
from locust_ext.core.messages import GENERATORS, Event, Mixed, Monitoring, Replay, Template
from locust_ext.core.pacing import ClosedLoop, OpenLoop
from locust_ext.plugin.users.rules import UserRules, names_of, texts_of
from locust_ext.settings import Settings, load_settings

CONFIG = Path(__file__).parents[3] / "config"


class Crowd(AgentUser):
    pattern = Persistent(max_attempts=7)
    generator = "ping"


class Analyst(AgentUser):
    tasks = [lambda user: None]  # noqa: RUF012 – as Locust has it


class Dashboards(RealisticUser):
    abstract = False


class Plain(WebSocketUser):
    """Inherits its pattern."""


CLASSES: list[type[Any]] = [Crowd, Analyst, Dashboards, Plain, User]


@pytest.fixture
def rules() -> Iterator[UserRules]:
    made = UserRules()
    before = {cls: dict(cls.__dict__) for cls in CLASSES}
    yield made
    made.undo()
    made.undo()
    for cls in CLASSES:
        for name in ("pattern", "generator", "pacing"):
            assert cls.__dict__.get(name) is before[cls].get(name), f"{cls.__name__}.{name}"


def settings_of(folder: Path, text: str, **environ: str) -> Settings:
    file = folder / "ext.yaml"
    file.write_text(text)
    return load_settings(file, environ)


def applied(
    rules: UserRules,
    folder: Path,
    text: str = "",
    patterns: Sequence[str] = (),
    generators: Sequence[str] = (),
    **environ: str,
) -> None:
    settings = settings_of(folder, text, **environ)
    rules.apply(settings, patterns, generators, CLASSES, "ext.yaml")


def told(error: ConfigError, folder: Path) -> str:
    """Its text, with the file as if it stood in the working directory."""
    return str(error).replace(f"{folder}/", "")


def test_what_a_file_can_name_is_what_the_tables_hold_without_code() -> None:
    assert (*names_of("pattern"), "custom") == tuple(PATTERNS)
    assert (*names_of("generator"), "custom") == tuple(GENERATORS)


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("users: {Crowd: {pattern: {intermitent: {}}}}", "users.Crowd.pattern", "intermittent"),
        ("users: {Crowd: {generator: {mixd: {event: 3}}}}", "users.Crowd.generator", "mixed"),
        ("lifecycle: {burst: {}}", "lifecycle.burst", "bursty"),
        ("messages: {evnt: {}}", "messages.evnt", "event"),
    ],
)
def test_an_unknown_name_is_told_with_file_key_and_nearest(
    rules: UserRules, tmp_path: Path, text: str, key: str, nearest: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        applied(rules, tmp_path, text)
    assert told(caught.value, tmp_path).startswith(f"ext.yaml: {key}: unknown name, expected one of ")
    assert caught.value.nearest == nearest


def test_a_class_gets_what_the_file_says(rules: UserRules, tmp_path: Path) -> None:
    applied(
        rules,
        tmp_path,
        """
        users:
          Crowd:
            pattern: {intermittent: {connected_s: [60, 300], away_s: [5, 30], reconnect: {base_s: 1, cap_s: 9}}}
            generator: {mixed: {weights: {event: 3, ping: 1}, payload_bytes: [10, 20]}}
            pacing: {closed_loop: [1, 3]}
          Plain: {pattern: bursty, generator: {event: {event_types: [a, b], pings: 0}}, pacing: {open_loop: 5, poisson: true}}
        lifecycle:
          bursty: {messages: 20, cycles: 3}
        """,
    )
    assert Crowd.pattern == Intermittent(connected_s=(60, 300), away_s=(5, 30), reconnect=FullJitter(base_s=1, cap_s=9))
    assert Crowd.generator == Mixed({"event": 3, "ping": 1}, payload_bytes=(10, 20))
    assert isinstance(Crowd.pacing, ClosedLoop)
    assert 1 <= Crowd.pacing.seconds(None) <= 3
    assert Plain.pattern == Bursty(messages=20, cycles=3)
    assert Plain.generator == Event(("a", "b"), pings=0)
    assert Plain.pacing == OpenLoop(5, is_poisson=True)


def test_the_weights_of_a_mix_may_stand_right_under_its_name(rules: UserRules, tmp_path: Path) -> None:
    applied(rules, tmp_path, "messages: {mixed: {query: 2, ping: 1}}", generators=["mixed"])
    assert Crowd.generator == Plain.generator == Mixed({"query": 2, "ping": 1})


def test_templates_and_recordings_come_from_files(rules: UserRules, tmp_path: Path) -> None:
    template = tmp_path / "t.yaml"
    template.write_text("{type: ping, n: '{seq}', at: '{now}'}")
    recording = CONFIG / "replay.jsonl"
    text = f"""
        users:
          Crowd: {{generator: {{template: {{file: {template}}}}}}}
          Plain: {{generator: {{template: {{templates: [{{type: ping}}, {{type: query}}]}}}}}}
        messages: {{replay: {{file: {recording}, speed: 4}}}}
        """
    applied(rules, tmp_path, text)
    assert isinstance(Crowd.generator, Template)
    assert Crowd.generator.source == str(template)
    assert isinstance(Plain.generator, Template)
    assert len(Plain.generator.compiled) == 2
    applied(rules, tmp_path, text, generators=["Crowd=replay"])
    assert isinstance(Crowd.generator, Replay)
    assert Crowd.generator.speed == 4


def test_the_command_line_stands_before_the_file_and_means_all_classes_that_are_free(
    rules: UserRules, tmp_path: Path
) -> None:
    """A class that plays profiles has its own pattern; one with tasks has no generator."""
    text = "users: {Crowd: {pattern: churn}}\nlifecycle: {intermittent: {cycles: 2}}"
    applied(rules, tmp_path, text, ["intermittent", "Plain=bursty"], ["query"])
    assert Crowd.pattern == Analyst.pattern == Intermittent(cycles=2)
    assert Plain.pattern == Bursty()
    assert isinstance(Dashboards.pattern, Persistent)
    assert (Analyst.generator, Dashboards.generator) == (None, None)
    assert type(Crowd.generator) is type(Plain.generator) is GENERATORS["query"]
    applied(rules, tmp_path)  # a new run: nothing is left of the old one
    assert Crowd.pattern == Persistent(max_attempts=7)


def test_a_flag_may_hold_several_values() -> None:
    assert texts_of(None) == []
    assert texts_of("A=b,c d") == texts_of(["A=b", "c d"]) == ["A=b", "c", "d"]


def test_numbers_may_come_from_the_environment_and_are_not_shown_when_wrong(rules: UserRules, tmp_path: Path) -> None:
    text = "users: {Crowd: {pattern: {bursty: {messages: '${COUNT}'}}}}"
    applied(rules, tmp_path, text, COUNT="12")
    assert Crowd.pattern == Bursty(messages=12)
    with pytest.raises(ConfigError) as caught:
        applied(rules, tmp_path, text, COUNT="s3cret")
    assert told(caught.value, tmp_path) == (
        "ext.yaml: users.Crowd.pattern.bursty.messages: expected a whole number, or a pair (low, high) with "
        "1 <= low <= high"
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "users: {Crwod: {pattern: churn}}",
            "ext.yaml: users.Crwod: expected a user class of the locustfile, one of Crowd, Analyst, Dashboards, Plain, "
            "User (got 'Crwod'); did you mean 'Crowd'?",
        ),
        (
            "users: {Crowd: {pattern: {intermittent: {conected_s: 5}}}}",
            "ext.yaml: users.Crowd.pattern.intermittent.conected_s: unknown name, expected one of reconnect, max_attempts, "
            "reconnect_after, connected_s, away_s, cycles, talks (got 'conected_s'); did you mean 'connected_s'?",
        ),
        (
            "users: {Crowd: {pattern: {persistent: {reconnect: {base_s: -1}}}}}",
            "ext.yaml: users.Crowd.pattern.persistent.reconnect.base_s: expected a number above 0 (got -1)",
        ),
        (
            "lifecycle: {churn: {cycles: 0}}\nusers: {Crowd: {pattern: churn}}",
            "ext.yaml: lifecycle.churn.cycles: expected a whole number of at least 1, or None for no limit (got 0)",
        ),
        (
            "users: {Crowd: {pattern: failover}}",
            "ext.yaml: users.Crowd.pattern.backups: expected a tuple of one or more base addresses",
        ),
        (
            "users: {Crowd: {pattern: {failover: {backups: 5}}}}",
            "ext.yaml: users.Crowd.pattern.failover.backups: expected a tuple of one or more base addresses",
        ),
        (
            "users: {Crowd: {generator: {query: {agent: 5}}}}",
            "ext.yaml: users.Crowd.generator.query.agent: unknown name, expected one of",
        ),
        (
            "users: {Crowd: {generator: {mixed: {event: -1}}}}",
            "ext.yaml: users.Crowd.generator.mixed.event: expected a weight, a number of at least 0 (got -1)",
        ),
        (
            "users: {Crowd: {generator: {mixed: {evnt: 3, ping: 1}}}}",
            "ext.yaml: users.Crowd.generator.mixed.evnt: unknown name, expected one of event, command",
        ),
        (
            "users: {Crowd: {pattern: {failover: {backups: [http://b, not a url]}}}}",
            "ext.yaml: users.Crowd.pattern.failover.backups[1]: expected a base address such as http://127.0.0.1:8000",
        ),
        (
            "users: {Crowd: {generator: context_ops}}",
            "ext.yaml: users.Crowd.generator: expected a generator whose messages go to a channel that Crowd has "
            "(agent, monitor, the main one), and not to: http (got 'context_ops')",
        ),
        (
            "users: {Plain: {generator: {mixed: {ping: 9, realistic: 1}}}}",
            "ext.yaml: users.Plain.generator: expected a generator whose messages go to a channel that Plain has "
            "(the main one), and not to: monitor (got 'mixed')",
        ),
        (
            "users: {Crowd: {generator: replay}}",
            "ext.yaml: users.Crowd.generator.file: this key is required: the recording, as HAR or JSONL",
        ),
        (
            "users: {Crowd: {generator: template}}",
            "ext.yaml: users.Crowd.generator.file: this key is required: a file of templates, or templates",
        ),
        (
            "users: {Analyst: {generator: ping}}",
            "ext.yaml: users.Analyst.generator: expected a user class that takes a generator: it is driven by its tasks "
            "(got 'Analyst')",
        ),
        (
            "users: {Dashboards: {pattern: churn}}",
            "ext.yaml: users.Dashboards.pattern: expected a user class that takes a pattern: it plays the profiles of "
            "realistic.profiles (got 'Dashboards')",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(rules: UserRules, tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        applied(rules, tmp_path, text)
    assert told(caught.value, tmp_path).startswith(error)


@pytest.mark.parametrize(
    ("patterns", "generators", "error"),
    [
        (
            ["burst"],
            [],
            "--ext-pattern: unknown name, expected one of persistent, intermittent, bursty, failover, churn",
        ),
        (
            ["Crwod=bursty"],
            [],
            "--ext-pattern: expected a user class of the locustfile, one of Crowd, Analyst",
        ),
        ([], ["custom"], "--ext-generator: unknown name, expected one of event, command, query"),
        (
            [],
            ["Analyst=ping"],
            "--ext-generator: expected a user class that takes a generator: it is driven by its tasks",
        ),
        (
            [],
            ["Crowd=context_ops"],
            "--ext-generator: Crowd.generator: expected a generator whose messages go to a channel that Crowd has",
        ),
        ([], ["monitoring"], "--ext-generator: Plain.generator: expected a generator whose messages go to a channel"),
    ],
)
def test_a_wrong_flag_is_told(
    rules: UserRules, tmp_path: Path, patterns: list[str], generators: list[str], error: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        applied(rules, tmp_path, "", patterns, generators)
    assert told(caught.value, tmp_path).startswith(error)


def test_an_error_leaves_the_classes_as_they_were(rules: UserRules, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        applied(rules, tmp_path, "users: {Crowd: {pattern: churn}, Nobody: {pattern: churn}}")
    assert Crowd.pattern == Persistent(max_attempts=7)


def test_a_generator_that_fits_one_class_and_not_another_changes_neither(rules: UserRules, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        applied(rules, tmp_path, "", [], ["monitoring"])
    assert (Crowd.generator, Plain.generator) == ("ping", None)
    applied(rules, tmp_path, "", [], ["Crowd=monitoring"])
    assert isinstance(Crowd.generator, Monitoring)


def test_a_recording_of_the_other_protocol_is_refused(tmp_path: Path) -> None:
    class Chat(FastSocketIOUser):
        abstract = False

    rules = UserRules()
    settings = settings_of(tmp_path, f"messages: {{replay: {{file: {CONFIG / 'replay.jsonl'}}}}}")
    with pytest.raises(ConfigError, match=r"expected a recording of Socket\.IO"):
        rules.apply(settings, [], ["replay"], [Chat])
    assert Chat.generator is None
