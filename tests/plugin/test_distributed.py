"""What master and workers tell each other, with the messages between them in the test's hands."""

from __future__ import annotations

from locust.env import Environment
from locust.event import Events

from argparse import Namespace
from time import monotonic
from typing import Any

import gevent

from locust_ext.core.accounting import Recorder
from locust_ext.plugin.distributed import DELTA, FINISH, RESET, MasterSide, WorkerSide


class Runner:
    """As much of a runner as the sides use; what it sends goes to the other side at once, or is kept."""

    def __init__(self, client_id: str = "w", reset_stats: bool = False) -> None:
        self.client_id = client_id
        self.environment = Environment(events=Events(), reset_stats=reset_stats)
        self.environment.parsed_options = Namespace()
        self.clients: dict[str, Any] = {}
        self.user_greenlets: set[Any] = set()
        self.state = "running"
        self.listeners: dict[str, Any] = {}
        self.sent: list[tuple[str, Any]] = []
        self.peer: Runner | None = None

    def register_message(self, name: str, listener: Any, concurrent: bool = False) -> None:
        self.listeners[name] = listener

    def send_message(self, name: str, data: Any = None) -> None:
        self.sent.append((name, data))
        if self.peer is not None:
            self.peer.deliver(name, data, self.client_id)

    def deliver(self, name: str, data: Any, node_id: str = "w") -> None:
        if name in self.listeners:
            self.listeners[name](environment=self.environment, msg=Namespace(data=data, node_id=node_id))

    def get_worker_index(self, client_id: str) -> int:
        return 7

    def stop(self) -> None:
        self.state = "stopped"


def sides(reset_stats: bool = False) -> tuple[Any, WorkerSide, Any, MasterSide]:
    worker_runner, master_runner = Runner(reset_stats=reset_stats), Runner(reset_stats=reset_stats)
    worker = WorkerSide(worker_runner, Recorder())  # type: ignore[arg-type]
    master = MasterSide(master_runner, Recorder())  # type: ignore[arg-type]
    worker_runner.peer, master_runner.peer = master_runner, worker_runner
    master.begin("r")
    worker.begin("r")
    return worker_runner, worker, master_runner, master


def test_a_worker_that_goes_missing_before_its_first_figures_is_lost_to_the_run_and_an_earlier_one_is_not() -> None:
    runner = Runner()
    runner.clients = {"before": Namespace(state="missing"), "there": Namespace(state="running")}
    master = MasterSide(runner, Recorder())  # type: ignore[arg-type]
    master.begin("r")
    runner.clients["there"].state = "missing"
    master.finish()
    (reason,) = master._recorder.snapshot(monotonic()).run.invalid_because
    assert reason.startswith("worker there was lost")


def test_a_sender_that_is_killed_between_two_blobs_leaves_the_rest_to_the_next() -> None:
    worker_runner, worker, _, master = sides()
    for number in range(180):  # four parts
        worker._recorder.operation("WS", f"name {number}", 1000, 0)
    sending = gevent.spawn(worker._tick, monotonic())
    before = len(worker_runner.sent)
    while len(worker_runner.sent) == before:
        gevent.sleep(0)
    sending.kill()
    assert 0 < len([each for each in worker_runner.sent[before:] if each[0] == DELTA]) < 4
    worker.finish()
    assert master._recorder.snapshot(0.0).finished == 180
    assert master._recorder.is_final("w")
    master.finish()
    assert FINISH not in [name for name, _ in master._runner.sent]  # type: ignore[attr-defined]
    assert master._recorder.snapshot(0.0).run.valid


def test_a_delta_of_600_operations_takes_a_turn_of_the_loop_for_each_50() -> None:
    """So that neither loop is held up: the bench says for how long, this says by how much work."""
    _, worker, _, master = sides()
    for number in range(600):
        for latency_us in (900, 1000, 70_000):
            worker._recorder.operation("WS", f"name {number}", latency_us, 0, service_us=latency_us)
    turns: list[int] = []
    turn = 0

    def turning() -> None:
        nonlocal turn
        while True:
            turn += 1
            gevent.sleep(0)

    merged: list[int] = []
    accept = master._recorder.merge

    def merge(delta: Any, now: float | None = None) -> bool:
        turns.append(turn)
        merged.append(len(delta.operations))
        return accept(delta, now)

    master._recorder.merge = merge  # type: ignore[method-assign]
    other = gevent.spawn(turning)
    gevent.sleep(0)
    worker._tick(monotonic())
    other.kill()
    assert sum(merged) == 501, "500 names and what is beyond the cap"
    assert max(merged) <= 50
    assert len(turns) == len(set(turns)) == 11


