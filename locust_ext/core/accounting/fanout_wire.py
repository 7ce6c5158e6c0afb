"""`FanOutDelta` to JSON, and back out of bytes from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from locust_ext.core.accounting.blob import WireError, histogram_in, histogram_out, list_in, numbers_in, text_in
from locust_ext.core.accounting.fanout import MAX_CHANGES, MAX_UNSURE, SENT, VOID
from locust_ext.model import AudienceChanges, FanOutDelta, FanOutPart

PARTS_A_BLOB: Final = 500
_MAX_AUDIENCES: Final = 1000


def fan_outs_out(told: FanOutDelta | None, parts: Sequence[FanOutPart], is_first: bool) -> list[Any] | None:
    """One blob's share: these parts, and, in the first blob, everything else. None: there is nothing to tell."""
    if told is None:
        return None
    return [
        told.host,
        told.clock_us,
        told.blind_from_us if is_first else None,
        [[each.name, each.joined_us, each.left_us] for each in told.audiences] if is_first else [],
        [_part_out(part) for part in parts],
    ]


def _part_out(part: FanOutPart) -> list[Any]:
    numbers = [part.id, part.kind, part.sent_us, part.skips, part.heard, part.gone, part.first_us, part.last_us]
    if not (part.event or part.audience or part.unsure or part.offsets):
        return [numbers]
    return [numbers, part.event, part.audience, part.unsure, histogram_out(part.offsets)]


def fan_outs_in(value: object) -> FanOutDelta | None:
    """What `fan_outs_out` gave; raises as `wire.unpack` does."""
    if value is None:
        return None
    host, clock_us, blind_from_us, audiences, parts = list_in(value)
    if len(list_in(parts)) > PARTS_A_BLOB or len(list_in(audiences)) > _MAX_AUDIENCES:
        raise WireError("too many fan-outs in one blob")
    return FanOutDelta(
        text_in(host),
        numbers_in([clock_us], 1)[0],
        None if blind_from_us is None else numbers_in([blind_from_us], 1)[0],
        tuple(_audience_in(audience) for audience in audiences),
        tuple(_part_in(part) for part in parts),
    )


def _audience_in(value: object) -> AudienceChanges:
    name, joined_us, left_us = list_in(value)
    if len(list_in(joined_us)) > 2 * MAX_CHANGES or len(list_in(left_us)) > 2 * MAX_CHANGES:
        raise WireError("too many connections in one blob")
    left = []
    for pair in left_us:
        gone_us, came_us = numbers_in(pair, 2)
        left.append((gone_us, came_us))
    return AudienceChanges(text_in(name), tuple(numbers_in(joined_us)), tuple(left))


def _part_in(value: object) -> FanOutPart:
    numbers, *rest = list_in(value)
    number, kind, sent_us, skips, heard, gone, first_us, last_us = numbers_in(numbers, 8)
    event, audience, unsure, offsets = rest or ("", "", [], None)
    if kind > VOID or skips > 1 or gone > heard or first_us > last_us or len(list_in(unsure)) > MAX_UNSURE:
        raise WireError("numbers of a fan-out that cannot belong together")
    if kind == SENT and not event:
        raise WireError("a fan-out without a name")
    receivers = []
    for receiver in unsure:
        joined_us, left_us, heard_us = numbers_in(receiver, 3)
        receivers.append((joined_us, left_us, heard_us))
    distribution = histogram_in(offsets)
    if distribution is not None and distribution.count != heard:
        raise WireError("a fan-out whose receivers do not add up")
    return FanOutPart(
        number,
        kind,
        text_in(event),
        text_in(audience),
        sent_us,
        skips,
        heard,
        gone,
        first_us,
        last_us,
        tuple(receivers),
        distribution,
    )
