"""`settings.shapes`: the search for the limit in the settings file, and what is said of a wrong one."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from locust_ext.core.schedules import Stress
from locust_ext.errors import ConfigError
from locust_ext.settings import Settings, load_settings
from locust_ext.settings.shapes import ShapeSettings, StressSettings


def loaded(folder: Path, text: str) -> Settings:
    path = folder / "settings.yaml"
    path.write_text(text)
    return load_settings(path)


def test_it_has_the_parameters_of_the_schedule_and_their_defaults() -> None:
    in_file = {
        key: None if field.is_required() else (field.default,) for key, field in StressSettings.model_fields.items()
    }
    assert in_file == {each.name: None if each.default is MISSING else (each.default,) for each in fields(Stress)}


def test_what_stands_in_the_file_makes_the_schedule(tmp_path: Path) -> None:
    shape = loaded(
        tmp_path,
        "shape: {stress: {max_users: 2000, initial: 20, increment: 50, step_s: 15, p95_ms: 100, error_ratio: 0.02,"
        " rules: false, confirm_s: 0, recovery_s: 0, rate: 40}}",
    ).shape
    assert shape is not None
    assert shape.name == "stress"
    assert Stress(**shape.parameters) == Stress(  # type: ignore[arg-type]
        2000,
        initial=20,
        increment=50,
        step_s=15,
        p95_ms=100,
        error_ratio=0.02,
        rules=False,
        confirm_s=0,
        recovery_s=0,
        rate=40,
    )


def test_it_travels_with_the_settings(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "shape: {stress: {max_users: 2000, factor: 1.5}}")
    assert Settings.model_validate_json(settings.model_dump_json()).shape == ShapeSettings(
        stress=StressSettings(max_users=2000, factor=1.5)
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{}", "shape.stress.max_users: this key is required"),
        ("{max_users: 0}", "shape.stress.max_users: expected a number of at least 1 (got 0)"),
        ("{max_users: 9, factor: 1}", "shape.stress.factor: expected a number above 1 (got 1)"),
        ("{max_users: 9, rules: 1}", "shape.stress.rules: expected true or false (got 1)"),
        (
            "{max_users: 9, confirm_s: 0.5}",
            "shape.stress.confirm_s: expected seconds, 1 or more, or 0 for none (got 0.5)",
        ),
        (
            "{max_users: 9, error_ratio: 5}",
            "shape.stress.error_ratio: expected a share from 0 to less than 1 (5 % is 0.05) (got 5)",
        ),
        ("{max_users: 9, p95: 5}", "did you mean 'p95_ms'?"),
        ("{max_users: 9}, steady: {users: 3}", "shape: expected one of steady, burst, ramp"),
    ],
)
def test_a_wrong_one_is_named_with_its_place(tmp_path: Path, text: str, shown: str) -> None:
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, f"shape: {{stress: {text}}}")
    assert shown in str(raised.value)
