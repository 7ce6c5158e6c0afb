"""Settings out of several places: what stands over what, what is mixed, and who is named for what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from locust_ext.errors import ConfigError
from locust_ext.settings import Layer, Settings, check_names, layer, settings_of, unpacked

ENVIRON = {"TOKEN": "hunter2"}


def code(**document: Any) -> Layer:
    return layer(document, "locustfile.py", is_file=False, environ=ENVIRON)


def file(**document: Any) -> Layer:
    return layer(document, "config/x.yaml", is_file=True, environ=ENVIRON)


def test_a_file_stands_over_the_code_key_by_key() -> None:
    settings = settings_of(
        code(run={"users": 5, "seed": 1}, timeouts={"connect_s": 3}, users={"Crowd": {"path": "/a", "weight": 2}}),
        file(run={"users": 7, "run_time": "1m"}, users={"Crowd": {"path": "/b"}}),
    )
    assert (settings.run.users, settings.run.seed, settings.run.run_time) == (7, 1, 60)
    assert settings.timeouts.connect_s == 3
    assert (settings.users["Crowd"].path, settings.users["Crowd"].weight) == ("/b", 2)


@pytest.mark.parametrize(
    ("below", "above"),
    [
        ({"rate": {"stages": [{"for_s": 5, "rate": 1}]}}, {"rate": {"per_s": 7}}),
        ({"rules": {"rules": [{"name": "a"}], "webhook": {"url": "http://x"}}}, {"rules": {"rules": [{"name": "b"}]}}),
        ({"run": {"profiles": {"active": 1}}}, {"run": {"profiles": {"idle": 1}}}),
        ({"messages": {"mixed": {"event": 1}}}, {"messages": {"mixed": {"ping": 1}}}),
        ({"shape": {"burst": {"burst_users": 9}}}, {"shape": {"steady": {"users": 9}}}),
        ({"users": {"A": {"pacing": {"open_loop": 2}}}}, {"users": {"A": {"pacing": {"closed_loop": 2}}}}),
        (
            {"users": {"A": {"generator": {"mixed": {"event": 1}}}}},
            {"users": {"A": {"generator": {"mixed": {"ping": 1}}}}},
        ),
        ({"users": {"A": {"pattern": {"churn": {}}}}}, {"users": {"A": {"pattern": "bursty"}}}),
        ({"users": {"A": {"correlate": {"by_type": {"a": "b"}}}}}, {"users": {"A": {"correlate": {"by_id": "nr"}}}}),
        (
            {"realistic": {"profiles": {"active": {"mix": {"ping": 1}}}}},
            {"realistic": {"profiles": {"active": {"mix": {"event": 1}}}}},
        ),
    ],
)
def test_a_mapping_that_is_one_choice_is_never_mixed_out_of_two_places(
    below: dict[str, Any], above: dict[str, Any]
) -> None:
    assert settings_of(code(**below), file(**above)) == settings_of(file(**above))


def test_parameters_of_the_same_shape_are_changed_one_by_one() -> None:
    settings = settings_of(code(shape={"burst": {"burst_users": 9, "idle_s": 5}}), file(shape={"burst": {"idle_s": 7}}))
    assert settings.shape is not None
    assert settings.shape.burst is not None
    assert (settings.shape.burst.burst_users, settings.shape.burst.idle_s) == (9, 7)


def test_who_has_said_what_is_known() -> None:
    settings = settings_of(code(run={"users": 5, "seed": 1}), file(run={"users": 7}))
    said = {key: settings.origin("run", key) for key in ("users", "seed", "run_time")}
    assert {key: each and each.source for key, each in said.items()} == {
        "users": "config/x.yaml",
        "seed": "locustfile.py",
        "run_time": None,
    }
    origin = settings.origin("run")
    assert origin is not None
    assert origin.is_file
    assert settings.source == "config/x.yaml"
    assert Settings().source == ""


def test_an_empty_mapping_says_nothing_of_what_may_stand_in_it() -> None:
    settings = settings_of(code(run={"users": 5}), file(run={}, users={"Crowd": {}}))
    said = {key: settings.origin(key) for key in ("run.users", "run", "users.Crowd", "users.Crowd.path")}
    assert {key: each and each.source for key, each in said.items()} == {
        "run.users": "locustfile.py",
        "run": "config/x.yaml",
        "users.Crowd": "config/x.yaml",
        "users.Crowd.path": None,
    }


@pytest.mark.parametrize(
    ("below", "above", "shown"),
    [
        (
            {"run": {"users": 0}},
            {"run": {"seed": 1}},
            "locustfile.py: run.users: expected a number of at least 1 (got 0)",
        ),
        (
            {"run": {"users": 1}},
            {"run": {"users": 0}},
            "config/x.yaml: run.users: expected a number of at least 1 (got 0)",
        ),
        ({"run": {"users": 1}}, {"shape": {}}, "config/x.yaml: shape: expected one of"),
        ({"shape": {"burst": {}}}, {"run": {}}, "locustfile.py: shape.burst.burst_users: this key is required"),
        (
            {"users": {"A": {"pacing": {}}}},
            {},
            "locustfile.py: users.A.pacing: expected either closed_loop or open_loop",
        ),
        (
            {"users": {"A": {"think_time": 1}}},
            {"users": {"A": {"pacing": {"open_loop": 1}}}},
            "config/x.yaml: users.A: expected either think_time or pacing",
        ),
    ],
)
def test_what_is_wrong_is_told_of_the_place_that_says_it(
    below: dict[str, Any], above: dict[str, Any], shown: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(code(**below), file(**above))
    assert str(caught.value).startswith(shown)


def test_code_alone_is_refused_for_all_but_what_a_file_may_still_bring() -> None:
    check_names(code(shape={"burst": {"idle_s": 5}}))  # burst_users may stand in a file
    with pytest.raises(ConfigError, match="did you mean 'idle_s'"):
        check_names(code(shape={"burst": {"idel_s": 5}}))


def test_one_call_of_install_adds_to_another() -> None:
    both = code(run={"users": 7}).over(code(run={"users": 5, "seed": 1}, rate="${TOKEN}"))
    assert both.document == {"run": {"users": 7, "seed": 1}, "rate": "hunter2"}
    assert both.origin.keys == {"run.users", "run.seed", "rate"}
    assert both.origin.secrets == {"rate"}


def test_a_secret_of_any_layer_stays_one() -> None:
    settings = settings_of(code(scenario="${TOKEN}"), file(run={"users": 7}))
    assert settings.is_secret("scenario")
    assert not settings.is_secret("run.users")
    assert settings.is_secret("users.Crowd.token")  # wherever it comes from
    with pytest.raises(ConfigError) as caught:
        settings_of(code(scenario="${TOKEN}" * 100))
    assert str(caught.value) == "locustfile.py: scenario: expected a text of at most 200 characters"


def test_workers_get_all_but_the_rules_and_what_is_about_reports() -> None:
    before = settings_of(
        code(run={"users": 5, "profiles": {"active": 1}}, realistic={"profiles": {"idle": {"share": 0.5}}}),
        file(
            rules={"rules": [], "webhook": {"url": "http://${TOKEN}/"}},
            report={"dir": "out"},
            users={"Crowd": {"think_time": [1, 2], "token": "${TOKEN}", "generator": {"mixed": {"ping": 1}}}},
            timeouts={"request_s": 2},
        ),
    )
    text = before.packed()
    after = unpacked(text)
    assert "http://hunter2/" not in text
    assert '"out"' not in text
    assert after == before.model_copy(update={"rules": None, "report": Settings().report})
    assert after.origin("timeouts.request_s") == before.origin("timeouts.request_s")
    assert after.is_secret("users.Crowd.token")
    assert after.is_secret("rules.webhook")


keys = st.sampled_from(["users", "seed", "warmup_s", "spawn_rate"])
runs = st.dictionaries(keys, st.integers(1, 9), max_size=4)


@given(runs, runs, runs)
def test_the_last_to_say_a_key_wins_however_the_places_are_put_together(
    first: dict[str, int], second: dict[str, int], third: dict[str, int]
) -> None:
    wanted = {**first, **second, **third}
    each = [code(run=first), code(run=second), file(run=third)]
    for settings in (settings_of(*each), settings_of(each[1].over(each[0]), each[2])):
        assert {key: value for key, value in settings.run.model_dump().items() if value is not None} == wanted
        for key in wanted:
            origin = settings.origin("run", key)
            assert origin is not None
            assert origin.is_file == (key in third)
