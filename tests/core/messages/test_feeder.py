"""`core.messages.feeder` and `rows`: who gets which row, and when it is free again."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from locust_ext.core.messages import Custom, Feeder, Mixed, Realistic, Template, bind
from locust_ext.core.messages.named import named
from locust_ext.core.messages.rows import SHARE, check_rows, feeders_in
from locust_ext.errors import ConfigError

ROWS = [{"name": name} for name in "abcdef"]


@pytest.fixture(autouse=True)
def share() -> Iterator[None]:
    before = (SHARE.slot, SHARE.workers, SHARE.run)
    SHARE.use(0, 1, "a run")
    yield
    SHARE.use(*before)
    SHARE.holders.clear()


def name_of(feeder: Feeder, user: str) -> str:
    return feeder.bind(random.Random(1), user)()["name"]


def names(feeder: Feeder, *users: str) -> str:
    return "".join(name_of(feeder, user) for user in users)


def test_a_row_is_free_again_when_its_user_has_ended() -> None:
    """The lowest free row is the next; giving back twice, or nothing, changes nothing."""
    feeder = Feeder(ROWS, "unique")
    assert names(feeder, "u1", "u2", "u3") == "abc"
    for user in ("u2", "u2", "u1", "nobody"):
        SHARE.give_back(user)
    assert names(feeder, "u4", "u5", "u6") == "abd"


def test_a_user_keeps_its_row_however_often_it_asks() -> None:
    feeder = Feeder(ROWS, "unique")
    assert names(feeder, "u1", "u2", "u1", "u2") == "abab"
    mixed = Mixed([(Template({"n": "{csv:name}"}, feeder), 1), (Template({"m": "{csv:name}"}, feeder), 1)])
    bound = bind(mixed, random.Random(1), "u3")
    bodies: list[Any] = [bound.generate().body for _ in range(30)]
    assert {value for body in bodies for value in body.values()} == {"c"}
    assert {key for body in bodies for key in body} == {"n", "m"}


def test_a_new_run_deals_the_rows_anew() -> None:
    """What users of the run before give back late is nobody's."""
    feeder = Feeder(ROWS, "unique")
    assert names(feeder, "u1", "u2") == "ab"
    SHARE.use(0, 1, "the next run")
    assert names(feeder, "u3") == "a"
    SHARE.give_back("u1")
    assert names(feeder, "u4") == "b"


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_workers_have_different_rows_and_together_all(workers: int) -> None:
    given = []
    for slot in range(workers):
        SHARE.use(slot, workers, "a run")
        feeder = Feeder(ROWS, "unique")  # each worker has an object of its own
        given += [name_of(feeder, f"{slot}-{number}") for number in range(len(range(slot, len(ROWS), workers)))]
        with pytest.raises(ConfigError, match="6 rows are not enough: with unique each user needs its own"):
            name_of(feeder, f"{slot}-more")
    assert sorted(given) == list("abcdef")


def test_users_that_find_no_row_take_nothing_and_say_so_in_the_same_words() -> None:
    """So that it is logged once; a row that comes back later is given."""
    feeder = Feeder(ROWS[:1], "unique", source="users.csv")
    assert names(feeder, "u1") == "a"
    for user in ("u2", "u3"):
        with pytest.raises(ConfigError) as caught:
            name_of(feeder, user)
        assert str(caught.value) == "users.csv: 1 rows are not enough: with unique each user needs its own"
    SHARE.give_back("u1")
    assert names(feeder, "u3") == "a"


def test_a_worker_that_came_later_has_no_rows() -> None:
    """Until the next run; the other orders do not care."""
    SHARE.use(None, 2, "a run")
    with pytest.raises(ConfigError, match="this worker came after the start of the run"):
        name_of(Feeder(ROWS, "unique"), "u1")
    assert name_of(Feeder(ROWS, "circular"), "u1") in "abcdef"
    SHARE.use(1, 3, "the next run")
    assert names(Feeder(ROWS, "unique"), "u1") == "b"


