"""The limits of control groups, from files as the kernel writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from locust_ext.runtime.monitor.cgroup import cgroup_limits

Files = dict[str, str]


def limits(folder: Path, group: str, mounts: str, files: Files) -> dict[str, float]:
    proc = folder / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text(group)
    (proc / "mountinfo").write_text(mounts.replace("@", str(folder)))
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return cgroup_limits(proc)


V2 = "30 23 0:26 / @/cg rw,nosuid - cgroup2 cgroup2 rw\n"


def test_version_2_takes_the_tightest_of_the_group_and_those_above(tmp_path: Path) -> None:
    files = {
        "cg/a/b/memory.max": "max\n",
        "cg/a/memory.max": "1073741824\n",
        "cg/a/b/cpu.max": "150000 100000\n",
        "cg/a/cpu.max": "max 100000\n",
    }
    found = limits(tmp_path, "0::/a/b\n", V2, files)
    assert found == {"memory_limit_bytes": 2**30, "cpu_limit_cores": 1.5}


def test_version_1_is_read_by_controller_and_its_huge_number_is_no_limit(tmp_path: Path) -> None:
    mounts = (
        "31 23 0:27 / @/memory rw - cgroup cgroup rw,memory\n32 23 0:28 / @/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    )
    files = {
        "memory/docker/x/memory.limit_in_bytes": "536870912\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "cpu/docker/x/cpu.cfs_quota_us": "50000\n",
        "cpu/docker/x/cpu.cfs_period_us": "100000\n",
        "cpu/cpu.cfs_quota_us": "-1\n",
        "cpu/cpu.cfs_period_us": "100000\n",
    }
    group = "5:cpuacct,cpu:/docker/x\n4:memory:/docker/x\n1:name=systemd:/docker/x\n0::/\n"
    assert limits(tmp_path, group, mounts, files) == {"memory_limit_bytes": 2**29, "cpu_limit_cores": 0.5}


@pytest.mark.parametrize(("root", "group"), [("/docker/x", "/docker/x"), ("/", "/docker/x"), ("/", "/../../elsewhere")])
def test_a_container_sees_its_own_group_at_the_mount_point(tmp_path: Path, root: str, group: str) -> None:
    mounts = V2.replace("0:26 /", f"0:26 {root}")
    assert limits(tmp_path, f"0::{group}\n", mounts, {"cg/memory.max": "1000000\n"}) == {"memory_limit_bytes": 1e6}


def test_what_is_missing_or_no_number_is_absent(tmp_path: Path) -> None:
    assert limits(tmp_path, "0::/a\n", V2, {"cg/a/memory.max": "much\n", "cg/a/cpu.max": "0 100000\n"}) == {}
    assert cgroup_limits(tmp_path / "nowhere") == {}
