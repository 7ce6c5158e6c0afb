"""`Recording`: the messages of all connections of a process, written to a JSONL capture (``--ext-record``).

It stands in the codec's place: connections opened while there is a recording get a codec that notes what passes through
it; all others cost nothing. Secrets are taken out before a line is written (``core/messages/replay_secrets.py``).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from locust_ext.core.messages.replay_files import jsonl_line
from locust_ext.core.messages.replay_secrets import in_body, in_headers, in_query, scrubbed_frame
from locust_ext.core.protocols.websocket import BINARY, TEXT, Event, WebSocketCodec
from locust_ext.errors import ConfigError

logger = logging.getLogger("locust_ext")

BUFFER_BYTES: Final = 256 * 1024
_SOCKETIO_MESSAGES: Final = ("42", "43", "45", "46")
"""How the packets begin that are messages of the application: events and acks."""


class Recording:
    """One file. ``close()`` ends it; so do its limit and the first error in writing. Nothing else raises or blocks."""

    def __init__(
        self, path: Path, *, max_bytes: int, client_prefix: str, clock: Callable[[], float] = monotonic
    ) -> None:
        """Replaces the file. Raises ``ConfigError`` if it cannot be written."""
        self.path = path
        self._max_bytes = max_bytes
        self._client_id = re.compile(re.escape(client_prefix) + r"-\d+")
        self._clock = clock
        self._begun_s = clock()
        self._bytes = 0
        self._connections = 0
        try:
            self._file: BinaryIO | None = path.open("wb", buffering=BUFFER_BYTES)
        except OSError as error:
            raise ConfigError(
                f"expected a file that can be written to: {(error.strerror or 'it cannot').lower()}",
                source="--ext-record",
                value=str(path),
            ) from error

    def codec_of(self, connection: Any) -> Callable[..., RecordingCodec]:
        """What makes the codec of a `Transport` that is being opened."""
        self._connections += 1
        parts = urlsplit(connection.target.url)
        options = connection.options
        secrets = in_query(parts.query) | in_headers(options.headers.items())
        secrets |= in_headers([("Cookie", options.cookie or "")]) | in_body(
            {"auth": getattr(connection, "_auth", None)}
        )
        found = self._client_id.search(parts.path)
        page = Page(
            self._connections,
            path=self._client_id.sub("{client_id}", parts.path),
            client="" if found is None else found[0],
            is_socketio=not connection.OPENS_WITH_UPGRADE,
            secrets=tuple(sorted(secrets, key=len, reverse=True)),
        )
        return partial(RecordingCodec, self, page)

    def note(self, page: Page, is_sent: bool, data: str | bytes) -> None:
        """Write one message of a connection. In the hub or in any greenlet."""
        if self._file is None:
            return
        try:
            if page.is_socketio and isinstance(data, str) and data[:2] not in _SOCKETIO_MESSAGES:
                return
            data = scrubbed_frame(data, page.secrets)
            line = jsonl_line(self._clock() - self._begun_s, is_sent, data, page.number, self._beside(page, data))
            if self._bytes + len(line) > self._max_bytes:
                logger.warning("%s is full (record.max_bytes): the rest of the run is not recorded", self.path)
                self.close()
                return
            self._bytes += len(line)
            self._file.write(line)
        except Exception as error:  # noqa: BLE001 – whatever it is (a full disk), the run goes on
            logger.error("The recording has ended: %s cannot be written (%s)", self.path, type(error).__name__)
            self.close()

    def _beside(self, page: Page, data: str | bytes) -> dict[str, str]:
        """What stands beside a connection's first message; the client's name as soon as it is known."""
        beside: dict[str, str] = {}
        if not page.has_begun:
            page.has_begun = True
            beside = {"path": page.path, "protocol": "socketio" if page.is_socketio else "websocket"}
        if not page.has_client:
            if not page.client and isinstance(data, str) and (found := self._client_id.search(data)) is not None:
                page.client = found[0]
            if page.client:
                page.has_client = True
                beside["client"] = page.client
        return beside

    def close(self) -> None:
        """Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                logger.error("%s is not complete: %s", self.path, (error.strerror or "it cannot be written").lower())


class Page:
    """What a recording knows of one connection."""

    __slots__ = ("client", "has_begun", "has_client", "is_socketio", "number", "path", "secrets")

    def __init__(self, number: int, *, path: str, client: str, is_socketio: bool, secrets: tuple[str, ...]) -> None:
        self.number = number
        self.path = path
        """With ``{client_id}`` in the place of the user's."""
        self.client = client
        self.is_socketio = is_socketio
        self.secrets = secrets
        self.has_begun = self.has_client = False


class RecordingCodec(WebSocketCodec):
    """A codec that notes each message which passes through it."""

    __slots__ = ("_page", "_recording")

    def __init__(self, recording: Recording, page: Page, **options: Any) -> None:
        super().__init__(**options)
        self._recording = recording
        self._page = page

    def receive_data(self, data: bytes) -> list[Event]:
        events = super().receive_data(data)
        for kind, payload in events:
            if kind in (TEXT, BINARY):
                self._recording.note(self._page, False, payload)
        return events

    def encode_text(self, text: str | bytes) -> bytes:
        self._recording.note(self._page, True, text if isinstance(text, str) else text.decode(errors="replace"))
        return super().encode_text(text)

    def encode_binary(self, data: bytes) -> bytes:
        self._recording.note(self._page, True, bytes(data))
        return super().encode_binary(data)
