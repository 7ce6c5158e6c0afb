"""The files of ``config/``, read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

CONFIG: Final = Path(__file__).parents[2] / "config"
PROMETHEUS: Final = CONFIG / "prometheus"
DASHBOARD: Final = CONFIG / "grafana" / "dashboards" / "locust_ext.json"


def loaded(path: Path) -> Any:
    """A YAML file with one document."""
    return yaml.safe_load(path.read_text())


def rules() -> list[dict[str, Any]]:
    """All of Prometheus' rules, recording and alerting."""
    files = (PROMETHEUS / "recording_rules.yml", PROMETHEUS / "alert_rules.yml")
    return [rule for path in files for group in loaded(path)["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """(row, panel) of each panel that shows something."""
    row = ""
    for panel in dashboard()["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
        else:
            yield row, panel


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """(file, object) of each Kubernetes object."""
    for path in sorted((CONFIG / "kubernetes").glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text()):
            yield path.name, each


def flags(command: list[str]) -> dict[str, str]:
    """Flag -> value of ``--flag=value`` and ``--flag``."""
    return {name: value for name, _, value in (each.partition("=") for each in command)}
