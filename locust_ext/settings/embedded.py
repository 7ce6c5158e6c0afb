"""The settings of the embedded server: how it misbehaves, and when; a server of ``--host`` is left alone.

The faults are the keys of the reference server's ``PUT /faults``, which a test compares with these.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from locust_ext.settings.parts import Part
from locust_ext.settings.types import Above0, Seed, Share, Weight, number

_TIMES: Final = frozenset({"after_s", "for_s"})


class StallSettings(Part):
    """Answers of that time are held until its end."""

    after_s: Weight
    """Seconds from the beginning of the fault."""
    for_s: Weight


class FaultSettings(Part):
    """Faults, and the time of a run that they are in force for; what is left out does not strike."""

    after_s: Weight = 0.0
    """Seconds after the start of the run."""
    for_s: Above0 | None = None
    """Seconds; null: until the run ends."""

    seed: Seed | None = None
    """Of the chances below."""
    latency_ms: Weight | None = None
    """Each message and HTTP request is handled that much later."""
    jitter_ms: Weight | None = None
    """More of the same: drawn evenly from 0 up to this."""
    latency_ms_per_connection: Weight | None = None
    """More of the same for each connection that is open: a server that has a limit."""
    stall: StallSettings | None = None
    error_ratio: Share | None = None
    """Share of messages and HTTP requests that is answered with an error."""
    drop_ratio: Share | None = None
    """Share of messages whose connection is aborted."""
    close_code: Annotated[int, BeforeValidator(number), Field(ge=1000, le=4999)] | None = None
    """Every message is answered by closing its connection with this code."""
    silent_ratio: Share | None = None
    """Share of messages that are never answered."""
    duplicate_ratio: Share | None = None
    """Share of messages that are answered twice."""
    late_ms: Weight | None = None
    """Answers leave that much later; another's answer may overtake them."""
    refuse_upgrades: bool | None = None
    """No connection can be opened."""
    http_status: Annotated[int, BeforeValidator(number), Field(ge=200, le=599)] | None = None
    """Every HTTP request is answered with this status."""
    retry_after_s: Weight | None = None
    """``Retry-After`` of the 429 and 503 of the two above."""
    handshake_drip_ms: Weight | None = None
    """The answer to an upgrade comes a byte at a time."""
    leak_bytes_per_message: Annotated[int, BeforeValidator(number), Field(ge=0)] | None = None
    """Memory that is kept for each message."""
    slow_reader: bool | None = None
    """Nothing is read from any connection."""

    @property
    def body(self) -> dict[str, Any]:
        """As ``PUT /faults`` takes them."""
        return self.model_dump(exclude_none=True, exclude=set(_TIMES))

    @property
    def until_s(self) -> float | None:
        """Seconds after the start of the run; None: until its end."""
        return None if self.for_s is None else self.after_s + self.for_s


def _list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class EmbeddedSettings(Part):
    """The reference server that the run starts for user classes whose host is ``embedded``."""

    faults: Annotated[
        list[FaultSettings], BeforeValidator(_list, json_schema_input_type=FaultSettings | list[FaultSettings])
    ] = Field(default_factory=list)
    """One mapping of faults, or a list of them, each with its time; where they overlap the later one of the list wins."""

    def in_force(self, at_s: float) -> dict[str, Any]:
        """The body of ``PUT /faults`` at this second of a run."""
        body: dict[str, Any] = {}
        for each in self.faults:
            if each.after_s <= at_s and (each.until_s is None or at_s < each.until_s):
                body.update(each.body)
        return body

    @property
    def changes_s(self) -> list[float]:
        """Seconds of a run at which something begins or ends, in order; 0 is one of them."""
        times = {0.0, *(each.after_s for each in self.faults)}
        return sorted(times | {each.until_s for each in self.faults if each.until_s is not None})
