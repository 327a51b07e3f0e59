"""Set-up of a checkout: installs the missing dependencies of each command, starting from a bare Python.

Each step writes a stamp of the installed versions at its end: the next run repairs an interrupted set-up, and a run
with current stamps continues at once. Only the standard library is imported here.
"""

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from realtime_kv.bootstrap import chromium, compiler, node_packages, postgres
from realtime_kv.bootstrap.progress import ROOT, SetupError, say
from realtime_kv.bootstrap.virtualenv import Environment

__all__ = ["ROOT", "prepare"]


def prepare(command: str) -> Path:
    """Install the dependencies of this command; return the Python to run it with. Ends the process if a step fails."""
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
    developing = command in {"test", "check"}
    environment.install("requirements-dev.txt" if developing else "requirements.txt")
    if developing or command == "serve":
        node_packages.install_libraries(environment, with_tools=developing)
    if developing:
        node_packages.put_on_path(environment)
    if command == "test":
        chromium.install()
        compiler.install()
        postgres.install()


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Lock the checkout: two concurrent set-ups would destroy each other's results."""
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
