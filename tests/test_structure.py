"""Sizes of files and folders: a long file gives the reason, and a folder has a limited number of modules."""

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 320
MAX_MODULES = 18
REASON = "Longer than 320 lines: "


def _sources():
    packages = [file for name in ("realtime_kv", "realtime_kv_client") for file in (ROOT / name).rglob("*.py")]
    files = [*packages, *(ROOT / "static" / "js").rglob("*.js"), ROOT / "run.py"]
    return [file for file in files if "versions" not in file.parts and "vendor" not in file.parts]


def test_long_files_say_why_they_are_not_split():
    for file in _sources():
        text = file.read_text()
        assert (REASON in text) == (text.count("\n") > MAX_LINES), file.relative_to(ROOT)


def test_no_folder_has_too_many_modules():
    count = Counter(file.parent for file in _sources() if file.name != "__init__.py")
    assert [str(folder) for folder, modules in count.items() if modules > MAX_MODULES] == []
    assert len(count) > 40
