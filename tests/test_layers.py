"""The architecture, kept: who may import whom (DESIGN.md, README "Architecture"), and what a pure folder may not use.

Read from the source of every module, so that an import inside a function or under ``TYPE_CHECKING`` counts too.
"""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import locust_ext

PACKAGE = Path(locust_ext.__file__).parent

# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────────────────

LAYERS = {
    "locust_ext.errors": "errors",
    "locust_ext.masking": "errors",
    "locust_ext.model": "model",
    "locust_ext.settings": "model",
    "locust_ext.core": "core",
    "locust_ext.outputs": "outputs",
    "locust_ext.runtime": "runtime",
    "locust_ext.plugin": "plugin",
    "locust_ext.refserver": "refserver",
    "locust_ext.suite": "suite",
    "locust_ext.cli": "root",
    "locust_ext.report": "root",
    "locust_ext.metrics_command": "root",
    "locust_ext.settings_command": "root",
    "locust_ext.settings_check": "root",
    "locust_ext": "root",
    "gevent": "gevent",
    "geventhttpclient": "gevent",
    "greenlet": "gevent",
    "locust": "locust, flask",
    "flask": "locust, flask",
    "flask_cors": "locust, flask",
    "flask_login": "locust, flask",
    "werkzeug": "locust, flask",
}
"""What belongs to which layer: the longest prefix decides. Other libraries belong to none."""

MAY_IMPORT = {
    "errors": {"errors", "model"},
    "model": {"errors", "model"},
    "core": {"errors", "model", "core"},
    "outputs": {"errors", "model", "outputs"},
    "runtime": {"errors", "model", "core", "runtime", "gevent"},
    "plugin": {"errors", "model", "core", "outputs", "runtime", "plugin", "gevent", "locust, flask"},
    "refserver": {"errors", "refserver"},
    "suite": {"errors", "model", "core", "outputs", "suite"},
    "root": {"errors", "root"},
}
"""Layer -> the layers it may import; from the root (``__init__.py``, ``cli.py``) this holds when it is imported."""

COMPOSES = "root"
"""The layer that may import all others lazily: inside functions, or for type checkers."""

PURE = {"core", "outputs"}

IMPURE_MODULES = {
    *("socket", "ssl", "select", "selectors", "websocket", "requests", "urllib.request", "http.client"),
    *("threading", "multiprocessing", "concurrent", "asyncio", "subprocess", "signal", "sched", "secrets"),
    *("logging.config", "logging.handlers"),
}
"""Not importable in a pure layer: sockets, threads, processes, and the set-up of logging."""

IMPURE_NAMES = {
    "the clock": {
        *("time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.sleep"),
        *(
            "time.perf_counter_ns",
            "time.process_time",
            "time.process_time_ns",
            "time.thread_time",
            "time.clock_gettime",
        ),
        *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
    },
    "global chance": {"random.SystemRandom", "os.urandom", "os.getrandom", "uuid.uuid1", "uuid.uuid4"},
    "logging set-up": {
        *("logging.basicConfig", "logging.disable", "logging.captureWarnings", "logging.setLoggerClass"),
        *("logging.StreamHandler", "logging.FileHandler", "logging.root"),
    },
}
"""Not usable in a pure layer, not even as a default argument. Of ``random`` only ``Random`` may be used."""

LOGGER_SET_UP = {"addHandler", "removeHandler", "setLevel", "addFilter"}

# ── the check ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, order=True)
class Violation:
    file: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence}"


@dataclass(frozen=True)
class Import:
    target: str
    line: int
    is_lazy: bool


