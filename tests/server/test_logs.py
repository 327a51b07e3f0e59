"""The permitted content of the server's log, for any input."""

import logging
import re
import sys

import pytest

from realtime_kv.server.logs import Records

TOKEN = "rks_" + "A1b2-_" * 7 + "x"


def written(message, *arguments, exc_info=None):
    return Records().format(logging.LogRecord("rkv", logging.ERROR, "file", 1, message, arguments, exc_info))


def raised(error):
    try:
        raise error
    except type(error):
        return sys.exc_info()


def test_a_record_has_a_utc_timestamp_a_level_and_a_logger_name():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ERROR rkv: hello 1", written("hello %d", 1))


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\u2028", "\x85", "\x0b", "\x0c"])
def test_line_breaks_in_user_input_cannot_forge_a_log_record(ending):
    forged = f"x{ending}2027-01-31T12:00:00.000Z ERROR rkv: all users deleted"
    for text in (written("GET %s failed", forged), written("failed", exc_info=raised(ValueError(forged)))):
        assert [line for line in text.splitlines()[1:] if not line.startswith("    | ")] == []


def test_control_characters_do_not_reach_a_terminal():
    assert written("%s", "\x1b[2J\x00\x9b").endswith(r"\x1b[2J\x00\x9b")


@pytest.mark.parametrize(
    "secret",
    [
        TOKEN,
        TOKEN.replace("rks_", "rkv_"),
        TOKEN[4:],
        "ABCDEF-GHIJKL-MNOPQR-STUV23",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
    ],
)
def test_secrets_are_redacted_in_messages_and_tracebacks(secret):
    for text in (
        written("GET /recover/%s failed", secret),
        written("failed: %r", ValueError(secret)),
        written("failed", exc_info=raised(ValueError(f"parameters: [{secret!r}]"))),
    ):
        assert secret not in text and "[left out]" in text


def test_paths_and_short_ids_are_not_redacted():
    path = 'File "/srv/realtime_kv/realtime_kv/accounts/administration.py", line 12, in end_other_sessions'
    assert path in written("%s [%s]", path, "0123456789abcdef")
    assert "left out" not in written("%s [%s]", path, "0123456789abcdef")
