"""`plugin.options`: the flags, where their values come from, and the checks before a run."""

from __future__ import annotations

from locust.argument_parser import LocustArgumentParser, get_parser, parse_options

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from locust_ext.errors import ConfigError
from locust_ext.plugin.options import (
    GROUP,
    add_arguments,
    base_address,
    check_report_dir,
    flag_of,
    local_addresses,
    seconds,
    whole_number,
)


@pytest.fixture
def parser() -> LocustArgumentParser:
    made = get_parser(default_config_files=[])
    add_arguments(made)
    return made


def ours(parser: LocustArgumentParser) -> list[Any]:
    return [action for action in parser._actions if action.dest.startswith("ext_")]


# ── the flags ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_flags_are_added_once_however_often_locust_asks(parser: LocustArgumentParser) -> None:
    """Its web UI asks at every page load."""
    before = [action.dest for action in ours(parser)]
    add_arguments(parser)
    assert [action.dest for action in ours(parser)] == before
    assert {"ext_config", "ext_report_dir", "ext_seed", "ext_profiles", "ext_source_addresses"} <= set(before)


def test_each_flag_is_an_environment_variable_too(parser: LocustArgumentParser) -> None:
    """``--ext-seed`` is ``LOCUST_EXT_SEED``."""
    for action in ours(parser):
        assert action.option_strings == [flag_of(action.dest)]
        assert action.env_var == f"LOCUST_{action.dest.upper()}"


def test_each_flag_is_in_our_group_has_help_and_is_not_in_the_web_ui(parser: LocustArgumentParser) -> None:
    """Locust reads these attributes of an action of a group, and they must be there."""
    (group,) = [each for each in parser._action_groups if each.title == GROUP]
    assert group._group_actions == ours(parser)
    for action in ours(parser):
        assert action.help
        assert (action.include_in_web_ui, action.is_secret, action.is_required, action.is_multiple) == (False,) * 4


def test_a_flag_wins_over_the_environment(parser: LocustArgumentParser, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the environment over the default."""
    assert parser.parse_args([]).ext_seed is None
    monkeypatch.setenv("LOCUST_EXT_SEED", "7")
    assert parser.parse_args([]).ext_seed == "7"
    assert parser.parse_args(["--ext-seed", "8"]).ext_seed == "8"


def test_several_profiles_may_be_given(parser: LocustArgumentParser) -> None:
    """Behind one flag."""
    assert parser.parse_args(["--ext-profiles", "active:0.3", "regular:0.7"]).ext_profiles == [
        "active:0.3",
        "regular:0.7",
    ]


def test_locusts_own_parser_knows_the_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the listener that ``install`` registers."""
    from locust import events

    listeners = list(events.init_command_line_parser._handlers)
    events.init_command_line_parser.add_listener(add_arguments)
    try:
        assert parse_options(["--ext-report-dir", "out"]).ext_report_dir == "out"
    finally:
        events.init_command_line_parser._handlers = listeners


# ── their values ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("value", "found"), [(None, None), ("5", 5.0), ("0.5", 0.5), (3, 3.0), ("1e3", 1000.0)])
def test_seconds(value: Any, found: float | None) -> None:
    """Texts of the command line and numbers from code."""
    assert seconds(Namespace(ext_wait=value), "ext_wait") == found
    assert seconds(Namespace(), "ext_wait") is None


@pytest.mark.parametrize("wrong", ["", "0", "-1", "nan", "inf", "1e9", "five", "1,5"])
def test_wrong_seconds_are_named(wrong: str) -> None:
    """With the flag and the value."""
    with pytest.raises(ConfigError) as caught:
        seconds(Namespace(ext_wait=wrong), "ext_wait")
    assert str(caught.value) == f"--ext-wait: expected seconds, more than 0 (got {wrong!r})"


@pytest.mark.parametrize(("value", "found"), [(None, None), ("5", 5), (0, 0), ("-3", -3)])
def test_whole_numbers(value: Any, found: int | None) -> None:
    """Texts and numbers."""
    assert whole_number(Namespace(ext_seed=value), "ext_seed") == found


@pytest.mark.parametrize("wrong", ["", "1.5", "x"])
def test_a_wrong_whole_number_is_named(wrong: str) -> None:
    """With the flag and the value."""
    with pytest.raises(ConfigError, match="--ext-seed: expected a whole number"):
        whole_number(Namespace(ext_seed=wrong), "ext_seed")


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "https://h", "ws://h:1", "wss://h/base"])
def test_base_addresses(address: str) -> None:
    """Of all four schemes."""
    assert base_address(address, "--host") == address
    assert base_address(None, "--host") is None
    assert base_address("", "--host") is None


@pytest.mark.parametrize("wrong", ["127.0.0.1:8000", "localhost", "ftp://h", "http://", "http://h:99999"])
def test_a_wrong_base_address_says_what_is_expected(wrong: str) -> None:
    """With its source."""
    with pytest.raises(ConfigError) as caught:
        base_address(wrong, "--host")
    assert str(caught.value) == (
        f"--host: expected an address with its scheme, such as http://127.0.0.1:8000 (got {wrong!r})"
    )


def test_fault_39_a_password_in_a_wrong_address_is_not_shown() -> None:
    """Neither by the flag's check nor by the one below it."""
    from locust_ext.runtime.address import endpoint

    for wrong in ("ann:secret@h:80", "ftp://ann:secret@h", "http://ann:secret@h:99999"):
        with pytest.raises(ConfigError) as caught:
            base_address(wrong, "--host")
        assert "secret" not in str(caught.value)
        with pytest.raises(ConfigError) as caught:
            endpoint(wrong, "/")
        assert "secret" not in str(caught.value)


def test_local_addresses_are_tried_out() -> None:
    """Each can be bound to; none given is none."""
    assert local_addresses(Namespace(), "ext_source_addresses") == ()
    found = local_addresses(Namespace(ext_source_addresses="127.0.0.2, 127.0.0.3"), "ext_source_addresses")
    assert found == ("127.0.0.2", "127.0.0.3")


@pytest.mark.parametrize("wrong", ["nonsense", "192.0.2.1", "127.0.0.1,", "127.0.0.1;127.0.0.2"])
def test_addresses_of_other_machines_are_refused(wrong: str) -> None:
    """The one that is wrong is named."""
    with pytest.raises(ConfigError, match="--ext-source-addresses: expected addresses of this machine"):
        local_addresses(Namespace(ext_source_addresses=wrong), "ext_source_addresses")


# ── the report's folder ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_report_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    """What is tried out in it is gone."""
    folder = check_report_dir(str(tmp_path / "a" / "b"))
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


def test_a_report_folder_that_cannot_be_is_said_before_the_run(tmp_path: Path) -> None:
    """With what the system has against it."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError) as caught:
        check_report_dir(str(tmp_path / "file" / "x"))
    assert str(caught.value).startswith(
        "--ext-report-dir: expected a folder that can be written to: not a directory (got "
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_report_folder_without_the_right_to_write(tmp_path: Path) -> None:
    """Is refused too."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ConfigError, match="permission denied"):
            check_report_dir(str(tmp_path))
    finally:
        tmp_path.chmod(0o700)
