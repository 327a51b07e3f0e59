"""A short share of the power cuts, and manual checks of the layer and the disk that they rely on."""

import os
import random
import subprocess
import sys
import textwrap

import pytest

from tests.robustness.powercut.command import RELAXED
from tests.robustness.powercut.cuts import Cuts
from tests.robustness.powercut.disk import Disk, write_out
from tests.robustness.powercut.layer import Kind, Mains, Record, build

CALLS = 4000

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the layer is one for Linux")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    # without a C compiler this fails, and says what to install
    return build(tmp_path_factory.mktemp("layer"))


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "disk"
    root.mkdir()
    (root / "old").write_bytes(b"a" * 2000)
    return root


def run(library, root, script, lasts=0):
    """Run a program on the disk; return the disk afterwards, and the exit code."""
    disk = Disk(root)
    with Mains(library, root, root.parent / "log") as mains:
        mains.lasts(lasts)
        head = f"import os\nos.chdir({str(root)!r})\n"
        done = subprocess.run(
            [sys.executable, "-S", "-c", head + textwrap.dedent(script)],
            env={**os.environ, **mains.environ},
            check=False,
        )
        disk.replay(mains.records())
    return disk, done.returncode


def test_power_cuts_of_the_real_server_lose_no_acknowledged_write():
    tally = Cuts(random.randrange(10**6), calls=CALLS).run(4)
    assert (tally.lost, tally.problems) == (0, [])
    assert tally.cuts == 4


def test_the_first_account_in_a_new_data_folder_survives_a_power_cut():
    # the shortest way to one acknowledged write; the folder, the database and the account are all new
    for _ in range(2):
        tally = Cuts(random.randrange(10**6), calls=400).run(1)
        assert (tally.lost, tally.problems) == (0, [])


def test_synchronous_normal_loses_acknowledged_writes():
    cuts = Cuts(random.randrange(10**6), launcher=RELAXED, calls=CALLS)
    for _ in range(6):
        cuts.run(cuts.tally.cuts + 1)
        if cuts.tally.lost:
            break
    assert cuts.tally.lost > 0


def test_a_power_cut_keeps_synced_data_and_loses_unsynced_data(library, root):
    disk, code = run(
        library,
        root,
        """
        f = os.open("old", os.O_RDWR)
        os.pwrite(f, b"synced", 0)
        os.fdatasync(f)
        os.pwrite(f, b"lost", 100)
        os.ftruncate(f, 3000)
        """,
    )
    assert code == 0
    assert disk.after_cut()["old"] == b"synced" + b"a" * 1994
    assert disk.everything()["old"] == (root / "old").read_bytes()


def test_a_file_name_survives_only_after_a_sync_of_its_folder(library, root):
    disk, _ = run(
        library,
        root,
        """
        for name in ("kept", "lost"):
            f = os.open(name, os.O_CREAT | os.O_WRONLY)
            os.write(f, b"data")
            os.write(f, b"more")
            os.fsync(f)
            if name == "kept":
                folder = os.open(".", os.O_RDONLY)
                os.fsync(folder)
        os.unlink("old")
        os.rename("kept", "renamed")
        os.mkdir("folder")
        with open("folder/file", "a") as file:
            file.write("x")
            file.flush()
            os.fsync(file.fileno())
        """,
    )
    assert disk.after_cut() == {"old": b"a" * 2000, "kept": b"datamore"}
    assert disk.everything() == {"renamed": b"datamore", "lost": b"datamore", "folder/file": b"x"}


def test_the_power_cut_happens_before_the_configured_call(library, root):
    script = """
        f = os.open("old", os.O_RDWR)
        for n in range(9):
            os.pwrite(f, b"%d" % n, n)
            os.fsync(f)
    """
    disk, code = run(library, root, script, lasts=4)
    assert code == -9
    # write, sync, write: the second sync was not executed
    assert disk.after_cut()["old"][:3] == b"0aa"
    assert disk.everything()["old"][:3] == b"01a"


def test_torn_writes_persist_each_sector_independently(root):
    disk = Disk(root)
    inode = (root / "old").stat().st_ino
    disk.replay([Record(Kind.WRITE, "", inode, 100, 1900, b"b" * 1900)])
    seen = {disk.torn_by_cut(random.Random(seed), 0.5, 512)["old"] for seed in range(200)}
    # four sectors are touched, each old or new
    assert len(seen) == 16
    for content in seen:
        assert content[:100] == b"a" * 100
        for start, end in ((100, 512), (512, 1024), (1024, 1536), (1536, 2000)):
            assert content[start:end] in {b"a" * (end - start), b"b" * (end - start)}


def test_a_disk_image_is_written_out_unchanged(tmp_path):
    image = {"data/file": b"1", "other": b""}
    write_out(image, tmp_path)
    assert {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == image
