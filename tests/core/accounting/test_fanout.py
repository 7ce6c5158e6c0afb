"""Fan-outs: who should have heard, who did, and how late; the same however senders and receivers are spread."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings, strategies as st

from locust_ext.core.accounting import Histogram, Recorder, fanout, wire
from locust_ext.core.accounting.fanout import GRACE_US, FanOuts, Member, fan_out_id
from locust_ext.core.marker import MARKER, marker
from locust_ext.model import EMPTY, Delta, Distribution, PushStats

GRACE_MS = GRACE_US // 1000
END_MS = 20_000
EVENT = "changed"


@dataclass(frozen=True)
class Connection:
    process: int
    joined_ms: int
    left_ms: int | None


@dataclass(frozen=True)
class Send:
    process: int
    at_ms: int
    is_marked: bool
    skips: int | None
    succeeds: bool
    heard: tuple[tuple[int, int], ...]
    """`(connection, delay in ms)`, each connection once."""


@dataclass
class World:
    """What happens in a run, and, worked out the slow and obvious way, what should be told of it."""

    connections: list[Connection]
    sends: list[Send]
    end_ms: int = END_MS
    expected: int = 0
    reached: int = 0
    lags_ms: list[int] = field(default_factory=list)
    spreads_ms: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        for send in self.sends:
            if not send.succeeds or send.at_ms > self.end_ms:
                continue
            until_ms = send.at_ms + GRACE_MS
            heard = {
                number: delay_ms
                for number, delay_ms in send.heard
                if self._was_there(number, send) and send.at_ms + delay_ms <= self.end_ms
            }
            stable = {
                number
                for number, each in enumerate(self.connections)
                if self._was_there(number, send) and (each.left_ms is None or each.left_ms >= until_ms)
            }
            if until_ms <= self.end_ms:  # else nobody was seen to stay
                self.expected += len(stable)
                self.reached += len(heard.keys() & stable)
            self.lags_ms += heard.values()
            if heard:
                self.spreads_ms.append(max(heard.values()) - min(heard.values()))

    def _was_there(self, number: int, send: Send) -> bool:
        each = self.connections[number]
        is_open = each.joined_ms <= send.at_ms and (each.left_ms is None or each.left_ms >= send.at_ms)
        return is_open and number != send.skips


@st.composite
def worlds(draw: st.DrawFn, processes: int = 3) -> World:
    times = st.integers(1, 9000)
    connections = []
    for _ in range(draw(st.integers(1, 6))):
        joined_ms = draw(times)
        lasts_ms = draw(st.one_of(st.none(), st.integers(0, 6000)))
        left_ms = None if lasts_ms is None else joined_ms + lasts_ms
        connections.append(Connection(draw(st.integers(0, processes - 1)), joined_ms, left_ms))
    sends = []
    for _ in range(draw(st.integers(1, 4))):
        at_ms = draw(times)
        heard = []
        for number, each in enumerate(connections):
            delay_ms = draw(st.one_of(st.none(), st.integers(0, GRACE_MS)))
            is_open = delay_ms is not None and each.joined_ms <= at_ms + delay_ms
            # One that says goodbye still hears what was on its way; one that is long gone does not.
            if is_open and (each.left_ms is None or each.left_ms >= at_ms):
                heard.append((number, delay_ms))
        process = draw(st.integers(0, processes - 1))
        mine = [number for number, each in enumerate(connections) if each.process == process]
        skips = draw(st.one_of(st.none(), st.sampled_from(mine))) if mine else None
        sends.append(
            Send(
                process,
                at_ms,
                draw(st.booleans()),
                skips,
                draw(st.sampled_from([True, True, True, False])),
                tuple((number, delay_ms or 0) for number, delay_ms in heard if number != skips),
            )
        )
    return World(connections, sends, draw(st.sampled_from([END_MS, END_MS, 4700, 6000])))


class Run:
    """The world's events in so many processes, drained once a second."""

    def __init__(self, world: World, processes: int, split: bool = True) -> None:
        self.workers = [Recorder(worker=f"w{number}") for number in range(processes)]
        for number, worker in enumerate(self.workers):
            worker.begin("r", 0.0)
            worker.fan_outs.host, worker.fan_outs.process = "host01", f"p{number:03}"
        self.deltas: list[Delta] = []
        self._of = (lambda process: self.workers[process]) if split else (lambda _process: self.workers[0])
        self._members: dict[int, Member] = {}
        for at_ms, _, act in sorted(self._events(world), key=lambda event: event[:2]):
            if at_ms > world.end_ms:
                break
            while len(self.deltas) // processes < at_ms // 1000:
                self._drain()
            act(at_ms * 1000)
        while len(self.deltas) // processes < world.end_ms // 1000:
            self._drain()
        self._drain(world.end_ms / 1000)

    def _drain(self, end_s: float | None = None) -> None:
        second = float(len(self.deltas) // len(self.workers) + 1)
        self.deltas += [worker.drain(end_s or second, final=end_s is not None) for worker in self.workers]

    def _events(self, world: World):  # type: ignore[no-untyped-def]
        order = count()
        for number, connection in enumerate(world.connections):
            fan_outs = self._of(connection.process).fan_outs

            def join(at_us: int, number: int = number, fan_outs: FanOuts = fan_outs) -> None:
                self._members[number] = fan_outs.join("room", at_us)

            def leave(at_us: int, number: int = number, fan_outs: FanOuts = fan_outs) -> None:
                fan_outs.leave(self._members[number], at_us)

            yield connection.joined_ms, (0, next(order)), join
            if connection.left_ms is not None:
                yield connection.left_ms, (3, next(order)), leave
        for serial, send in enumerate(world.sends):
            yield from self._fan_out(world, serial, send, order)

    def _fan_out(self, world: World, serial: int, send: Send, order):  # type: ignore[no-untyped-def]
        tie = marker("host01", send.at_ms * 1000, f"s{serial:03}") if send.is_marked else ("key", f"value {serial}")
        sender = self._of(send.process).fan_outs

        def begin(at_us: int) -> None:
            skips = None if send.skips is None else self._members.get(send.skips)
            cause = sender.send("room", EVENT, tie, at_us, skips)
            sender.settle(cause, send.succeeds)

        yield send.at_ms, (1, next(order)), begin
        for number, delay_ms in send.heard:
            recorder = self._of(world.connections[number].process)

            def hear(at_us: int, number: int = number, recorder: Recorder = recorder) -> None:
                lag_us = recorder.fan_outs.receive(self._members[number], tie, at_us)
                recorder.push(EVENT, 10, lag_us)

            yield send.at_ms + delay_ms, (2, next(order)), hear


def merged(deltas: list[Delta], *, ticks: bool = False) -> PushStats:
    """What the master tells of the event in the end."""
    master = Recorder()
    master.begin("r", 0.0)
    for delta in deltas:
        master.merge(delta)
        if ticks and delta.to_s is not None and not delta.final:
            master.tick(delta.to_s)
    master.end(END_MS / 1000 + 1)
    found = [push for push in master.snapshot(0.0).pushes if push.event == EVENT]
    return found[0] if found else PushStats(EVENT)


@settings(deadline=None, max_examples=200)
@given(worlds(), st.randoms(use_true_random=False), st.booleans())
def test_any_split_over_processes_tells_what_happened(world: World, rng: random.Random, over_the_wire: bool) -> None:
    """Expected, reached, lags and spreads, with joiners, leavers, skipped senders and failed sends."""
    deltas = Run(world, 3).deltas
    if over_the_wire:
        deltas = [wire.unpack(blob) for delta in deltas for blob in wire.pack(delta)]
    rng.shuffle(deltas)
    told = merged(deltas)
    assert (told.expected or 0, told.reached or 0) == (world.expected, world.reached)
    assert told.spread == distribution(world.spreads_ms)
    if all(send.succeeds for send in world.sends):  # the lag of a send that failed is told by its marker all the same
        lag = told.lag or EMPTY
        assert lag.count == len(world.lags_ms)
        assert lag.sum_us == pytest.approx(1000 * sum(world.lags_ms), rel=0.01, abs=1)
        assert (lag.max_us or 0) == pytest.approx(1000 * max(world.lags_ms, default=0), rel=0.01, abs=1)


def distribution(samples_ms: list[int]) -> Distribution | None:
    histogram = Histogram()
    for sample_ms in samples_ms:
        histogram.record(sample_ms * 1000)
    return histogram.freeze() if samples_ms else None


@settings(deadline=None, max_examples=50)
@given(worlds())
def test_one_process_and_three_tell_the_same_also_second_by_second(world: World) -> None:
    alone = merged(Run(world, 1, split=False).deltas, ticks=True)
    split = merged(Run(world, 3).deltas, ticks=True)
    assert (alone.expected, alone.reached) == (split.expected, split.reached)
    assert (alone.expected or 0, alone.reached or 0) == (world.expected, world.reached)


# ── single rules ───────────────────────────────────────────────────────────────────────────────────────────────────────


def process(name: str = "w0", host: str = "host01", began_s: float = 0.0) -> Recorder:
    recorder = Recorder(worker=name)
    recorder.begin("r", began_s)
    recorder.fan_outs.host, recorder.fan_outs.process = host, "p000"
    return recorder


def told_by(*workers: Recorder, until_s: float = 10.0) -> PushStats:
    """What the master makes of one final delta of each."""
    return merged([worker.drain(until_s, final=True) for worker in workers])


def deliver(
    sender: Recorder, members: list[tuple[Recorder, Member]], tie: object = "t", at_us: int = 1000
) -> list[int]:
    """One good send that all of them hear 500 µs later; the lags that are known at once."""
    sender.fan_outs.settle(sender.fan_outs.send("room", EVENT, tie, at_us), True)
    lags = [recorder.fan_outs.receive(member, tie, at_us + 500) for recorder, member in members]
    return [lag for lag in lags if lag is not None]


@pytest.mark.parametrize("is_marked", [True, False])
def test_between_hosts_lag_is_unknown_and_reach_is_there(is_marked: bool) -> None:
    """The other host's clock is 1000 s ahead; of its three connections two hear the push."""
    here, there = process(), process("w1", "other2", began_s=1000.0)
    mine = here.fan_outs.join("room", 100)
    theirs = [there.fan_outs.join("room", 1_000_000_100) for _ in range(3)]
    sent_us = 2_000_000
    tie: object = marker("host01", sent_us, "p000") if is_marked else ("key", "value")
    here.fan_outs.settle(here.fan_outs.send("room", EVENT, tie, sent_us), True)
    assert here.fan_outs.receive(mine, tie, sent_us + 700) == 700
    for member in theirs[:2]:
        assert there.fan_outs.receive(member, tie, 1_000_000_000 + sent_us + 900) is None
    told = merged([here.drain(10.0, final=True), there.drain(1010.0, final=True)])
    assert (told.expected, told.reached, told.reach, told.never_came) == (4, 3, 0.75, 1)
    assert told.lag is None  # the recorder was told no lag for any push
    assert told.spread is None


def test_between_hosts_who_came_or_went_too_near_to_say_is_left_out_whether_it_heard_or_not() -> None:
    """Near the send, and near the end of its grace; of the two that surely stayed, one heard it."""
    here, there = process(), process("w1", "other2")
    came = [there.fan_outs.join("room", 2_000_000 + 1000 * offset) for offset in (-200, -100, 100, 200)]
    goes = [there.fan_outs.join("room", 1) for _ in range(4)]
    stays = [there.fan_outs.join("room", 1) for _ in range(2)]
    tie = marker("host01", 2_000_000, "p000")
    deliver(here, [(there, each) for each in (came[0], goes[0], goes[2], stays[0])], tie, 2_000_000)
    for member, offset in zip(goes, (-200, -100, 100, 200), strict=True):
        there.fan_outs.leave(member, 4_000_000 + 1000 * offset)
    told = told_by(here, there)
    assert (told.expected, told.reached) == (2, 1)


def test_between_hosts_a_receiver_that_goes_just_after_its_own_grace_is_left_out_as_well() -> None:
    """Its process cannot know yet whether it has stayed, and waits for so long as the clocks may differ."""
    here, there = process(), process("w1", "other2")
    stays, goes = (there.fan_outs.join("room", 1) for _ in range(2))
    tie = marker("host01", 2_000_000, "p000")
    deliver(here, [(there, stays), (there, goes)], tie, 2_000_000)
    deltas = [each.drain(4.1) for each in (here, there)]
    there.fan_outs.leave(goes, 4_200_000)
    told = merged([*deltas, here.drain(10.0, final=True), there.drain(10.0, final=True)])
    assert (told.expected, told.reached) == (1, 1)


def test_a_connection_that_leaves_within_the_grace_counts_neither_among_the_expected_nor_the_reached() -> None:
    """Else half of the leavers would look like all of them; what they heard has a lag all the same."""
    one, two = process(), process("w1")
    members = [(each, each.fan_outs.join("room", 1)) for each in (one, two) for _ in range(4)]
    for serial, tie in enumerate((("k", "v"), marker("host01", 1_000_000, "p000"))):
        one.fan_outs.settle(one.fan_outs.send("room", EVENT, tie, 1_000_000 + serial), True)
        for recorder, member in members[::2]:
            recorder.push(EVENT, 10, recorder.fan_outs.receive(member, tie, 1_000_500))
    for recorder, member in (members[0], members[1], members[4], members[5]):
        recorder.fan_outs.leave(member, 2_900_000)
    told = told_by(one, two)
    assert (told.expected, told.reached, told.reach) == (8, 4, 0.5)
    assert told.lag is not None
    assert told.lag.count == 8


@pytest.mark.parametrize("leaves", [True, False])
def test_a_run_that_ends_within_the_grace_claims_no_reach(leaves: bool) -> None:
    """Whether its users are stopped before the end is told of, or only after it."""
    one = process()
    heard, unheard = (one.fan_outs.join("room", 1) for _ in range(2))
    deliver(one, [(one, heard)], at_us=1_000_000)
    for member in (heard, unheard):
        if leaves:
            one.fan_outs.leave(member, 1_900_000)
    told = told_by(one, until_s=2.0)
    assert (told.expected, told.reached, told.reach, told.never_came) == (None, None, None, None)


def test_a_worker_that_ends_within_the_grace_is_no_part_of_it_and_the_others_are() -> None:
    one, two = process(), process("w1")
    members = [(each, each.fan_outs.join("room", 1)) for each in (one, two) for _ in range(2)]
    deliver(one, members[::2], marker("host01", 1_000_000, "p000"), at_us=1_000_000)
    told = merged([two.drain(2.0, final=True), one.drain(10.0, final=True)])
    assert (told.expected, told.reached) == (2, 1)


def test_a_push_that_comes_twice_counts_once() -> None:
    one = process()
    members = [(one, one.fan_outs.join("room", 1)) for _ in range(2)]
    assert deliver(one, [members[0], members[0]]) == [500]
    told = told_by(one)
    assert (told.expected, told.reached, told.never_came) == (2, 1, 1)


def test_a_push_after_the_grace_has_a_lag_and_is_not_reached() -> None:
    one = process()
    member = one.fan_outs.join("room", 1)
    tie = one.fan_outs.mark(1000)
    one.fan_outs.settle(one.fan_outs.send("room", EVENT, tie, 1000), True)
    first = one.drain(4.0)
    assert one.fan_outs.receive(member, tie, 5_000_000) == 4_999_000
    told = merged([first, one.drain(9.0, final=True)])
    assert (told.expected, told.reached) == (1, 0)


def test_the_same_value_of_the_same_key_again_is_left_out() -> None:
    """Whose pushes they are cannot be told: in one process, and when two send it."""
    one, two = process(), process("w1")
    members = [(each, each.fan_outs.join("room", 1)) for each in (one, two)]
    deliver(one, members, ("k", "v"), 1000)
    deliver(one, members, ("k", "v"), 900_000)
    deliver(one, members, ("k", "w"), 1000)
    deliver(two, [], ("k", "w"), 1200)
    deliver(two, members, ("k", "x"), 1000)
    told = told_by(one, two)
    assert (told.expected, told.reached) == (2, 2)


def test_a_change_that_failed_is_no_fan_out_and_one_without_an_outcome_neither() -> None:
    one = process()
    one.fan_outs.join("room", 1)
    one.fan_outs.settle(one.fan_outs.send("room", EVENT, "t1", 1000), False)
    one.fan_outs.send("room", EVENT, "t2", 1000)
    assert told_by(one).expected is None


def test_a_send_that_takes_longer_than_the_grace_is_counted_once_its_outcome_is_known() -> None:
    one, two = process(), process("w1")
    member = two.fan_outs.join("room", 1)
    cause = one.fan_outs.send("room", EVENT, "t", 1000)
    two.fan_outs.receive(member, "t", 2000)
    deltas = [each.drain(float(second)) for second in range(1, 9) for each in (one, two)]
    one.fan_outs.settle(cause, True)
    deltas += [each.drain(9.0, final=True) for each in (one, two)]
    told = merged(deltas, ticks=True)
    assert (told.expected, told.reached) == (1, 1)


def test_a_later_joiner_is_left_out_whoever_sent_and_however_it_is_tied() -> None:
    one, two = process(), process("w1")
    there = [(each, each.fan_outs.join("room", 1)) for each in (one, two)]
    for serial, tie in enumerate((("k", "v"), marker("host01", 1_000_000, "p000"))):
        one.fan_outs.settle(one.fan_outs.send("room", EVENT, tie, 1_000_000 + serial), True)
        late = [(each, each.fan_outs.join("room", 1_000_100)) for each in (one, two)]
        for recorder, member in there + late:
            recorder.fan_outs.receive(member, tie, 1_000_500)
        for recorder, member in late:
            recorder.fan_outs.leave(member, 1_000_600)
    told = told_by(one, two)
    assert (told.expected, told.reached) == (4, 4)


def test_connections_that_were_open_before_the_run_take_part() -> None:
    one = Recorder()
    members = [(one, one.fan_outs.join("room", 1)) for _ in range(3)]
    one.begin("r", 1.0)
    deliver(one, members[:2], at_us=1_500_000)
    one.end(9.0)
    (told,) = one.snapshot(9.0).pushes
    assert (told.expected, told.reached) == (3, 2)


def test_other_channels_are_another_audience() -> None:
    one = process()
    member = one.fan_outs.join("room", 1)
    for _ in range(5):
        one.fan_outs.join("elsewhere", 1)
    deliver(one, [(one, member)])
    told = told_by(one)
    assert (told.expected, told.reached) == (1, 1)


def test_a_lost_worker_is_not_waited_for_and_its_connections_are_not_missed() -> None:
    one, two = process(), process("w1")
    member = one.fan_outs.join("room", 1)
    two.fan_outs.join("room", 1)
    master = Recorder()
    master.begin("r", 0.0)
    master.merge(two.drain(0.5))
    deliver(one, [(one, member)], at_us=1_000_000)
    master.merge(one.drain(9.0, final=True))
    master.end(9.0)
    assert master.snapshot(9.0).pushes == ()
    master.mark_lost("w1")
    (told,) = master.snapshot(9.0).pushes
    assert (told.expected, told.reached) == (1, 1)


def test_fan_outs_of_the_warm_up_are_kept_apart_although_they_are_complete_only_after_it() -> None:
    one = Recorder()
    one.begin("r", 0.0, warmup_s=2.0)
    member = one.fan_outs.join("room", 1)
    deliver(one, [(one, member)], "t1", 1_900_000)
    one.merge(one.end_warmup(2.0))
    deliver(one, [(one, member)], "t2", 2_100_000)
    deliver(one, [(one, member)], "t3", 2_200_000)
    for second in range(3, 10):
        one.tick(float(second))
    snapshot = one.snapshot(9.0)
    assert snapshot.warmup is not None
    assert [push.expected for push in snapshot.warmup.pushes] == [1]
    assert [push.expected for push in snapshot.pushes] == [2]


# ── bounds ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_process_that_cannot_follow_all_fan_outs_says_so_and_nobody_is_accused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fanout, "MAX_CAUSES", 2)
    one, two = process(), process("w1")
    member = two.fan_outs.join("room", 1)
    for number in range(4):
        deliver(one, [(two, member)], f"t{number}", 1_000_000 + number)
    assert told_by(one, two).expected is None


def test_without_a_run_nothing_is_remembered_and_a_marker_tells_its_lag() -> None:
    fan_outs = FanOuts()
    fan_outs.host, fan_outs.process = "host01", "p000"
    member = fan_outs.join("room", 1)
    for number in range(50):
        tie = fan_outs.mark(1000 + number)
        fan_outs.settle(fan_outs.send("room", EVENT, tie, 1000), True)
        assert fan_outs.receive(member, tie, 3000) == 2000 - number
    assert fan_outs.drain(9_000_000, final=True) is None
    assert not member.audience.causes


def test_connections_that_nobody_drains_cost_a_bounded_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "MAX_CHANGES", 10)
    one = process()
    for at_us in range(50):
        one.fan_outs.leave(one.fan_outs.join("room", at_us), at_us)
    assert len(one.fan_outs.join("room", 100).audience.joined) <= 11
    told = one.drain(1.0).fan_outs
    assert told is not None
    assert told.blind_from_us == 0


