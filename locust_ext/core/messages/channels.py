"""`channels_of`: the channels that a generator's messages go to, as far as that can be told before it generates any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from locust_ext.core.messages.custom import Custom
from locust_ext.errors import ConfigError


def channels_of(generator: Any) -> frozenset[str | None]:
    """The labels of its messages' channels (None: the main one), of whatever may be a user's generator.

    Empty where only what is generated tells, as with a callable. A part of `Mixed` counts if it can be chosen, a step of
    `InTurn` always.
    """
    from locust_ext.core.messages import GENERATORS, ContextOps, InTurn, Mixed, Monitoring, Realistic, Replay, Template

    if isinstance(generator, Mapping):
        generator = Mixed(generator)
    if isinstance(generator, str):
        generator = GENERATORS.get(generator)
    if isinstance(generator, type):
        if generator not in GENERATORS.values() or generator in (Template, Custom, Replay):
            return frozenset()
        generator = generator()
    if isinstance(generator, Custom):
        return channels_of(generator.source)
    if isinstance(generator, Mixed):
        return frozenset[str | None]().union(*(channels_of(part) for part, _ in generator.parts))
    if isinstance(generator, InTurn):
        return frozenset[str | None]().union(*(channels_of(step) for step in generator.steps))
    if isinstance(generator, Realistic):
        monitor = channels_of(generator.monitoring) if generator.monitors else frozenset[str | None]()
        return frozenset({None}) | monitor | channels_of(generator.mix)
    if isinstance(generator, Template):
        return frozenset(one.channel for one in generator.compiled)
    if isinstance(generator, Replay):
        return frozenset({generator.channel})
    if isinstance(generator, Monitoring):
        return frozenset({"monitor"})
    if isinstance(generator, ContextOps):
        return frozenset({"http", "live"}) if generator.live and generator.reads < 1 else frozenset({"http"})
    return frozenset({None}) if type(generator) in GENERATORS.values() else frozenset()


def check_channels(generator: Any, channels: frozenset[str | None], user: str) -> None:
    """``ConfigError`` if messages of ``generator`` go to a channel that is not among ``channels``, those of ``user``."""
    from locust_ext.core.messages import GENERATORS

    missing = channels_of(generator) - channels
    if missing:
        raise ConfigError(
            f"expected a generator whose messages go to a channel that {user} has ({_listed(channels)}), and not to: "
            f"{_listed(missing)}",
            key=f"{user}.generator",
            value=next((name for name, cls in GENERATORS.items() if type(generator) is cls), generator),
        )


def _listed(channels: frozenset[str | None]) -> str:
    return ", ".join(sorted(each or "the main one" for each in channels))
