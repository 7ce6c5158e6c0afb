"""The root package: its public names, fetched lazily."""

import ast
import importlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import locust_ext

NAMES = sorted(set(locust_ext.__all__) - {"__version__"})
HOME_OF = {name: home for home, names in locust_ext._HOMES.items() for name in names}


def in_fresh_interpreter(code: str) -> str:
    """What ``code`` prints in a Python process that has imported nothing of ours."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(locust_ext.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_three_lists_of_public_names_are_one() -> None:
    """``__all__``, the table of homes, and the imports that type checkers and editors read."""
    tree = ast.parse(Path(locust_ext.__file__).read_text(encoding="utf-8"))
    for_checkers = {
        (alias.name, node.module)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert for_checkers == set(HOME_OF.items())
    assert sorted(HOME_OF) == NAMES
    assert sum(len(names) for names in locust_ext._HOMES.values()) == len(HOME_OF), "a name has two homes"


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_the_object_of_its_home(name: str) -> None:
    home = importlib.import_module(HOME_OF[name])
    assert getattr(locust_ext, name) is getattr(home, name)


def test_every_exception_of_the_package_is_public() -> None:
    errors = importlib.import_module("locust_ext.errors")
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert classes == set(locust_ext._HOMES["locust_ext.errors"])


def test_dir_lists_the_public_names_before_they_are_fetched() -> None:
    printed = in_fresh_interpreter("import locust_ext; print(sorted(set(locust_ext.__all__) - set(dir(locust_ext))))")
    assert printed == "[]\n"


def test_submodules_come_from_the_root() -> None:
    code = "from locust_ext import lifecycle, messages; print(lifecycle.__name__, messages.__name__)"
    assert in_fresh_interpreter(code) == "locust_ext.core.lifecycle locust_ext.core.messages\n"


def test_a_user_class_fetched_before_locust_brings_locust_which_patches_first() -> None:
    code = "from locust_ext import WebSocketUser; import socket; print(socket.socket.__module__)"
    assert in_fresh_interpreter(code).startswith("gevent.")


def test_a_star_import_gives_every_public_name() -> None:
    code = "import locust_ext\nfrom locust_ext import *\nprint([n for n in locust_ext.__all__ if n not in globals()])"
    assert in_fresh_interpreter(code) == "[]\n"


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="module 'locust_ext' has no attribute 'WebsocketUser'"):
        locust_ext.WebsocketUser  # noqa: B018
    with pytest.raises(ImportError, match="WebsocketUser"):
        exec("from locust_ext import WebsocketUser")


def test_the_version_is_the_installed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(locust_ext), "__version__", raising=False)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"9.9 of {name}")
    assert locust_ext.__version__ == "9.9 of locust-ext"
    del locust_ext.__version__


def test_the_version_of_a_tree_that_was_never_installed_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.delitem(vars(locust_ext), "__version__", raising=False)
    monkeypatch.setattr(importlib.metadata, "version", version)
    assert locust_ext.__version__ == "0+unknown"
    del locust_ext.__version__
