"""`settings.rate`: the whole rate in the settings file, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from locust_ext.errors import ConfigError
from locust_ext.settings import Settings, load_settings
from locust_ext.settings.rate import RateSettings, RateStageSettings


def loaded(folder: Path, text: str) -> Settings:
    path = folder / "settings.yaml"
    path.write_text(text)
    return load_settings(path)


def test_without_the_key_no_rate_is_wanted() -> None:
    assert Settings().rate is None


@pytest.mark.parametrize("text", ["rate: 2000", "rate: {per_s: 2000}"])
def test_a_number_is_the_rate_all_the_time(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text).rate == RateSettings(per_s=2000)


def test_stages_and_users_may_say_it_and_gaps_may_be_poisson(tmp_path: Path) -> None:
    stages = loaded(
        tmp_path, "rate: {stages: [{for_s: 60, rate: 10, to: 50}, {for_s: 5, rate: 0}], poisson: true}"
    ).rate
    first, second = RateStageSettings(for_s=60, rate=10, to=50), RateStageSettings(for_s=5, rate=0)
    assert stages == RateSettings(stages=[first, second], poisson=True)
    assert loaded(tmp_path, "rate: {per_user: 0.5}").rate == RateSettings(per_user=0.5)


def test_the_rate_travels_to_workers_with_the_settings(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "rate: {stages: [{for_s: 60, rate: 10, to: 50}]}")
    assert Settings.model_validate_json(settings.model_dump_json()).rate == settings.rate


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rate: 0", "rate: expected a number above 0 (got 0)"),
        ("rate: fast", "rate: expected a number (got 'fast')"),
        ("rate: {per_s: 5, per_user: 1}", "rate: expected one of per_s, stages and per_user"),
        ("rate: {poisson: true}", "rate: expected one of per_s, stages and per_user"),
        ("rate: {stages: []}", "rate: expected at least one stage"),
        ("rate: {stages: [{for_s: 0, rate: 1}]}", "rate.stages[0].for_s: expected a number above 0 (got 0)"),
        (
            "rate: {stages: [{for: 5, rate: 1, for_s: 1}]}",
            "rate.stages[0].for: unknown key, expected one of for_s, rate, to; did you mean 'for_s'?",
        ),
        (
            "rate: {per_sec: 5}",
            "rate.per_sec: unknown key, expected one of per_s, stages, per_user, poisson; did you mean 'per_s'?",
        ),
    ],
)
def test_a_wrong_rate_is_named_with_its_place(tmp_path: Path, text: str, shown: str) -> None:
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, text)
    assert shown in str(raised.value)
