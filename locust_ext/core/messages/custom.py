"""`bind`: whatever a user class may name as its ``generator``, as one user's own generator; `Custom` wraps it."""

from __future__ import annotations

import copy
import inspect
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from locust_ext.core.messages.message import ALL, BoundGenerator, Message, MessageGenerator
from locust_ext.core.messages.weights import unknown
from locust_ext.errors import ConfigError

EXPECTED = (
    "expected a message generator, the name of one, a mapping of weights, a class or an object with generate(), "
    "or a callable of (rng, client_id)"
)
_WITHOUT_DEFAULT = ("template", "custom", "replay")
"""Names of the table that are nothing without parameters."""
EXPECTED_RESULT = "expected a Message, an object (dict), text or bytes from the generator"


def check(generator: Any) -> Any:
    """``generator`` itself, if :func:`bind` takes it; else ``ConfigError``. Binds nothing and calls nothing."""
    from locust_ext.core.messages import GENERATORS  # the table names this module's class

    if isinstance(generator, str):
        if generator not in GENERATORS:
            raise unknown("generator", generator, [name for name in GENERATORS if name not in _WITHOUT_DEFAULT])
        if generator in _WITHOUT_DEFAULT:
            raise ConfigError("this generator has no default: give an instance", key="generator", value=generator)
        return generator
    if isinstance(generator, Mapping):
        from locust_ext.core.messages.mixed import Mixed

        return Mixed(generator)
    if not (hasattr(generator, "bind") or hasattr(generator, "generate")):
        if not callable(generator) or isinstance(generator, type):
            raise ConfigError(EXPECTED, key="generator", value=generator)
        _arity(generator)
    return generator


def bind(generator: Any, rng: random.Random, client_id: str) -> BoundGenerator:
    """One user's own generator, from whatever may be written as ``generator = …``:

    a `MessageGenerator`; a name of the table ``GENERATORS``; a mapping of weights (as for `Mixed`); a class with
    ``generate()`` (an instance for each user); an object with ``generate()`` (a deep copy for each user); a callable.
    A class and a callable are called with as many of ``(rng, client_id)`` as they need. What they generate may be a
    `Message`, an object, text or bytes; the statistics name is then the object's ``type``, else ``message``.
    ``ConfigError`` says what was expected, here or, for what is generated, later from ``generate()``.
    """
    from locust_ext.core.messages import GENERATORS  # the table names this module's class

    generator = check(generator)
    if isinstance(generator, str):
        generator = GENERATORS[generator]
    ours = tuple(GENERATORS.values())
    if isinstance(generator, type):
        if generator in ours:
            generator = generator()
        else:
            generator = generator(*(rng, client_id)[: _arity(generator)])
    elif not hasattr(generator, "bind") and hasattr(generator, "generate"):
        try:
            generator = copy.deepcopy(generator)
        except Exception as error:
            raise ConfigError(
                "each user needs a copy of this generator, but it cannot be copied: give its class instead",
                key="generator",
                value=type(generator).__name__,
            ) from error
    if isinstance(generator, ours):
        made: BoundGenerator = generator.bind(rng, client_id)
        return made
    if isinstance(generator, MessageGenerator):
        generator = generator.bind(rng, client_id)
        if not callable(getattr(generator, "generate", None)):
            raise ConfigError("expected bind() to give an object with generate()", key="generator", value=generator)
    if callable(getattr(generator, "generate", None)):
        return BoundCustom(generator.generate, getattr(generator, "disconnected", None))
    if not callable(generator):
        raise ConfigError(EXPECTED, key="generator", value=generator)
    arguments = (rng, client_id)[: _arity(generator)]
    return BoundCustom(lambda: generator(*arguments), None)


@dataclass(frozen=True)
class Custom:
    """A generator of one's own: a class or an object with ``generate()``, or a callable. See :func:`bind`."""

    source: Any

    def __post_init__(self) -> None:
        check(self.source)

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        return bind(self.source, rng, client_id)


class BoundCustom:
    """One user's generator over someone else's ``generate``, whose results become messages."""

    __slots__ = ("_disconnected", "_generate")

    def __init__(self, generate: Callable[[], Any], disconnected: Callable[[str | None], None] | None) -> None:
        self._generate = generate
        self._disconnected = disconnected

    def generate(self) -> Message:
        made = self._generate()
        return made if made.__class__ is Message else as_message(made)

    def disconnected(self, channel: str | None = ALL) -> None:
        if self._disconnected is not None:
            self._disconnected(channel)


def as_message(made: Any) -> Message:
    """``made`` as a message; ``ConfigError`` if it is neither a Message, an object, text nor bytes."""
    if isinstance(made, Message):
        return made
    if isinstance(made, dict):
        kind = made.get("type")
        return Message(kind if isinstance(kind, str) and kind else "message", made)
    if isinstance(made, (str, bytes)):
        return Message("message", made)
    raise ConfigError(EXPECTED_RESULT, key="generator", value=made)


def _arity(function: Callable[..., Any]) -> int:
    """How many of ``(rng, client_id)`` the function needs (``*args``: both); ``ConfigError`` if it needs more."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some built-in functions have no signature
        return 0
    needed = 0
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            return 2
        # A parameter with a default, as in ``lambda count=10: …``, is the author's own: not for us to fill.
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
            needed += 3 if parameter.kind is parameter.KEYWORD_ONLY else 1
    if needed > 2:
        raise ConfigError(
            "expected a callable that takes no more than (rng, client_id)", key="generator", value=function
        )
    return needed
