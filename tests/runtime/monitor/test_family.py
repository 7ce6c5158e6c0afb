"""A process with all its children, read as one; `/proc` by psutil and the process's own word are the oracle."""

from __future__ import annotations

import os
from time import monotonic, process_time

import psutil
import pytest
from psutil import _pslinux

from locust_ext.runtime.monitor.family import DENIED, Family, descriptors_of, is_alive
from tests.peers import eventually
from tests.runtime.watching import obedient


def nothing_absent(metric: str, reason: str) -> None:
    raise AssertionError(f"{metric} is absent: {reason}")


def looked(family: Family) -> Family:
    family._walk._due_s = 0.0
    family.look()
    return family


def test_a_process_is_read_as_psutil_reads_it_and_the_first_reading_has_no_cpu() -> None:
    with obedient() as child:
        child.ask("allocate", 30_000_000)
        child.ask("open", 40)
        child.ask("threads", 5)
        process = psutil.Process(child.pid)
        now_s = monotonic()
        values = Family([process], now_s).read(now_s, nothing_absent)
        assert values == {
            "memory_bytes": pytest.approx(process.memory_info().rss, rel=0.02),
            "descriptors": len(os.listdir(f"/proc/{child.pid}/fd")),
            "threads": 6,
            "processes": 1,
        }
        assert values["memory_bytes"] > 30_000_000
        assert values["descriptors"] > 40


def test_cpu_is_what_was_used_since_the_last_reading() -> None:
    with obedient() as child:
        child.ask("burn", 0.3)
        family = Family([psutil.Process(child.pid)], 100.0)
        child.ask("burn", 0.5)
        assert family.read(101.0, nothing_absent)["cpu_percent"] == pytest.approx(50, abs=5)
        assert family.read(103.0, nothing_absent)["cpu_percent"] == pytest.approx(0, abs=2)
        child.ask("burn", 0.4)
        assert family.read(105.0, nothing_absent)["cpu_percent"] == pytest.approx(20, abs=4)


def test_children_are_in_the_sums_and_their_cpu_counts_once_also_when_they_end() -> None:
    with obedient() as child:
        family = Family([psutil.Process(child.pid)], 100.0)
        one, two = child.ask("fork", 0.3, 60.0), child.ask("fork", 0.2, 60.0)

        def burnt() -> bool:
            return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in (one, two)) > 0.47

        eventually(burnt)
        values = looked(family).read(101.0, nothing_absent)
        assert values["processes"] == 3
        assert values["cpu_percent"] == pytest.approx(50, abs=6)
        assert values["memory_bytes"] == pytest.approx(
            sum(psutil.Process(pid).memory_info().rss for pid in (child.pid, one, two)), rel=0.02
        )
        psutil.Process(one).kill()
        eventually(lambda: psutil.Process(one).status() == psutil.STATUS_ZOMBIE)
        values = looked(family).read(102.0, nothing_absent)
        assert values["processes"] == 2, "a zombie is none"
        assert values["cpu_percent"] == pytest.approx(0, abs=3)
        child.ask("reap", one)
        values = looked(family).read(103.0, nothing_absent)
        assert values["processes"] == 2
        assert values["cpu_percent"] == pytest.approx(0, abs=3), "what its parent has waited for was counted before"


def test_a_child_that_came_and_went_between_two_readings_counts_with_its_cpu() -> None:
    with obedient() as child:
        family = Family([psutil.Process(child.pid)], 100.0)
        child.ask("reap", child.ask("fork", 0.4, 0.0))
        values = looked(family).read(101.0, nothing_absent)
        assert values["processes"] == 1
        assert values["cpu_percent"] == pytest.approx(40, abs=5)


def test_a_zombie_is_not_alive_and_neither_is_another_process_of_the_same_number() -> None:
    with obedient() as child:
        process = psutil.Process(child.pid)
        assert is_alive(process)
        forked = psutil.Process(child.ask("fork", 0.0, 60.0))
        assert is_alive(forked)
        forked.kill()
        eventually(lambda: not is_alive(forked))
        assert psutil.pid_exists(forked.pid), "it is still in the table"
        child.ask("reap", forked.pid)
    assert not is_alive(process)
    assert not Family([process], 100.0).is_there


def test_a_sum_that_would_miss_a_member_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: _pslinux.Process) -> object:
        raise psutil.AccessDenied(self.pid)

    with obedient() as child:
        family = Family([psutil.Process(child.pid)], 100.0)
        monkeypatch.setattr(_pslinux.Process, "memory_info", refuse)
        told: list[tuple[str, str]] = []
        values = family.read(101.0, lambda *what: told.append(what))
        assert set(values) == {"cpu_percent", "descriptors", "threads", "processes"}
        assert told == [("memory_bytes", DENIED)]
        monkeypatch.setattr(_pslinux.Process, "cpu_times", refuse)
        told.clear()
        assert "cpu_percent" not in family.read(102.0, lambda *what: told.append(what))
        assert ("cpu_percent", DENIED) in told
        monkeypatch.undo()
        family.read(103.0, nothing_absent)
        child.ask("burn", 0.2)
        assert family.read(104.0, nothing_absent)["cpu_percent"] == pytest.approx(20, abs=4)


def test_descriptors_are_listed_where_the_kernel_does_not_count_them(monkeypatch: pytest.MonkeyPatch) -> None:
    me = psutil.Process()
    quick = descriptors_of(me)

    class NoSize:
        st_size = 0

    monkeypatch.setattr(os, "stat", lambda *_: NoSize)
    assert descriptors_of(me) == me.num_fds()
    assert abs(quick - me.num_fds()) <= 1


def test_a_reading_of_a_process_costs_less_than_two_milliseconds() -> None:
    with obedient() as child:
        family = Family([psutil.Process(child.pid)], 100.0)
        used_s = process_time()
        for turn in range(200):
            family.read(101.0 + turn, nothing_absent)
        assert (process_time() - used_s) / 200 < 0.002
