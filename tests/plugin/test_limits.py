"""Too few file descriptors are found before the run starts, not by its users."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from locust_ext.errors import ConfigError
from locust_ext.plugin import limits

RUN = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from locust_ext.plugin.limits import check_descriptors
check_descriptors({users})
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def limit_after(soft: int, hard: int, users: int) -> int:
    code = RUN.format(soft=soft, hard=hard, users=users)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return int(done.stdout)


def test_the_soft_limit_is_raised_to_twice_what_is_needed_but_not_over_the_hard_one() -> None:
    assert limit_after(256, 4096, 1000) == 2 * (1000 + limits.RESERVED)
    assert limit_after(256, 1500, 1000) == 1500


def test_a_limit_that_is_enough_stays() -> None:
    assert limit_after(4096, 4096, 1000) == 4096


def test_what_cannot_be_enough_is_an_error_with_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    with pytest.raises(ConfigError, match=r"1000 users need at least 1064 file descriptors .* its limit is 256"):
        limits.check_descriptors(1000)


def test_a_run_with_too_low_a_limit_does_not_start(tmp_path: Path) -> None:
    locustfile = Path(__file__).parents[2] / "locustfiles" / "realistic.py"
    locust = Path(sys.executable).with_name("locust")
    command = f"ulimit -n 200; exec {locust} -f {locustfile} --headless -u 500 -t 5s"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "locust-ext: error: --users: 500 users need at least 564 file descriptors" in done.stderr
    assert "Traceback" not in done.stderr
