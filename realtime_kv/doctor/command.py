"""`python3 run.py doctor`: checks the sync of a running server from outside, with tabs like a browser's.

Tabs of a scratch user write, watch and cut each other off for some seconds. Then every acknowledgement is compared with
the contents of every tab, and every tab's digest with the server's. It needs only the server's own dependencies.
"""

import os
import sys

from realtime_kv.config import Config
from realtime_kv.doctor import report
from realtime_kv.doctor.check import Check, CheckError, ScratchUser
from realtime_kv_client import ClientError, HttpClient, Refused, Unreachable

__all__ = ["main"]


def main(url: str | None, seconds: float, tabs: int) -> int:
    """Check the server at `url`, or the one of the local settings; return 0 if no problem was found, else 1."""
    try:
        return _examine(HttpClient(url or Config.from_environ(os.environ).url), seconds, tabs)
    except (CheckError, ClientError) as error:
        print(f"{error}\n{_advice(error)}".strip(), file=sys.stderr)
        return 1


def _examine(server: HttpClient, seconds: float, tabs: int) -> int:
    if tabs < 2 or seconds <= 0:
        raise CheckError("An examination takes at least 2 tabs and more than 0 seconds.")
    user = ScratchUser(server)
    print(f"Examining {server.url} for {seconds:g} s with {tabs} tabs of the scratch user {user.username}.", flush=True)
    try:
        examination = Check(user, tabs, seconds)
        progress = report.Progress(examination.ledger)
        try:
            examination.run(progress)
        finally:
            progress.end()
    finally:
        _clean_up(user)
    print(*report.lines(examination), sep="\n", flush=True)
    return 1 if examination.ledger.problems else 0


def _clean_up(user: ScratchUser) -> None:
    try:
        left = user.clean_up()
    except ClientError as error:
        print(f"{user.username} could not be cleaned up: {error}", file=sys.stderr)
        return
    print(f"{user.username}: {left or 'no'} keys left, and the account is deleted.")


def _advice(error: Exception) -> str:
    if isinstance(error, Unreachable):
        return (
            "Start it with: python3 run.py\n"
            "If it runs somewhere else, say where: python3 run.py doctor http://host:port"
        )
    if isinstance(error, Refused) and error.code == "rate_limited":
        return (
            "The examination signs up a user of its own, and too many have signed up from here. Wait, and run it again."
        )
    return ""
