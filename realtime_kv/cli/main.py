"""Command line: the parser and the commands of `python3 run.py`.

`run.py` parses the command line with this module before anything is installed, so `--help` and a misspelt option are
answered at once: the imports at the top of this file need only the standard library.
"""

import argparse
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from realtime_kv.config import Config, ConfigError, cautions, unknown_settings
from realtime_kv.server.workers import supervisor
from realtime_kv.server.workers.link import WorkerArguments
from realtime_kv.version import VERSION

ROOT = Path(__file__).resolve().parent.parent.parent
# each test file runs in one process, because its tests share a server; without reordering, long files do not run last
ORDER = ["--dist=loadfile", "--no-loadscope-reorder"]
_NODE_TOOLS = ROOT / "node_modules" / ".bin"
# formatters, linters and type checkers, of Python and of JavaScript
CHECKS = [
    [sys.executable, "-m", "ruff", "format", "--check"],
    [sys.executable, "-m", "ruff", "check"],
    [sys.executable, "-m", "mypy"],
    [str(_NODE_TOOLS / "biome"), "ci", "--error-on-warnings"],
    *([str(_NODE_TOOLS / "tsc"), "--project", f"tsconfig{part}.json"] for part in ("", ".strict", ".worker")),
]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command and its options; exit after printing help, the version or a usage error."""
    parser = _parser()
    # all arguments after `test` belong to pytest
    if arguments[:1] == ["test"] and not {"-h", "--help"} & set(arguments):
        return argparse.Namespace(command="test", pytest=arguments[1:])
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"-h", "--help", "--version"}):
        arguments = ["serve", *arguments]
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    options = parse(arguments)
    try:
        return COMMANDS[options.command](options)
    except ConfigError as error:
        print("These settings cannot be used:", file=sys.stderr)
        for line in str(error).splitlines():
            print(f"  {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def serve(options: argparse.Namespace) -> int:
    """Run the server until it is told to stop."""
    config = Config.from_environ(os.environ, host=options.host, port=options.port, data_dir=options.data_dir)
    worker = None if options.worker is None else WorkerArguments.decode(options.worker)
    if worker is None:
        for sentence in [*unknown_settings(), *cautions(config)]:
            print(f"Warning: {sentence}", file=sys.stderr)
        if config.workers > 1:
            given = {"--host": options.host, "--port": options.port, "--data-dir": options.data_dir}
            chosen = [f"{name}={value}" for name, value in given.items() if value is not None]
            command = [sys.executable, "-P", "-m", "realtime_kv.cli", "serve", *chosen, "--worker"]
            return supervisor.main(config, command)
    # accepted: only a few files import eventlet, so it can be replaced
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    # eventlet's resolver takes 0.2 s to import, and the server resolves no names
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
    from realtime_kv.server import serve as server  # noqa: PLC0415 (not before it is installed)

    return server.main(config, worker)


def test(options: argparse.Namespace) -> int:
    """Run all tests, or the chosen ones.

    All tests run in one process more than there are processors, because many of them wait.
    """
    # the tests start hundreds of processes, and without cached bytecode each would compile the whole package
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    processes = (os.cpu_count() or 1) + 1
    arguments = options.pytest or [f"--numprocesses={processes}", *ORDER]
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode


def check(options: argparse.Namespace) -> int:
    """Run the static checks."""
    return max(subprocess.run(command, cwd=ROOT, check=False).returncode for command in CHECKS)


def bench(options: argparse.Namespace) -> int:
    """Run the benchmarks in separate processes."""
    from bench import command  # noqa: PLC0415 (not before it is installed)

    return command.main(options)


def doctor(options: argparse.Namespace) -> int:
    """Check a running server from outside."""
    from realtime_kv.doctor import command as examination  # noqa: PLC0415 (not before it is installed)

    return examination.main(options.url, options.seconds, options.tabs)


def demo(options: argparse.Namespace) -> int:
    """Demonstrate the guarantees on a web page."""
    from realtime_kv.demo import command as demonstration  # noqa: PLC0415 (not before it is installed)

    return demonstration.main(options.port, options.seconds, once=options.once, browser=options.browser)


def look_after(options: argparse.Namespace) -> int:
    """Run one of the administration commands."""
    # as for `serve`
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
    from realtime_kv.cli import admin_commands  # noqa: PLC0415 (not before it is installed)

    return admin_commands.main(options)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "serve": serve,
    "test": test,
    "check": check,
    "bench": bench,
    "doctor": doctor,
    "demo": demo,
    "create-admin": look_after,
    "reset-link": look_after,
    "invite": look_after,
    "users": look_after,
    "purge": look_after,
    "backup": look_after,
    "restore": look_after,
    "confirm-time": look_after,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="A self-hosted, per-user, real-time key/value store.",
        epilog="Settings come from RKV_* environment variables; each command lists its options: run.py serve --help",
    )
    parser.add_argument("--version", action="version", version=f"realtime_kv {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="command", title="commands")

    command = commands.add_parser("serve", help="start the server (the default command)")
    command.add_argument("--host", help="address to listen on (RKV_HOST, 127.0.0.1)")
    command.add_argument("--port", help="port to listen on, 0 for any free one (RKV_PORT, 5000)")
    command.add_argument("--data-dir", metavar="FOLDER", help="data folder (RKV_DATA_DIR, ./data)")
    # how a supervisor starts its workers
    command.add_argument("--worker", help=argparse.SUPPRESS)

    command = commands.add_parser(
        "test", help="run all tests; further arguments are passed to pytest", usage="run.py test [pytest arguments]"
    )

    commands.add_parser("check", help="check formatting, lint and types")

    command = commands.add_parser("bench", help="measure this server against a tutorial-style one and one in Node.js")
    command.add_argument("--users", type=int, default=10, metavar="N", help="users at once (10)")
    command.add_argument("--tabs", type=int, default=3, metavar="N", help="tabs of each user (3)")
    command.add_argument("--rounds", type=int, default=3, metavar="N", help="alternating rounds; the median counts (3)")
    command.add_argument("--seconds", type=float, default=3.0, metavar="S", help="length of one measurement (3)")
    command.add_argument("--idle-tabs", type=int, default=1000, metavar="N", help="tabs that only listen (1000)")
    command.add_argument("--storm-tabs", type=int, default=500, metavar="N", help="tabs in the restart storm (500)")
    parts = ["load", "stall", "fanout", "growth", "idle", "storm"]
    command.add_argument("--only", action="append", choices=parts, help="run one part only; repeatable")
    command.add_argument("--json", metavar="FILE", help="also write all results as JSON")
    command.add_argument("--docs", action="store_true", help="write figures and plots into docs/benchmarks.md")

    command = commands.add_parser(
        "doctor", help="check a running server with tabs that write, watch and lose their connections"
    )
    command.add_argument("url", nargs="?", metavar="URL", help="its address (default: the one in the settings)")
    command.add_argument("--seconds", type=float, default=10.0, metavar="S", help="how long the tabs write (10)")
    command.add_argument("--tabs", type=int, default=6, metavar="N", help="how many tabs (6)")

    command = commands.add_parser("demo", help="watch devices write, lose connections and server, and miss no change")
    command.add_argument("--port", type=int, default=0, metavar="N", help="port of the page, 0 for any free one (0)")
    command.add_argument("--seconds", type=float, default=60.0, metavar="S", help="how long the devices write (60)")
    command.add_argument("--once", action="store_true", help="exit after one run, with 1 if a change was missed")
    command.add_argument(
        "--no-browser", dest="browser", action="store_false", help="print the address without opening a browser"
    )
    _add_keeping(commands)
    return parser


def _add_keeping(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands that work on a data folder, whether a server runs on it or not."""

    def add(name: str, words: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        command.add_argument("--data-dir", metavar="FOLDER", help="data folder (RKV_DATA_DIR, ./data)")
        command.add_argument("--json", action="store_true", help="print one line of JSON")
        return command

    command = add("create-admin", "make an existing or new user a superuser")
    command.add_argument("name", nargs="?", metavar="NAME", help="username (asked for if omitted)")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--password-stdin", action="store_true", help="read a new user's password from standard input")
    how.add_argument("--link", action="store_true", help="print a one-time link for choosing a password")
    command = add("reset-link", "print a one-time link for choosing a new password")
    command.add_argument("name", metavar="NAME", help="username")
    command = add("invite", "print a one-time invitation to sign up (RKV_SIGNUPS=invite)")
    command.add_argument("--note", default="", metavar="TEXT", help="whom it is for; only superusers see it")
    command.add_argument("--days", type=int, default=7, metavar="N", help="days until it expires (7)")
    command = add("users", "list the users and their usage")
    command.add_argument("--search", default="", metavar="TEXT", help="only names that contain this")
    add("purge", "delete data past its retention permanently (the server does this every few hours)")
    command = add("backup", "write a backup of everything to one file, also while the server runs")
    command.add_argument("file", metavar="FILE", help="file to write")
    command.add_argument("--force", action="store_true", help="overwrite an existing file")
    command = add("restore", "replace all data with a backup, also while the server runs")
    command.add_argument("file", metavar="FILE", help="file written by backup")
    command.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    add("confirm-time", "confirm that the system clock is right after a jump, so purge and expiry continue")
