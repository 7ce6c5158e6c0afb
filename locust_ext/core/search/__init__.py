"""The search for the limit: steps of load up, down and between, until it is known how many users the target sustains.

`Search` is fed what the owner of the run `Seen` once a second, and says how many users there shall be; what a step may
not do is asked of `Criteria`, which judges by the same code as the rules. Pure: no clock, no waiting.

    search = Search(wanted, criteria, unit="messages", criteria=criteria.texts)
    each second of the run:   if search.look(seen): begin a fresh stretch
    each tick of the shape:   search.planned(now_s), search.next_change_s(now_s), search.is_over
    when the run ended:       search.end(now_s)
    whenever asked:           search.result()
"""

from __future__ import annotations

from locust_ext.core.search.criteria import Broken, Criteria
from locust_ext.core.search.search import Search
from locust_ext.core.search.seen import Seen

__all__ = ["Broken", "Criteria", "Search", "Seen"]
