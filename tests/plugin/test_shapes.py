"""`plugin.shapes`: what Locust is told and when, by a fake of its shape greenlet and by its own runner."""

from __future__ import annotations

from locust import User, constant, task
from locust.env import Environment

from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from locust_ext.core import schedules
from locust_ext.core.schedules import SCHEDULES
from locust_ext.errors import ConfigError
from locust_ext.plugin import shapes
from locust_ext.plugin.shape_choice import choose_shape
from locust_ext.plugin.shapes import SHAPES, Shape, Stage
from locust_ext.settings import Settings, load_settings
from tests.peers import eventually

CONFIG = Path(__file__).parents[2] / "config" / "shapes"


class Clock:
    """Seconds that pass only while somebody sleeps, and `late_s` more each time."""

    now_s = 1000.0
    late_s = 0.0

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now_s += seconds + self.late_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("locust_ext.plugin.shape.gevent", SimpleNamespace(sleep=clock.sleep))
    monkeypatch.setattr("locust.shape.time", SimpleNamespace(perf_counter=lambda: clock.now_s))
    return clock


def concrete(base: type[Any], **parameters: Any) -> Any:
    """An instance of a class as a locustfile has it."""
    return type("Load", (base,), parameters)()


def play(shape: Shape, clock: Clock, to_s: float, **options: Any) -> list[tuple[float, int, float]]:
    """What Locust's shape greenlet would start until the plan is over: (when, users, spawn rate). Starting takes 10 ms."""
    environment = Environment(user_classes=[Idle], shape_class=shape, parsed_options=Namespace(**options))
    runner: Any = SimpleNamespace(environment=environment, shape_last_tick=None, user_count=0, state="ready")
    runner.user_classes = environment.user_classes
    shape.runner = runner
    shape.reset_time()
    begun_s, started = clock.now_s, []
    while clock.now_s < begun_s + to_s:
        tick_s = clock.now_s
        tick = shape.tick()
        if tick is None:
            started.append((clock.now_s - begun_s, -1, 0.0))
            break
        if tick != runner.shape_last_tick:
            if runner.shape_last_tick is None:
                environment.events.test_start.fire(environment=environment)
                runner.state = "running"
            assert tick[1] >= abs(tick[0] - runner.user_count), "a step that holds a master up"
            runner.user_count = tick[0]
            started.append((clock.now_s - begun_s, tick[0], tick[1]))
            clock.now_s += 0.01
        runner.shape_last_tick = tick
        clock.sleep(max(1 - (clock.now_s - tick_s), 0))
    return started


class Idle(User):
    abstract = False
    wait_time = constant(0.05)
    task_s = 0.01

    @task
    def nothing(self) -> None:
        gevent.sleep(self.task_s)


class Other(Idle):
    pass


# ── what Locust is told ────────────────────────────────────────────────────────────────────────────────────────────────


def test_steps_are_told_at_their_moment_not_at_locusts_next_second(clock: Clock) -> None:
    stages = [Stage(10, 2.5), Stage(30, 1.75), Stage(0, 3)]
    started = play(concrete(shapes.Stages, stages=stages), clock, 60)
    assert [(round(at_s, 2), count, rate) for at_s, count, rate in started] == [
        (0.0, 10, 10.0),
        (2.5, 30, 20.0),
        (4.25, 0, 30.0),
        (7.25, -1, 0.0),
    ]


