"""From a bare Python to a working checkout: what each command needs, installed where it is missing.

Each step leaves a stamp that says what it installed, written last: an interrupted set-up is repaired by the next run,
and a run that finds every stamp right goes on at once. Only what comes with Python is imported here.
"""

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from realtime_kv.bootstrap import browser, compiler, node
from realtime_kv.bootstrap.environment import Environment
from realtime_kv.bootstrap.steps import ROOT, SetupError, say

__all__ = ["ROOT", "prepare"]


def prepare(command: str) -> Path:
    """Install what this command needs; the Python to run it with. Ends the process when a step fails."""
    try:
        environment = Environment()
        with _one_at_a_time():
            _install(environment, command)
        return environment.python
    except SetupError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped. The next run goes on from here.")


def _install(environment: Environment, command: str) -> None:
    testing = command == "test"
    environment.install("requirements-dev.txt" if command in {"test", "check"} else "requirements.txt")
    if command in {"serve", "test"}:
        node.install_libraries(environment, with_tools=testing)
    if testing:
        node.put_on_path(environment)
        browser.install()
        compiler.install()


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two set-ups in one checkout would tear down what the other has just built."""
    try:
        handle = os.open(ROOT, os.O_RDONLY)
    except OSError as error:
        raise SetupError(f"{ROOT} cannot be read: {error.strerror}.") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another run is setting up this checkout; waiting for it …")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            pass  # some network file systems have no locks; one person at a time will do there
        yield
    finally:
        os.close(handle)
