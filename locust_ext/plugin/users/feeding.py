"""Rows of unique feeders over the workers of a run: who has which share, told by the master as a run starts.

The master writes down the workers there are (`share_out`); each worker's place among them is its share (`use_share`). A
worker that comes later has no place until the next run: its users would repeat rows, so they end with an error instead.
"""

from __future__ import annotations

from locust.runners import MasterRunner, WorkerRunner

from collections.abc import Sequence
from typing import Any

from locust_ext.core.messages.rows import SHARE, check_rows


def share_out(environment: Any) -> None:
    """On the master, or in the one process, at the start of a run: ``ext_worker_indexes``, in the order in which Locust
    gives users to workers."""
    runner, indexes = environment.runner, []
    if isinstance(runner, MasterRunner):
        clients = runner.clients
        there = [*clients.ready, *clients.spawning, *clients.running]
        indexes = [runner.get_worker_index(name) for name in sorted(each.id for each in there)]
    environment.parsed_options.ext_worker_indexes = indexes


def use_share(environment: Any) -> None:
    """In a process with users, before one of them binds its generator."""
    options, runner = environment.parsed_options, environment.runner
    run = getattr(options, "ext_run_id", None) or ""
    if not isinstance(runner, WorkerRunner):
        SHARE.use(0, 1, run)
        return
    indexes = getattr(options, "ext_worker_indexes", None) or []
    SHARE.use(indexes.index(runner.worker_index) if runner.worker_index in indexes else None, len(indexes) or 1, run)


def check_feeders(environment: Any, users: int | None) -> None:
    """Before a run of ``users`` (None: not known): ``ConfigError`` if a unique feeder has fewer rows than users for sure.

    Of several classes each is taken to have its part by weight, rounded down; a shape decides its users itself.
    """
    classes: Sequence[Any] = environment.user_classes
    if not users or environment.shape_class is not None:
        return
    fixed = sum(each.fixed_count for each in classes)
    weights = sum(each.weight for each in classes if not each.fixed_count)
    for each in classes:
        if each.fixed_count:
            number = each.fixed_count if fixed <= users else 0
        else:
            number = int(max(0, users - fixed) * each.weight / weights) if weights else 0
        check_rows(getattr(each, "generator", None), number)
