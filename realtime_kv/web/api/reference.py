"""Verbs and errors on the API page: the tables of docs/protocol.md, and an example of each verb."""

import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup, escape

PROTOCOL = Path(__file__).resolve().parent.parent.parent.parent / "docs" / "protocol.md"

# of each verb: its summary, an example of its payload, and the same in JavaScript
_VERBS: dict[str, tuple[str, dict[str, Any], str]] = {
    "get": ("Reads one key.", {"key": "app/banner"}, 'kv.get("app/banner")'),
    "set": (
        "Writes one key. With ttl it expires after so many seconds.",
        {"key": "app/banner", "value": "Back at noon", "ttl": 3600},
        'await kv.set("app/banner", "Back at noon", { ttl: 3600 })',
    ),
    "delete": (
        "Deletes one key. It lies in the trash for a while; an absent key is no error.",
        {"key": "app/banner"},
        'await kv.delete("app/banner")',
    ),
    "list": (
        "Reads all keys under a prefix, page by page, in byte order.",
        {"prefix": "app/", "limit": 100},
        'kv.entries("app/")',
    ),
    "batch": (
        "Several sets and deletes as one write: all of them or nothing.",
        {"ops": [{"op": "set", "key": "app/theme", "value": "dark"}, {"op": "delete", "key": "app/banner"}]},
        'await kv.batch([{ op: "set", key: "app/theme", value: "dark" }, { op: "delete", key: "app/banner" }])',
    ),
    "delete_prefix": (
        "Deletes all keys under a prefix as one write. With dry_run it only counts them.",
        {"prefix": "app/", "dry_run": True},
        'await kv.deletePrefix("app/", { dryRun: true })',
    ),
    "move": (
        "Renames a key, or everything under a prefix that ends in a slash, as one write.",
        {"from": "app/", "to": "archive/app/"},
        'await kv.move("app/", "archive/app/")',
    ),
    "copy": (
        "Copies a key, or everything under a prefix that ends in a slash, as one write.",
        {"from": "app/banner", "to": "app/banner-2"},
        'await kv.copy("app/banner", "app/banner-2")',
    ),
    "restore": (
        "Writes an earlier value again: that of a deleted key, or that of a revision in the history.",
        {"key": "app/banner", "revision": 1},
        'await kv.restore("app/banner", { revision: 1 })',
    ),
    "undo": (
        "Puts back what the write of a revision replaced, as long as nobody has written there since.",
        {"revision": 2},
        "await kv.undo(2)",
    ),
    "history": (
        "Who wrote what and when, newest first: of one key, or of all.",
        {"key": "app/banner", "limit": 10},
        'await kv.history({ key: "app/banner", limit: 10 })',
    ),
    "trash": ("What has been deleted and can be restored.", {"limit": 10}, "await kv.trash({ limit: 10 })"),
    "sync": (
        "What has changed since a position, or everything; for programs that keep a copy.",
        {},
        "kv.position",
    ),
}
SUMMARIES = {name: summary for name, (summary, _, _) in _VERBS.items()}


class Verb(NamedTuple):
    """A verb on the page; `samples` are by language."""

    name: str
    summary: str
    payload: Markup
    answer: Markup
    samples: dict[str, str]


class Error(NamedTuple):
    """A row of the table of errors."""

    code: Markup
    status: str
    extra: Markup
    when: Markup


def shown(origin: str) -> list[Verb]:
    """Return every verb, with samples that are right for the server at `origin`."""
    signatures = {name.strip("`"): (inline(payload), inline(answer)) for name, payload, answer in _table("| verb |")}
    return [
        Verb(name, summary, *signatures[name], _samples(origin, name, payload, script))
        for name, (summary, payload, script) in _VERBS.items()
    ]


@cache
def refusals() -> list[Error]:
    """Return every error that a caller can receive."""
    return [
        Error(inline(code), status, inline(extra), inline(when)) for code, status, extra, when in _table("| code |")
    ]


def inline(text: str) -> Markup:
    """Convert one line of our own documents to HTML: code, emphasis, and links without their address."""
    html = str(escape(re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text.replace("\\|", "|"))))
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", html)
    html = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", html)
    return Markup(re.sub(r"\*([^*<]+)\*", r"<em>\1</em>", html))  # noqa: S704 (escaped above)


def _samples(origin: str, name: str, payload: dict[str, Any], script: str) -> dict[str, str]:
    text = json.dumps(payload, ensure_ascii=False)
    # Python spells the JSON literals differently
    python = re.sub(r"\btrue\b", "True", text)
    return {
        "curl": (
            f'curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
            f"  -d {shlex.quote(text)} \\\n  {origin}/api/v1/{name}"
        ),
        "javascript": f"console.log({script})",
        "python": f'print(call("{name}", {python}))',
    }


@cache
def _table(head: str) -> list[tuple[str, ...]]:
    """Return the rows of the table whose first line begins with `head`."""
    lines = PROTOCOL.read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(head)) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]))
    return rows
