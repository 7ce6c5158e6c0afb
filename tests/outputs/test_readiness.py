"""Whether a run speaks for the system, the reasons, and the lines about rules, alerts and resources."""

from __future__ import annotations

from dataclasses import replace

import pytest

from locust_ext.model import (
    Alert,
    Check,
    ComparedFigure,
    Comparison,
    Leak,
    OperationStats,
    ResourceFigures,
    ResourceStats,
    RunInfo,
    Snapshot,
)
from locust_ext.outputs import REPORTS, console, read_summary, verdict
from locust_ext.outputs.advice import advice
from locust_ext.outputs.monitor_text import alerts_text, rules_table
from locust_ext.outputs.readiness import readiness
from locust_ext.outputs.summary_json import summary_json

GOOD = Snapshot(
    run=RunInfo(complete=True),
    operations=(OperationStats("WS", "q", ok=100),),
    rules=(Check("p95", "passed", "", "3 ms", "> 500 ms"), Check("errors", "passed")),
)
LEAKS = Leak("leak likely", "grows 1.2 MiB/min ± 0.1 (r² 0.98): leak likely", 1.2 * 2**20, 1e5, 0.98)
COMPARISON = Comparison("earlier", (ComparedFigure("", "p95_ms", 1.0, 2.0, "worse"),), 0.1)


def target(leak: Leak | None = None, cpu: float = 50.0, **limits: float) -> ResourceStats:
    figures = (
        ResourceFigures("cpu_percent", 9, cpu, cpu, cpu, cpu, cpu),
        ResourceFigures("memory_bytes", 9, 95e6, 95e6, 90e6, 96e6, 95e6),
    )
    return ResourceStats("target", "pid 1", figures, leak=leak, limits=limits)


@pytest.mark.parametrize(
    ("changes", "word", "reasons"),
    [
        ({}, "Ready", ["2 rules kept"]),
        (
            {"rules": (*GOOD.rules, Check("cpu", "warned"), Check("x", "no_data"))},
            "Ready",
            ["3 rules kept", "1 warning: cpu", "1 rule without data"],
        ),
        (
            {"rules": (Check("p95", "failed", "", "900 ms", "> 500 ms"), Check("cpu", "warned"))},
            "Not ready",
            ["rule failed: p95 (900 ms, limit > 500 ms)", "1 warning: cpu"],
        ),
        ({"comparison": COMPARISON}, "Not ready", ["regression: 1 figure worse than in earlier"]),
        (
            {"resources": (target(LEAKS),)},
            "Not ready",
            ["memory of target pid 1 grows 1.2 MiB/min ± 0.1 (r² 0.98): leak likely"],
        ),
        (
            {"resources": (replace(target(LEAKS), side="generator", source="3"),)},
            "Ready",
            ["2 rules kept", "memory of generator (worker 3) grows 1.2 MiB/min ± 0.1 (r² 0.98): leak likely"],
        ),
        ({"rules": ()}, "Cannot say", ["nothing was asked of the run: no rules, no baseline"]),
        ({"rules": (Check("p95", "no_data"),)}, "Cannot say", ["no rule had data"]),
        ({"rules": (), "comparison": Comparison("earlier", (), 0.1)}, "Cannot say", ["the baseline says nothing"]),
        ({"operations": ()}, "Cannot say", ["no operation finished"]),
        ({"run": RunInfo()}, "Cannot say", ["the run is not complete"]),
        (
            {"run": RunInfo(complete=True, invalid_because=("worker 1 was lost",)), "rules": (Check("a", "failed"),)},
            "Cannot say",
            ["the measurement is not valid: worker 1 was lost", "rule failed: a"],
        ),
        (
            {"run": RunInfo(complete=True, ended_because="errors > 15 %"), "rules": (Check("errors", "failed"),)},
            "Not ready",
            ["rule failed: errors", "the run was ended early: errors > 15 %"],
        ),
    ],
)
def test_a_run_is_ready_or_not_or_says_nothing_and_names_its_reasons(
    changes: dict[str, object], word: str, reasons: list[str]
) -> None:
    given = replace(GOOD, **changes)  # type: ignore[arg-type]
    assert readiness(given) == (word, reasons)
    end = REPORTS["summary.md"](given).rstrip().split("### ")[-1].splitlines()
    assert (end[0], len(end)) == (word, 2 + len(reasons))


def test_the_verdict_names_failed_rules_before_a_regression_and_after_invalidity() -> None:
    failed = replace(GOOD, rules=tuple(Check(name, "failed") for name in "abcde"), comparison=COMPARISON)
    assert verdict(failed) == "rules failed: a, b, c and 2 more; 100 operations, no failure"
    assert verdict(replace(failed, run=RunInfo(invalid_because=("x",)))) == "not valid: x"
    assert verdict(replace(failed, rules=GOOD.rules)).startswith("regression: 1 figure")