@pytest.mark.parametrize("late_s", [0.0, 0.08])
@pytest.mark.parametrize(
    "shape",
    [
        concrete(shapes.Ramp, users=300, linear_s=550, hold_s=50),
        concrete(shapes.Ramp, initial=20, users=200, steps=11, step_s=50),
        concrete(shapes.Burst, base_users=5, burst_users=80, burst_s=7, idle_s=13, rate=40),
        concrete(shapes.Realistic, peak_users=400, night_users=10, day_s=120),
        concrete(shapes.Stages, stages=[Stage(500, 200, rate=10), Stage(100, 250, rate=30), Stage(400, 150)]),
    ],
    ids=lambda shape: shape.text.split(",")[0],
)
def test_a_plan_of_ten_minutes_is_followed_within_a_second(shape: Any, late_s: float, clock: Clock) -> None:
    """At every tenth of a second there are no fewer users, and no more, than planned from a second ago to in half one."""
    clock.late_s = late_s
    started = play(shape, clock, 600)
    place = 0
    for tenth in range(5, 5995):
        at_s = tenth / 10
        while place + 1 < len(started) and started[place + 1][0] <= at_s:
            place += 1
        earliest = -11 if not late_s else -13  # two sleeps that end late
        moments_s = (max(at_s + tenths / 10, 0) for tenths in range(earliest, 6))
        around = [target.users for moment_s in moments_s if (target := shape.planned(moment_s)) is not None]
        assert min(around) <= started[place][1] <= max(around), at_s


def test_run_time_ends_a_shape_to_the_moment(clock: Clock) -> None:
    assert play(concrete(shapes.Steady, users=5), clock, 60, run_time=12)[-1] == (pytest.approx(12.0), -1, 0.0)
    assert play(concrete(shapes.Steady, users=5, time_s=8), clock, 60, run_time=12)[-1][0] == pytest.approx(8.0)


def test_a_second_run_begins_anew(clock: Clock) -> None:
    shape = concrete(shapes.Ramp, users=10, steps=2, step_s=2)
    first, second = play(shape, clock, 60), play(shape, clock, 60)
    assert [each[1] for each in first] == [0, 5, 10, -1]
    assert [each[1:] for each in second] == [each[1:] for each in first]
    assert [each[0] for each in second] == pytest.approx([each[0] for each in first])


def test_the_planned_users_are_known_while_a_run_goes_on_only(clock: Clock) -> None:
    shape = concrete(shapes.Stages, stages=[Stage(3, 5), Stage(8, 5)])
    assert shape.planned_users is None
    play(shape, clock, 7)
    assert shape.planned_users == 8
    play(shape, clock, 4)
    assert shape.planned_users == 3
    shape.runner.state = "stopping"
    assert shape.planned_users is None
    play(shape, clock, 60)
    assert shape.planned_users is None


