"""``config/grafana``: the dashboard is one that Grafana reads, and every query in it is answered by a real run."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.config.files import CONFIG, DASHBOARD, dashboard, loaded, panels
from tests.config.watching import Watched

PROVISIONING = CONFIG / "grafana" / "provisioning"
ROWS = ["Verdict", "Load", "Latency", "Connections and drops", "Fan-out", "Errors", "Generator", "Target", "Alerts"]
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
OF_GRAFANA = {"__rate_interval", "__range"}


def queries() -> list[tuple[str, str]]:
    """(where, PromQL) of all that Grafana asks Prometheus for: panels, and annotations."""
    found = [
        (f"{row}: {panel['title']} {target['refId']}", target["expr"])
        for row, panel in panels()
        for target in panel["targets"]
    ]
    annotations = dashboard()["annotations"]["list"]
    return [*found, *((f"annotation {each['name']}", each["expr"]) for each in annotations if "expr" in each)]


def variables() -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in dashboard()["templating"]["list"]}


def as_grafana_asks(query: str, instance: str) -> str:
    """With "All" types and names, and an interval that a page of some minutes would have."""
    values = {"instance": instance, "type": ".*", "name": ".*", "__rate_interval": "20s", "__range": "10m"}
    return VARIABLE.sub(lambda found: values[found[1] or found[2]], query)


def test_grafanas_own_schema_knows_all_that_the_dashboard_says() -> None:
    """Through the classes that Grafana generates from its schema: what they do not know would not come back."""
    register_default_plugins()
    told = json.loads(json.dumps(Dashboard.from_json(dashboard()), cls=JSONEncoder))
    of_prometheus = [f".annotations.list[1].{key}" for key in ("tagKeys", "titleFormat")]  # its plugin's, in no schema
    assert [each.partition(":")[0] for each in _missing(dashboard(), told)] == of_prometheus


def _missing(ours: Any, told: Any, path: str = "") -> list[str]:
    """Where ``told`` lacks, or has otherwise, what is ours."""
    if isinstance(ours, dict) and isinstance(told, dict):
        return [each for key, value in ours.items() for each in _missing(value, told.get(key), f"{path}.{key}")]
    if isinstance(ours, list) and isinstance(told, list) and len(ours) == len(told):
        return [
            each
            for i, (mine, its) in enumerate(zip(ours, told, strict=True))
            for each in _missing(mine, its, f"{path}[{i}]")
        ]
    return [] if ours == told else [f"{path}: {ours!r} became {told!r}"]


def test_the_rows_stand_in_the_order_in_which_one_looks() -> None:
    assert list(dict.fromkeys(row for row, _ in panels())) == ROWS


def test_panels_have_ids_and_places_of_their_own() -> None:
    board = dashboard()["panels"]
    assert len({panel["id"] for panel in board}) == len(board)
    taken: set[tuple[int, int]] = set()
    for panel in board:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_panel_says_what_it_shows_in_which_unit_and_asks_the_chosen_prometheus() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    seen: set[tuple[str, str]] = set()
    for row, panel in panels():
        assert len(panel["description"]) > 10, panel["title"]
        assert (row, panel["title"]) not in seen or panel["type"] == "heatmap"
        seen.add((row, panel["title"]))
        assert panel["datasource"] == chosen
        assert all(target["datasource"] == chosen for target in panel["targets"])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        unit = (
            panel["options"]["yAxis"]["unit"]
            if panel["type"] == "heatmap"
            else panel["fieldConfig"]["defaults"]["unit"]
        )
        assert unit


@pytest.mark.parametrize(("where", "query"), queries(), ids=[where for where, _ in queries()])
def test_a_query_asks_for_the_chosen_run_only_by_variables_that_there_are(where: str, query: str) -> None:
    used = {found[1] or found[2] for found in VARIABLE.finditer(query)}
    assert used <= set(variables()) | OF_GRAFANA
    for series in re.findall(r"\b(?:locust_ext_\w+|ALERTS)\b(?!_)(.{0,40})", query):
        assert series.startswith("{"), f"{where}: a series without labels"
    assert query.count("{") == query.count('instance="$instance"'), where


def test_the_variables_choose_a_prometheus_a_run_a_type_and_a_name() -> None:
    found = variables()
    assert list(found) == ["datasource", "instance", "type", "name"]
    assert (found["datasource"]["type"], found["datasource"]["query"]) == ("datasource", "prometheus")
    for name in ("type", "name"):
        assert (found[name]["multi"], found[name]["includeAll"], found[name]["allValue"]) == (True, True, ".*")


@pytest.mark.e2e
@pytest.mark.parametrize(("where", "query"), queries(), ids=[where for where, _ in queries()])
def test_a_query_is_answered_by_a_real_run(watched: Watched, where: str, query: str) -> None:
    values = watched.values(as_grafana_asks(query, watched.instance))
    assert values, f"{where}: no data"
    assert any(value == value for value in values), f"{where}: only NaN"


@pytest.mark.e2e
def test_the_variables_have_values_of_a_real_run(watched: Watched) -> None:
    found: dict[str, set[str]] = {}
    for name in ("instance", "type", "name"):
        definition = as_grafana_asks(variables()[name]["query"]["query"], watched.instance)
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", definition)
        assert match is not None
        found[name] = {each["metric"][match[2]] for each in watched.query(match[1])}
    assert found["instance"] == {watched.instance}
    assert {"WS", "CONNECT", "GET", "DROP"} <= found["type"]
    assert {"ping", "query"} <= found["name"]


@pytest.mark.e2e
def test_a_chosen_type_narrows_what_is_shown(watched: Watched) -> None:
    (panel,) = (panel for row, panel in panels() if panel["title"] == "Operations by name")
    query = panel["targets"][0]["expr"].replace("$type", "WS|GET")
    shown = {each["metric"]["type"] for each in watched.query(as_grafana_asks(query, watched.instance))}
    assert shown == {"WS", "GET"}


def test_what_grafana_is_provisioned_with_is_what_compose_mounts() -> None:
    (source,) = loaded(PROVISIONING / "datasources" / "prometheus.yaml")["datasources"]
    (provider,) = loaded(PROVISIONING / "dashboards" / "locust_ext.yaml")["providers"]
    grafana = loaded(CONFIG / "compose.yaml")["services"]["grafana"]
    mounted = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    assert (CONFIG / "grafana" / "provisioning").samefile(CONFIG / next(iter(mounted)))
    inside = {target: CONFIG / source for source, target in mounted.items()}
    assert (inside[provider["options"]["path"]] / DASHBOARD.name).samefile(DASHBOARD)
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/{DASHBOARD.name}"
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    scraped = loaded(CONFIG / "prometheus" / "prometheus.yml")["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scraped
