"""Password hashing in subprocesses of low priority.

A hash is 20 to 40 ms of pure computing. On a thread of the server it competes with the event loop for processors. A
thread with a lower priority (`nice`) could be preempted while it holds the interpreter lock, for which the event loop
then waits (docs/decisions/0006). Passwords go to these processes through a pipe and nowhere else.

Run as a module, this is such a process: it answers JSON lines until its input ends, which happens when the server ends.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from realtime_kv.accounts.credentials import passwords
from realtime_kv.errors import InvalidPassword, Unavailable

log = logging.getLogger(__name__)

NICENESS = 10

_ROOT = Path(__file__).resolve().parents[3]


class InProcessHasher:
    """Hasher in the calling thread."""

    def judge_and_digest(self, password: str, username: str) -> str:
        """Return the hash to keep. Raises InvalidPassword for a password that is easily guessed."""
        passwords.judge(password, username)
        return passwords.digest(password)

    def digest(self, password: str) -> str:
        """Return the hash to keep."""
        return passwords.digest(password)

    def matches(self, password_hash: str, password: str) -> bool:
        """Return whether this is the password."""
        return passwords.matches(password_hash, password)

    def close(self) -> None:
        """Do nothing: there are no resources."""


class SubprocessHasher:
    """Hasher in a subprocess, started on first use; for one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def judge_and_digest(self, password: str, username: str) -> str:
        """Like `Here`. Raises Unavailable when no process can do it."""
        made: str = self._ask("judge_and_digest", password, username)
        return made

    def digest(self, password: str) -> str:
        """Like `Here`."""
        made: str = self._ask("digest", password)
        return made

    def matches(self, password_hash: str, password: str) -> bool:
        """Like `Here`."""
        right: bool = self._ask("matches", password_hash, password)
        return right

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None and process.stdout is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.stdout.close()
            process.wait()

    def _ask(self, *question: str) -> Any:
        line = msgspec.json.encode(question) + b"\n"
        # a process that was killed (for lack of memory, say) is replaced once
        answer = self._exchange(line) or self._exchange(line)
        if answer is None:
            raise Unavailable("Passwords cannot be checked now; try again in a moment.")
        if "refused" in answer:
            raise InvalidPassword(answer["refused"])
        return answer["answer"]

    def _exchange(self, line: bytes) -> dict[str, Any] | None:
        process = self._process = self._process or _start()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if answer:
            return msgspec.json.decode(answer, type=dict[str, Any])
        log.warning("a password hashing process has ended (%s)", process.wait())
        self.close()
        return None


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until the input ends."""
    here = InProcessHasher()
    decode = msgspec.json.Decoder(list[str]).decode
    for line in questions:
        name, *given = decode(line)
        try:
            answer = {"answer": getattr(here, name)(*given)}
        except InvalidPassword as refused:
            answer = {"refused": refused.message}
        answers.write(msgspec.json.encode(answer) + b"\n")
        answers.flush()


def _start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "realtime_kv.accounts.credentials.hash_workers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # its only unrequested output would be a traceback, which may contain a password
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
    )


if __name__ == "__main__":
    # Stop signals are for the server, which may need a hash while it finishes running work.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    serve(sys.stdin.buffer, sys.stdout.buffer)
