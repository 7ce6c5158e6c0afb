"""The wheel: what is in it, and that a stranger's empty environment runs a shipped locustfile with it."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


def run(command: Sequence[str | Path], cwd: Path, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
    """Run as from a shell that knows neither this checkout nor the environment of the tests; output goes as text."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LOCUST_", "PYTHON", "PYTEST_")) and name != "VIRTUAL_ENV"
    }
    result = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert result.returncode == 0, f"{' '.join(map(str, command))} gave {result.returncode}:\n{result.stdout}"
    return result


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT], cwd=folder)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel, its extra ``demo``, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    interpreter = folder / "bin" / "python"
    run([interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}[demo]"], cwd=folder)
    return interpreter


def metadata(wheel: Path, name: str) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (member,) = [member for member in archive.namelist() if member.endswith(f".dist-info/{name}")]
        return Parser().parsestr(archive.read(member).decode())


def test_the_wheel_holds_the_package_and_of_other_folders_only_the_shipped_rules_and_the_generic_locustfile(
    wheel: Path,
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        members = {member for member in archive.namelist() if ".dist-info/" not in member}
    files = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "locust_ext").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert members == files | {"locust_ext/config/rules.yaml", "locust_ext/locustfiles/scenario.py"}
    assert "locust_ext/py.typed" in members


def test_the_wheel_says_who_it_is_and_what_it_needs(wheel: Path) -> None:
    facts = metadata(wheel, "METADATA")
    assert facts["Name"] == "locust-ext"
    assert facts["License-Expression"] == "MIT"
    assert facts["Requires-Python"] == ">=3.11"
    assert set(facts.get_all("Provides-Extra") or []) == {"demo", "socks", "test", "ui"}
    assert wheel.name == f"locust_ext-{facts['Version']}-py3-none-any.whl"
    assert metadata(wheel, "WHEEL")["Root-Is-Purelib"] == "true"


def test_a_shipped_locustfile_runs_in_an_empty_environment_from_another_folder(python: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "locustfiles" / "realistic.py", tmp_path)
    shutil.copy(ROOT / "config" / "demo.yaml", tmp_path)
    where = run([python, "-c", "import locust_ext; print(locust_ext.__file__)"], cwd=tmp_path).stdout.strip()
    assert Path(where).is_relative_to(python.parents[1])

    locust = [
        python.with_name("locust"),
        "-f",
        "realistic.py",
        "--headless",
        "-u",
        "5",
        "-r",
        "5",
        "-t",
        "5",
        "-s",
        "5",
    ]
    printed = run([*locust, "--ext-config", "demo.yaml", "--ext-report-dir", "out"], cwd=tmp_path, timeout_s=60).stdout

    assert "Traceback" not in printed
    summary = json.loads((tmp_path / "out" / "summary.json").read_bytes())
    assert {operation["type"] for operation in summary["operations"]} >= {"CONNECT", "WS"}
    assert summary["connection_metrics"]["successful_connections"] >= 5
    assert summary["error_metrics"]["total"] == 0


def test_the_installed_command_knows_its_version_and_its_server(wheel: Path, python: Path, tmp_path: Path) -> None:
    command = python.with_name("locust-ext")
    version = metadata(wheel, "METADATA")["Version"]
    assert run([command, "--version"], cwd=tmp_path).stdout == f"locust-ext {version}\n"
    assert "--port" in run([command, "server", "--help"], cwd=tmp_path).stdout


def test_the_shipped_rules_are_read_from_the_installed_wheel(python: Path, tmp_path: Path) -> None:
    code = (
        "from locust_ext.core.alerts.rules_file import default_path, load_rules\n"
        "print(default_path(), [rule.name for rule in load_rules('default')][0])"
    )
    path, name = run([python, "-c", code], cwd=tmp_path).stdout.strip().split(" ", 1)
    assert Path(path).is_relative_to(python.parents[1])
    assert Path(path).read_text() == (ROOT / "config" / "rules.yaml").read_text()
    assert name == "generator CPU"
