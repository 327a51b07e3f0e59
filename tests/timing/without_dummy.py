"""The real server with one change: for an unknown name it does not compute the dummy hash."""

import sys

from realtime_kv import cli
from realtime_kv.accounts import passwords
from realtime_kv.accounts.hashing import Process

_matches = Process.matches


def _hasty(self: Process, password_hash: str, password: str) -> bool:
    return password_hash != passwords.NOBODYS_HASH and _matches(self, password_hash, password)


if __name__ == "__main__":
    Process.matches = _hasty
    sys.exit(cli.main(sys.argv[1:]))
