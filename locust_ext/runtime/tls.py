"""TLS over memory BIOs: the socket below stays raw and non-blocking, and read and written by the same watchers.

gevent's and the standard library's ``SSLSocket`` are not used: a non-blocking ``send`` of theirs can report 0 bytes
with megabytes already out.
"""

from __future__ import annotations

import ssl

from locust_ext.errors import ConnectFailed


class TlsLayer:
    """Plain bytes on one side, records on the other. Does no I/O; one connection's, for any greenlet or the hub."""

    __slots__ = ("_incoming", "_outgoing", "_tls", "is_closed_by_peer")

    def __init__(self, context: ssl.SSLContext, hostname: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self.is_closed_by_peer = False

    def handshake(self) -> bool:
        """One step; True when it is done. What is to be sent is in `outgoing`. Raises `ConnectFailed` (``tls``).

        Its ``rule`` tells a certificate that is not trusted, which is final, from all that may pass.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLCertVerificationError as error:
            raise ConnectFailed("tls", rule="tls_verification") from error
        except ssl.SSLError as error:
            raise ConnectFailed("tls") from error
        return True

    def feed(self, records: bytes) -> None:
        self._incoming.write(records)

    def outgoing(self) -> bytes:
        return self._outgoing.read()

    def encrypt(self, plain: bytes) -> bytes:
        """The records that carry ``plain``."""
        view = memoryview(plain)
        while view:
            view = view[self._tls.write(view) :]
        return self._outgoing.read()

    def decrypt(self, records: bytes) -> bytes:
        """All that can be read now; may be empty. Raises `ssl.SSLError` on a broken record."""
        self._incoming.write(records)
        parts: list[bytes] = []
        try:
            while part := self._tls.read(65536):
                parts.append(part)
            self.is_closed_by_peer = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.is_closed_by_peer = True
        return b"".join(parts)

    def close_notify(self) -> bytes:
        """The record that ends our side in order; empty if TLS is past that."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass
        return self._outgoing.read()
