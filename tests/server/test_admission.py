"""Admission: the payer of a request, and the share of the memory for bodies that each payer may hold."""

import pytest

from realtime_kv.concurrency.runtime import ThreadedRuntime
from realtime_kv.concurrency.time_budget import TimeBudget
from realtime_kv.config import Config
from realtime_kv.errors import RateLimited
from realtime_kv.metrics.limit_log import LimitLog
from realtime_kv.realtime.engineio.budgets import REQUEST_COST
from realtime_kv.request import authentication
from realtime_kv.server.admission import (
    ACCOUNT_CHANGE_SECONDS,
    MAX_BODY_BYTES,
    MIB,
    OWN_BURST_SECONDS,
    USER_BURST_SECONDS,
    Admission,
)

TOKEN = "a" * 43


@pytest.fixture
def budget():
    # time stands still
    return TimeBudget(lambda: 0.0, share=1.0, burst_seconds=10.0)


@pytest.fixture
def admission(tmp_path, budget):
    runtime, config = ThreadedRuntime(), Config(data_dir=tmp_path)
    yield Admission(
        runtime,
        lambda environ: authentication.address(environ, config),
        lambda environ: authentication.credentials(environ, config)[0],
        budget,
        LimitLog(lambda: 0),
        connections_per_network=None,
        connections=100,
    )
    runtime.stop()


def request(path="/", query="", address="192.0.2.1", **headers):
    return {"PATH_INFO": path, "QUERY_STRING": query, "REMOTE_ADDR": address, **headers}


def cookie(token=TOKEN, others=""):
    return {"HTTP_COOKIE": f"{others}rkv_session={token}"}


def fill(admission, ticket):
    """Reserve as many bodies as one payer may; return their bytes."""
    for held in range(0, MAX_BODY_BYTES, MIB):
        try:
            admission.reserve(ticket, MIB)
        except RateLimited:
            return held
    raise AssertionError("one holds all of it")


def spent(budget, address="192.0.2.1"):
    """Return the network's payments as a number of requests."""
    return round(budget._full_at.get(address, 0.0) / REQUEST_COST)


def test_a_session_is_one_payer_with_any_other_cookies_or_as_a_bearer_token(admission, budget):
    admission.done(admission.admit(request(**cookie())), (TOKEN, 1))
    others = [admission.admit(request(**cookie(others=f"x={n}; "))) for n in range(4)]
    bearer = admission.admit(request(HTTP_AUTHORIZATION=f"bearer  {TOKEN}"))
    assert {ticket.payer for ticket in [*others, bearer]} == {hash(TOKEN)}
    assert spent(budget) == 0


def test_only_the_sid_that_the_server_found_becomes_known(admission, budget):
    """Send two Socket.IO session ids in one query: the server reads only one of them."""
    for n in range(3):
        ticket = admission.admit(request("/socket.io/", f"EIO=4&sid=made-up-{n}&%73id=joined"))
        admission.done(ticket, ("joined", 1))
    assert not admission.admit(request("/socket.io/", "sid=made-up-0")).known
    assert spent(budget) == 4


def test_a_session_stays_known_after_requests_for_static_files(admission, budget):
    admission.done(admission.admit(request(**cookie())), (TOKEN, 1))
    for _ in range(50):
        admission.done(admission.admit(request("/static/js/client/client.js", **cookie())), None)
    assert admission.admit(request(**cookie())).known
    assert spent(budget) == 0


def test_a_session_that_has_ended_is_charged_to_its_network(admission, budget):
    admission.done(admission.admit(request(**cookie())), (TOKEN, 1))
    admission.done(admission.admit(request(**cookie())), authentication.NOBODY)
    assert not admission.admit(request(**cookie())).known
    assert spent(budget) == 2


