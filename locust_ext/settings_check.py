"""What ``locust-ext settings`` looks at besides the file itself: names and places that only a run looks at otherwise."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from locust_ext.errors import ConfigError

if TYPE_CHECKING:
    from locust_ext.settings import Settings


def check_names_and_places(settings: Settings) -> None:
    """Profiles, reports, the folder that they are written to, the baseline. Raises `ConfigError`; makes no folder."""
    _check_profiles(settings)
    report = settings.report
    if report.formats is not None:
        from locust_ext.plugin.inputs import reports_of

        reports_of(settings)
    if report.dir is not None:
        from locust_ext.plugin.options import check_place

        check_place(report.dir, _source(settings, "report.dir"), "report.dir")
    if report.baseline is not None:
        from locust_ext.plugin.gate import load_baseline

        load_baseline(report.baseline, _source(settings, "report.baseline"), "report.baseline")


def check_users(settings: Settings) -> None:
    """The user classes, where the file says of which kind they all are; patterns and generators by name in any case."""
    has_kinds = bool(settings.users) and all(user.kind is not None for user in settings.users.values())
    if not has_kinds and not settings.lifecycle and not settings.messages:
        return
    from locust_ext.plugin.scenario import classes_of
    from locust_ext.plugin.users.rules import UserRules

    classes = list(classes_of(settings).values()) if has_kinds else []
    if has_kinds:
        _check_stages(settings)
    put = UserRules()
    try:
        put.apply(settings if has_kinds else settings.model_copy(update={"users": {}}), (), (), classes)
        put.select(settings, classes, ())
    finally:
        put.undo()


def _check_stages(settings: Settings) -> None:
    from locust_ext.settings.complaints import near

    for index, stage in enumerate((settings.shape and settings.shape.stages) or ()):
        for name in stage.user_classes or ():
            if name not in settings.users:
                key = f"shape.stages.{index}.user_classes"
                raise ConfigError(
                    f"unknown user class, expected one of {', '.join(settings.users)}",
                    source=_source(settings, key),
                    key=key,
                    value=name,
                    nearest=None if settings.is_secret(key) else near(name, settings.users),
                    shows_value=not settings.is_secret(key),
                )


def _check_profiles(settings: Settings) -> None:
    from locust_ext.settings import parse_profiles

    for key, shares in (
        ("run.profiles", settings.run.profiles),
        ("shape.realistic.profiles", settings.shape and settings.shape.realistic and settings.shape.realistic.profiles),
    ):
        try:
            parse_profiles([f"{name}:{share}" for name, share in (shares or {}).items()], settings, source="")
        except ConfigError as error:
            raise error.under(key, _source(settings, key)) from None


def tell_unchecked(settings: Settings) -> None:
    """Say on the standard error which classes have not been looked at, and why."""
    without = [name for name, rules in settings.users.items() if rules.kind is None]
    if without:
        sys.stderr.write(
            f"locust-ext settings: not checked: users, for a kind is not given for {', '.join(without)}, and their "
            "locustfile is not read\n"
        )


def _source(settings: Settings, key: str) -> str:
    origin = settings.origin(key)
    return settings.source if origin is None else origin.source
