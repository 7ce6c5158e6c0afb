"""After each test of a user nothing may be left: no descriptor, no watcher of the loop, no deadline."""

from __future__ import annotations

from tests.runtime.conftest import nothing_stays_behind

__all__ = ["nothing_stays_behind"]
