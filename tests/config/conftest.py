"""The one run that the tests of this folder look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.config.watching import Watched, watched_run


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched_run(tmp_path_factory.mktemp("watched")) as found:
        yield found
