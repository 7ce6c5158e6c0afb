"""Searches for the limit, for the tests of the outputs."""

from __future__ import annotations

from dataclasses import replace

from locust_ext.model import LimitSearch, LoadStep, RunInfo, Second, Snapshot
from locust_ext.model.search import (
    BAD,
    BISECT,
    CONFIRM,
    CUT_SHORT,
    FOUND,
    GENERATOR_LIMIT,
    GOOD,
    INTERRUPTED,
    NEVER_GOOD,
    NO_DATA,
    NOT_REACHED,
    NOT_RECOVERED,
    RECOVER,
    SEARCHING,
    UP,
)
from tests.outputs.examples import good

CRITERIA = ("p95 > 100 ms", "error ratio > 5 %")


def step(
    kind: str,
    users: int,
    start_s: float,
    p95_ms: float | None,
    outcome: str = GOOD,
    length_s: float = 10.0,
    **more: object,
) -> LoadStep:
    """One with four messages a second of each user."""
    if p95_ms is None:
        return replace(LoadStep(kind, users, start_s, length_s, outcome), **more)  # type: ignore[arg-type]
    made = LoadStep(
        kind,
        users,
        start_s,
        length_s,
        outcome,
        finished=round(4 * users * length_s),
        per_s=4.0 * users,
        average_us=round(p95_ms * 500),
        p50_us=round(p95_ms * 400),
        p95_us=round(p95_ms * 1000),
        p99_us=round(p95_ms * 1300),
    )
    return replace(made, **more)  # type: ignore[arg-type]


UP_STEPS = (
    step(UP, 10, 3, 1.2),
    step(UP, 160, 16, 22.0, length_s=12.0, notes=("extended to 12 s for 100 samples",)),
    step(UP, 320, 30, 62.1),
)
TOO_MANY = step(
    UP, 640, 43, 512.0, BAD, because="p95 > 100 ms", value="512 ms", failures=512, connects=320, connect_failures=3
)
BACK = step(RECOVER, 10, 53, None, length_s=6, recovered_s=6.0)
LOWEST_BAD = step(BISECT, 455, 90, 143.0, BAD, because="p95 > 100 ms", value="143 ms")
BACK_AGAIN = step(RECOVER, 10, 100, None, length_s=6, recovered_s=6.0)
STEPS = (
    *UP_STEPS,
    TOO_MANY,
    BACK,
    step(BISECT, 430, 70, 86.0),
    LOWEST_BAD,
    BACK_AGAIN,
    step(CONFIRM, 430, 120, 84.0, length_s=30),
)
FOUND_IT = LimitSearch(FOUND, CRITERIA, 2000, "messages", STEPS)
ANSWER = "sustains 430 users (1,720 messages/s, p95 84 ms); breaks at 455: p95 > 100 ms for 10 s; recovered in 6 s"
UNCONFIRMED = replace(FOUND_IT, steps=STEPS[:-1])
AT_THE_GENERATORS_LIMIT = replace(
    FOUND_IT,
    outcome=GENERATOR_LIMIT,
    steps=(*UP_STEPS, step(UP, 640, 43, 300.0, GENERATOR_LIMIT), step(CONFIRM, 320, 60, 60.0, length_s=30)),
)
NEVER = LimitSearch(
    NEVER_GOOD,
    CRITERIA,
    2000,
    "requests",
    (
        step(UP, 10, 3, 900.0, BAD, because="p95 > 100 ms", value="900 ms"),
        step(BISECT, 1, 20, 850.0, BAD, because="p95 > 100 ms", value="850 ms"),
    ),
)
EVERY_OUTCOME = {
    FOUND: (FOUND_IT, ANSWER),
    "unconfirmed": (
        UNCONFIRMED,
        "sustains 430 users (1,720 messages/s, p95 86 ms), not confirmed; breaks at 455: p95 > 100 ms for 10 s; "
        "recovered in 6 s",
    ),
    NOT_REACHED: (
        LimitSearch(NOT_REACHED, CRITERIA, 1000, "messages", (*UP_STEPS, step(CONFIRM, 1000, 43, 84.3, length_s=30))),
        "sustains at least 1,000 users (4,000 messages/s, p95 84.3 ms): the most that were allowed",
    ),
    GENERATOR_LIMIT: (
        AT_THE_GENERATORS_LIMIT,
        "sustains at least 320 users (1,280 messages/s, p95 60 ms); at 640 the generator was the limit",
    ),
    "generator at once": (
        LimitSearch(GENERATOR_LIMIT, CRITERIA, 1000, "messages", (step(UP, 10, 3, 5.0, GENERATOR_LIMIT),)),
        "no answer: at 10 users the generator was the limit",
    ),
    NEVER_GOOD: (NEVER, "breaks at 1 user already: p95 > 100 ms for 10 s"),
    NOT_RECOVERED: (
        LimitSearch(
            NOT_RECOVERED,
            CRITERIA,
            2000,
            "messages",
            (*UP_STEPS, TOO_MANY, step(RECOVER, 10, 53, 800.0, BAD, length_s=60)),
        ),
        "sustains at least 320 users (1,280 messages/s, p95 62.1 ms); breaks at 640: p95 > 100 ms for 10 s; did not "
        "recover within 60 s",
    ),
    NO_DATA: (
        LimitSearch(NO_DATA, CRITERIA, 2000, "messages", (step(UP, 10, 3, None, NO_DATA),)),
        "no answer: nothing could be measured with 10 users",
    ),
    "no data later": (
        LimitSearch(NO_DATA, CRITERIA, 2000, "messages", (*UP_STEPS, step(UP, 640, 43, None, NO_DATA))),
        "sustains at least 320 users (1,280 messages/s, p95 62.1 ms); at 640 nothing could be measured",
    ),
    INTERRUPTED: (
        LimitSearch(
            INTERRUPTED,
            CRITERIA,
            2000,
            "messages",
            (*UP_STEPS, TOO_MANY, step(RECOVER, 10, 53, None, CUT_SHORT, length_s=4)),
        ),
        "the run ended before the limit was found: sustains at least 320 users (1,280 messages/s, p95 62.1 ms); breaks at "
        "640: p95 > 100 ms for 10 s; had not recovered 4 s later, when the run ended",
    ),
    "interrupted at once": (
        LimitSearch(INTERRUPTED, CRITERIA, 2000),
        "the run ended before the limit was found: no step was measured",
    ),
    SEARCHING: (
        LimitSearch(SEARCHING, CRITERIA, 2000, "messages", UP_STEPS, "up: 640 users, measured for 6 of 10 s"),
        "the search goes on (up: 640 users, measured for 6 of 10 s); so far: sustains at least 320 users "
        "(1,280 messages/s, p95 62.1 ms)",
    ),
    "users did not come": (
        replace(
            UNCONFIRMED,
            steps=(*UP_STEPS, step(UP, 640, 43, None, BAD, length_s=0.0, because="only 412 of 640 users came")),
        ),
        "sustains 320 users (1,280 messages/s, p95 62.1 ms), not confirmed; breaks at 640: only 412 of 640 users came",
    ),
}
"""(search, its answer)."""


