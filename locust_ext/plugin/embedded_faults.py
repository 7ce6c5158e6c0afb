"""`FaultPlay`: the embedded server misbehaves as the settings say, over each run."""

from __future__ import annotations

from locust.env import Environment

import http.client
import logging
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import gevent
import orjson

from locust_ext.settings.embedded import EmbeddedSettings

logger = logging.getLogger("locust_ext")

PUT_S: Final = 5.0
"""A server that has so long no time for it is left as it is."""


class FaultPlay:
    """Begins with each run and ends with it; in the process that owns the server. ``close()`` undoes it."""

    def __init__(self, environment: Environment, settings: EmbeddedSettings, url: str) -> None:
        self._environment = environment
        self._settings = settings
        self._url = url
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._listens = False

    def open(self) -> None:
        """Listen for runs, if there is anything to do."""
        if self._settings.faults:
            self._listens = True
            self._environment.events.test_start.add_listener(self._begin)
            self._environment.events.test_stop.add_listener(self._end)

    def close(self) -> None:
        """Idempotent."""
        self._stop()
        if not self._listens:
            return
        self._listens = False
        self._environment.events.test_start.remove_listener(self._begin)
        self._environment.events.test_stop.remove_listener(self._end)

    def _begin(self, **_: Any) -> None:
        """The faults of the beginning are there before the first user is."""
        self._stop()
        self._put(self._settings.in_force(0.0))
        self._greenlet = gevent.spawn(self._play, monotonic())

    def _play(self, began_s: float) -> None:
        for at_s in self._settings.changes_s[1:]:
            gevent.sleep(max(0.0, began_s + at_s - monotonic()))
            body = self._settings.in_force(at_s)
            logger.info("The embedded server from now on: %s", ", ".join(f"{k} {v}" for k, v in body.items()) or "well")
            self._put(body)

    def _end(self, **_: Any) -> None:
        """Without faults again: another run may follow, with none at its beginning."""
        self._stop()
        self._put({})

    def _stop(self) -> None:
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.kill()

    def _put(self, body: dict[str, Any]) -> None:
        """Blocks the calling greenlet, for `PUT_S` at most."""
        parts = urlsplit(self._url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PUT_S)
        try:
            connection.request("PUT", "/faults", orjson.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 200:
                logger.warning("The embedded server takes no faults: %s", answer.read(500).decode(errors="replace"))
        except (OSError, http.client.HTTPException) as error:
            logger.warning("The embedded server could not be told its faults: %s", type(error).__name__)
        finally:
            connection.close()
