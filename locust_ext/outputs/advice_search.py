"""What to do after a search for the limit: each gives its sentence, with the reason, or None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from locust_ext.model import LimitSearch, Snapshot
from locust_ext.model.search import (
    GENERATOR_LIMIT,
    INTERRUPTED,
    NEVER_GOOD,
    NO_DATA,
    NOT_REACHED,
    NOT_RECOVERED,
)
from locust_ext.outputs.search_text import criteria_text
from locust_ext.outputs.text import count_text


def after_search(snapshot: Snapshot) -> str | None:
    """What the outcome asks for; None: nothing, the limit was found."""
    search = snapshot.search
    say = None if search is None else _BY_OUTCOME.get(search.outcome)
    return None if search is None or say is None else say(search)


def _not_reached(search: LimitSearch) -> str:
    return (
        f"the limit lies above the {count_text(search.max_users, 'user')} that were allowed: raise max_users to find it"
    )


def _generator(search: LimitSearch) -> str:
    return (
        "the load generator was too slow for more users, so that nothing is known of the target beyond: use more "
        "processes (--processes) or more machines, and search again"
    )


def _never_good(search: LimitSearch) -> str:
    return (
        f"not even the smallest load was good ({criteria_text(search) or 'no criterion'}): is the criterion what you "
        "mean, and does the target work at all for 1 user?"
    )


def _not_recovered(search: LimitSearch) -> str:
    return (
        "the target stayed bad after the load had fallen: a queue that never empties, connections or memory that are "
        "not given back; it may need a restart before the next run"
    )


def _interrupted(search: LimitSearch) -> str:
    return (
        "the run ended before the search did: leave out --run-time, or make it shorter (step_s, confirm_s, a larger "
        "initial, a smaller max_users)"
    )


def _no_data(search: LimitSearch) -> str:
    return "no operation finished in a step: do the users send anything, and does the target answer?"


_BY_OUTCOME: Final[dict[str, Callable[[LimitSearch], str]]] = {
    NOT_REACHED: _not_reached,
    GENERATOR_LIMIT: _generator,
    NEVER_GOOD: _never_good,
    NOT_RECOVERED: _not_recovered,
    INTERRUPTED: _interrupted,
    NO_DATA: _no_data,
}
