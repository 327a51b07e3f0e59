"""What the server writes to its log (standard error): one record a line, in UTC, and nothing that could be a secret.

Whatever a client sent may turn up in a message or in the words of an exception. It cannot begin a record of its own:
further lines of a record are marked, and control characters are written out. What looks like a token, a one-time
secret, a recovery code or a password hash is left out, whoever logged it.
"""

import logging
import re
import time

_SECRETS = re.compile(
    # 256 random bits as our tokens, links and keys write them; nothing that is meant to be read is as long in one piece
    r"[A-Za-z0-9_-]{43,}"
    r"|\b(?:[A-Z2-7]{6}-){3}[A-Z2-7]{6}\b"
    r"|\$argon2\S+"
)
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class Records(logging.Formatter):
    """`2027-01-31T12:00:00.000Z WARNING realtime_kv.server: …`; further lines follow behind `    | `."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        text = _SECRETS.sub("[left out]", super().format(record))
        return _CONTROLS.sub(_written_out, text.replace("\n", "\n    | "))


def to_standard_error() -> None:
    """Write what is logged to standard error, from warnings on."""
    handler = logging.StreamHandler()
    handler.setFormatter(Records())
    logging.basicConfig(handlers=[handler])


def _written_out(control: re.Match[str]) -> str:
    return control[0].encode("unicode_escape").decode()
