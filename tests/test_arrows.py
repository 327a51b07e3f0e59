"""The imports of the package point one way, including late ones; the imports are read from the sources.

run → cli → commands → server, app → web, sockets → extensions, verbs, orders → operations → accounts → core
"""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "realtime_kv"

# the layers of the package from top to bottom: a module imports from lower layers and from its own folder
FLOORS = [
    {"cli", "bootstrap"},
    {"commands", "demo"},
    {"server", "doctor"},
    {"app"},
    {"web", "sockets"},
    {"extensions", "verbs", "orders"},
    {"operations"},
    {"accounts"},
    {"migrations"},
    {"core", "browser_files"},
    {"concurrency"},
    {"errors", "config", "version", "metrics"},
    {"origins"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

# modules of `core` that `concurrency` is built on, while the rest of `core` is built on `concurrency`
BELOW_CORE = {"realtime_kv.core.runtime": "concurrency", "realtime_kv.core.errors": "errors"}

# the third-party packages that a folder may import, if that is limited
THIRD_PARTY = {
    "run": set(),
    "cli": set(),
    "bootstrap": set(),
    "config": set(),
    "origins": set(),
    "browser_files": set(),
    # works from outside, like a third-party program
    "doctor": {"websockets"},
    "core": {"sqlalchemy", "msgspec"},
    "accounts": {"sqlalchemy", "msgspec", "argon2", "zxcvbn", "pyotp", "segno"},
    "concurrency": set(),
    "errors": set(),
    "verbs": {"msgspec"},
    "migrations": {"sqlalchemy", "alembic"},
}

# every module that may name eventlet, which is to be replaced one day
EVENTLET = {"realtime_kv.server", "realtime_kv.server.http", "realtime_kv.server.hub", "realtime_kv.sockets.transport"}
ENGINEIO = {"realtime_kv.sockets.transport"}

# imports below the top of a file, each with a comment there that gives the reason
LATE = {
    ("realtime_kv.cli", "bench.command"),
    ("realtime_kv.cli", "realtime_kv.commands"),
    ("realtime_kv.cli", "realtime_kv.demo"),
    ("realtime_kv.cli", "realtime_kv.doctor"),
    ("realtime_kv.cli", "realtime_kv.server"),
    ("realtime_kv.migrations", "realtime_kv.migrations.steps"),
}


def _modules():
    files = [ROOT / "run.py", *sorted((ROOT / PACKAGE).rglob("*.py"))]
    found = {}
    for file in files:
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(file.read_text())
    return found


MODULES = _modules()


def _imported(node):
    """Yield the modules that this statement names."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are written in full"
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            ours = inner in MODULES or (ROOT / Path(*inner.split("."))).with_suffix(".py").is_file()
            yield inner if ours else node.module


def _imports(name):
    return {module for node in ast.walk(MODULES[name]) for module in _imported(node)}


def _room(name):
    if name in BELOW_CORE:
        return BELOW_CORE[name]
    first, *inner = name.split(".")
    return inner[0] if first == PACKAGE and inner else first


OURS = [name for name in MODULES if name.startswith(f"{PACKAGE}.")]


@pytest.mark.parametrize("name", OURS)
def test_imports_point_only_to_lower_layers(name):
    for other in _imports(name) & set(OURS):
        assert _room(other) == _room(name) or FLOOR[_room(name)] < FLOOR[_room(other)], f"{name} imports {other}"


@pytest.mark.parametrize("name", MODULES)
def test_each_folder_imports_only_its_permitted_libraries(name):
    third_party = {module.split(".")[0] for module in _imports(name)} - set(sys.stdlib_module_names)
    third_party -= {PACKAGE, "bench"}
    assert third_party <= THIRD_PARTY.get(_room(name), third_party)
    if "eventlet" in third_party:
        assert name in EVENTLET
    if "engineio" in third_party:
        assert name in ENGINEIO


def test_import_graph_has_no_cycles_including_late_imports():
    left = {name: _imports(name) & set(MODULES) - {name} for name in MODULES}
    while leaves := [name for name, others in left.items() if not others]:
        left = {name: others.difference(leaves) for name, others in left.items() if others}
    assert left == {}


def test_late_imports_are_exactly_the_listed_ones():
    late = {
        (name, module)
        for name, tree in MODULES.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        for module in _imported(node)
    }
    assert late == LATE


def test_init_modules_of_package_and_core_import_nothing():
    # a parent package is imported before its children: an app factory here would pull Flask into the core
    assert _imports(PACKAGE) == set()
    assert _imports(f"{PACKAGE}.core") == set()
