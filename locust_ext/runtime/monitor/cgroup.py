"""What the control groups of Linux, version 1 and 2, let this process use: `memory_limit_bytes` and `cpu_limit_cores`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

UNLIMITED_BYTES = 2**60
"""Version 1 says a number near 2**63 where there is no limit."""


def cgroup_limits(proc: Path = Path("/proc/self")) -> dict[str, float]:
    """The tightest limits of this process's groups and those above them; what is not limited or not readable is absent.

    Sources: cgroups(7), the kernel's admin-guide/cgroup-v2, proc_pid_mountinfo(5).
    """
    limits: dict[str, float] = {}
    memory: list[float] = []
    cpu: list[float] = []
    for folder, version in _folders(proc):
        if version == 2:
            memory += _bytes(folder / "memory.max")
            quota = _words(folder / "cpu.max")
            if len(quota) == 2 and _is_share(quota):
                cpu.append(int(quota[0]) / int(quota[1]))
        else:
            memory += _bytes(folder / "memory.limit_in_bytes")
            quota = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
            if len(quota) == 2 and _is_share(quota):
                cpu.append(int(quota[0]) / int(quota[1]))
    if memory:
        limits["memory_limit_bytes"] = min(memory)
    if cpu:
        limits["cpu_limit_cores"] = min(cpu)
    return limits


def _is_share(words: list[str]) -> bool:
    return all(word.isdigit() and int(word) > 0 for word in words)


def _bytes(file: Path) -> list[float]:
    words = _words(file)
    return [float(words[0])] if words and words[0].isdigit() and int(words[0]) < UNLIMITED_BYTES else []


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except (OSError, UnicodeError):
        return []


def _folders(proc: Path) -> list[tuple[Path, int]]:
    """The folders of this process's memory and CPU groups and of those above them, each with its version."""
    groups: dict[str, str] = {}  # controller -> path; "" is version 2
    try:
        for line in (proc / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            groups.update(dict.fromkeys(controllers.split(","), path))
        mounts = (proc / "mountinfo").read_text().splitlines()
    except (OSError, ValueError):
        return []
    found: list[tuple[Path, int]] = []
    for line in mounts:
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        version = 2 if kind[0] == "cgroup2" else 1
        wanted = {""} if version == 2 else {"memory", "cpu"} & set(kind[2].split(","))
        for controller in sorted(wanted & groups.keys()):
            found += [(folder, version) for folder in _upwards(fields[3], fields[4], groups[controller])]
    return found


def _upwards(root: str, mount_point: str, path: str) -> list[Path]:
    """From the group's folder up to the mount point. ``root``: which folder of the hierarchy is mounted there."""
    mounted = Path(mount_point.encode().decode("unicode_escape") if "\\" in mount_point else mount_point)
    try:
        inside = PurePosixPath(path).relative_to(root)
    except ValueError:  # a container that sees its own group mounted as the root, and the host's path
        inside = PurePosixPath()
    if ".." in inside.parts:
        inside = PurePosixPath()
    return [mounted / inside, *(mounted / each for each in inside.parents)]