def test_what_is_over_is_forgotten() -> None:
    one = process()
    member = one.fan_outs.join("room", 1)
    for second in range(30):
        for number in range(10):
            at_us = second * 1_000_000 + 1000 * number + 2
            deliver(one, [(one, member)], ("k", at_us), at_us)
            deliver(one, [(one, member)], one.fan_outs.mark(at_us), at_us)
        one.drain(float(second + 1))
    # Markers for the grace, keys with values for ten seconds more; both with a second to spare.
    assert len(member.audience.causes) <= 10 * 3 + 10 * 14


def test_ids_are_the_same_in_every_process_and_fit_into_json() -> None:
    assert fan_out_id("room", ("k", "v")) == fan_out_id("room", ("k", "v")) != fan_out_id("hall", ("k", "v"))
    assert max(fan_out_id("room", (str(number), "\ud800")) for number in range(1000)) < 2**53


def test_an_empty_marker_is_filled_in_only_once_and_each_is_another() -> None:
    fan_outs = FanOuts()
    fan_outs.host, fan_outs.process = "abc123", "p0q1"
    made = [fan_outs.mark(5_000_000_000) for _ in range(3)]
    assert made[0] == "~lx:abc123:000012a05f200:p0q1~"
    assert len(set(made)) == 3
    assert {len(each) for each in made} == {len(MARKER)}
