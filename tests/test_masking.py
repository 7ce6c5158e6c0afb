"""What errors tell of values: none that came out of the environment, and no more than a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from locust_ext.errors import ConfigError
from locust_ext.masking import forget_hidden, hide, masked, one_line, shown
from locust_ext.settings import Settings, layer, settings_of, unpacked


def test_a_hidden_value_is_masked_in_every_part_of_an_error() -> None:
    hide("s3cr3t")
    error = ConfigError("no s3cr3t", source="a/s3cr3t.yaml", key="users.s3cr3t", value=["s3cr3t"], nearest="s3cr3ts")
    assert str(error) == "a/***.yaml: users.***: no *** (got ['***']); did you mean '***s'?"


def test_of_two_hidden_values_the_longer_one_goes_first() -> None:
    hide("secret")
    hide("secret-word")
    assert masked("secret-word, secret") == "***, ***"


def test_a_hidden_value_is_masked_as_python_writes_it_too() -> None:
    hide("top\nsecret'\"")
    assert "secret" not in str(ConfigError("wrong", value={"a": "top\nsecret'\""}))


@pytest.mark.parametrize("value", ["abc", "12345", "true", "http://127.0.0.1:8000", "https://localhost/", ""])
def test_what_stands_in_our_own_words_is_not_masked(value: str) -> None:
    hide(value)
    assert masked(f"expected {value} or 12345") == f"expected {value} or 12345"


def test_what_was_hidden_can_be_forgotten() -> None:
    hide("s3cr3t")
    forget_hidden()
    assert masked("s3cr3t") == "s3cr3t"


def test_an_error_is_one_line_and_moves_no_cursor() -> None:
    error = ConfigError("expected\nless", source="a\r.yaml", key="users.A.we\n\x1b[31might")
    assert str(error) == r"a\r.yaml: users.A.we\n\x1b[31might: expected\nless"
    assert one_line("Ünï … 漢字") == "Ünï … 漢字"


def test_a_long_value_is_cut() -> None:
    assert shown("x" * 500) == "'" + "x" * 199 + "…, 502 characters"
    assert shown("x" * 150) == "'" + "x" * 150 + "'"


def test_a_secret_is_masked_before_a_value_is_cut() -> None:
    hide("s3cr3t-and-more")
    assert "s3cr3t" not in shown("x" * 190 + "s3cr3t-and-more")


def test_a_number_that_python_refuses_to_write_is_described() -> None:
    assert shown(10**5000) == "a number of more than 1,200 digits"
    assert shown([10**5000]) == "a list"
    assert shown(10**100) == str(10**100)


def test_places_in_lists_are_told_in_one_way() -> None:
    assert str(ConfigError("wrong", key="rules.0.where.type.12")) == "rules[0].where.type[12]: wrong"
    assert str(ConfigError("wrong", key="rules[2].name")) == "rules[2].name: wrong"
    assert str(ConfigError("wrong", key="a.1b.2.c")) == "a.1b[2].c: wrong"


def test_a_worker_hides_what_its_master_has_out_of_the_environment() -> None:
    document = {"users": {"Crowd": {"path": "/${WHERE}"}}}
    made = settings_of(layer(document, "x.yaml", is_file=True, environ={"WHERE": "s3cr3t"}))
    forget_hidden()
    assert unpacked(made.packed()) == made
    assert masked("at /s3cr3t") == "at ***"


def test_settings_that_name_no_variable_hide_nothing(tmp_path: Path) -> None:
    unpacked(Settings(scenario="s3cr3t").packed())
    assert masked("s3cr3t") == "s3cr3t"