def searched(search: LimitSearch = FOUND_IT, complete: bool = True) -> Snapshot:
    """A run with this search."""
    run = replace(good().run, shape="search for the limit, 10 to 2,000 users", users=640, complete=complete)
    return replace(good(), run=run, search=search)


def many(count: int, limit: int = 430) -> LimitSearch:
    """One of so many steps, with a latency that grows with the users and breaks at the limit."""
    steps = []
    for number in range(count):
        users = round(5 + 2 * limit * ((number * 0.618) % 1.0)) if number else 5
        p95_ms = 1 + 99 * (users / limit) ** 3
        is_bad = users > limit
        because = {"because": "p95 > 100 ms", "value": f"{p95_ms:.0f} ms"} if is_bad else {}
        outcome = GENERATOR_LIMIT if number % 13 == 12 else BAD if is_bad else GOOD
        steps.append(step(UP, users, 12.0 * number, p95_ms, outcome, **(because if outcome == BAD else {})))
    return LimitSearch(FOUND, CRITERIA, 2000, "messages", tuple(steps))


def moving(seconds: int = 100) -> Snapshot:
    """A run whose plan rises in steps of 10 s to 50 users and falls again; its users are a second late, three at the end."""
    plan = [10 * min(1 + second // 10, 5) if second < seconds - 20 else 5 for second in range(seconds)]
    rows = tuple(
        Second(second, users=plan[max(second - 1, 0)] if second < seconds - 20 else 8, planned_users=plan[second])
        for second in range(seconds)
    )
    return Snapshot(run=RunInfo(shape="ramp, 10 to 50 users", complete=True), timeline=rows)
