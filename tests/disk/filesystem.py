"""A small file system for the duration of a run."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CannotMount(Exception):
    """Mounting needs root."""


@contextmanager
def small_disk(size: int) -> Iterator[Path]:
    """Mount a tmpfs of `size` bytes. Raises CannotMount."""
    with tempfile.TemporaryDirectory(prefix="rkv-disk-") as name:
        options = ["-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", name]
        done = subprocess.run(["mount", *options], capture_output=True, check=False, text=True)
        if done.returncode:
            raise CannotMount(done.stderr.strip())
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)
