"""The operating system's limits on a generator process, looked at before the run starts."""

from __future__ import annotations

import logging
import resource

from locust_ext.errors import ConfigError

logger = logging.getLogger("locust_ext")

RESERVED = 64
"""Descriptors of a process that are not its users' connections: logs, pipes, listeners, Locust's own sockets."""


def check_descriptors(users: int) -> None:
    """Raise the soft limit of this process as far as it may be; raises `ConfigError` if ``users`` cannot all connect."""
    wanted = users + RESERVED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or soft < hard):
        aim = max(soft, 2 * wanted) if hard == resource.RLIM_INFINITY else min(hard, max(soft, 2 * wanted))
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (aim, hard))
            soft = aim
        except (OSError, ValueError):
            logger.debug("the limit of open files could not be raised to %d", aim)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raise ConfigError(
            f"{users} users need at least {wanted} file descriptors in this process, its limit is {soft}: raise it "
            "(ulimit -n), or spread the users over more workers",
            source="--users",
        )
