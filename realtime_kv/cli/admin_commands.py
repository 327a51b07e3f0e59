"""Administration commands on a data folder: run by the server, or in this process if no server runs on the folder."""

import argparse
import getpass
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from realtime_kv import control_api
from realtime_kv.app import create_app
from realtime_kv.concurrency.runtime import InlineRuntime
from realtime_kv.config import Config, ConfigError
from realtime_kv.core.backend import own_error
from realtime_kv.errors import Refusal
from realtime_kv.server import control_socket
from realtime_kv.server.control_socket import ControlError
from realtime_kv.server.data_lock import StartupError, lock_data, mark, require_database
from realtime_kv.storage.backends import errors
from realtime_kv.storage.migrations.copies import NoRoom
from realtime_kv.storage.migrations.runner import NewerDatabase
from realtime_kv.storage.sqlite.files.damage import Damaged, may_pass

Answer = dict[str, Any]
Order = Callable[..., Answer]

MIB = 1024 * 1024
# seconds to wait for a server that is starting or stopping
TIMEOUT_SECONDS = 15.0


class UsageError(Exception):
    """A command that cannot run as given; the message says what to do."""


class Declined(Exception):
    """The user was asked for confirmation and declined."""


def main(options: argparse.Namespace) -> int:
    """Run one of these commands and return the exit code: 0 done, 1 not done, 2 wrong usage."""
    # only this user may read the database, the secret key and the backups
    os.umask(0o077)
    config = Config.from_environ(os.environ, data_dir=options.data_dir)
    try:
        answer = COMMANDS[options.command](options, partial(_order, config))
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except (ControlError, Refusal, Declined, StartupError, NewerDatabase, NoRoom, Damaged) as error:
        print(error, file=sys.stderr)
        return 1
    except errors(config) as error:
        cause = own_error(error)
        if config.postgres_url is not None:
            print(f"The database cannot be used now: {cause}", file=sys.stderr)
            return 1
        if not may_pass(error):
            raise
        print(
            f"{config.database_path} cannot be used now: {cause}. Nothing was changed. End other programs that use it, "
            "make room on the disk or correct the permissions, and try again.",
            file=sys.stderr,
        )
        return 1
    except (EOFError, ConfigError) as error:
        print(error or "No input, so nothing was changed.", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        for line in _WORDS[options.command](answer):
            print(line)
    # a purge that leaves traces has failed
    return 0 if answer.get("clean", True) else 1


def create_admin(options: argparse.Namespace, order: Order) -> Answer:
    """Make an existing or a new user a superuser."""
    name = options.name or input("Username: ").strip()
    if not name:
        raise UsageError("Give the username: run.py create-admin NAME")
    password = None
    if options.password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    elif not options.link and not order("known", name=name)["known"]:
        password = _ask_password()
    return order("create-admin", name=name, password=password, link=options.link)


def reset_link(options: argparse.Namespace, order: Order) -> Answer:
    """Create a one-time link for a user with a forgotten password."""
    return order("reset-link", name=options.name)


def invite(options: argparse.Namespace, order: Order) -> Answer:
    """Create a one-time link for signing up."""
    return order("invite", note=options.note, days=options.days)


def users(options: argparse.Namespace, order: Order) -> Answer:
    """List the users and their usage."""
    return order("users", search=options.search)


def purge(_: argparse.Namespace, order: Order) -> Answer:
    """Delete data past its retention."""
    return order("purge")


def backup(options: argparse.Namespace, order: Order) -> Answer:
    """Copy the whole data set to one file."""
    return order("backup", file=str(Path(options.file).absolute()), force=options.force)


def restore(options: argparse.Namespace, order: Order) -> Answer:
    """Replace the whole data set with a backup."""
    if not options.yes:
        print(f"This replaces all data with that of {options.file}. The current data is kept as a backup.")
        if input("Continue? [y/N] ").strip().lower() not in {"y", "yes"}:
            raise Declined("Nothing was changed.")
    return order("restore", file=str(Path(options.file).absolute()))


def confirm_time(_: argparse.Namespace, order: Order) -> Answer:
    """Confirm the system time after a jump of the clock."""
    return order("confirm-time")


def _ask_password() -> str:
    password = getpass.getpass("Password: ")
    if getpass.getpass("Repeat it: ") != password:
        raise UsageError("The two passwords differ, so nothing was changed. Try again.")
    return password


def _order(config: Config, name: str, /, **arguments: Any) -> Answer:
    """Run a command in the server, or in this process if no server runs."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        answer = control_socket.ask(config.data_dir, name, arguments, _progress)
        if answer is not None:
            return answer
        try:
            lock = lock_data(config)
        except StartupError:
            # another process holds the lock: a server that is about to listen or to exit
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
            continue
        with lock:
            return _do(config, name, arguments)


def _do(config: Config, name: str, arguments: Answer) -> Answer:
    database = config.database_path
    if config.postgres_url is not None:
        pass
    elif name == "restore":
        _set_damaged_aside(config, database)
    elif name == "backup" and not database.exists():
        raise UsageError(f"There is no data in {config.data_dir} to back up. Give the data folder with --data-dir.")
    else:
        require_database(config)
    services = create_app(config, InlineRuntime()).extensions["realtime_kv"]
    mark(config)
    try:
        return control_api.carry_out(services, name, arguments, _progress)
    finally:
        services.stop()


def _set_damaged_aside(config: Config, database: Path) -> None:
    """Move a database that cannot be opened out of the way of the backup that replaces it."""
    if not database.exists():
        return
    failures: tuple[type[Exception], ...] = (*errors(config), NewerDatabase, Damaged)
    try:
        services = create_app(config, InlineRuntime()).extensions["realtime_kv"]
    except failures as error:
        if may_pass(error):
            # another program may be using the database and would lose it
            raise
        folder = config.data_dir / "backups" / f"damaged-{time.strftime('%Y-%m-%dT%H-%M-%SZ', time.gmtime())}"
        folder.mkdir(parents=True)
        for end in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                shutil.move(f"{database}{end}", folder)
        _progress(f"The current database could not be opened ({error}); it is kept in {folder}.")
    else:
        services.stop()


def _progress(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _create_admin_words(answer: Answer) -> list[str]:
    done = "is a new superuser" if answer["created"] else "is now a superuser, and has to sign in again"
    return [f"{answer['name']} {done}.", *_link_words(answer)]


def _link_words(answer: Answer) -> list[str]:
    if "link" not in answer:
        return []
    return [
        f"This link can be used once, until {answer['expires_at']}. Send it to {answer['name']} privately:",
        answer["link"],
    ]


def _invite_words(answer: Answer) -> list[str]:
    lines = [f"This link creates one account, until {answer['expires_at']}. It is shown only now:", answer["link"]]
    if answer["signups"] != "invite":
        lines.append(f"It has no effect while RKV_SIGNUPS is {answer['signups']}; set RKV_SIGNUPS=invite.")
    return lines


def _users_words(answer: Answer) -> list[str]:
    if not answer["users"]:
        return ["There are no users."]
    lines = [f"{'name':<32}  {'status':<8}  {'entries':>8}  {'bytes':>12}  {'tabs':>4}  last seen"]
    for user in answer["users"]:
        seen = (user["seen_at"] or "never")[:16].replace("T", " ")
        who = f"{user['name']:<32}  {user['status']:<8}  {user['entries']:>8}  {user['bytes']:>12}  {user['tabs']:>4}"
        lines.append(f"{who}  {seen}{'  superuser' if user['is_admin'] else ''}")
    return lines


def _purge_words(answer: Answer) -> list[str]:
    parts = [f"{answer[name]} {words}" for name, words in _PURGED.items() if answer[name]]
    removed = ", ".join(parts) if parts else "nothing"
    lines = [f"Removed {removed}; {answer['seconds']} s."]
    if answer["rewritten"] and not parts:
        lines.append(
            "The database file was rewritten, because an earlier purge could not do it, or a history was trimmed."
        )
    if answer["needs"]:
        lines.append(
            f"The database file was not rewritten, so traces of removed data may be left in it. Rewriting needs "
            f"{answer['needs'] // MIB + 1} MiB of free space, and is repeated once there is enough."
        )
    elif not answer["clean"]:
        lines.append("Readers were active all the time, so traces may be left in the files. Run it again.")
    return lines


def _backup_words(answer: Answer) -> list[str]:
    return [f"{answer['file']}: {answer['bytes']} bytes, checked; {answer['seconds']} s."]


def _restore_words(answer: Answer) -> list[str]:
    kept = f" The previous data is in {answer['before']}." if answer["before"] else ""
    return [f"All data is restored from {answer['file']}.{kept}", "Open tabs synchronise by themselves."]


def _confirm_time_words(answer: Answer) -> list[str]:
    if answer["jump"] is None:
        return [f"The system clock has not jumped, so there is nothing to confirm. It is {answer['time']}."]
    return [f"{answer['jump']}. The time is confirmed; purge and expiry continue. It is {answer['time']}."]


_PURGED = {
    "keys": "deleted keys",
    "ops": "of their writes",
    "writes": "old writes",
    "receipts": "receipts",
    "users": "accounts",
    "sessions": "sessions and links",
    "audit": "audit entries",
}
COMMANDS: dict[str, Callable[[argparse.Namespace, Order], Answer]] = {
    "create-admin": create_admin,
    "reset-link": reset_link,
    "invite": invite,
    "users": users,
    "purge": purge,
    "backup": backup,
    "restore": restore,
    "confirm-time": confirm_time,
}
_WORDS: dict[str, Callable[[Answer], list[str]]] = {
    "create-admin": _create_admin_words,
    "reset-link": _link_words,
    "invite": _invite_words,
    "users": _users_words,
    "purge": _purge_words,
    "backup": _backup_words,
    "restore": _restore_words,
    "confirm-time": _confirm_time_words,
}
