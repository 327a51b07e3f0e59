"""The imports of the packages point one way, including late ones; the imports are read from the sources.

run → cli → server, app → web, realtime → services → verbs, control_api → maintenance → accounts → storage → core
"""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "realtime_kv"
CLIENT = "realtime_kv_client"

# the layers of the package from top to bottom: a module imports from lower layers and from its own folder
LAYERS = [
    {"cli", "bootstrap"},
    {"demo"},
    {"server", "doctor"},
    {"app"},
    {"web", "realtime"},
    {"services"},
    {"extensions", "verbs", "control_api"},
    {"maintenance", "metrics_history"},
    {"accounts"},
    {"request"},
    # a backend implements core/backend.py: the core knows the interface only
    {"storage"},
    {"core", "static_assets"},
    {"metrics"},
    {"concurrency", "config"},
    {"caller", "clock", "errors", "line_separators", "origins", "version"},
    # a package of its own, which imports nothing of the server
    {CLIENT},
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}

# the third-party packages that a folder may import, if that is limited
THIRD_PARTY = {
    "run": set(),
    "bootstrap": set(),
    # PostgreSQL's connection strings are checked by their own parser
    "config": {"psycopg"},
    "origins": set(),
    "static_assets": set(),
    # work from outside, like a third-party program
    "doctor": set(),
    "demo": set(),
    CLIENT: {"websockets"},
    "storage": {"sqlalchemy", "msgspec", "alembic", "psycopg"},
    "core": {"sqlalchemy", "msgspec"},
    "accounts": {"sqlalchemy", "msgspec", "argon2", "zxcvbn", "pyotp", "segno"},
    "concurrency": set(),
    "errors": set(),
    "verbs": {"msgspec"},
}

# the folders that may use the client; the server itself does not
CLIENT_USERS = {"doctor", "demo"}

# every module outside storage/sqlite/ that may use the driver: the commands that work on the files of a data folder
SQLITE3 = {"realtime_kv.maintenance.backups"}
# the beginning of a statement
SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|PRAGMA|BEGIN|COMMIT|VACUUM|CREATE|DROP|ALTER|ATTACH)\b(?! [a-z])"
)

# every module that may name eventlet, which is to be replaced one day
EVENTLET = {
    "realtime_kv.server.serve",
    "realtime_kv.server.http_server",
    "realtime_kv.server.eventlet_runtime",
    "realtime_kv.server.workers.hand_over",
    "realtime_kv.server.workers.worker",
    "realtime_kv.realtime.engineio.server",
}
ENGINEIO = {"realtime_kv.realtime.engineio.server"}

# imports below the top of a file, each with a comment there that gives the reason
LATE = {
    ("realtime_kv.cli.main", "bench.command"),
    ("realtime_kv.cli.main", "realtime_kv.cli.admin_commands"),
    ("realtime_kv.cli.main", "realtime_kv.demo.command"),
    ("realtime_kv.cli.main", "realtime_kv.doctor.command"),
    ("realtime_kv.cli.main", "realtime_kv.server.serve"),
    ("realtime_kv.config", "psycopg"),
    ("realtime_kv.storage.backends", "realtime_kv.storage.postgres.backend"),
    ("realtime_kv.storage.backends", "realtime_kv.storage.postgres.connections"),
    ("realtime_kv.storage.migrations.upgrade", "realtime_kv.storage.migrations.runner"),
    ("realtime_kv.storage.migrations.upgrade", "realtime_kv.storage.postgres.schema"),
}


def _modules():
    files = [ROOT / "run.py", *sorted((ROOT / PACKAGE).rglob("*.py")), *sorted((ROOT / CLIENT).rglob("*.py"))]
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


def _layer(name):
    first, *inner = name.split(".")
    return inner[0] if first == PACKAGE and inner else first


OURS = [name for name in MODULES if name.startswith((f"{PACKAGE}.", CLIENT))]


@pytest.mark.parametrize("name", OURS)
def test_imports_point_only_to_lower_layers(name):
    for other in _imports(name) & set(OURS):
        assert _layer(other) == _layer(name) or LAYER[_layer(name)] < LAYER[_layer(other)], f"{name} imports {other}"


@pytest.mark.parametrize("name", MODULES)
def test_each_folder_imports_only_its_permitted_libraries(name):
    third_party = {module.split(".")[0] for module in _imports(name)} - set(sys.stdlib_module_names)
    third_party -= {PACKAGE, CLIENT, "bench"}
    assert third_party <= THIRD_PARTY.get(_layer(name), third_party)
    if "eventlet" in third_party:
        assert name in EVENTLET
    if "engineio" in third_party:
        assert name in ENGINEIO


@pytest.mark.parametrize("name", [name for name in OURS if _layer(name) == "core"])
def test_the_core_contains_no_sql(name):
    docstrings = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(MODULES[name])
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    }
    texts = {node.value for node in ast.walk(MODULES[name]) if isinstance(node, ast.Constant)} - docstrings
    assert not [text for text in texts if isinstance(text, str) and SQL.match(text)]
    imported = {alias for node in ast.walk(MODULES[name]) if isinstance(node, ast.ImportFrom) for alias in node.names}
    # connections are passed on to account work
    assert {alias.name for alias in imported if alias.name in {"text", "select", "insert", "Engine"}} == set()


def test_only_the_postgresql_backend_and_the_settings_use_its_driver():
    users = {name for name in OURS if "psycopg" in {module.split(".")[0] for module in _imports(name)}}
    assert {name for name in users if not name.startswith("realtime_kv.storage.postgres")} == {"realtime_kv.config"}


def test_only_the_sqlite_backend_and_the_data_folder_commands_use_the_driver():
    users = {name for name in OURS if "sqlite3" in _imports(name)}
    assert {name for name in users if not name.startswith("realtime_kv.storage.sqlite")} == SQLITE3


def test_only_the_programs_that_work_from_outside_use_the_client():
    users = {_layer(name) for name in MODULES if any(_layer(module) == CLIENT for module in _imports(name))}
    assert users - {CLIENT} == CLIENT_USERS


def test_the_clients_protocol_does_no_io():
    for name in ("engineio", "socketio", "replica", "errors"):
        assert not _imports(f"{CLIENT}.{name}") & {"socket", "ssl", "http.client", "threading", "asyncio", "time"}, name


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