def test_copies_of_a_users_object_share_the_rows() -> None:
    class Says:
        feeder = Feeder(ROWS, "unique")

        def __init__(self) -> None:
            self.own = self.feeder

        def generate(self) -> dict[str, Any]:
            return {}

    assert copy.deepcopy(Says()).own is Says.feeder


def test_names_of_columns_must_differ(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("name,mail,name\na,b,c\n")
    with pytest.raises(ConfigError) as caught:
        Feeder.from_csv(path)
    assert str(caught.value) == f"{path}: expected each column's name once in the first line (got 'name')"


def test_feeders_are_found_in_every_part_of_a_generator() -> None:
    one, two, three = (Feeder(ROWS, "unique") for _ in range(3))
    templates = [Template({"n": "{csv:name}"}, each) for each in (one, two, three)]
    generator = Mixed([(templates[0], 1), (Custom(Mixed([(templates[1], 1), (templates[2], 1)])), 2), ("ping", 1)])
    assert {id(each) for each in feeders_in(generator)} == {id(one), id(two), id(three)}
    assert feeders_in("ping") == feeders_in(None) == feeders_in(Realistic()) == []


def test_too_few_rows_are_told_with_file_rows_and_users() -> None:
    feeder = Feeder(ROWS, "unique", source="users.csv")
    check_rows(Template({"n": "{csv:name}"}, feeder), 6)
    check_rows(Template({"n": "{csv:name}"}, Feeder(ROWS, "circular")), 600)
    with pytest.raises(ConfigError) as caught:
        check_rows(Mixed([(Template({"n": "{csv:name}"}, feeder), 1)]), 7)
    assert str(caught.value) == "users.csv: 6 rows are not enough for 7 users: with unique each needs its own"


def test_a_settings_file_names_a_feeder_by_a_path_relative_to_its_own(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("name\nann\nbob\n")
    (tmp_path / "said.yaml").write_text("{type: '{csv:name}'}")
    for where in ({"file": "said.yaml"}, {"templates": {"type": "{csv:name}"}}):
        made = named("template", {**where, "feeder": {"csv": "users.csv", "mode": "unique"}}, lambda: 0.0, tmp_path)
        bodies: list[Any] = [bind(made, random.Random(1), user).generate().body for user in ("u1", "u2")]
        assert [body["type"] for body in bodies] == ["ann", "bob"]
        assert made.feeder.source == str(tmp_path / "users.csv")
        for user in ("u1", "u2"):
            SHARE.give_back(user)
    made = named("template", {"file": str(tmp_path / "said.yaml"), "feeder": {"csv": "users.csv"}}, lambda: 0, tmp_path)
    assert made.feeder.order == "random"


@pytest.mark.parametrize(
    ("feeder", "error"),
    [
        ("users.csv", "feeder: expected a mapping, such as {csv: users.csv, mode: unique} (got 'users.csv')"),
        ({"mode": "unique"}, "feeder.csv: this key is required: the path of a CSV file"),
        ({"csv": "users.csv", "mod": "unique"}, "feeder.mod: unknown name, expected one of csv, mode (got 'mod')"),
        (
            {"csv": "users.csv", "mode": "uniqe"},
            "feeder.mode: unknown name, expected one of random, circular, unique (got 'uniqe'); did you mean 'unique'?",
        ),
        ({"csv": "none.csv"}, "feeder.csv: {folder}/none.csv: the file cannot be read: No such file or directory"),
    ],
)
def test_what_is_wrong_with_a_feeder_is_told_by_its_path(tmp_path: Path, feeder: Any, error: str) -> None:
    (tmp_path / "users.csv").write_text("name\nann\n")
    with pytest.raises(ConfigError) as caught:
        named("template", {"templates": {"a": "{csv:name}"}, "feeder": feeder}, lambda: 0.0, tmp_path)
    assert str(caught.value).startswith(error.replace("{folder}", str(tmp_path)))
