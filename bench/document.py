"""Writes results into `docs/`: the plots as files, the tables between their marks in `benchmarks.md`."""

import re
from pathlib import Path


def write(docs: Path, machine: list[str], tables: dict[str, list[str]], plots: dict[str, str]) -> None:
    """Replace the results of the parts measured now; the rest stays."""
    folder = docs / "bench"
    folder.mkdir(exist_ok=True)
    for name, svg in plots.items():
        (folder / f"{name}.svg").write_text(svg)
    page = docs / "benchmarks.md"
    text = page.read_text()
    for part, rows in tables.items():
        text = replaced(text, part, [*machine, "", *rows])
    page.write_text(text)


def replaced(text: str, part: str, rows: list[str]) -> str:
    """Return the page with these rows as the results of this part. Raises ValueError if it has no place for them."""
    block = "\n".join([f"<!-- {part} -->", "```", *rows, "```", f"<!-- end of {part} -->"])
    text, count = re.subn(rf"<!-- {part} -->.*?<!-- end of {part} -->", lambda _: block, text, count=1, flags=re.DOTALL)
    if not count:
        raise ValueError(f"docs/benchmarks.md has no place for the figures of {part}")
    return text
