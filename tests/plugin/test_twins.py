"""Each shipped scenario is a locustfile and a YAML file that ask for the same: word for word, class by class."""

from __future__ import annotations

import locust

import random
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import locust_ext
from locust_ext.core.messages import Replay, bind
from locust_ext.core.pacing import ClosedLoop
from locust_ext.core.protocols.ties import as_fan_out
from locust_ext.plugin.scenario import KINDS, classes_of
from locust_ext.plugin.users.rules import UserRules
from locust_ext.settings import load_settings

ROOT = Path(__file__).parents[2]
LOADS = ("steady", "burst", "ramp", "stress", "realistic")
REALTIME = (
    *("single_connection", "concurrent_connections", "sustained_stress", "mixed_protocol", "fan_out", "failover"),
    *("churn", "replay"),
)
SAID = ("run", "shape", "rules", "timeouts", "embedded", "rate")


@pytest.fixture
def rules() -> Iterator[UserRules]:
    made = UserRules()
    yield made
    made.undo()


@pytest.mark.parametrize("name", [*LOADS, *REALTIME])
def test_the_locustfile_and_the_yaml_file_ask_for_the_same(
    name: str, rules: UserRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(locust_ext, "install", given.update)
    locustfile, config = ROOT / "locustfiles" / f"{name}.py", ROOT / "config" / f"{name}.yaml"
    own = {key: each for key, each in runpy.run_path(str(locustfile)).items() if _is_class_of(each)}
    told = yaml.safe_load(config.read_text())
    assert given == {key: told[key] for key in SAID if key in told}
    settings = load_settings(config)
    made = classes_of(settings)
    assert own.keys() == made.keys()
    rules.apply(settings, [], [], list(made.values()), str(config))
    for key, user_class in own.items():
        twin = made[key]
        assert issubclass(user_class, KINDS[told["users"][key]["kind"]])
        assert user_class.host == twin.host == "embedded"
        for attribute in ("pattern", "fixed_count", "weight", "path", "socketio_path", "max_in_flight"):
            assert getattr(user_class, attribute, None) == getattr(twin, attribute, None), attribute
        assert repr(as_fan_out(user_class.fan_out)) == repr(as_fan_out(twin.fan_out))
        assert said_by(user_class) == said_by(twin)
        assert pace_of(user_class) == pytest.approx(pace_of(twin), rel=0.1, abs=0.01)


def _is_class_of(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, locust.User) and value.__module__ == "<run_path>"


def said_by(user_class: Any) -> Any:
    """A client's first 300 messages, if it says any; recordings are alike if they are the same."""
    generator = user_class.generator
    if generator is None:
        return None
    if isinstance(generator, Replay):
        return (generator.url_path, generator.speed, generator.loop, Path(generator.source).name)
    bound = bind(generator, random.Random(7), "client-1")
    messages = [bound.generate() for _ in range(300)]
    return [(each.name, each.body, each.channel, each.one_way, each.reply) for each in messages]


def pace_of(user_class: Any) -> tuple[float, float]:
    """The shortest and the longest of many think times."""
    if not isinstance(user_class.pacing, ClosedLoop):
        assert user_class.pacing is None
        return 0.0, 0.0
    times = [user_class.pacing.seconds(None) for _ in range(2000)]
    return min(times), max(times)


@pytest.mark.parametrize(
    ("suite", "names"),
    [
        ("realtime_suite", REALTIME),
        ("suite", tuple(path.stem for path in (ROOT / "locustfiles").glob("*.py") if path.stem != "scenario")),
    ],
)
def test_a_suite_has_all_of_its_scenarios_once(suite: str, names: tuple[str, ...]) -> None:
    given = yaml.safe_load((ROOT / "config" / f"{suite}.yaml").read_text())["scenarios"]
    assert sorted(each["config"] for each in given) == sorted(f"{name}.yaml" for name in names)


def test_a_suite_is_over_in_minutes() -> None:
    """All of `suite.yaml` are given a time of their own, or end by themselves within a minute and a half."""
    given = yaml.safe_load((ROOT / "config" / "suite.yaml").read_text())["scenarios"]
    unbounded = {each["config"] for each in given if "run_time" not in each.get("args", {})}
    assert unbounded == {"ramp.yaml", "stress.yaml", "single_connection.yaml", "failover.yaml"}
