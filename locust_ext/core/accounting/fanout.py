"""Fan-outs in one process: what it sent to everybody, and which of its connections heard it, until the master joins both.

A push is tied to its cause by a *tie*: a marker in its payload, or, where the server passes them on, the key and value
that were set. The connections of one kind are an *audience*: they may expect the same pushes. Lag is told where the time
of the send is known on this very clock: for what this process sent, and for markers of this host. For other ties of
this host the receptions are told relative to the first, and the master, who hears of the send, adds the rest.

Expected of a fan-out are the connections that were open from the send until `GRACE_US` after it, whether they hear it
or not; reached are those of them that did within that time. Who joined later or left sooner counts in neither, and has a
lag all the same: if leavers that have heard it counted, and those that have not did not, the reach would look better
than it is. A push that comes after the grace does not count as reached, but has a lag.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from locust_ext.core.accounting.histogram import Histogram
from locust_ext.core.accounting.names import clean
from locust_ext.core.marker import PREFIX, marker, read
from locust_ext.model import AudienceChanges, Distribution, FanOutDelta, FanOutPart

HEARD: Final = 0
"""The process has heard the push; somebody else sent it."""
SENT: Final = 1
"""The process sent it, and the send succeeded."""
WAITING: Final = 2
"""The process sent it and does not know yet whether that succeeded; another part will say so."""
VOID: Final = 3
"""It cannot be counted: the send failed, or the same was sent a second time."""

GRACE_US: Final = 2_000_000
UNSURE_US: Final = GRACE_US + 1_000_000
"""Receivers that joined within this time before the first reception may have joined after the send."""
MARGIN_US: Final = 250_000
"""How well the clocks of two hosts can be compared."""
REPEATS_US: Final = 10_000_000
"""The same tie within this time after a fan-out cannot be told from a late push of it."""
MAX_CAUSES: Final = 20_000
"""Fan-outs that are followed at a time."""
MAX_HEARD: Final = 1_000_000
"""Receptions that are remembered at a time."""
MAX_UNSURE: Final = 1000
"""Of one fan-out."""
MAX_CHANGES: Final = 100_000
"""Joins and leaves between two drains."""


@dataclass(frozen=True, slots=True)
class Joined:
    """One fan-out that is over."""

    event: str
    sent_us: int
    """Microseconds of the run, by the master's clock."""
    expected: int
    """0: nobody stayed until the grace was over."""
    reached: int
    """Of those expected."""
    spread_us: int | None
    """From the first receiver to the last; None: nobody heard it, or they are on several hosts."""
    lag: Distribution
    """Of the receivers that could not tell it themselves."""


class Member:
    """One open connection among an audience; whoever holds it tells `FanOuts` what its connection hears."""

    __slots__ = ("audience", "joined_us", "left_us")

    def __init__(self, audience: Audience, joined_us: int) -> None:
        self.audience = audience
        self.joined_us = joined_us
        self.left_us: int | None = None


