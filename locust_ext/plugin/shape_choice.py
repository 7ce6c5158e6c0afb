"""`choose_shape`: the shape of a run, from the settings file or from the locustfile, checked before the run."""

from __future__ import annotations

from locust.env import Environment
from locust.runners import MasterRunner

import logging
from typing import Any

from locust_ext.core.schedules import Realistic
from locust_ext.errors import ConfigError
from locust_ext.plugin.defaults import flag_defaults, profile_texts
from locust_ext.plugin.limits import check_descriptors
from locust_ext.plugin.shapes import SHAPES, ParameterShape, PlannedShape, Shape
from locust_ext.settings import Settings, parse_profiles

logger = logging.getLogger("locust_ext")

_COMMON = {"num_users": "--users", "spawn_rate": "--spawn-rate"}


def choose_shape(environment: Environment, options: Any, settings: Settings, source: str) -> None:
    """Give the environment the shape of ``shape:``, if there is one, and check the one that it has by then.

    Not in a worker; in Locust's ``init``, before it looks whether there is a shape. Raises `ConfigError`.
    """
    if settings.shape is not None:
        _put(environment, settings, source)
    shape = environment.shape_class
    if not isinstance(shape, Shape):
        return
    try:
        shape.check()
        if isinstance(shape, PlannedShape):
            _choose_profiles(shape, options, settings)
    except ConfigError as error:
        raise error.under("", shows_value=not settings.is_secret("shape")) from None
    if environment.reset_stats and shape.moves:
        raise ConfigError(
            f"expected no {type(shape).__name__} shape beside it: Locust would reset its statistics at each of its steps; "
            "--ext-warmup keeps the start of a run apart",
            source="--reset-stats",
        )
    if not isinstance(environment.runner, MasterRunner):
        check_descriptors(shape.peak_users)
    defaults = flag_defaults(settings)
    asked = {option: getattr(options, option, None) for option in _COMMON}
    given = [flag for option, flag in _COMMON.items() if asked[option] and asked[option] != defaults.get(option)]
    if given:
        logger.warning("%s: not used, the shape %s says how many users there are", ", ".join(given), shape.text)


def _put(environment: Environment, settings: Settings, source: str) -> None:
    assert settings.shape is not None
    own = environment.shape_class
    if own is not None and not (isinstance(own, ParameterShape) and own.place[0]):
        raise ConfigError(
            f"expected no shape here: the locustfile has one of its own, {type(own).__name__}",
            source=source,
            key="shape",
        )
    name = settings.shape.name
    place = (source, "shape" if name == "stages" else f"shape.{name}")
    base = SHAPES[name]
    made = type(base.__name__, (base,), {**settings.shape.parameters, "place": place, "abstract": False})
    shape: ParameterShape = made()
    shape.runner = environment.runner
    environment.shape_class = shape
    # With --class-picker the web UI's form chooses among these.
    environment.available_shape_classes = {**(environment.available_shape_classes or {}), base.__name__: shape}


def _choose_profiles(shape: PlannedShape, options: Any, settings: Settings) -> None:
    """As if ``--ext-profiles`` had said it, which wins and which the workers are told."""
    if shape.schedule is not Realistic:
        return
    schedule = shape.make_schedule()
    assert isinstance(schedule, Realistic)
    given = getattr(options, "ext_profiles", None) or None
    if schedule.profiles and given in (None, profile_texts(settings)):
        texts = [f"{name}:{share}" for name, share in schedule.profiles.items()]
        file, key = shape.place
        try:
            parse_profiles(texts, settings, source=file)
        except ConfigError as error:
            raise error.under(f"{key or type(shape).__name__}.profiles") from None
        options.ext_profiles = texts