def test_cpu_time_of_a_page_is_charged_to_the_network_or_to_a_known_session(admission, budget):
    ticket = admission.admit(request("/api"))
    admission.done(ticket, None, seconds=20 * REQUEST_COST)
    assert spent(budget) == 20
    ticket = admission.admit(request(**cookie()))
    admission.done(ticket, (TOKEN, 7))
    before = spent(budget)
    ticket = admission.admit(request("/api", **cookie()))
    admission.done(ticket, (TOKEN, 7), seconds=20 * REQUEST_COST)
    assert spent(budget) == before
    # it took its time from the next rounds instead
    assert admission._slices.left(ticket.payer) == 0.0


def test_a_user_has_one_share_of_body_memory_and_ten_users_cannot_fill_it(admission):
    held = [0] * 10
    for user in range(10):
        for n in range(20):
            token = f"{user}-{n:041}"
            admission.done(admission.admit(request(**cookie(token))), (token, user + 1))
            ticket = admission.admit(request(**cookie(token)))
            held[user] += fill(admission, ticket)
    assert held[0] <= MAX_BODY_BYTES / 4
    assert {(row.limit, row.account) for row in admission._limit_log.recent()} == {
        ("request_bodies", user + 1) for user in range(10)
    }
    # an unknown client, from another network
    admission.reserve(admission.admit(request(address="192.0.2.2")), MIB)


def test_bodies_of_unauthenticated_clients_are_charged_to_their_network(admission, budget):
    admission.reserve(admission.admit(request()), MIB)
    stranger = spent(budget)
    admission.done(admission.admit(request(address="192.0.2.2", **cookie())), (TOKEN, 1))
    admission.reserve(admission.admit(request(address="192.0.2.2", **cookie())), MIB)
    assert stranger == 4 and spent(budget, "192.0.2.2") == 0


def test_requests_of_a_user_have_a_share_of_the_time_and_each_credential_some_of_its_own(admission):
    def known(token):
        admission.done(admission.admit(request(**cookie(token))), (token, 1))
        return admission.admit(request(**cookie(token)))

    flood, other = known("f" * 43), known("o" * 43)
    admission.done(flood, ("f" * 43, 1), seconds=2 * USER_BURST_SECONDS)
    assert admission._time.overdue(1, flood.credential) > 0.5
    # the user's other session goes on, up to its own share
    assert admission._time.overdue(1, other.credential) == 0.0
    admission.done(other, ("o" * 43, 1), seconds=2 * OWN_BURST_SECONDS)
    assert admission._time.overdue(1, other.credential) > 0.0
    assert [row.limit for row in admission._limit_log.recent()] == []
    # it waits for as long, and the limit is recorded
    waited = []
    admission._wait = lambda future: (waited.append(1), admission._time.charge(1, flood.credential, -1.0))
    admission.admit(request(**cookie("f" * 43)))
    assert waited == [1]
    assert [(row.limit, row.account) for row in admission._limit_log.recent()] == [("processor_time", 1)]


def test_an_answer_of_429_counts_more(admission):
    for token, too_much in (("a" * 43, False), ("b" * 43, True)):
        admission.done(admission.admit(request(**cookie(token))), (token, 1 + too_much))
        admission.done(
            admission.admit(request(**cookie(token))), None, seconds=0.75 * USER_BURST_SECONDS, too_much=too_much
        )
    assert admission._time.overdue(1, hash("a" * 43)) == 0.0 < admission._time.overdue(2, hash("b" * 43))


def test_a_change_of_the_account_counts_as_its_transaction(admission):
    for token, change in (("a" * 43, False), ("b" * 43, True)):
        admission.done(admission.admit(request(**cookie(token))), (token, 1 + change))
        for _ in range(int(USER_BURST_SECONDS / ACCOUNT_CHANGE_SECONDS) + 1):
            admission.done(admission.admit(request(**cookie(token))), None, account_change=change)
    assert admission._time.overdue(1, hash("a" * 43)) == 0.0 < admission._time.overdue(2, hash("b" * 43))