def a_user_on_its_way_out(worker: WorkerSide, runner: Any, takes_s: float) -> None:
    """It has a request in flight, which is cancelled once its greenlet comes to it."""
    worker._recorder.started("WS", "ask")

    def leave() -> None:
        gevent.sleep(takes_s)
        worker._recorder.cancelled("WS", "ask")

    greenlet = gevent.spawn(leave)
    runner.user_greenlets.add(greenlet)
    greenlet.link(runner.user_greenlets.discard)


def test_the_last_delta_waits_for_users_that_a_stop_beside_it_is_still_ending() -> None:
    worker_runner, worker, _, master = sides()
    a_user_on_its_way_out(worker, worker_runner, 0.15)
    worker_runner.state = "stopped"  # as a second `stop` leaves it, which does not wait
    worker_runner.deliver(FINISH, None)
    (ask,) = master._recorder.snapshot(0.0).operations
    assert (ask.started, ask.cancelled, ask.in_flight) == (1, 1, 0)
    assert master._recorder.is_final("w")


def test_who_is_killed_while_it_waits_for_the_users_leaves_the_last_delta_to_the_next() -> None:
    worker_runner, worker, _, master = sides()
    a_user_on_its_way_out(worker, worker_runner, 0.15)
    first = gevent.spawn(worker.finish)
    gevent.sleep(0.03)
    second = gevent.spawn(worker.finish)
    first.kill()
    second.join(5)
    (ask,) = master._recorder.snapshot(0.0).operations
    assert (ask.cancelled, ask.in_flight) == (1, 0)
    assert master._recorder.is_final("w")
    assert [name for name, _ in worker_runner.sent].count("stats") == 1


def test_the_last_delta_waits_for_no_user_that_ends_the_run_itself() -> None:
    worker_runner, worker, _, master = sides()
    user = gevent.spawn(worker.finish)
    worker_runner.user_greenlets.add(user)
    user.join(1)
    assert user.ready()
    assert master._recorder.is_final("w")


def test_with_reset_stats_a_worker_begins_anew_with_locusts_own_message_and_not_before() -> None:
    _, worker, master_runner, master = sides(reset_stats=True)
    worker._recorder.operation("WS", "before", 1000, 0)
    master.reset(at_spawning_complete=True)
    assert master_runner.sent[-1] == (RESET, {"run": "r", "epoch": 1, "at_spawning_complete": True})
    worker._recorder.operation("WS", "before locust's message", 1000, 0)
    worker.reset()
    worker._recorder.operation("WS", "after", 1000, 0)
    worker.reset()  # a second message of Locust's, without one of ours before it
    worker.finish()
    master.finish()
    assert [each.name for each in master._recorder.snapshot(0.0).operations if each.finished] == ["after"]


def test_the_reset_button_takes_effect_at_once_and_only_in_its_run() -> None:
    _, worker, master_runner, master = sides()
    worker._recorder.operation("WS", "before", 1000, 0)
    master_runner.send_message(RESET, {"run": "an earlier one", "epoch": 5})
    assert worker._recorder.snapshot(0.0).finished == 1
    master.reset()
    assert worker._recorder.snapshot(0.0).finished == 0
    worker._recorder.operation("WS", "after", 1000, 0)
    worker.finish()
    master.finish()
    assert [each.name for each in master._recorder.snapshot(0.0).operations if each.finished] == ["after"]


def test_a_worker_that_joins_later_begins_with_the_epoch_and_without_the_warm_up_that_is_over() -> None:
    _, worker, master_runner, master = sides()
    worker.finish()
    master.begin("s", warmup_s=60.0)
    options = master_runner.environment.parsed_options
    assert (options.ext_epoch, options.ext_warmup_s) == (0, 60.0)
    master._end_warmup()
    master.reset()
    assert (options.ext_epoch, options.ext_warmup_s) == (1, 0.0)
    worker.begin("s", options.ext_warmup_s, options.ext_epoch)
    worker._recorder.operation("WS", "ask", 1000, 0)
    worker.finish()
    master.finish()
    snapshot = master._recorder.snapshot(0.0)
    assert snapshot.finished == 1
    assert snapshot.generators[0].worker == "7"


