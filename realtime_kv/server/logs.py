"""Log format of the server (standard error): one record per line, in UTC, without anything that could be a secret.

Text from a client may appear in a message or an exception. It cannot start a record of its own: further lines of a
record are marked, and control characters are escaped. Text that looks like a token, a one-time secret, a recovery code
or a password hash is left out, whichever module logged it.
"""

import logging
import re
import time

_SECRETS = re.compile(
    # 256 random bits in the encoding of our tokens, links and keys; no readable text is as long without a break
    r"[A-Za-z0-9_-]{43,}"
    r"|\b(?:[A-Z2-7]{6}-){3}[A-Z2-7]{6}\b"
    r"|\$argon2\S+"
)
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class Records(logging.Formatter):
    """Formats records as `2027-01-31T12:00:00.000Z WARNING realtime_kv.server: …`; further lines begin `    | `."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        text = _SECRETS.sub("[left out]", super().format(record))
        return _CONTROLS.sub(_written_out, text.replace("\n", "\n    | "))


def to_standard_error() -> None:
    """Write log records of level warning and above to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(Records())
    logging.basicConfig(handlers=[handler])


def _written_out(control: re.Match[str]) -> str:
    return control[0].encode("unicode_escape").decode()
