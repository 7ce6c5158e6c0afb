"""What all connections of one process share: wheel, dispatcher, random numbers, TLS contexts, resolved addresses.

Made at first use, never at import: ``locust --processes`` forks after the locustfile has been imported.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import socket
import ssl
import zlib
from pathlib import Path
from typing import Any

from gevent import get_hub
from gevent.lock import Semaphore

from locust_ext.core.marker import HOST_CHARS, PROCESS_CHARS, token
from locust_ext.errors import ConfigError
from locust_ext.runtime.deadline import DeadlineWheel
from locust_ext.runtime.dispatcher import Dispatcher
from locust_ext.runtime.recording import Recording

MAX_CONNECTS_AT_ONCE = 200
CLOCK_OF_HOST = ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/time")

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
        self.host = token(zlib.crc32(clock_of_host().encode()), HOST_CHARS)
        """In markers: processes that say the same share a monotonic clock."""
        self.process = token(self.random.getrandbits(32), PROCESS_CHARS)
        """In markers: tells the processes of a host apart."""
        self.next_message_id = itertools.count(self.random.getrandbits(32) * 10**6).__next__
        """Ids for messages, below 2**53: what a server passes on of another user's is not taken for a reply to ours."""
        self.outbox: list[tuple[Any, Any, bytes, int]] = []
        """Requests that `flush` sends at the end of this turn of the loop: ``(connection, call, frame, payload_bytes)``."""
        self.recording: Recording | None = None
        """Writes down the messages of the connections that are opened from now on; None: nobody does."""
        self._number = 0
        self._next_source = -1
        self.connects_at_once = MAX_CONNECTS_AT_ONCE
        self.connects = Semaphore(MAX_CONNECTS_AT_ONCE)
        """Held while a connection is being opened: what a restarted server meets is a queue, not all users at once."""
        self.source_addresses: tuple[str, ...] = ()
        """Local addresses that connections are opened from in turn; empty: the system chooses."""
        self._tls_contexts: dict[object, ssl.SSLContext] = {}
        self.warned: set[str] = set()
        """What `warn_once` has warned about."""

    def limit_connects(self, at_once: int | None) -> None:
        """Open so many connections at the same time, from now on; None: `MAX_CONNECTS_AT_ONCE`."""
        wanted = at_once or MAX_CONNECTS_AT_ONCE
        if wanted != self.connects_at_once:
            self.connects_at_once = wanted
            self.connects = Semaphore(wanted)

    def warn_once(self, about: str, text: str) -> None:
        """Log a warning, the first time that this process has one about this."""
        if about not in self.warned:
            self.warned.add(about)
            logger.warning("%s", text)

    def flush(self) -> None:
        """Send what is in the outbox, in order. Does not switch; whoever writes or closes a connection calls it first."""
        outbox, self.outbox = self.outbox, []
        for connection, call, frame, payload_bytes in outbox:
            try:
                connection.send_call(call, frame, payload_bytes)
            except Exception as error:  # noqa: BLE001 – a bug of ours: told, and kept from the other connections
                self.dispatcher.on_error(error)

    def next_number(self) -> int:
        """1, 2, 3, …: never the same twice in this process."""
        self._number += 1
        return self._number

    def next_source_address(self) -> str | None:
        if not self.source_addresses:
            return None
        self._next_source = (self._next_source + 1) % len(self.source_addresses)
        return self.source_addresses[self._next_source]

    def tls_context(
        self, verify: bool, ca_file: str | None = None, certificate: tuple[str, ...] = ()
    ) -> ssl.SSLContext:
        """The one client context for all connections with these settings: loading the CA bundle costs milliseconds.

        ``certificate``: the client's own, as ``(file,)`` or ``(file, key file)``. Raises `ConfigError`.
        """
        wanted = (verify, ca_file, certificate) if ca_file or certificate else verify
        context = self._tls_contexts.get(wanted)
        if context is None:
            context = self._tls_contexts[wanted] = _new_context(verify, ca_file, certificate)
        return context


def _new_context(verify: bool, ca_file: str | None, certificate: tuple[str, ...]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise ConfigError("expected a file with PEM certificates", key="ca_file", value=ca_file) from error
    if certificate:
        try:
            context.load_cert_chain(
                certificate[0], certificate[1] if len(certificate) > 1 else None, password=_no_password
            )
        except (OSError, ValueError) as error:
            raise ConfigError(
                "expected a file with a certificate and its unencrypted key, or a pair of both",
                key="client_certificate",
                value=certificate[0],
            ) from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _no_password() -> str:
    """OpenSSL would ask the terminal for the key's."""
    raise ValueError("the key is encrypted")


def clock_of_host() -> str:
    """Tells whether two processes share their monotonic clock: the machine's boot and its time namespace."""
    parts = []
    for path in CLOCK_OF_HOST:
        try:
            parts.append(os.readlink(path) if "/ns/" in path else Path(path).read_text().strip())
        except OSError:
            continue
    return "|".join(parts) or socket.gethostname()


def _log_error(error: BaseException) -> None:
    logger.error("a push handler or listener raised", exc_info=error)


_shared: ProcessShared | None = None


def shared() -> ProcessShared:
    """This process's shared parts; a fork gets its own at its first use."""
    global _shared
    if _shared is None or _shared.pid != os.getpid() or _shared.hub is not get_hub():
        _shared = ProcessShared()
    return _shared
