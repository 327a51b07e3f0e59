"""One user at the full allowed rate on a small disk beside other users, with checks during the run and after it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.disk.users import ATTACKS, Writer, lost, post, read_everything, write_modestly
from tests.live_server import ROOT, Server

MIB = 1024 * 1024
MODEST_USERS = 3
PROGRESS_SECONDS = 15.0
# how long to wait for a modest user's next write
DEADLINE = 60.0

Attacks = dict[str, Writer]


@dataclass
class Outcome:
    """The rows of the table, and the failed checks."""

    rows: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def check(self, holds: bool, what: str) -> None:
        self.rows.append(f"{'yes' if holds else 'NO':<4} {what}")
        if not holds:
            self.failures.append(what)


def run(
    disk: Path,
    elsewhere: Path,
    *,
    seconds: float,
    enough: Callable[[Attacks], bool] = lambda _: False,
    progress: Callable[[str], None] = print,
    **settings: str,
) -> Outcome:
    """Run the attacks on `disk`, a file system of its own, for `seconds` or until `enough`; write a backup to
    `elsewhere`.
    """
    outcome, data = Outcome(), disk / "data"
    server = Server(data, RKV_RATE_LIMITS="on", **settings).start()
    try:
        attacker = server.sign_up("attacker")
        others = [server.sign_up(f"modest{n}") for n in range(MODEST_USERS)]
        attacks = {name: Writer(attacker, calls()) for name, calls in ATTACKS.items()}
        modest = [Writer(other, write_modestly(other.username), pause=0.1) for other in others]
        began = time.monotonic()
        for writer in [*attacks.values(), *modest]:
            writer.start()
        told = began
        while time.monotonic() < began + seconds and not enough(attacks):
            time.sleep(0.2)
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                progress(f"{told - began:5.0f} s: {_disk(disk)}; {_counts(attacks)}")
        # while the writers continue
        purged = _command(data, "purge", settings=settings)
        backed_up = _command(data, "backup", str(elsewhere / "backup.db"), settings=settings)
        leaving = server.sign_in("modest0")
        signed_out = post(leaving, "sign_out")
        going_on = [_goes_on(writer) for writer in modest]
        for writer in [*attacks.values(), *modest]:
            writer.stop()
        for name, writer in attacks.items():
            outcome.rows.append(f"     attacker, {name}: {dict(writer.answers)}")
            outcome.rows += [f"       {code}: {message}" for code, message in writer.messages.items()]
        for writer in modest:
            outcome.rows.append(f"     modest user: {dict(writer.answers)}")
        outcome.rows.append(f"     {_disk(disk)}")
        refusals = {code for writer in attacks.values() for code in writer.answers} - {"ok"}
        outcome.check(
            any(code.startswith("quota_exceeded") for code in refusals) or _free(disk) > 64 * MIB,
            "the attacker is refused with a reason, or stays within their limits",
        )
        outcome.check(refusals <= ALLOWED, f"no other refusals than {', '.join(sorted(ALLOWED))}")
        for writer, goes_on in zip(modest, going_on, strict=True):
            outcome.check(goes_on and set(writer.answers) == {"ok"}, "a modest user is never refused, and goes on")
        outcome.check(purged.returncode == 0, f"purge: {purged.stdout.strip() or purged.stderr.strip()}")
        outcome.check(backed_up.returncode == 0, f"backup: {backed_up.stdout.strip() or backed_up.stderr.strip()}")
        outcome.check(signed_out.status_code in (200, 204), "signing out works")
        outcome.check(server.stop() == 0, "the server stops")
        server.start()
        found = read_everything(attacker)
        missing = sorted({key for writer in attacks.values() for key in lost(writer, found)})
        for writer, other in zip(modest, others, strict=True):
            missing += lost(writer, read_everything(other))
        outcome.check(not missing, f"nothing acknowledged is lost after a restart ({len(missing)} keys)")
        outcome.check("Traceback" not in "".join(server.output), "no traceback in the server's output")
    finally:
        server.close()
    return outcome


def _goes_on(writer: Writer) -> bool:
    before, deadline = writer.answers["ok"], time.monotonic() + DEADLINE
    while writer.answers["ok"] == before and time.monotonic() < deadline:
        time.sleep(0.05)
    return writer.answers["ok"] > before


# the refusals that the attacker may get: a limit by name, the rate, or that the disk is nearly full
ALLOWED = {
    *(f"quota_exceeded ({resource})" for resource in ("receipts", "trash", "disk", "keys", "bytes")),
    "rate_limited",
    "unavailable",
}


def _command(data: Path, *arguments: str, settings: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RKV_")}
    return subprocess.run(
        [sys.executable, "-m", "realtime_kv.cli", *arguments, f"--data-dir={data}"],
        cwd=ROOT,
        env={**environ, **settings, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def _disk(disk: Path) -> str:
    sizes = {file.name: file.stat().st_size // MIB for file in (disk / "data").glob("realtime_kv.db*")}
    return f"free {_free(disk) // MIB} MiB, {sizes}"


def _free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def _counts(attacks: dict[str, Writer]) -> str:
    return "; ".join(f"{name}: {dict(writer.answers)}" for name, writer in attacks.items())
