"""A disk with exactly the guarantees of POSIX: synced data survives a power cut, all else may survive or not.

A file's data is durable up to its last sync, whole; a name up to the last sync of its folder. Later changes may be on
the disk or not, sector by sector and name by name, in any combination.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.robustness.powercut.layer import Kind, Record


@dataclass(eq=False)
class File:
    """`durable`: the guaranteed data. `pending`: writes and truncations since, as (offset, data) and (size, None)."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    is_folder: bool = False

    def sync(self) -> None:
        for offset, data in self.pending:
            _apply(self.durable, offset, data)
        self.pending.clear()


@dataclass(slots=True, frozen=True)
class Naming:
    """A change of names in one folder: `new` leads to `file`, `old` to nothing any more."""

    new: str | None
    old: str | None
    file: File | None


class Disk:
    """Starts with the content of a folder, all of it durable; then takes the records of a layer."""

    def __init__(self, root: Path) -> None:
        self._names: dict[str, File] = {}
        self._durable_names: dict[str, File] = {}
        self._pending_names: dict[str, list[Naming]] = {}
        self._inodes: dict[int, tuple[str, File]] = {}
        for path in sorted(root.rglob("*")):
            file = File(is_folder=True) if path.is_dir() else File(bytearray(path.read_bytes()))
            name = str(path.relative_to(root))
            self._names[name] = self._durable_names[name] = file
            self._inodes[path.stat().st_ino] = (name, file)
        self._inodes[root.stat().st_ino] = ("", File(is_folder=True))

    def replay(self, records: Iterable[Record]) -> None:
        """Apply all records, in order."""
        for record in records:
            self._take(record)

    def unsynced(self, name: str) -> bool:
        """Return whether a file had writes that were not on the disk when the power went."""
        return name in self._names and bool(self._names[name].pending)

    def everything(self) -> dict[str, bytes]:
        """Return the content that a reader saw before the power went."""
        return _contents(self._names, 512, lambda: True)

    def after_cut(self) -> dict[str, bytes]:
        """Return the guaranteed content of the disk: all synced data."""
        return _contents(self._durable_names, 512, lambda: False)

    def torn_by_cut(self, chance: random.Random, keep: float, sector: int) -> dict[str, bytes]:
        """Return another possible content: each unsynced name and sector is kept with probability `keep`."""
        names = dict(self._durable_names)
        for namings in self._pending_names.values():
            for naming in namings:
                if chance.random() < keep:
                    _rename(names, naming)
        return _contents(names, sector, lambda: chance.random() < keep)

    def _take(self, record: Record) -> None:
        match record.kind:
            case Kind.CREATE:
                file = File(is_folder=bool(record.length))
                self._inodes[record.inode] = (record.name, file)
                self._name(Naming(record.name, None, file))
            case Kind.FOLDER:
                self._inodes[record.inode] = (record.name, File(is_folder=True))
            case Kind.WRITE:
                self._inodes[record.inode][1].pending.append((record.offset, record.data))
            case Kind.TRUNCATE:
                self._inodes[record.inode][1].pending.append((record.length, None))
            case Kind.SYNC:
                self._inodes[record.inode][1].sync()
            case Kind.SYNC_FOLDER:
                for naming in self._pending_names.pop(self._inodes[record.inode][0], ()):
                    _rename(self._durable_names, naming)
            case Kind.UNLINK:
                self._name(Naming(None, record.name, None))
            case Kind.RENAME | Kind.LINK:
                old = record.name if record.kind is Kind.RENAME else None
                self._name(Naming(record.data.decode(), old, self._names[record.name]))

    def _name(self, naming: Naming) -> None:
        _rename(self._names, naming)
        self._pending_names.setdefault(_folder(naming.new or naming.old or ""), []).append(naming)


def write_out(image: dict[str, bytes], root: Path) -> None:
    """Write `image` into an empty folder."""
    for name, data in image.items():
        path = root / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(data)


def _rename(names: dict[str, File], naming: Naming) -> None:
    if naming.old is not None:
        names.pop(naming.old, None)
    if naming.new is not None and naming.file is not None:
        names[naming.new] = naming.file


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _reachable(name: str, names: dict[str, File]) -> bool:
    folder = _folder(name)
    return not folder or (folder in names and _reachable(folder, names))


def _contents(names: dict[str, File], sector: int, arrives: Callable[[], bool]) -> dict[str, bytes]:
    return {
        name: _content(file, sector, arrives)
        for name, file in names.items()
        if not file.is_folder and _reachable(name, names)
    }


def _content(file: File, sector: int, arrives: Callable[[], bool]) -> bytes:
    content = bytearray(file.durable)
    for offset, data in file.pending:
        if data is None:
            if arrives():
                _apply(content, offset, None)
            continue
        at = 0
        while at < len(data):
            # a sector arrives whole or not at all; any of several writes to it may be the last that arrived
            until = min(len(data), at + sector - (offset + at) % sector)
            if arrives():
                _apply(content, offset + at, data[at:until])
            at = until
    return bytes(content)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    """Write `data`, or make the content `offset` long; a gap reads as zeros."""
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data
