"""`python3 run.py doctor`: checks the sync of a running server from outside, with tabs like a browser's.

Tabs of a scratch user write, watch and cut each other off for some seconds. Then every acknowledgement is compared with
the contents of every tab, and every tab's digest with the server's. It needs only the server's own dependencies.
"""

import os
import sys

from realtime_kv.config import Config
from realtime_kv.doctor import report
from realtime_kv.doctor.check import Check, ScratchUser
from realtime_kv.doctor.site import CheckError, HttpClient, Refused

__all__ = ["main"]


def main(url: str | None, seconds: float, tabs: int) -> int:
    """Check the server at `url`, or the one of the local settings; return 0 if no problem was found, else 1."""
    try:
        return _examine(HttpClient(url or Config.from_environ(os.environ).url), seconds, tabs)
    except CheckError as trouble:
        print(f"{trouble}\n{_advice(trouble)}".strip(), file=sys.stderr)
        return 1


def _examine(site: HttpClient, seconds: float, tabs: int) -> int:
    if tabs < 2 or seconds <= 0:
        raise CheckError("An examination takes at least 2 tabs and more than 0 seconds.")
    user = ScratchUser(site)
    print(f"Examining {site.url} for {seconds:g} s with {tabs} tabs of the scratch user {user.username}.", flush=True)
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
    except CheckError as trouble:
        print(f"{user.username} could not be cleaned up: {trouble}", file=sys.stderr)
        return
    print(f"{user.username}: {left or 'no'} keys left, and the account is deleted.")


def _advice(trouble: CheckError) -> str:
    if isinstance(trouble, Refused) and trouble.code == "rate_limited":
        return (
            "The examination signs up a user of its own, and too many have signed up from here. Wait, and run it again."
        )
    return ""
