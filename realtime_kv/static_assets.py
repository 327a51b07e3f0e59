"""Static assets: the browser libraries that npm installs, the files of them that are served, and preload lists.

Only the files in `VENDOR` are served from `node_modules`: name under `/static/js/vendor/` → file under `node_modules`.
"""

import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path

from realtime_kv.version import VERSION

# the packages of the editor; each is one file and imports the others by these names
_EDITOR = {
    "@codemirror/state": "dist/index.js",
    "@codemirror/view": "dist/index.js",
    "@codemirror/commands": "dist/index.js",
    "@codemirror/language": "dist/index.js",
    "@codemirror/lang-json": "dist/index.js",
    "@codemirror/streamparser": "dist/index.js",
    "@lezer/common": "dist/index.js",
    "@lezer/highlight": "dist/index.js",
    "@lezer/json": "dist/index.js",
    "@lezer/lr": "dist/index.js",
    "@marijn/find-cluster-break": "src/index.js",
    "crelt": "index.js",
    "style-mod": "src/style-mod.js",
    "w3c-keyname": "index.js",
}

_SANS = "@fontsource-variable/instrument-sans/files"
_MONO = "@fontsource-variable/geist-mono/files"

VENDOR: dict[str, str] = {
    "socket.io.esm.min.js": "socket.io-client/dist/socket.io.esm.min.js",
    "lit-html/lit-html.js": "lit-html/lit-html.js",
    "lit-html/directive.js": "lit-html/directive.js",
    "lit-html/directive-helpers.js": "lit-html/directive-helpers.js",
    "lit-html/directives/repeat.js": "lit-html/directives/repeat.js",
    "lit-html/directives/live.js": "lit-html/directives/live.js",
    "fonts/instrument-sans.woff2": f"{_SANS}/instrument-sans-latin-wght-normal.woff2",
    "fonts/instrument-sans-ext.woff2": f"{_SANS}/instrument-sans-latin-ext-wght-normal.woff2",
    "fonts/geist-mono.woff2": f"{_MONO}/geist-mono-latin-wght-normal.woff2",
    "fonts/geist-mono-ext.woff2": f"{_MONO}/geist-mono-latin-ext-wght-normal.woff2",
    **{f"{package}.js": f"{package}/{file}" for package, file in _EDITOR.items()},
}

# The dashboard's import map. Its text is fixed, because the page's Content-Security-Policy allows it by its hash.
IMPORT_MAP = json.dumps({"imports": {package: f"/static/js/vendor/{package}.js" for package in _EDITOR}})

# static `import … from "…"` and `export … from "…"`, but not `import("…")`, which loads later
_IMPORT = re.compile(r"""^\s*(?:import|export)\b[^"'()]*?["'](\.[^"']+)["']""", re.MULTILINE)
_VENDOR_IMPORT = re.compile(r"""(?:import|from)\s*["'](\.[^"']+)["']""")

_STYLE = re.compile(r"""stylesheet\("([^"]+)"\)""")


def root() -> Path:
    """Return the folder in which npm installs the libraries."""
    return Path(__file__).resolve().parent.parent / "node_modules"


def path(name: str) -> Path | None:
    """Return the file that is served under this name; None for any other name."""
    inside = VENDOR.get(name)
    return root() / inside if inside else None


def missing() -> list[str]:
    """Return the served names whose files are missing."""
    return [name for name, inside in VENDOR.items() if not (root() / inside).is_file()]


@cache
def modules(folder: Path, *first: str) -> tuple[str, ...]:
    """Return the modules that these (names under `folder`, `static/js`) load at once, each after its dependencies."""
    found: dict[str, None] = {}
    for name in first:
        _follow(folder, name, found)
    return tuple(found)


@cache
def styles(folder: Path, modules: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths of the style sheets that these modules wait for before they show anything."""
    ours = [folder / name for name in modules if not name.startswith("vendor/")]
    return tuple(dict.fromkeys(path for file in ours for path in _STYLE.findall(file.read_text())))


def _follow(folder: Path, name: str, found: dict[str, None]) -> None:
    vendored = name.removeprefix("vendor/") if name.startswith("vendor/") else None
    file = folder / name if vendored is None else path(vendored)
    if file is None or not file.is_file() or name in found:
        return
    # registered before its imports are followed, because modules may import each other
    found[name] = None
    pattern = _IMPORT if vendored is None else _VENDOR_IMPORT
    for imported in pattern.findall(file.read_text()):
        _follow(folder, os.path.normpath(f"{Path(name).parent}/{imported}"), found)
    found[name] = found.pop(name)


# our own files that the dashboard never loads
_ELSEWHERE = (
    "js/pages/admin-diagnostics.js",
    "js/pages/api.js",
    "js/pages/forms.js",
    "js/pages/import",
    "js/pages/preferences.js",
    "js/client/auth.js",
    "js/rkv.js",
)
_STYLES = ("base", "forms", "keys", "shell", "code-samples", "difference", "list", "key", "history")


def worker(folder: Path) -> str:
    """Return the service worker's script, with the list of the files it caches and their version."""
    script = (folder / "js" / "service-worker.js").read_text()
    files = [name for name, _ in sorted(_kept_files(folder))]
    return f"const VERSION = {json.dumps(version(folder))}\nconst FILES = {json.dumps(files)}\n{script}"


def version(folder: Path) -> str:
    """Return the version of the service worker's cache; it changes with any cached file or the worker itself."""
    files = [*sorted(_kept_files(folder)), ("", folder / "js" / "service-worker.js")]
    seen = [(name, file.stat().st_size, file.stat().st_mtime_ns) for name, file in files]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]


@cache
def build() -> str:
    """Return an identifier of all browser code of this server; it changes with any script, style sheet or library."""
    folder = root().parent / "static"
    files = [*sorted(folder.rglob("*.js")), *sorted(folder.rglob("*.css"))]
    seen = hashlib.sha256(VERSION.encode())
    for name, file in [(str(file.relative_to(folder)), file) for file in files] + _libraries():
        seen.update(name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return seen.hexdigest()[:16]


def _libraries() -> list[tuple[str, Path]]:
    return [(name, file) for name in sorted(VENDOR) if (file := path(name)) is not None and file.is_file()]


def _kept_files(folder: Path) -> list[tuple[str, Path]]:
    scripts = [(f"js/{file.relative_to(folder / 'js').as_posix()}", file) for file in (folder / "js").rglob("*.js")]
    styles = [(f"css/{name}.css", folder / "css" / f"{name}.css") for name in _STYLES]
    ours = [*scripts, *styles, ("icon.svg", folder / "icon.svg")]
    kept = [(f"/static/{name}", file) for name, file in ours if not name.startswith(_ELSEWHERE) and file.is_file()]
    theirs = [(f"/static/js/vendor/{name}", root() / inside) for name, inside in VENDOR.items()]
    return kept + [(name, file) for name, file in theirs if file.is_file()]
