"""`Webhook`: tells somebody elsewhere, by a JSON POST, and never keeps anybody waiting."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, Final

import gevent
import orjson

logger = logging.getLogger("locust_ext")

MAX_WAITING: Final = 100
"""Messages that may wait to be sent; beyond them the oldest are dropped, and counted."""


class Webhook:
    """Posts messages one after the other, from a greenlet that lives while there are any; none is sent twice.

    The address may hold a token: it is never shown. A proxy of the environment (``HTTPS_PROXY``) is used.
    """

    def __init__(self, url: str, timeout_s: float = 5.0) -> None:
        """``timeout_s`` is the deadline of one message, from the look-up of the name to the last byte of the answer."""
        self._url = url
        self._timeout_s = timeout_s
        self._waiting: deque[bytes] = deque()
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._said: set[str] = set()
        self.sent = 0
        """Messages that were taken (a status below 300)."""
        self.dropped = 0
        """Messages that were not: the other side refused or was too slow, or too many waited."""

    def send(self, message: Mapping[str, Any]) -> None:
        """From any greenlet; returns at once."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._fail("too many messages wait")
        self._waiting.append(orjson.dumps(message))
        if self._greenlet is None or self._greenlet.dead:
            self._greenlet = gevent.spawn(self._send_all)

    def _send_all(self) -> None:
        while self._waiting:
            body = self._waiting.popleft()
            try:
                with gevent.Timeout(self._timeout_s):
                    self._post(body)
            except gevent.Timeout:
                self._fail(f"no answer within {self._timeout_s:g} s")
            except urllib.error.HTTPError as error:
                self._fail(f"it answered with HTTP status {error.code}")
                error.close()
            except (
                OSError,
                HTTPException,
                ValueError,
            ) as error:  # URLError is an OSError; their texts may hold the address
                self._fail(type(getattr(error, "reason", error)).__name__)
            else:
                self.sent += 1

    def _post(self, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "locust-ext"}
        request = urllib.request.Request(self._url, body, headers, method="POST")
        with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:
            answer.read(65_536)

    def _fail(self, why: str) -> None:
        self.dropped += 1
        if why not in self._said and len(self._said) < MAX_WAITING:
            self._said.add(why)
            logger.warning("a webhook did not take an alert: %s (not said again)", why)

    def finish(self, within_s: float) -> None:
        """Wait until all is sent, for so many seconds at most; the rest is given up. Idempotent."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.join(within_s)
            greenlet.kill(block=False)
        self.dropped += len(self._waiting)
        self._waiting.clear()
