"""``config/compose.yaml`` and ``config/Dockerfile``: valid, closed to the outside, and of one piece with what they start."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from locust_ext.refserver.__main__ import build_parser
from tests.config.files import CONFIG, flags, loaded

ROOT = CONFIG.parent
COMPOSE: dict[str, Any] = loaded(CONFIG / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of each line of the Dockerfile."""
    lines = (CONFIG / "Dockerfile").read_text().splitlines()
    return [(word, rest) for word, _, rest in (each.partition(" ") for each in lines if each and each[0] != "#")]


def copies(stage: int) -> list[list[str]]:
    """Words of each COPY from the checkout in the stage of that number."""
    number, found = -1, []
    for word, rest in instructions():
        number += word == "FROM"
        if number == stage and word == "COPY" and not rest.startswith("--from"):
            found.append(shlex.split(rest))
    return found


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ("vendor.compose-spec", "compose.yaml"),
        ("vendor.github-workflows", "ci/github-actions.yml"),
        ("vendor.gitlab-ci", "ci/gitlab-ci.yml"),
    ],
)
def test_a_file_fits_its_published_schema(schema: str, path: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(CONFIG / path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_whole_picture_is_there_and_nothing_is_published_beyond_this_machine() -> None:
    assert list(SERVICES) == ["server", "master", "worker", "prometheus", "grafana"]
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert sorted(int(port.split(":")[1]) for port in ports) == [3000, 8089, 9090]
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_service_waits_for_what_it_needs_and_what_is_waited_for_can_be_healthy() -> None:
    assert {name: set(service.get("depends_on", ())) for name, service in SERVICES.items()} == {
        "server": set(),
        "master": {"server"},
        "worker": {"master"},
        "prometheus": {"master"},
        "grafana": {"prometheus"},
    }
    for service in SERVICES.values():
        for name, each in service.get("depends_on", {}).items():
            assert each["condition"] != "service_healthy" or "healthcheck" in SERVICES[name]


def test_what_is_mounted_exists_and_cannot_be_written_to() -> None:
    mounts = [each.split(":") for service in SERVICES.values() for each in service.get("volumes", ())]
    assert mounts
    for source, target, *mode in mounts:
        if source.startswith("."):
            assert (CONFIG / source).is_dir(), source
            assert mode == ["ro"], target
        else:
            assert source in COMPOSE["volumes"]


def test_the_addresses_are_those_of_the_services_and_of_prometheus_jobs() -> None:
    master = flags(SERVICES["master"]["command"])
    served = build_parser().parse_args(SERVICES["server"]["command"][1:])
    for flag in ("--host", "--ext-agent-host", "--ext-target-metrics"):
        address = urlsplit(master[flag])
        assert (address.hostname, address.port) == ("server", served.port)
    assert (master["--ext-metrics-host"], served.host) == ("0.0.0.0", "0.0.0.0")
    assert flags(SERVICES["worker"]["command"])["--master-host"] == "master"
    assert int(master["--expect-workers"]) == SERVICES["worker"]["deploy"]["replicas"]
    jobs = loaded(CONFIG / "prometheus" / "prometheus.yml")["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}
    assert targets == {"locust": [f"master:{master['--ext-metrics-port']}"], "target": [f"server:{served.port}"]}
    assert {master["--locustfile"], master["--ext-rules"], master["--ext-config"]} <= set(_inside())


def _inside() -> list[str]:
    """Files of the image's working folder."""
    found = []
    for *sources, target in copies(1):
        for path in (path for source in sources for path in ROOT.glob(source)):
            files = path.rglob("*") if path.is_dir() else [path]
            base = path if path.is_dir() else path.parent
            found += [str(Path(target) / each.relative_to(base)) for each in files]
    return found


def test_the_load_ends_by_itself() -> None:
    assert re.fullmatch(r"\d+m", flags(SERVICES["master"]["command"])["--run-time"])


def test_the_image_runs_as_nobody_in_particular_under_the_number_that_kubernetes_is_told() -> None:
    words = dict(instructions())
    assert words["USER"] == "10001"
    assert words["ENTRYPOINT"] == '["locust"]'
    assert "useradd --uid 10001" in (CONFIG / "Dockerfile").read_text()
    last_from = max(index for index, (word, _) in enumerate(instructions()) if word == "FROM")
    assert "pip" not in " ".join(rest for word, rest in instructions()[last_from:] if word == "RUN")


def test_what_the_image_copies_exists_and_is_sent_to_docker() -> None:
    allowed = [each[1:] for each in (CONFIG / "Dockerfile.dockerignore").read_text().splitlines() if each[:1] == "!"]
    sources = [source for stage in (0, 1) for *sources, _ in copies(stage) for source in sources]
    assert len(sources) >= 6
    for source in sources:
        assert list(ROOT.glob(source)), source
        assert source.split("/")[0] in allowed
    assert {each for each in allowed if not any(source.split("/")[0] == each for source in sources)} == set()


def test_what_the_build_stage_copies_is_enough_to_build_the_package(tmp_path: Path) -> None:
    context = tmp_path / "src"
    for *sources, target in copies(0):
        for source in sources:
            path = ROOT / source
            there = context / target / (path.name if target.endswith("/") else "")
            there.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, there, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, there)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(context)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {"locust_ext/config/rules.yaml", "locust_ext/py.typed", "locust_ext/refserver/__main__.py"} <= held
    (install,) = (rest for word, rest in instructions() if word == "RUN" and "pip install" in rest)
    extras = re.search(r"\.\[([\w,]+)\]", install)
    assert extras is not None
    assert "demo" in extras[1].split(","), "`locust-ext server` needs it"
