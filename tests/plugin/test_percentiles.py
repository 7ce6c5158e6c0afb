"""Finer percentiles in Locust's own statistics."""

from __future__ import annotations

import locust.stats

from collections.abc import Iterator

import pytest

from locust_ext.plugin.percentiles import fine_bucket, use_fine_percentiles, use_locusts_percentiles


@pytest.fixture(autouse=True)
def _undone() -> Iterator[None]:
    use_locusts_percentiles()
    yield
    use_locusts_percentiles()


@pytest.mark.parametrize(
    ("milliseconds", "bucket"),
    [(0, 0), (0.3141, 0.31), (0.999, 1.0), (1.234, 1.25), (9.99, 10.0), (12.34, 12.5), (99.9, 100.0), (147, 150)],
)
def test_a_response_time_is_rounded_to_a_bucket(milliseconds: float, bucket: float) -> None:
    assert fine_bucket(milliseconds) == bucket


def test_from_100_ms_on_the_buckets_are_locusts_and_below_at_most_3_per_cent_wide() -> None:
    original = locust.stats.bucket_response_time
    for tenths in range(1000, 500_000, 77):
        assert fine_bucket(tenths / 10) == original(tenths / 10)
    for microseconds in range(1000, 100_000, 7):
        assert fine_bucket(microseconds / 1000) == pytest.approx(microseconds / 1000, rel=0.026)
    assert len({fine_bucket(microseconds / 1000) for microseconds in range(100_000)}) < 470


def test_locusts_statistics_count_under_it_until_it_is_undone() -> None:
    original = locust.stats.bucket_response_time
    use_fine_percentiles()
    use_fine_percentiles()
    stats = locust.stats.RequestStats()
    for microseconds in (310, 320, 330):
        stats.log_request("WS", "ping", microseconds / 1000, 0)  # type: ignore[arg-type]
    assert stats.get("ping", "WS").get_response_time_percentile(0.5) == 0.32
    use_locusts_percentiles()
    use_locusts_percentiles()
    assert locust.stats.bucket_response_time is original


def test_a_locustfiles_own_buckets_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(milliseconds: float) -> int:
        return int(milliseconds)

    monkeypatch.setattr(locust.stats, "bucket_response_time", own)
    use_fine_percentiles()
    assert locust.stats.bucket_response_time is own
    use_locusts_percentiles()
    assert locust.stats.bucket_response_time is own
