"""The browser libraries that npm installs, and the few files of them that we serve.

Only what stands in `VENDOR` leaves `node_modules`: the name under `/static/js/vendor/` → the file under `node_modules`.
"""

from pathlib import Path

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
}


def root() -> Path:
    """Where npm put the libraries."""
    return Path(__file__).resolve().parent.parent / "node_modules"


def path(name: str) -> Path | None:
    """The file that is served under this name; None for any other name."""
    inside = VENDOR.get(name)
    return root() / inside if inside else None


def missing() -> list[str]:
    """The served names whose files are not there."""
    return [name for name, inside in VENDOR.items() if not (root() / inside).is_file()]
