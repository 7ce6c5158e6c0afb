"""A skip for want of a tool is a skip on a developer's machine, and a failure where every tool is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = """
import pytest

@pytest.fixture
def tool():
    pytest.skip("needs chromium")

def test_in_a_fixture(tool): ...
def test_by_a_call(): pytest.skip("needs openssl")
@pytest.mark.skipif(True, reason="needs prometheus")
def test_by_a_mark(): ...
def test_for_another_reason(): pytest.skip("only on macOS")
@pytest.mark.xfail(strict=True)
def test_known_to_fail(): assert False
"""

MODULE = 'import pytest\npytest.skip("needs docker", allow_module_level=True)\n'


def summary(folder: Path, no_skips: str) -> str:
    """The last line that pytest prints over ``SKIPS`` and ``MODULE``."""
    (folder / "conftest.py").write_text(Path(__file__).with_name("conftest.py").read_text(encoding="utf-8"))
    (folder / "test_skips.py").write_text(SKIPS)
    (folder / "test_module.py").write_text(MODULE)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder), "--continue-on-collection-errors"],
        cwd=folder,
        env={**os.environ, "LOCUST_EXT_NO_SKIPS": no_skips},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.stdout.splitlines()[-1].strip("= ").rpartition(" in ")[0]


@pytest.mark.parametrize(
    ("no_skips", "expected"), [("", "5 skipped, 1 xfailed"), ("1", "1 failed, 1 skipped, 1 xfailed, 3 errors")]
)
def test_a_skip_that_needs_something_fails_only_with_no_skips(tmp_path: Path, no_skips: str, expected: str) -> None:
    assert summary(tmp_path, no_skips) == expected