def test_a_shape_of_ones_own_needs_two_answers(clock: Clock) -> None:
    class Pulse(Shape):
        def planned(self, elapsed_s: float) -> shapes.Target | None:
            return shapes.Target(7 if elapsed_s % 10 < 5 else 3) if elapsed_s < 20 else None

        def next_change_s(self, elapsed_s: float) -> float:
            return 5 * (elapsed_s // 5 + 1)

    started = play(Pulse(), clock, 60)
    assert [(round(at_s, 2), count) for at_s, count, _ in started] == [(0, 7), (5, 3), (10, 7), (15, 3), (20, -1)]


def test_a_plan_of_ones_own_is_followed_too(clock: Clock) -> None:
    class Twice(shapes.PlannedShape):
        def make_plan(self) -> shapes.Plan:
            return shapes.Plan([shapes.Piece.level(3, 2), shapes.Piece.level(3, 4)])

    assert [count for _, count, _ in play(Twice(), clock, 60)] == [2, 4, -1]


# ── the parameters ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_schedule_has_a_shape_that_locust_does_not_take_for_the_locustfiles_own() -> None:
    assert {name: shape.schedule for name, shape in SHAPES.items()} == {**SCHEDULES, "stress": schedules.Stress}
    assert all(shape.__dict__["abstract"] for shape in (*SHAPES.values(), Shape, shapes.PlannedShape))


@pytest.mark.parametrize(
    ("base", "parameters", "said"),
    [
        (shapes.Ramp, {"users": 5, "stps": 3}, "Load.stps: unknown parameter, expected one of users, initial, steps,"),
        (shapes.Ramp, {"initial": 5}, "Load.users: this parameter is required"),
        (shapes.Steady, {"users": "5"}, "Load.users: expected a whole number of at least 1 (got '5')"),
        (shapes.Stages, {"stages": [{"users": 1, "time_s": 0}]}, "Load.stages[0].time_s: expected seconds, 1 or more"),
        (
            shapes.Stages,
            {"stages": [Stage(1, user_classes=["Idel"])]},
            "Load: unknown user class, expected one of Idle",
        ),
    ],
)
def test_a_wrong_parameter_is_named_before_the_run(base: type[Any], parameters: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(shape=concrete(base, **parameters))
    assert str(caught.value).startswith(said)


# ── which shape it is ──────────────────────────────────────────────────────────────────────────────────────────────────


def chosen(
    settings: Settings | None = None, shape: Any = None, reset_stats: bool = False, **options: Any
) -> tuple[Environment, Namespace]:
    environment = Environment(user_classes=[Idle, Other], shape_class=shape, reset_stats=reset_stats)
    environment.create_local_runner()
    parsed = Namespace(**options)
    choose_shape(environment, parsed, settings or Settings(), "my.yaml")
    return environment, parsed


def settings_of(folder: Path, text: str) -> Settings:
    (folder / "my.yaml").write_text(text)
    return load_settings(folder / "my.yaml", {"SECRET": "17.25"})


def test_the_settings_give_the_environment_a_shape(tmp_path: Path) -> None:
    environment, _ = chosen(settings_of(tmp_path, "shape: {ramp: {initial: 1, users: 9, steps: 4, step_s: 5}}"))
    shape = environment.shape_class
    assert isinstance(shape, shapes.Ramp)
    assert shape.text == "ramp, 1 to 9 users in 4 steps of 5 s"
    assert shape.runner is environment.runner
    assert environment.available_shape_classes == {"Ramp": shape}


def test_without_a_shape_nothing_changes() -> None:
    environment, _ = chosen()
    assert environment.shape_class is None


def test_a_shape_of_the_settings_beside_one_of_the_locustfile_is_an_error(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "shape: {steady: {users: 5}}")
    with pytest.raises(
        ConfigError, match=r"my\.yaml: shape: expected no shape here: the locustfile has one of its own, Load"
    ):
        chosen(settings, concrete(shapes.Steady, users=3))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{ramp: {users: 5, steps: 3}}",
            "my.yaml: shape.ramp.steps: expected steps and step_s, or linear_s (got 3)",
        ),
        (
            "{stages: [{users: 5}, {users: 6, time_s: 5}]}",
            "my.yaml: shape.stages[0].time_s: expected seconds: another stage follows",
        ),
        (
            "{stages: [{users: 5, user_classes: [Othr]}]}",
            "my.yaml: shape: unknown user class, expected one of Idle, Other (got 'Othr'); did you mean 'Other'?",
        ),
        (
            "{realistic: {peak_users: 5, profiles: {activ: 1}}}",
            "my.yaml: shape.realistic.profiles: unknown profile, expected one of active, regular, passive, idle "
            "(got 'activ'); did you mean 'active'?",
        ),
        (
            "{burst: {burst_users: 500, rate: '${SECRET}'}}",
            "my.yaml: shape.burst.rate: expected a rate at which 500 users have come within burst_s (10 s)",
        ),
    ],
)
def test_what_does_not_go_together_is_named_with_its_path(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(settings_of(tmp_path, f"shape: {text}"))
    assert str(caught.value) == said


def test_reset_stats_is_refused_where_it_would_reset_at_each_step() -> None:
    with pytest.raises(ConfigError, match=r"^--reset-stats: expected no Load shape beside it"):
        chosen(shape=concrete(shapes.Ramp, users=5, linear_s=5), reset_stats=True)
    environment, _ = chosen(shape=concrete(shapes.Steady, users=5, time_s=60), reset_stats=True)
    assert environment.reset_stats


def test_more_users_than_the_process_may_have_descriptors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locust_ext.plugin.limits.resource.getrlimit", lambda _: (200, 200))
    with pytest.raises(ConfigError, match="500 users need at least 564 file descriptors"):
        chosen(shape=concrete(shapes.Steady, users=500))


def test_users_of_the_command_line_are_said_to_be_unused(caplog: pytest.LogCaptureFixture) -> None:
    chosen(shape=concrete(shapes.Steady, users=5), num_users=50, spawn_rate=None)
    assert "--users: not used, the shape steady, 5 users says how many users there are" in caplog.text


def test_the_profiles_of_a_day_are_told_to_the_users_unless_the_flag_says_others(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "shape: {realistic: {peak_users: 5, profiles: {active: 3, idle: 1}}}")
    assert chosen(settings)[1].ext_profiles == ["active:3.0", "idle:1.0"]
    assert chosen(settings, ext_profiles=["regular:1"])[1].ext_profiles == ["regular:1"]


@pytest.mark.parametrize(("name", "peak"), [("spike", 200), ("soak", 50)])
def test_the_shipped_examples_are_good(name: str, peak: int) -> None:
    environment, _ = chosen(load_settings(CONFIG / f"{name}.yaml"))
    assert isinstance(environment.shape_class, shapes.Stages)
    assert environment.shape_class.peak_users == peak


# ── with Locust's own runner ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def run() -> Iterator[Any]:
    """Starts a shape on a local runner; gives the runner, which is ended with the test."""
    runners: list[Any] = []

    def start(shape: Shape, **options: Any) -> Any:
        environment = Environment(
            user_classes=[Idle, Other], shape_class=shape, parsed_options=Namespace(stop_timeout=5.0, **options)
        )
        runners.append(environment.create_local_runner())
        runners[-1].start_shape()
        return runners[-1]

    yield start
    for runner in runners:
        runner.quit()


def test_users_that_finish_their_task_before_they_leave_are_made_up_for(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locust takes them for such as stay: it would leave three users of eight."""
    monkeypatch.setattr(Idle, "task_s", 3.0)
    runner = run(concrete(shapes.Stages, stages=[Stage(10, 1.2), Stage(3, 1.2), Stage(8, 60)]))
    eventually(lambda: runner.target_user_count == 8, 5)
    assert runner.user_count == 10, "seven of them have still to finish"

    def staying() -> int:
        return sum(1 for each in runner.user_greenlets if each.args and each.args[0]._state != "stopping")

    eventually(lambda: staying() == runner.user_count == 8, 9, what="eight users that stay")


def test_users_are_started_of_the_classes_of_the_stage(run: Any) -> None:
    stages = [Stage(4, 1.5, user_classes=["Other"]), Stage(0, 1.5), Stage(4, 60)]
    runner = run(concrete(shapes.Stages, stages=stages))
    eventually(lambda: runner.user_classes_count == {"Idle": 0, "Other": 4}, 3)
    eventually(lambda: runner.user_count == 0, 3)
    eventually(lambda: runner.user_classes_count == {"Idle": 2, "Other": 2}, 3)


def test_the_plan_waits_for_a_start_that_takes_long(run: Any) -> None:
    shape = concrete(shapes.Stages, stages=[Stage(2, 1.5), Stage(5, 60)])

    def slow(**_: Any) -> None:
        gevent.sleep(2.5)

    environment = Environment(user_classes=[Idle], shape_class=shape, parsed_options=Namespace(stop_timeout=1.0))
    environment.events.test_start.add_listener(slow)
    runner = environment.create_local_runner()
    runner.start_shape()
    try:
        eventually(lambda: runner.user_count == 2, 4)
        assert shape.get_run_time() < 0.5
        eventually(lambda: runner.user_count == 5, 4)
        assert 1.4 < shape.get_run_time() < 2.5
    finally:
        runner.quit()


def test_a_run_can_be_stopped_and_started_again(run: Any) -> None:
    shape = concrete(shapes.Stages, stages=[Stage(2, 1.5), Stage(4, 60)])
    runner = run(shape)
    for _ in range(2):
        eventually(lambda: runner.user_count == 2, 3)
        eventually(lambda: runner.user_count == 4, 3)
        runner.stop()
        assert runner.user_count == 0
        runner.start_shape()
    eventually(lambda: runner.user_count == 2, 3)
