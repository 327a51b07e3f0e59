"""A share of the fuzzer: hostile bytes, frames, packets and JSON against the real server."""

import random
import socket
import sqlite3
import struct
from contextlib import closing

import pytest

from tests.fuzz.campaign import MAKERS, Campaign, make
from tests.fuzz.case import Case, Wrong
from tests.fuzz.command import summary
from tests.fuzz.executors import EXECUTORS
from tests.fuzz.minimize import fresh_services, play, shrink
from tests.fuzz.oracles import CANARY, check_answer, check_bytes, check_headers, check_page, statuses
from tests.fuzz.randomness import Randomness
from tests.fuzz.regressions import CASES
from tests.fuzz.services import Services, check_tables, prepare
from tests.realtime.tools import eventually

INPUTS = 2_500
FIXED_SEED = 20


@pytest.fixture(scope="module")
def services() -> Services:
    with fresh_services() as services:
        yield services


def test_past_findings_do_not_recur(services):
    for case in CASES.values():
        play(services, case)


@pytest.mark.parametrize("said", [b"GET /sig", b"GET /signin HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_client_that_disconnects_before_the_answer_leaks_no_socket(services, said):
    before = services.usage().sockets
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", services.server.port)) as peer:
            peer.sendall(said)
            # hang up with RST, so that the server has no peer to answer
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert eventually(lambda: services.usage().sockets <= before)


def test_no_fuzzed_input_breaks_the_server():
    seeds = [FIXED_SEED, random.randrange(10**6)]
    with fresh_services() as services:
        findings = Campaign(services, seeds, INPUTS, await_timeouts=False).run()
    told = summary(seeds, findings)
    print(told)
    assert not findings.problems, f"{told}\n{findings.problems}\n{findings.suspects!r}"
    assert set(findings.inputs) == set(EXECUTORS)


def test_the_same_seed_makes_the_same_cases():
    assert [make(1, index) for index in range(50)] == [make(1, index) for index in range(50)]
    assert make(1, 0) != make(2, 0)


@pytest.mark.parametrize("maker", [maker for maker, _ in MAKERS], ids=lambda maker: maker.__name__)
def test_a_case_can_be_printed_and_read_again(maker):
    case = maker(Randomness("printed"))
    assert eval(repr(case)) == case
    assert case.messages


def test_shrinking_keeps_only_the_failing_part_of_a_case():
    case = Case("raw", (b"harmless", b"some bytes, then poison, then more", b"harmless too"), 3)
    assert shrink(case, lambda smaller: b"poison" in b"".join(smaller.inputs)).inputs == (b"poison",)


@pytest.mark.parametrize(
    "received",
    [
        b"HTTP/1.1 200 OK\r\n\r\nTraceback (most recent call last)",
        b'42["x",{"message":"OverflowError: too large"}]',
        b"see /lib/python3/site-packages/",
        b'43[{"key":"' + CANARY + b'"}]',
    ],
)
def test_leaked_internals_and_canaries_are_detected(received):
    with pytest.raises(Wrong):
        check_bytes(received)


def test_undocumented_5xx_and_internal_errors_are_detected():
    assert statuses(b"HTTP/1.1 400 Bad Request\r\n\r\nHTTP/1.1 507 \r\n") == [b"400", b"507"]
    with pytest.raises(Wrong):
        statuses(b"HTTP/1.1 500 Internal Server Error\r\n")
    with pytest.raises(Wrong):
        check_answer(b'{"ok":false,"error":{"code":"internal","message":"!"}}')


def test_input_injected_into_a_page_or_a_header_is_detected():
    check_page(b"<p>&lt;fuzzed&gt;</p>")
    check_headers({b"location": b"/keys?next=x-fuzzed"})
    with pytest.raises(Wrong):
        check_page(b"<p><fuzzed></p>")
    with pytest.raises(Wrong):
        check_headers({b"x-fuzzed": b"1"})


USER = "INSERT INTO users (id, username, folded, password_hash, is_admin, created_at) VALUES (1, 'a', 'a', '', 1, 0)"
SESSION = """INSERT INTO sessions (user_id, public_id, token_hash, label, created_at, expires_at, limit_at, kind)
VALUES (1, 'a', '', '', 0, 1, 1, 'session')"""
AUDIT = "INSERT INTO audit (at, actor, action, ok, address, label, detail) VALUES (0, 'system', '', 1, '', '', '{')"


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE users SET disabled_at = 1", "sessions of those who cannot sign in|superusers"),
        ("UPDATE users SET is_admin = 0", "superusers"),
        ("UPDATE users SET totp_confirmed_at = 1", "codes taken without a secret"),
        ("UPDATE sessions SET scope = 'read'", "less or last longer"),
        ("UPDATE sessions SET expires_at = 2", "less or last longer"),
        (AUDIT, "audit entries that are no JSON"),
    ],
)
def test_inconsistent_tables_are_detected(tmp_path, statement, complaint):
    path = tmp_path / "realtime_kv.db"
    prepare(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(f"{USER};{SESSION}")
    check_tables(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)
    with pytest.raises(Wrong, match=complaint):
        check_tables(path)
