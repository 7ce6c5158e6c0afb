"""What all connections of one process share: wheel, dispatcher, random numbers, TLS contexts, resolved addresses.

Made at first use, never at import: ``locust --processes`` forks after the locustfile has been imported.
"""

from __future__ import annotations

import logging
import os
import random
import ssl
from typing import Any

from gevent import get_hub

from locust_ext.runtime.deadline import DeadlineWheel
from locust_ext.runtime.dispatcher import Dispatcher

logger = logging.getLogger("locust_ext")


class ProcessShared:
    """One a process; get it by `shared()`."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.hub: Any = get_hub()
        self.loop: Any = self.hub.loop
        self.wheel = DeadlineWheel()
        self.dispatcher = Dispatcher(on_error=_log_error)
        self.random = random.Random(os.urandom(32))
        """For masks, jitter of our own and client ids: seeded well, and without a system call for each number."""
        self.client_prefix = f"lx-{self.random.getrandbits(40):010x}"
        """Begins the client ids of this process; unique over workers, hosts and runs."""
        self._number = 0
        self._next_source = -1
        self.source_addresses: tuple[str, ...] = ()
        """Local addresses that connections are opened from in turn; empty: the system chooses."""
        self._tls_contexts: dict[bool, ssl.SSLContext] = {}
        self.warned: set[str] = set()
        """What `warn_once` has warned about."""

    def warn_once(self, about: str, text: str) -> None:
        """Log a warning, the first time that this process has one about this."""
        if about not in self.warned:
            self.warned.add(about)
            logger.warning("%s", text)

    def next_number(self) -> int:
        """1, 2, 3, …: never the same twice in this process."""
        self._number += 1
        return self._number

    def next_source_address(self) -> str | None:
        if not self.source_addresses:
            return None
        self._next_source = (self._next_source + 1) % len(self.source_addresses)
        return self.source_addresses[self._next_source]

    def tls_context(self, verify: bool) -> ssl.SSLContext:
        """The one client context for all connections: loading the CA bundle costs milliseconds."""
        context = self._tls_contexts.get(verify)
        if context is None:
            context = ssl.create_default_context()
            if not verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._tls_contexts[verify] = context
        return context


def _log_error(error: BaseException) -> None:
    logger.error("a push handler or listener raised", exc_info=error)


_shared: ProcessShared | None = None


def shared() -> ProcessShared:
    """This process's shared parts; a fork gets its own at its first use."""
    global _shared
    if _shared is None or _shared.pid != os.getpid() or _shared.hub is not get_hub():
        _shared = ProcessShared()
    return _shared