def test_the_table_of_rules_has_failures_first_and_says_how_many_more_there_are() -> None:
    rules = [Check(f"rule {number}", "passed", "", "1 %", "> 5 %") for number in range(20)]
    rules.append(
        Check(
            "a rule with a name so long that it cannot stand in any table of 80 columns",
            "failed",
            "x" * 200,
            "123,456,789 bytes",
            "warning > 100,000,000 bytes, critical > 200,000,000 bytes",
        )
    )
    lines = rules_table(rules)
    assert lines[1].startswith("FAIL     a rule with a n…  123,456,789 bytes  warn > 100")
    assert lines[-1] == "… 9 more"
    assert (len(lines), max(map(len, lines))) == (17, 80)


def test_alerts_are_counted_and_the_worst_is_told() -> None:
    pending = Alert(1, "cpu", "cpu", "critical", "pending", "", 99.0, 99.0, "> 90 %", 1.0)
    warning = Alert(2, "cpu", "cpu", "warning", "resolved", "", 60.0, 75.0, "> 70 %", 2.0, 3.0, None, 9.0)
    critical = Alert(3, "p95", "latency", "critical", "acknowledged", "3", 600.0, 812.25, "> 500 ms", 4.0, 5.0, 6.0)
    assert alerts_text(Snapshot(alerts=(pending,))) == ""
    assert alerts_text(Snapshot(alerts=(pending, warning))) == (
        "1 alert fired; worst: warning cpu: 75, limit > 70 %, from 2 s to 9 s"
    )
    assert alerts_text(Snapshot(alerts=(pending, warning, critical))) == (
        "2 alerts fired, 1 critical, 1 not resolved; worst: critical p95: 812.2, limit > 500 ms (worker 3), from 4 s on"
    )


def test_the_console_tells_what_target_and_generator_used_and_who_leaks() -> None:
    generators = tuple(
        ResourceStats("generator", str(worker), (ResourceFigures("cpu_percent", 9, 1, 10.0 * worker, 1, 99.0, 1),))
        for worker in (1, 2)
    )
    lines = console(replace(GOOD, resources=(*generators, target(LEAKS)))).splitlines()
    assert "Target         pid 1: CPU 50 % (max 50 %), memory 90.6 MiB (max 91.6 MiB)" in lines
    assert "Generator      busiest of 2 (worker 2): CPU 20 % (max 99 %)" in lines
    assert "Leak           target pid 1: grows 1.2 MiB/min ± 0.1 (r² 0.98): leak likely" in lines


@pytest.mark.parametrize(
    ("stats", "begins"),
    [
        (target(cpu=190.0, cpu_limit_cores=2.0), "the target pid 1 uses 190 % of the 2 cores that it may use"),
        (target(cpu=97.0), "the target pid 1 uses one whole core (97 % on average)"),
        (target(cpu=97.0, cpu_limit_cores=2.0), None),
        (target(memory_limit_bytes=100e6), "the target pid 1 had 96 % of its memory limit in use"),
        (target(memory_limit_bytes=200e6), None),
        (target(LEAKS), "memory of the target pid 1 grows 1.2 MiB/min"),
        (
            ResourceStats("generator", "2", (ResourceFigures("descriptors_percent", 1, 95, 95, 95, 95, 95),)),
            "95 % of the file descriptors of the generator (worker 2) were in use",
        ),
    ],
)
def test_what_is_at_its_limit_is_worth_a_look(stats: ResourceStats, begins: str | None) -> None:
    told = advice(Snapshot(run=RunInfo(complete=True), resources=(stats,)))
    assert [sentence.startswith(begins) for sentence in told] == [True] if begins else told == []


def test_a_locustfile_that_raises_is_never_good_nor_ready() -> None:
    pings = (OperationStats("WS", "ping", ok=5),)
    snapshot = Snapshot(RunInfo(complete=True, exceptions=3), operations=pings, rules=(Check("a", "passed"),))
    assert verdict(snapshot) == "the locustfile raised 3 exceptions; 5 operations, no failure"
    assert readiness(snapshot)[0] == "Cannot say"
    assert "the locustfile raised 3 exceptions" in readiness(snapshot)[1]
    assert "Exceptions     3 exceptions of the locustfile's own code" in console(snapshot)
    assert read_summary(summary_json(snapshot)).run.exceptions == 3


def test_rules_of_which_none_had_data_have_judged_nothing() -> None:
    pings = (OperationStats("WS", "ping", ok=5),)
    snapshot = Snapshot(RunInfo(complete=True), operations=pings, rules=(Check("a", "no_data"),))
    assert verdict(snapshot) == "nothing to judge: no rule had data; 5 operations, no failure"
