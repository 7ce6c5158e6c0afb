"""`ProvidedTarget`: the system under test as this process sees it: the embedded server, or addresses to wait for."""

from __future__ import annotations

from locust.env import Environment

import logging
from typing import Any

from locust_ext.core.lifecycle.failover import Failover
from locust_ext.errors import ConfigError, TargetUnavailable
from locust_ext.plugin.embedded import EMBEDDED, EmbeddedServer, embedded_classes, machine_id
from locust_ext.plugin.embedded_faults import FaultPlay
from locust_ext.plugin.target import wait_for_target
from locust_ext.settings.embedded import EmbeddedSettings

logger = logging.getLogger("locust_ext")


class ProvidedTarget:
    """Gives the user classes whose host is ``"embedded"`` an address; ``close()`` takes it away again.

    A second server is there for those that fail over to ``"embedded"``. The addresses travel to the workers as options of
    the master's, because ``environment.host`` would override every class (FACTS, Locust 16).
    """

    def __init__(self, environment: Environment, options: Any) -> None:
        self._environment = environment
        self._options = options
        self._server: EmbeddedServer | None = None
        self._backup: EmbeddedServer | None = None
        self._faults: FaultPlay | None = None
        self._classes: list[Any] = []

    def provide(self, wait_s: float | None, settings: EmbeddedSettings) -> None:
        """Not in a worker: start the embedded server if a class wants it, and wait for the target if that is asked for.

        Raises `TargetUnavailable`, and `ConfigError` if there is nothing to wait for, or no embedded backup.
        """
        environment = self._environment
        self._classes = [] if environment.host else embedded_classes(environment.user_classes)
        wants_backup = self._wants_backup()
        if self._classes:
            self._server = EmbeddedServer()
            url = self._server.start()
            self._options.ext_embedded_url = url
            self._options.ext_embedded_machine = machine_id()
            logger.info("The embedded reference server answers at %s", url)
            backup_url = ""
            if wants_backup:
                self._backup = EmbeddedServer()
                backup_url = self._options.ext_embedded_backup_url = self._backup.start()
                logger.info("Its backup answers at %s", backup_url)
            self._use(url, backup_url)
            self._faults = FaultPlay(environment, settings, url)
            self._faults.open()
        if wait_s is not None:
            for target in self._targets():
                wait_for_target(target, wait_s)

    @property
    def embedded_pid(self) -> int | None:
        """The process of the embedded server; None: there is none, or it is another process's."""
        return None if self._server is None else self._server.pid

    def _targets(self) -> list[str]:
        if self._environment.host:
            hosts = [self._environment.host]
        else:
            hosts = [each.host for each in self._environment.user_classes if each.host]
        if agent_host := self._options.ext_agent_host:
            hosts.append(agent_host)
        if not hosts:
            raise ConfigError(
                "expected --host, or a host attribute of the user classes", source="--ext-wait-for-target"
            )
        return list(dict.fromkeys(hosts))

    def _wants_backup(self) -> bool:
        """Whether a class fails over to an embedded server. Raises `ConfigError` if it has no embedded one before."""
        wants = False
        for each in self._environment.user_classes:
            pattern = getattr(each, "pattern", None)
            if isinstance(pattern, Failover) and EMBEDDED in pattern.backups:
                if each not in self._classes or pattern.primary is not None:
                    raise ConfigError(
                        "expected addresses of your own backups (the failover scenario takes them from the environment "
                        "variable BACKUPS): an embedded one stands in for the embedded server only",
                        key=f"{each.__name__}.pattern.backups",
                        value=EMBEDDED,
                    )
                wants = True
        return wants

    def _use(self, url: str, backup_url: str) -> None:
        for each in self._classes:
            each.host = url
            each.embedded_backup = backup_url

    def join(self) -> None:
        """In a worker, at the start of a run: use the master's embedded server.

        Raises `TargetUnavailable` if it cannot be reached.
        """
        environment = self._environment
        if environment.host:
            return
        self._classes = self._classes or embedded_classes(environment.user_classes)
        if not self._classes:
            return
        url, machine = (getattr(self._options, f"ext_embedded_{each}", None) for each in ("url", "machine"))
        if url and machine == machine_id():
            self._use(url, getattr(self._options, "ext_embedded_backup_url", None) or "")
            return
        raise TargetUnavailable(
            url or EMBEDDED,
            "it cannot reach the embedded server, which listens on the loopback of the master's machine only. "
            "Start a server that all workers reach (locust-ext server --host ADDRESS), and give the master --host",
        )

    def close(self) -> None:
        """Idempotent."""
        for each in self._classes:
            each.host = EMBEDDED
            each.embedded_backup = ""
        if self._faults is not None:
            self._faults.close()
        for server in (self._server, self._backup):
            if server is not None:
                server.stop()
