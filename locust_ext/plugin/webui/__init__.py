"""Locust's web UI, with ours in it: tabs, the page of alerts and resources, and the report's files to download."""

from __future__ import annotations

from locust.runners import STATE_RUNNING, STATE_SPAWNING, STATE_STOPPING
from locust.web import WebUI

import logging
from collections.abc import Callable

from flask import Response

from locust_ext.model import Snapshot
from locust_ext.plugin.webui import alerts
from locust_ext.plugin.webui.alerts import AlertsPage, Monitor
from locust_ext.plugin.webui.downloads import Downloads
from locust_ext.plugin.webui.figures import LiveAlerts
from locust_ext.plugin.webui.routes import Routes, url_of
from locust_ext.plugin.webui.tabs import Tabs

logger = logging.getLogger("locust_ext")


class WebPages:
    """All of ours in one web UI, until `close`; to be made in ``init``, before the UI answers its first request."""

    def __init__(
        self,
        web_ui: WebUI,
        take: Callable[[], Snapshot],
        alerting: LiveAlerts,
        monitor: Monitor | None,
        metrics: Callable[[], Response] | None = None,
    ) -> None:
        """``take()``: everything measured so far, with the alerts; ``monitor``: None where this process has none.

        ``metrics``: answers ``ext/metrics``, for Prometheus.
        """
        routes = Routes(web_ui)
        if metrics is not None:
            routes.add("metrics", metrics)
        self._downloads = Downloads(web_ui, take, ((alerts.PATH, "Alerts and resources (live)"),), routes)
        self._tabs = Tabs(web_ui, take)
        AlertsPage(routes, take, alerting, monitor, lambda: _is_loaded(web_ui))
        if web_ui.port:  # a port of the system's choice is not known yet
            logger.info("Alerts: %s", url_of(web_ui, routes.base, alerts.PATH))

    def close(self) -> None:
        """Tabs and entries go, the routes answer 404; idempotent."""
        self._downloads.close()
        self._tabs.close()


def _is_loaded(web_ui: WebUI) -> bool:
    runner = web_ui.environment.runner
    return runner is not None and runner.state in (STATE_SPAWNING, STATE_RUNNING, STATE_STOPPING)


__all__ = ["Downloads", "WebPages"]
