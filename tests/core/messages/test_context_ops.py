"""`ContextOps`: entries of each user's own, dumps by their format, and the entries that a run prepares."""

from __future__ import annotations

import random

import pytest

from locust_ext.core.messages import ContextOps, bind
from locust_ext.errors import ConfigError


def bodies(generator: ContextOps, number: int, client_id: str = "w1-7") -> list[dict[str, str]]:
    bound = bind(generator, random.Random(3), client_id)
    return [bound.generate().body for _ in range(number)]  # type: ignore[misc]


def test_a_user_sets_its_own_entries_one_after_the_other_and_then_reads_nothing_else() -> None:
    made = bodies(ContextOps(own_entries=20, reads=1, value_bytes=(8, 12)), 220)
    own = [f"key_w1-7_{index}" for index in range(20)]
    assert [(each["op"], each["key"]) for each in made[:20]] == [("set", key) for key in own]
    assert all(8 <= len(each["value"]) <= 12 for each in made[:20])
    assert {each["op"] for each in made[20:]} == {"get"}
    assert {each["key"] for each in made[20:]} == set(own)


def test_own_entries_are_set_before_the_first_dump() -> None:
    made = bodies(ContextOps(own_entries=3, dumps=1), 5)
    assert [each["op"] for each in made] == ["set", "set", "set", "dump", "dump"]


def test_two_users_have_no_entry_in_common() -> None:
    first, second = (
        {each["key"] for each in bodies(ContextOps(own_entries=5, reads=0.5), 50, client_id)}
        for client_id in ("w1-7", "w1-8")
    )
    assert len(first) == len(second) == 5
    assert not first & second


def test_own_entries_go_over_the_live_channel_where_writes_do() -> None:
    bound = bind(ContextOps(own_entries=2, reads=1, live=True), random.Random(3), "me")
    assert [bound.generate().channel for _ in range(3)] == ["live", "live", "http"]


def test_dumps_are_counted_by_their_format_on_request_only() -> None:
    assert all("name" not in each for each in bodies(ContextOps(dumps=1), 50))
    made = bodies(ContextOps(dumps=1, by_format=True), 200)
    assert {each["name"] for each in made} == {f"/ctx/dump {one}" for one in ("json", "pretty", "csv", "txt")}
    assert all(each["name"] == f"/ctx/dump {each['format']}" for each in made)


def test_a_prepared_entry_is_one_of_the_shared_keys_with_a_value_of_the_users_sizes() -> None:
    ops = ContextOps(keys=3, prefix="k", value_bytes=(5, 7))
    made = [ops.entry(random.Random(3), index) for index in range(3)]
    assert [key for key, _ in made] == ["k0", "k1", "k2"]
    assert all(5 <= len(value) <= 7 for _, value in made)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"own_entries": -1}, "own_entries: expected a whole number of at least 0 (got -1)"),
        ({"own_entries": 1.5}, "own_entries: expected a whole number of at least 0 (got 1.5)"),
        ({"own_entries": True}, "own_entries: expected a whole number of at least 0 (got True)"),
        ({"by_format": 1}, "by_format: expected true or false (got 1)"),
    ],
)
def test_a_wrong_parameter_is_named(parameters: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError) as error:
        ContextOps(**parameters)  # type: ignore[arg-type]
    assert str(error.value) == text
