"""``config/kubernetes``: what the API server would say to it, and that its parts find one another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.config.files import CONFIG, flags, loaded, manifests
from tests.e2e.runs import Locust, assert_balanced, free_port, server

OF_OPERATOR = "ServiceMonitor"
OURS = [(f"{file} {each['kind']}", each) for file, each in manifests() if each["kind"] != OF_OPERATOR]
VERSIONS = ("1.29", "1.37")
"""Of Kubernetes."""


def found(kind: str, name: str) -> dict[str, Any]:
    (each,) = (each for _, each in manifests() if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return each


def pods() -> list[tuple[str, dict[str, Any], dict[str, str]]]:
    """(name, spec, labels) of what each Job and Deployment makes."""
    return [
        (each["metadata"]["name"], each["spec"]["template"]["spec"], each["spec"]["template"]["metadata"]["labels"])
        for _, each in manifests()
        if each["kind"] in ("Job", "Deployment")
    ]


def has(labels: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return labels.items() >= wanted.items()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("where", "manifest"), OURS, ids=[where for where, _ in OURS])
def test_a_manifest_fits_kubernetes_own_schema_to_the_last_key(
    where: str, manifest: dict[str, Any], version: str
) -> None:
    assert kubernetes_validate.validate(manifest, version, strict=True) == version


def test_all_is_there_once() -> None:
    names = sorted((each["kind"], each["metadata"]["name"]) for _, each in manifests())
    assert names == [
        ("ConfigMap", "locust-locustfile"),
        ("ConfigMap", "locust-settings"),
        ("Deployment", "locust-target"),
        ("Job", "locust-master"),
        ("Job", "locust-worker"),
        ("Service", "locust-master"),
        ("Service", "locust-target"),
        ("ServiceMonitor", "locust"),
    ]


@pytest.mark.parametrize(("name", "spec", "labels"), pods(), ids=[name for name, _, _ in pods()])
def test_a_pod_is_no_root_writes_nowhere_but_in_tmp_and_says_what_it_needs(
    name: str, spec: dict[str, Any], labels: dict[str, str]
) -> None:
    assert has(spec["securityContext"], {"runAsNonRoot": True, "runAsUser": 10001})
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["terminationGracePeriodSeconds"] > 0
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    volumes = {each["name"]: each for each in spec["volumes"]}
    mounts = {each["name"]: each for each in container["volumeMounts"]}
    assert volumes.keys() == mounts.keys()
    assert {name for name, each in mounts.items() if not each.get("readOnly")} == {"tmp"}
    image = container["image"]
    assert image == loaded(CONFIG / "compose.yaml")["x-locust"]["image"]
    ports = {each["name"] for each in container.get("ports", ())}
    probes = [container[probe] for probe in container if probe.endswith("Probe")]
    assert bool(probes) == bool(ports), "what listens is probed"
    for probe in probes:
        assert (probe.get("httpGet") or probe["tcpSocket"])["port"] in ports


@pytest.mark.parametrize("name", ["locust-master", "locust-target"])
def test_a_service_finds_one_kind_of_pod_and_the_ports_it_has(name: str) -> None:
    service = found("Service", name)
    (spec,) = (spec for _, spec, labels in pods() if has(labels, service["spec"]["selector"]))
    open_ports = {each["name"]: each["containerPort"] for each in spec["containers"][0]["ports"]}
    assert {each["targetPort"]: each["port"] for each in service["spec"]["ports"]} == open_ports


@pytest.mark.parametrize("name", ["locust-master", "locust-worker"])
def test_a_job_finds_its_locustfile_and_settings(name: str) -> None:
    (spec,) = (spec for each, spec, _ in pods() if each == name)
    (container,) = spec["containers"]
    maps = {volume["name"]: volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume}
    (mount,) = (mount for mount in container["volumeMounts"] if mount["name"] in maps)
    files = {f"{mount['mountPath']}/{file}" for file in found("ConfigMap", maps[mount["name"]])["data"]}
    assert flags(container["args"])["--locustfile"] in files
    for source in container.get("envFrom", ()):
        settings = found("ConfigMap", source["configMapRef"]["name"])["data"]
        assert settings["LOCUST_EXT_RULES"] in files
        assert all(isinstance(value, str) and name.startswith("LOCUST_") for name, value in settings.items())


def test_the_master_expects_the_workers_that_there_are_at_the_address_that_there_is() -> None:
    workers = found("Job", "locust-worker")["spec"]
    settings = found("ConfigMap", "locust-settings")["data"]
    assert {str(workers["parallelism"]), str(workers["completions"])} == {settings["LOCUST_EXPECT_WORKERS"]}
    (container,) = workers["template"]["spec"]["containers"]
    assert flags(container["args"])["--master-host"] == found("Service", "locust-master")["metadata"]["name"]
    target = found("Service", "locust-target")
    assert settings["LOCUST_HOST"] == f"http://{target['metadata']['name']}:{target['spec']['ports'][0]['port']}"


def test_a_run_is_made_once_ends_by_itself_and_has_the_time_to_end_well() -> None:
    for name in ("locust-master", "locust-worker"):
        job = found("Job", name)["spec"]
        assert (job["backoffLimit"], job["template"]["spec"]["restartPolicy"]) == (0, "Never")
    settings = found("ConfigMap", "locust-settings")["data"]
    assert settings["LOCUST_RUN_TIME"].endswith("h")
    grace_s = found("Job", "locust-master")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace_s >= int(settings["LOCUST_STOP_TIMEOUT"]) + 30 + 20  # users; workers' last figures; the last scrape


def test_the_service_monitor_scrapes_the_masters_metrics_as_the_job_that_the_rules_know() -> None:
    monitor = found(OF_OPERATOR, "locust")
    # No package that carries the operator's definition can be had for a test (cloudcoil's is a plugin of pytest that does not
    # load): these keys were read in it, version 0.84.
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert set(monitor["spec"]) == {"jobLabel", "selector", "endpoints"}
    (service,) = (
        each
        for _, each in manifests()
        if each["kind"] == "Service" and has(each["metadata"]["labels"], monitor["spec"]["selector"]["matchLabels"])
    )
    jobs = {job["job_name"] for job in loaded(CONFIG / "prometheus" / "prometheus.yml")["scrape_configs"]}
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "locust"
    assert "locust" in jobs
    (endpoint,) = monitor["spec"]["endpoints"]
    assert set(endpoint) == {"port", "path", "interval", "scrapeTimeout"}
    ports = {each["name"]: each["port"] for each in service["spec"]["ports"]}
    (container,) = found("Job", "locust-master")["spec"]["template"]["spec"]["containers"]
    told = flags(container["args"])
    assert (str(ports[endpoint["port"]]), told["--ext-metrics-host"]) == (told["--ext-metrics-port"], "0.0.0.0")


@pytest.mark.e2e
def test_the_run_of_the_manifests_goes_well(tmp_path: Path) -> None:
    """Their locustfile, rules, settings and arguments, shortened and on this machine."""
    for name, text in found("ConfigMap", "locust-locustfile")["data"].items():
        (tmp_path / name).write_text(text)
    port = str(free_port())
    with server() as target:
        settings = found("ConfigMap", "locust-settings")["data"] | {
            "LOCUST_HOST": target.url,
            "LOCUST_USERS": "4",
            "LOCUST_RUN_TIME": "4s",
            "LOCUST_EXPECT_WORKERS": "1",
            "LOCUST_EXT_RULES": str(tmp_path / "rules.yaml"),
        }
        started = []
        for name, here in (("locust-worker", {"--master-port": port}), ("locust-master", {"--master-bind-port": port})):
            (container,) = found("Job", name)["spec"]["template"]["spec"]["containers"]
            given = flags(container["args"]) | here
            if "--master" in given:
                given |= {"--master-bind-host": "127.0.0.1", "--ext-metrics-host": "127.0.0.1"}
                given |= {"--ext-metrics-port": str(free_port()), "--ext-report-dir": "out"}
            else:
                given["--master-host"] = "127.0.0.1"
            del given["--locustfile"]
            arguments = [f"{flag}={value}" if value else flag for flag, value in given.items()]
            env = settings if "envFrom" in container else {}
            started.append(Locust(*arguments, folder=tmp_path, locustfile=tmp_path / "locustfile.py", env=env))
        worker, master = (each.finish() for each in started)
    assert (worker.code, master.code) == (0, 0), worker.output + master.output
    assert [each["outcome"] for each in master.summary["rules"]] == ["passed", "passed"]
    assert_balanced(master)
    assert master.operations("WS")[0]["ok"] > 0