class Audience:
    """The connections of one kind in this process, and the fan-outs that they take part in."""

    __slots__ = ("causes", "joined", "last_left_us", "left", "members", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: set[Member] = set()
        self.joined: list[int] = []
        self.left: list[tuple[int, int]] = []
        self.last_left_us = 0
        self.causes: dict[Hashable, Cause] = {}


class Cause:
    """One fan-out, as far as this process knows it."""

    __slots__ = ("event", "is_local", "is_own", "is_settled", "is_void", "receivers", "sent_us", "skips", "until_us")

    def __init__(self, sent_us: int | None, until_us: int, is_local: bool) -> None:
        self.sent_us = sent_us
        """None: this process cannot know, on its own clock."""
        self.until_us = until_us
        self.is_local = is_local
        """False: it was sent on another host."""
        self.receivers: dict[Member, int] | None = {}
        """Member -> when it heard the push; None: the master has been told, only repetitions are looked out for."""
        self.event = ""
        self.is_own = False
        self.is_settled = True
        self.is_void = False
        self.skips: Member | None = None


class FanOuts:
    """Kept by the recorder; always the same object. Nothing in it waits; any greenlet and the hub may call it.

    Between `begin` and that nothing is remembered: a marker's lag is told all the same.
    """

    def __init__(self) -> None:
        self.host = self.process = ""
        """Names of this host and process in markers; without a host no lag is told. Set by the runtime."""
        self._audiences: dict[str, Audience] = {}
        self._is_active = self._has_given_up = False
        self._causes = self._heard = self._changes = 0
        self._blind_from_us: int | None = None
        self._last_sent_us = 0

    def begin(self) -> None:
        """A new run: fan-outs are forgotten, connections stay."""
        self._is_active, self._has_given_up = True, False
        self._causes = self._heard = 0
        self._blind_from_us = None
        self._changes = 0
        for audience in self._audiences.values():
            audience.causes.clear()
            audience.joined = sorted(member.joined_us for member in audience.members)
            audience.left = []
            self._changes += len(audience.joined)

    # -- connections -----------------------------------------------------------------------------------------------

    def join(self, audience: str, now_us: int) -> Member:
        """A connection is open: the server tells it, too, of what is sent from now on."""
        found = self._audiences.get(audience)
        if found is None:
            found = self._audiences[audience] = Audience(audience)
        member = Member(found, now_us)
        found.members.add(member)
        if self._is_active and self._may_change():
            found.joined.append(now_us)
        return member

    def leave(self, member: Member, now_us: int) -> None:
        """The connection is lost, or begins to close: nothing more is expected to reach it. Idempotent."""
        if member.left_us is None:
            member.left_us = member.audience.last_left_us = now_us
            member.audience.members.discard(member)
            if self._is_active and self._may_change():
                member.audience.left.append((now_us, member.joined_us))

    def _may_change(self) -> bool:
        self._changes += 1
        if self._changes > MAX_CHANGES:  # nobody drains: from here on nothing can be expected any more
            self._is_active, self._has_given_up = False, True
        return self._is_active

    # -- sends and receptions --------------------------------------------------------------------------------------

    def mark(self, now_us: int) -> str:
        """A marker for a message that is about to be sent; each is another."""
        self._last_sent_us = now_us = max(now_us, self._last_sent_us + 1)
        return marker(self.host, now_us, self.process)

    def send(self, audience: str, event: str, tie: Hashable, now_us: int, skips: Member | None = None) -> Cause:
        """A message is about to go out that the whole audience should hear of, as `event`, all but `skips`.

        `settle` must follow: a send that failed is no fan-out.
        """
        told = read(tie) if type(tie) is str else None
        if told is not None:
            now_us = told[1]
        found = self._audiences.get(audience)
        if found is None:
            found = self._audiences[audience] = Audience(audience)
        cause = found.causes.get(tie)
        if cause is not None:
            cause.is_void = True
            cause.until_us = max(cause.until_us, now_us + GRACE_US)
            cause.receivers = cause.receivers or {}
            return cause
        cause = Cause(now_us, now_us + GRACE_US, is_local=True)
        cause.event, cause.skips = event, skips
        cause.is_own, cause.is_settled = True, False
        if self._is_active and self._causes < MAX_CAUSES:
            found.causes[tie] = cause
            self._causes += 1
        return cause

    def settle(self, cause: Cause, succeeded: bool) -> None:
        """The send has an outcome."""
        cause.is_settled = True
        if not succeeded:
            cause.is_void = True

    def receive(self, member: Member, tie: Hashable, now_us: int) -> int | None:
        """A push came over this connection. Gives its delivery lag in microseconds; None: unknown, or not its own."""
        cause = member.audience.causes.get(tie)
        if cause is None:
            cause = self._hear(member.audience, tie, now_us)
        receivers, sent_us = cause.receivers, cause.sent_us
        if sent_us is not None:
            left_us = member.left_us
            if member.joined_us > sent_us or (left_us is not None and left_us < sent_us):
                return None
        if receivers is not None:
            if member in receivers:
                return None
            if now_us <= cause.until_us and member is not cause.skips:
                receivers[member] = now_us
                self._heard += 1
        return None if sent_us is None or cause.is_void else now_us - sent_us

    def _hear(self, audience: Audience, tie: Hashable, now_us: int) -> Cause:
        """The first that is heard of this fan-out here."""
        told = read(tie) if type(tie) is str else None
        if told is None:
            cause = Cause(None, now_us + GRACE_US, is_local=True)
        elif told[0] == self.host and self.host:
            cause = Cause(told[1], told[1] + GRACE_US, is_local=True)
            if now_us > cause.until_us:
                return cause  # too late to count as reached: there is nothing to remember
        else:
            cause = Cause(None, now_us + GRACE_US, is_local=False)
        if not self._is_active:
            return cause
        if self._causes >= MAX_CAUSES or self._heard >= MAX_HEARD:
            self._be_blind_from(now_us)
        else:
            audience.causes[tie] = cause
            self._causes += 1
        return cause

    def _be_blind_from(self, heard_us: int) -> None:
        sent_us = heard_us - GRACE_US
        self._blind_from_us = sent_us if self._blind_from_us is None else min(self._blind_from_us, sent_us)

    # -- towards the master ----------------------------------------------------------------------------------------

    def drain(self, now_us: int, final: bool = False) -> FanOutDelta | None:
        """The fan-outs whose grace is over, and who joined and left since the last drain; `final`: all of them.

        None while no run has begun.
        """
        if self._has_given_up:
            return FanOutDelta(self.host, now_us, blind_from_us=0)
        if not self._is_active:
            return None
        changes = []
        parts: list[FanOutPart] = []
        for audience in self._audiences.values():
            if audience.joined or audience.left:
                changes.append(AudienceChanges(clean(audience.name), tuple(audience.joined), tuple(audience.left)))
                audience.joined, audience.left = [], []
            for tie, cause in list(audience.causes.items()):
                # Of another host's the grace ends when the master thinks so: who has left by then must be known here.
                until_us = cause.until_us if cause.is_local else cause.until_us + 2 * MARGIN_US
                if final or now_us >= until_us:
                    self._tell(audience, tie, cause, now_us, final, parts)
        self._changes = 0
        blind_from_us, self._blind_from_us = self._blind_from_us, None
        return FanOutDelta(self.host, now_us, blind_from_us, tuple(changes), tuple(parts))

    def _tell(
        self, audience: Audience, tie: Hashable, cause: Cause, now_us: int, final: bool, parts: list[FanOutPart]
    ) -> None:
        receivers = cause.receivers
        if receivers is None:
            if now_us > cause.until_us + REPEATS_US:
                del audience.causes[tie]
                self._causes -= 1
            return
        number = fan_out_id(audience.name, tie)
        if cause.is_own and not (cause.is_settled or cause.is_void or final):
            parts.append(FanOutPart(number, WAITING))
            return
        if cause.is_void or not cause.is_settled:
            parts.append(FanOutPart(number, VOID))
        elif receivers or cause.is_own:
            part = self._part(number, audience, cause, receivers)
            if part is not None:
                parts.append(part)
        self._heard -= len(receivers)
        cause.receivers = None
        if type(tie) is str and tie.startswith(PREFIX):  # a marker comes once: nothing is to be looked out for
            del audience.causes[tie]
            self._causes -= 1

    def _part(self, number: int, audience: Audience, cause: Cause, receivers: dict[Member, int]) -> FanOutPart | None:
        sent_us, until_us = cause.sent_us, cause.until_us
        if sent_us is None:
            return self._unsure_part(number, cause, receivers)
        gone = 0
        if audience.last_left_us >= sent_us:
            gone = sum(member.left_us is not None and member.left_us < until_us for member in receivers)
        first_us, last_us = (min(receivers.values()), max(receivers.values())) if receivers else (0, 0)
        if not cause.is_own:
            return FanOutPart(number, HEARD, heard=len(receivers), gone=gone, first_us=first_us, last_us=last_us)
        skips = cause.skips
        stays = skips is not None and (skips.left_us is None or skips.left_us >= until_us)
        return FanOutPart(
            number,
            SENT,
            clean(cause.event),
            clean(audience.name),
            sent_us,
            int(stays and skips is not None and skips.joined_us <= sent_us),
            len(receivers),
            gone,
            first_us,
            last_us,
        )

    def _unsure_part(self, number: int, cause: Cause, receivers: dict[Member, int]) -> FanOutPart | None:
        """Only the master knows when it was sent: tell what it needs to decide whose the push was."""
        sure_us = min(receivers.values()) - UNSURE_US
        unsure = []
        sure = []
        for member, heard_us in receivers.items():
            if member.joined_us > sure_us or member.left_us is not None:
                unsure.append((member.joined_us, member.left_us or 0, heard_us))
            else:
                sure.append(heard_us)
        if len(unsure) > MAX_UNSURE:
            self._be_blind_from(min(receivers.values()))
            return None
        offsets = None
        first_us, last_us = (min(sure), max(sure)) if sure else (0, 0)
        if cause.is_local:
            histogram = Histogram()
            for heard_us in sure:
                histogram.record(heard_us - first_us)
            offsets = histogram.freeze()
        return FanOutPart(
            number,
            HEARD,
            heard=len(sure),
            first_us=first_us,
            last_us=last_us,
            unsure=tuple(unsure),
            offsets=offsets,
        )


def fan_out_id(audience: str, tie: Hashable) -> int:
    """A number below 2**53 that is the same in every process; two of a run's are equal by a chance of 1 in 10**8."""
    digest = blake2b(repr((audience, tie)).encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 11
