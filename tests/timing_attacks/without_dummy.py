"""The real server with one change: for an unknown name it does not compute the dummy hash."""

import sys

from realtime_kv.accounts.credentials import passwords
from realtime_kv.accounts.credentials.hash_workers import SubprocessHasher
from realtime_kv.cli import main as cli

_matches = SubprocessHasher.matches


def _hasty(self: SubprocessHasher, password_hash: str, password: str) -> bool:
    return password_hash != passwords.NOBODYS_HASH and _matches(self, password_hash, password)


if __name__ == "__main__":
    SubprocessHasher.matches = _hasty
    sys.exit(cli.main(sys.argv[1:]))
