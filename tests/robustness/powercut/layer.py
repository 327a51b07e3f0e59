"""Builds the C layer, starts a program on it, and reads its log."""

import mmap
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self

SOURCE = Path(__file__).with_name("layer.c")

_HEAD = struct.Struct("=IIQQQ")
_MAINS = struct.Struct("=qq")


class CannotBuild(Exception):
    """The reason why there is no layer, as a sentence that says what to do."""


class Kind(IntEnum):
    """The operations of layer.c."""

    CREATE = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    SYNC_FOLDER = 5
    UNLINK = 6
    RENAME = 7
    LINK = 8
    FOLDER = 9


@dataclass(slots=True, frozen=True)
class Record:
    """One executed call. `data` is the written data or the new name; `length` the new size."""

    kind: Kind
    name: str
    inode: int
    offset: int
    length: int
    data: bytes


def build(folder: Path) -> Path:
    """Compile the layer; return its path. Raises CannotBuild."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not sys.platform.startswith("linux"):
        raise CannotBuild("The power-cut layer is put under the server with LD_PRELOAD: run this on Linux.")
    if compiler is None:
        raise CannotBuild(
            "The power-cut layer is a small C library: install a C compiler (apt-get install gcc libc6-dev)."
        )
    library = folder / "layer.so"
    command = [compiler, "-O2", "-Wall", "-shared", "-fPIC", "-o", library, SOURCE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuild(f"{compiler} could not build the power-cut layer:\n{done.stderr}")
    return library


class Mains:
    """The power supply of one disk: how long it lasts, and the log of the calls executed until then."""

    def __init__(self, library: Path, root: Path, log: Path) -> None:
        self.log = log
        self._switch = log.with_suffix(".switch")
        self._switch.write_bytes(bytes(mmap.PAGESIZE))
        log.write_bytes(b"")
        self.environ = {
            "LD_PRELOAD": str(library),
            "POWERCUT_ROOT": str(root),
            "POWERCUT_LOG": str(log),
            "POWERCUT_SWITCH": str(self._switch),
        }
        with self._switch.open("r+b") as file:
            self._mains = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._mains.close()

    def lasts(self, calls: int) -> None:
        """Cut the power before the `calls`th call from now."""
        self._mains[:8] = calls.to_bytes(8, sys.byteorder)

    @property
    def calls(self) -> int:
        """The number of calls so far."""
        return int(_MAINS.unpack_from(self._mains)[1])

    def records(self) -> Iterator[Record]:
        """Yield the executed calls, in order."""
        data = self.log.read_bytes()
        at = 0
        while at < len(data):
            kind, name_length, inode, offset, length = _HEAD.unpack_from(data, at)
            start = at + _HEAD.size
            at = start + name_length
            name = data[start:at].decode()
            body = b""
            if kind in {Kind.WRITE, Kind.RENAME, Kind.LINK}:
                body = data[at : at + length]
                at += length
            yield Record(Kind(kind), name, inode, offset, length, body)