def layer_of(name: str) -> str | None:
    """The layer of a dotted module name; None for a library without one and for a stranger inside our package."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in LAYERS and not (prefix == "locust_ext" and length < len(parts)):
            return LAYERS[prefix]
    return None


def is_module(name: str) -> bool:
    """Whether ``name`` is a module of ours. Nothing is imported but our root, which imports nothing."""
    path = PACKAGE.parent / Path(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def imports(tree: ast.Module, module: str, is_package: bool = False) -> Iterator[Import]:
    """Every import of a module, absolute, with ``from package import submodule`` resolved to the submodule."""

    def targets(node: ast.AST) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                package = module if is_package else module.rpartition(".")[0]
                source = importlib.util.resolve_name("." * node.level + source, package)
            homes = {name: home for home, names in locust_ext._HOMES.items() for name in names}
            found = []
            for alias in node.names:
                home = homes.get(alias.name) if source == "locust_ext" else None
                submodule = f"{source}.{alias.name}"
                found.append(home or (submodule if is_module(submodule) else source))
            return found
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                return [node.args[0].value]
        return []

    def walk(node: ast.AST, is_lazy: bool) -> Iterator[Import]:
        for target in targets(node):
            yield Import(target, getattr(node, "lineno", 0), is_lazy)
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for child in node.body:
                yield from walk(child, True)
            for child in node.orelse:
                yield from walk(child, is_lazy)
            return
        inside_function = is_lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside_function)

    return walk(tree, False)


def impurities(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Uses of the clock, of global chance and of logging set-up, under whatever name they were imported."""
    origins: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                origins[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                origins[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield from _impure(f"{node.module}.{alias.name}", node.lineno)

    def dotted(node: ast.AST) -> str | None:
        if isinstance(node, ast.Name):
            return origins.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = dotted(node.value)
            return f"{owner}.{node.attr}" if owner else None
        return None

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = dotted(node)
            if name:
                yield from _impure(name, node.lineno)
        elif isinstance(node, ast.Call):
            if dotted(node.func) == "random.Random" and not node.args and not node.keywords:
                yield node.lineno, "random.Random() without a seed (global chance)"
            if "logging" in origins.values() and getattr(node.func, "attr", "") in LOGGER_SET_UP:
                yield node.lineno, f"{getattr(node.func, 'attr', '')}() (logging set-up)"


def _impure(name: str, line: int) -> Iterator[tuple[int, str]]:
    for kind, names in IMPURE_NAMES.items():
        if name in names:
            yield line, f"{name} ({kind})"
    if name.startswith("random.") and name.count(".") == 1 and name not in ("random.Random", "random.SystemRandom"):
        yield line, f"{name} (global chance)"


def violations(source: str, module: str, file: str, is_package: bool = False) -> list[Violation]:
    """What the module's source does that its layer may not, in the order of its lines."""
    layer = layer_of(module)
    if layer is None:
        return [Violation(file, 1, f"{module} belongs to no layer: put it into one, or add it to the table")]
    tree = ast.parse(source, file)
    found = []
    for entry in imports(tree, module, is_package):
        target_layer = layer_of(entry.target)
        if target_layer is None and entry.target.partition(".")[0] == "locust_ext":
            found.append(Violation(file, entry.line, f"{layer} may not import {entry.target}, which is in no layer"))
        elif target_layer and target_layer not in MAY_IMPORT[layer] and not (layer == COMPOSES and entry.is_lazy):
            found.append(Violation(file, entry.line, f"{layer} may not import {entry.target} ({target_layer})"))
        if layer in PURE and any((entry.target + ".").startswith(f"{name}.") for name in IMPURE_MODULES):
            found.append(Violation(file, entry.line, f"{layer} is pure and may not import {entry.target}"))
    if layer in PURE:
        found += [Violation(file, line, f"{layer} is pure and may not use {what}") for line, what in impurities(tree)]
    return sorted(set(found))


# ── the package ───────────────────────────────────────────────────────────────────────────────────────────────────────


def modules(folder: Path = PACKAGE) -> list[tuple[str, Path]]:
    """(dotted name, file) of every module under ``folder``, a package itself before what is in it."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def test_every_module_keeps_to_its_layer() -> None:
    found = [
        str(violation)
        for name, path in modules()
        for violation in violations(
            path.read_text(encoding="utf-8"),
            name,
            str(path.relative_to(PACKAGE.parent)),
            path.name == "__init__.py",
        )
    ]
    assert not found, "\n" + "\n".join(found)


LOADS = """
import importlib, sys
unwanted = sys.argv[1].split(",")
already = [name for name in unwanted if name in sys.modules]
assert not already, f"loaded by the interpreter's start-up: {already}"
for module in sys.argv[2:]:
    importlib.import_module(module)
    loaded = [name for name in unwanted if name in sys.modules]
    if loaded:
        sys.exit(f"{module} pulls in {', '.join(loaded)}")
"""


def pulled_in(unwanted: str, *names: str) -> str:
    """Import the modules in a fresh interpreter; the first that loads something unwanted, in a sentence, or ""."""
    result = subprocess.run(
        [sys.executable, "-c", LOADS, unwanted, *names],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return result.stderr.strip()


@pytest.mark.parametrize("folder", sorted(PURE))
def test_importing_a_pure_folder_pulls_in_neither_gevent_nor_locust_nor_flask(folder: str) -> None:
    names = [name for name, _ in modules(PACKAGE / folder)]
    assert len(names) > 3
    assert pulled_in("gevent,locust,flask", *names) == ""


def test_the_suite_command_pulls_in_neither_gevent_nor_locust_nor_flask() -> None:
    names = [name for name, _ in modules(PACKAGE / "suite")]
    assert len(names) > 3
    assert pulled_in("gevent,locust,flask", *names, "locust_ext.plugin.reports") == ""


def test_importing_the_core_opens_no_ssl_before_locust_has_patched_it() -> None:
    assert pulled_in("ssl,websocket,requests", *[name for name, _ in modules(PACKAGE / "core")]) == ""


def test_importing_the_root_package_is_light() -> None:
    assert pulled_in("gevent,locust,flask,pydantic,yaml,orjson", "locust_ext") == ""


def test_the_subprocess_check_finds_what_it_looks_for() -> None:
    assert pulled_in("json", "locust_ext", "json.decoder") == "json.decoder pulls in json"


# ── the check itself ──────────────────────────────────────────────────────────────────────────────────────────────────

MADE_UP = """\
import json, gevent.queue
from locust import User
from typing import TYPE_CHECKING
from locust_ext import WebSocketUser, errors
from ..runtime import driver
import time as t
from random import random, Random
import logging

if TYPE_CHECKING:
    from locust_ext.plugin import intake

def late(now=t.monotonic):
    import socket
    from flask import request
    importlib.import_module("gevent")
    log = logging.getLogger(__name__)
    log.setLevel(10)
    return Random(), Random(1), t.strftime("%H")
"""


def sentences(source: str, module: str, is_package: bool = False) -> list[str]:
    return [str(violation) for violation in violations(source, module, "x.py", is_package)]


def test_the_check_finds_each_kind_of_violation_with_file_and_line() -> None:
    assert sentences(MADE_UP, "locust_ext.core.made_up") == [
        "x.py:1: core may not import gevent.queue (gevent)",
        "x.py:2: core may not import locust (locust, flask)",
        "x.py:4: core may not import locust_ext.plugin.users.websocket (plugin)",
        "x.py:5: core may not import locust_ext.runtime.driver (runtime)",
        "x.py:7: core is pure and may not use random.random (global chance)",
        "x.py:11: core may not import locust_ext.plugin.intake (plugin)",
        "x.py:13: core is pure and may not use time.monotonic (the clock)",
        "x.py:14: core is pure and may not import socket",
        "x.py:15: core may not import flask (locust, flask)",
        "x.py:16: core may not import gevent (gevent)",
        "x.py:18: core is pure and may not use setLevel() (logging set-up)",
        "x.py:19: core is pure and may not use random.Random() without a seed (global chance)",
    ]


def test_the_same_source_is_judged_by_its_own_layer() -> None:
    assert sentences(MADE_UP, "locust_ext.plugin.made_up") == []
    assert sentences("import gevent\nimport locust\nimport time\ntime.time()\n", "locust_ext.runtime.made_up") == [
        "x.py:2: runtime may not import locust (locust, flask)"
    ]
    assert sentences("from locust_ext import errors, model\nimport aiohttp\n", "locust_ext.refserver.made_up") == [
        "x.py:1: refserver may not import locust_ext.model (model)"
    ]
    assert sentences("from locust_ext.core import pacing\n", "locust_ext.outputs.made_up") == [
        "x.py:1: outputs may not import locust_ext.core.pacing (core)"
    ]
    assert sentences("import locust_ext.refserver.state\n", "locust_ext.plugin.made_up") == [
        "x.py:1: plugin may not import locust_ext.refserver.state (refserver)"
    ]


def test_a_relative_import_is_resolved_from_a_package_as_from_a_module() -> None:
    expected = ["x.py:1: outputs may not import locust_ext.core (core)"]
    assert sentences("from ..core import nothing\n", "locust_ext.outputs", True) == expected
    assert sentences("from ..core import nothing\n", "locust_ext.outputs.made_up") == expected


def test_the_root_composes_lazily_only() -> None:
    lazily = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import locust\ndef f():\n    import gevent\n"
    assert sentences(lazily, "locust_ext.cli") == []
    assert sentences("import locust_ext.core.pacing\n", "locust_ext.cli") == [
        "x.py:1: root may not import locust_ext.core.pacing (core)"
    ]
    assert sentences("if not TYPE_CHECKING:\n    import gevent\n", "locust_ext") == [
        "x.py:2: root may not import gevent (gevent)"
    ]
    assert sentences("import typing\nif typing.TYPE_CHECKING:\n    pass\nelse:\n    import gevent\n", "locust_ext") == [
        "x.py:5: root may not import gevent (gevent)"
    ]


def test_a_module_outside_every_layer_is_a_violation_too() -> None:
    assert sentences("", "locust_ext.utils") == [
        "x.py:1: locust_ext.utils belongs to no layer: put it into one, or add it to the table"
    ]
    assert sentences("import locust_ext.utils\n", "locust_ext.plugin.made_up") == [
        "x.py:1: plugin may not import locust_ext.utils, which is in no layer"
    ]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import datetime\ndatetime.datetime.now()\n", "datetime.datetime.now (the clock)"),
        ("from datetime import datetime as d\nd.now()\n", "datetime.datetime.now (the clock)"),
        ("import time\n[time.time]\n", "time.time (the clock)"),
        ("import uuid\nuuid.uuid4().hex\n", "uuid.uuid4 (global chance)"),
        ("import random as r\nr.shuffle([])\n", "random.shuffle (global chance)"),
        ("import logging\nlogging.basicConfig()\n", "logging.basicConfig (logging set-up)"),
    ],
)
def test_a_pure_layer_may_use_no_clock_chance_or_logging_set_up(source: str, what: str) -> None:
    for layer in sorted(PURE):
        assert sentences(source, f"locust_ext.{layer}.made_up") == [f"x.py:2: {layer} is pure and may not use {what}"]


def test_a_pure_layer_may_take_time_and_chance_as_arguments() -> None:
    source = "import random, datetime, logging\ndef f(rng: random.Random, at):\n    return datetime.datetime(1, 1, 1)\n"
    assert sentences(source + "logging.getLogger(__name__).warning('once')\n", "locust_ext.core.made_up") == []
