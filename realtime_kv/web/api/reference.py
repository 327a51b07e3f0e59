"""Verbs and errors on the API page: the tables of docs/protocol.md, and the examples of the verb registry."""

import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from realtime_kv.verbs.registry import VERBS

PROTOCOL = Path(__file__).resolve().parent.parent.parent.parent / "docs" / "protocol.md"


class DocumentedVerb(NamedTuple):
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


def verb_docs(origin: str) -> list[DocumentedVerb]:
    """Return every verb, with samples that are right for the server at `origin`."""
    signatures = {name.strip("`"): (inline(payload), inline(answer)) for name, payload, answer in _table("| verb |")}
    return [
        DocumentedVerb(name, verb.summary, *signatures[name], _samples(origin, name, verb.example, verb.javascript))
        for name, verb in VERBS.items()
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
