"""A real reference server for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import runs
from tests.peers import eventually


@pytest.fixture(scope="session")
def _open_server() -> Iterator[runs.Server]:
    with runs.server() as server:
        yield server


@pytest.fixture
def server(_open_server: runs.Server) -> Iterator[runs.Server]:
    """The reference server, open to everybody, without faults, and with all its counters at zero."""
    _open_server.misbehave()
    eventually(lambda: _open_server.counters()["open_connections"] == 0, what="a server without connections")
    _open_server._ask("DELETE", "/counters")
    yield _open_server
    _open_server.misbehave()
