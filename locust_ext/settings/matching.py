"""The settings of what belongs together: which reply answers which request, and which push follows from which message."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema, model_validator

from locust_ext.settings.types import exactly_one, wrong

_Name = Literal["fifo", "by_id", "agent", "monitor"]
"""The rules that need no parameters."""
_WAYS: Final = ("by_id", "by_type", "by_field", "named")


def one_or_more(value: Any) -> Any:
    """A text, or a list of at least one."""
    if value is None or (isinstance(value, str) and value):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(each, str) and each for each in value):
        return list(value)
    raise wrong("expected a text, or a list of texts")


def _replies(value: Any) -> Any:
    if value is None:
        return value
    if not isinstance(value, dict) or not value or not all(isinstance(name, str) for name in value):
        raise wrong("expected a mapping of types of requests to types of replies, such as {ping: pong}")
    return {name: one_or_more(replies) for name, replies in value.items()}


def _confirming(value: Any) -> Any:
    if value is None:
        return value
    if not isinstance(value, dict) or not all(isinstance(event, str) for event in value):
        raise wrong("expected a mapping of events to those that confirm them, such as {join: joined}")
    for rule in value.values():
        is_pair = isinstance(rule, list | tuple) and len(rule) == 2 and isinstance(rule[0], str)
        if not isinstance(rule, str) and not (is_pair and _are_texts(rule[1])):
            raise wrong("expected a confirming event, or a pair of it and the fields that tell: [done, [key]]")
    return value


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


_TEXT: Final[dict[str, Any]] = {"type": "string"}
TEXTS_SCHEMA: Final[dict[str, Any]] = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}
NULL: Final[dict[str, Any]] = {"type": "null"}
_PAIR: Final[dict[str, Any]] = {"type": "array", "minItems": 2, "maxItems": 2}

Texts = Annotated[Any, AfterValidator(one_or_more), WithJsonSchema({"anyOf": [*TEXTS_SCHEMA["anyOf"], NULL]})]
"""A text or several, or none."""
Confirm = Annotated[
    Any,
    AfterValidator(_confirming),
    WithJsonSchema({"anyOf": [{"type": "object", "additionalProperties": {"anyOf": [_TEXT, _PAIR]}}, NULL]}),
]
_Replies = Annotated[
    Any,
    AfterValidator(_replies),
    WithJsonSchema({"anyOf": [{"type": "object", "additionalProperties": TEXTS_SCHEMA}, NULL]}),
]


class CorrelationSettings(BaseModel):
    """Which reply answers which request; one of by_id, by_type, by_field and named."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=exactly_one(*_WAYS))

    by_id: str | None = None
    """The field in which the reply repeats the request's id; a request without one gets one."""
    integers: bool = False
    """With by_id: the ids that are made are whole numbers, for servers that insist on them."""
    by_type: _Replies = None
    """The type of the reply, or several of which any one answers, for each type of request: {ping: pong}."""
    type_field: str = "type"
    """With by_type: the field that holds the type."""
    error: str | None = None
    """With by_type: the type of error replies, which answer the oldest open request."""
    by_field: str | None = None
    """The field that a message brings itself and its reply repeats, such as ref or data.ref; without it: no request."""
    named: _Name | None = None
    """fifo: every arrival answers the oldest request; agent, monitor: by the rules of these channels."""

    @model_validator(mode="after")
    def _one_way(self) -> CorrelationSettings:
        if sum(getattr(self, way) is not None for way in _WAYS) != 1:
            raise wrong("expected one of by_id, by_type, by_field and named")
        if self.integers and self.by_id is None:
            raise wrong("expected integers beside by_id only")
        if (self.error is not None or self.type_field != "type") and self.by_type is None:
            raise wrong("expected type_field and error beside by_type only")
        return self


def _correlation(value: Any) -> Any:
    """``fifo`` means ``{named: fifo}``."""
    return {"named": value} if isinstance(value, str) else value


Correlate = Annotated[
    CorrelationSettings | None, BeforeValidator(_correlation, json_schema_input_type=_Name | CorrelationSettings | None)
]


class FanOutRule(BaseModel):
    """The push that a message with a marker in it brings to all connections of its channel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: str
    """Name of the push."""
    to_sender: bool = True
    """false: the server leaves the sender out."""


def _fan_out(value: Any) -> Any:
    """``system_event`` means ``{event: system_event}``."""
    return {"event": value} if isinstance(value, str) else value


FanOutSettings = Annotated[FanOutRule | None, BeforeValidator(_fan_out, json_schema_input_type=str | FanOutRule | None)]