def test_workers_end_their_warm_up_by_themselves() -> None:
    _, worker, _, master = sides()
    worker.finish()
    master.begin("s", warmup_s=0.1)
    worker.begin("s", warmup_s=0.1)
    worker._recorder.operation("WS", "early", 1000, 0)
    gevent.sleep(0.25)
    worker._recorder.operation("WS", "late", 1000, 0)
    worker.finish()
    master.finish()
    snapshot = master._recorder.snapshot(0.0)
    assert [each.name for each in snapshot.operations if each.finished] == ["late"]
    assert snapshot.warmup is not None
    assert [each.name for each in snapshot.warmup.operations] == ["early"]


def test_a_run_lasts_until_its_slow_users_are_gone_and_has_a_row_for_each_second_of_it() -> None:
    worker_runner, worker, _, master = sides()
    began_s = monotonic()

    def leave() -> None:
        for _ in range(22):
            gevent.sleep(0.1)
            worker._recorder.operation("WS", "last", 1000, 0)

    greenlet = gevent.spawn(leave)
    worker_runner.user_greenlets.add(greenlet)
    greenlet.link(worker_runner.user_greenlets.discard)
    worker_runner.state = "stopped"
    judged: list[float] = []
    master.after_tick = judged.append
    master.finish()
    lasted_s = monotonic() - began_s
    snapshot = master._recorder.snapshot(0.0)
    assert 2.2 <= snapshot.run.duration_s <= lasted_s + 0.05
    assert [row.start_s for row in snapshot.timeline] == [0, 1, 2]
    assert sum(row.finished for row in snapshot.timeline) == 22
    assert min(row.finished for row in snapshot.timeline) >= 1
    assert snapshot.run.complete
    assert not judged, "no rule looks at a run that is being stopped"
    before = master._recorder.snapshot(0.0).run.duration_s
    gevent.sleep(0.1)
    master.finish()
    assert master._recorder.snapshot(0.0).run.duration_s == before


def test_who_is_killed_while_it_waits_for_last_figures_leaves_a_run_that_ended_and_the_next_goes_on() -> None:
    _, worker, master_runner, master = sides()
    master_runner.peer = None  # the worker does not hear that it is to finish
    worker._recorder.operation("WS", "ask", 1000, 0)
    worker._tick(monotonic())
    first = gevent.spawn(master.finish)
    gevent.sleep(0.1)
    first.kill()
    ended = master._recorder.snapshot(monotonic() + 100).run
    assert ended.duration_s < 1
    assert not ended.complete
    second = gevent.spawn(master.finish)
    gevent.sleep(0.05)
    worker.finish()
    second.join(5)
    snapshot = master._recorder.snapshot(0.0)
    assert (snapshot.run.complete, snapshot.run.valid, snapshot.finished) == (True, True, 1)


def test_too_many_names_are_told_by_the_master_and_by_no_worker() -> None:
    said: dict[str, list[str]] = {"worker": [], "master": []}
    worker_runner, master_runner = Runner(), Runner()
    worker = WorkerSide(worker_runner, Recorder(on_warning=said["worker"].append))  # type: ignore[arg-type]
    master = MasterSide(master_runner, Recorder(on_warning=said["master"].append))  # type: ignore[arg-type]
    worker_runner.peer, master_runner.peer = master_runner, worker_runner
    master.begin("r")
    worker.begin("r")
    for number in range(600):
        worker._recorder.operation("GET", f"/item/{number}", 1000, 0)
    worker.finish()
    master.finish()
    assert (len(said["worker"]), len(said["master"])) == (0, 1)
    assert "more than 500 distinct names" in said["master"][0]


def test_windows_slide_a_piece_a_loop_turn_and_are_whole_when_rules_look() -> None:
    _, worker, _, master = sides()
    for length_s in (1, 2):
        master._recorder.watch(length_s, by_worker=True)
    slide, turn, turns = master._recorder.slide, 0, []

    def counting() -> bool:
        turns.append(turn)
        return slide()

    def turning() -> None:
        nonlocal turn
        while True:
            turn += 1
            gevent.sleep(0)

    master._recorder.slide = counting  # type: ignore[method-assign]
    for number in range(100):
        for latency_us in range(1000, 200_000, 2000):
            worker._recorder.operation("WS", f"name {number}", latency_us, 0)
    gevent.sleep(1.1)  # a second of the run must be over
    worker._tick(monotonic())
    seen: list[int] = []
    master.after_tick = lambda _: seen.append(master._recorder.window(2, "7").finished)
    other = gevent.spawn(turning)
    gevent.sleep(0)
    turns.clear()
    master._tick(monotonic())
    other.kill()
    worker.close()
    master.close()
    assert len(turns) == len(set(turns)) >= 8
    assert seen == [10_000]
