"""The times to recover: kept by user class and channel, merged exactly over processes, bounded."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from locust_ext.core.accounting import Recorder
from locust_ext.core.accounting.recoveries import MAX_CHANNELS, Recoveries
from locust_ext.core.accounting.wire import WireError, pack, unpack
from locust_ext.model import OTHER, RecoveryStats

SAMPLES = [
    (
        random.Random(number).choice(["A", "B"]),
        random.Random(number + 1).choice(["/x", "/y"]),
        number * 997,
        number % 3 == 0,
    )
    for number in range(300)
]


def whole() -> tuple[RecoveryStats, ...]:
    recorder = Recorder()
    recorder.begin("r", 0.0)
    for sample in SAMPLES:
        recorder.recovered(*sample)
    return recorder.snapshot(1.0).connections.recoveries


def test_each_pair_of_user_class_and_channel_has_its_own_distribution() -> None:
    found = {(each.user, each.channel): each for each in whole()}
    assert list(found) == sorted(found)
    for (user, channel), each in found.items():
        mine = [(took_us, elsewhere) for one, other, took_us, elsewhere in SAMPLES if (one, other) == (user, channel)]
        assert (each.time.count, each.time.sum_us) == (len(mine), sum(took_us for took_us, _ in mine))
        assert each.failovers == sum(elsewhere for _, elsewhere in mine)
    assert sum(each.time.count for each in found.values()) == 300


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_any_split_over_workers_and_any_order_gives_the_same(order: tuple[int, ...]) -> None:
    """Over the wire, two drains a worker; windows and the run."""
    master = Recorder()
    master.begin("r", 0.0)
    master.watch(5)
    deltas = []
    for worker in range(3):
        recorder = Recorder(worker=f"w{worker}")
        recorder.begin("r", 0.0)
        for half in range(2):
            for sample in SAMPLES[worker::3][half::2]:
                recorder.recovered(*sample)
            deltas.append((worker, recorder.drain(half + 1.0, final=half == 1)))
    for chosen in order:
        for worker, delta in deltas:
            if worker == chosen:
                for blob in pack(delta):
                    assert master.merge(unpack(blob), 2.0)
    assert master.snapshot(3.0).connections.recoveries == whole()


def test_the_warm_up_is_kept_apart_and_a_reset_forgets() -> None:
    recorder = Recorder()
    recorder.begin("r", 0.0, 2.0)
    recorder.recovered("A", "/x", 5, False)
    recorder.merge(recorder.end_warmup(2.0))
    recorder.recovered("A", "/x", 7, True)
    taken = recorder.snapshot(3.0)
    assert (taken.connections.recovery.sum_us, taken.connections.failovers) == (7, 1)
    assert taken.warmup is not None
    assert taken.warmup.connections.recovery.sum_us == 5
    recorder.reset(3.0)
    assert recorder.snapshot(4.0).connections.recoveries == ()


def test_what_was_merged_can_be_taken_out_again_also_beyond_the_limit() -> None:
    total, parts = Recoveries(), []
    for number in range(MAX_CHANNELS + 20):
        part = Recoveries()
        part.record("A", f"/{number}", number, True)
        parts.append(part.freeze())
        total.merge(parts[-1])
    frozen = total.freeze()
    assert len(frozen) == MAX_CHANNELS + 1
    assert [(each.time.count, each.failovers) for each in frozen if each.user == OTHER] == [(20, 20)]
    for part in reversed(parts):
        total.subtract(part)
    assert total.is_empty
    assert total.freeze() == ()


@pytest.mark.parametrize("failovers", [3, -1, "1", None])
def test_a_blob_that_says_the_impossible_is_refused(failovers: object) -> None:
    import zlib

    import orjson

    recorder = Recorder(worker="w")
    recorder.begin("r", 0.0)
    recorder.recovered("A", "/x", 5, False)
    content = orjson.loads(zlib.decompress(pack(recorder.drain(1.0))[0]))
    content["connections"][-1][0][-1] = failovers
    with pytest.raises(WireError):
        unpack(zlib.compress(orjson.dumps(content)))
