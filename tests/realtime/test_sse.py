"""Server-sent events: the guarantees of a tab, over plain HTTP."""

import http.client
import itertools
import json
import socket
import threading

import pytest
import requests

from tests.live_server import DEADLINE, Account, Server, fresh_name
from tests.realtime.events import Follower, Listener
from tests.realtime.tools import eventually


@pytest.fixture
def listen(alice):
    """Return a function that opens a stream of Alice or of another account; all are closed at the end."""
    opened = []

    def listen(account=None, last=None, **options):
        opened.append(Listener(account or alice, last, **options))
        return opened[-1]

    yield listen
    for listener in opened:
        listener.close()


@pytest.fixture
def own_server(tmp_path):
    server = Server(tmp_path / "data").start()
    yield server
    server.close()


def test_a_stream_sends_a_sync_and_then_every_change(alice, listen):
    alice.http("set", key="é/1", value={"a": "\n"})
    stream = listen()
    headers = stream.answer.headers
    assert headers.get_content_type() == "text/event-stream"
    assert (headers["X-Accel-Buffering"], headers["Cache-Control"]) == ("no", "no-store")
    assert "Content-Encoding" not in headers
    name, page, at = stream.next()
    assert (name, page) == ("sync", alice.http("sync").json())
    assert at == f"{page['epoch']}:1"
    tab = alice.open_tab()
    revision = tab.call("batch", ops=[{"op": "set", "key": "b", "value": None}, {"op": "delete", "key": "é/1"}])[
        "revision"
    ]
    name, change, at = stream.next()
    assert (name, change) == ("change", tab.next("change"))
    assert at == f"{page['epoch']}:{revision}"


def test_a_stream_resumes_from_a_position_in_the_header_or_the_query(alice, listen):
    for n in range(3):
        alice.http("set", key=f"k{n}", value=n)
    epoch = alice.http("sync").json()["epoch"]
    for stream in (
        listen(last=f"{epoch}:2"),
        listen(epoch=epoch, since=2),
        listen(last=f"{epoch}:2", epoch=epoch, since=0),
    ):
        page = stream.next().data
        assert (page["reset"], page["from"], page["revision"]) == (False, 2, 3)
        assert [op["key"] for write in page["writes"] for op in write["ops"]] == ["k2"]


@pytest.mark.parametrize(
    "last", ["other:1", "", "garbage", ":", "a:b", "{epoch}:99", "{epoch}:-1", "{epoch}:1:1", "x" * 5000]
)
def test_an_invalid_position_starts_a_full_resync(alice, listen, last):
    alice.http("set", key="k", value=1)
    epoch = alice.http("sync").json()["epoch"]
    page = listen(last=last.format(epoch=epoch)).next().data
    assert (page["reset"], page["from"], page["keys"]) == (True, 0, 1)


def test_an_invalid_stream_request_gets_an_api_error(alice, server):
    def ask(method="GET", query="", **headers):
        url = f"{server.url}/api/v1/stream{query}"
        return requests.request(method, url, headers={**alice.headers, **headers}, timeout=DEADLINE, stream=True)

    for query, field in [("?sinse=1", "sinse"), ("?since=one", "since"), ("?since=-1", "since"), ("?next=x", "next")]:
        answer = ask(query=query)
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "bad_request", field)
    assert ask("POST").status_code == 405
    assert ask(Authorization="Bearer nobody").json()["code"] == "unauthenticated"
    head = ask("HEAD")
    assert (head.status_code, head.headers["Content-Type"].split(";")[0]) == (200, "text/event-stream")


def test_a_thousand_changes_arrive_exactly_once_despite_forced_disconnects(alice):
    follower, last = Follower(alice), 1000
    tab = alice.open_tab(["websocket"])

    def write():
        for n in range(last):
            # in bursts, so that a change holds several writes
            (tab.call if n % 20 == 19 else tab.send)("set", key=f"k{n % 37}", value=n)

    writing = threading.Thread(target=write)
    writing.start()
    heard = itertools.count(1)
    follower.follow(lambda: follower.replica.revision == last, cut=lambda _: next(heard) % 3 == 0)
    writing.join()
    assert follower.cuts > 5
    assert follower.resets == 1
    assert len(set(follower.revisions)) == len(follower.revisions)
    page = alice.http("sync").json()
    assert (page["revision"], page["keys"], page["digest"]) == (last, follower.replica.keys, follower.replica.digest)


def test_an_uninterrupted_stream_delivers_every_write_once_and_in_order(alice):
    follower, last = Follower(alice), 600
    tab = alice.open_tab(["websocket"])
    first = threading.Event()

    def done():
        first.set() if follower.replica.epoch is not None else None
        return follower.replica.revision == last

    following = threading.Thread(target=lambda: follower.follow(done))
    following.start()
    assert first.wait(DEADLINE)
    for n in range(last):
        tab.send("set", key=f"k{n % 11}", value=n)
    following.join(DEADLINE)
    assert follower.revisions == [*range(1, last + 1)]


def test_a_stream_resumes_without_a_reset_after_a_server_kill(own_server):
    alice = own_server.sign_up("alice")
    alice.http("set", key="a", value=1)
    follower = Follower(alice)
    follower.follow(lambda: follower.replica.revision == 1)
    own_server.kill()
    own_server.start()
    alice.http("set", key="b", value=2)
    follower.follow(lambda: follower.replica.revision == 2)
    assert follower.resets == 1 and follower.replica.keys == 2


def test_a_long_sync_is_paged_and_restarts_after_a_disconnect(alice, listen):
    for n in range(30):
        alice.http("set", key=f"k{n}", value="x" * 60_000)
    stream = listen()
    first = stream.next()
    assert first.id is None and first.data["next"] is not None
    stream.close()
    assert stream.last is None
    follower = Follower(alice)
    follower.follow(lambda: follower.replica.epoch is not None)
    assert follower.replica.keys == 30


def test_a_slow_reader_is_disconnected_and_resumes_from_its_position(alice, listen):
    alice.http("set", key="a", value=0)
    stream = listen(buffer=4096)
    stream.next()
    for n in range(80):
        alice.http("set", key="a", value=f"{n}" + "x" * 60_000)
    revisions = []
    with pytest.raises((OSError, http.client.HTTPException)):
        revisions.extend(event.data["revision"] for event in stream)
    assert revisions == [*range(2, len(revisions) + 2)] and len(revisions) < 80
    page = listen(last=stream.last).next().data
    assert (page["reset"], page["from"], page["revision"]) == (False, [1, *revisions][-1], 81)


def test_a_long_sync_waits_for_a_slow_reader(alice, listen):
    for n in range(80):
        alice.http("set", key=f"k{n}", value="x" * 60_000)
    stream = listen(buffer=4096)
    # 4.8 MB, twice the limit of the send buffer: reading the whole sync at once would have cut the stream
    pages = [event for _, event in zip(range(9), stream, strict=False)]
    assert [page.data["next"] is None for page in pages] == [False] * 8 + [True]


def test_a_stream_of_a_revoked_token_receives_the_reason_and_ends(alice, listen):
    made = alice.http("create_token", name="p").json()["token"]
    program = Account(alice.server, alice.username, made)
    stream, other = listen(program), listen()
    assert stream.next().name == other.next().name == "sync"
    tokens = requests.get(f"{alice.server.url}/api/v1/tokens", headers=alice.headers, timeout=DEADLINE).json()["tokens"]
    alice.http("revoke_token", id=tokens[0]["id"])
    assert [(event.name, event.data) for event in stream] == [("signed_out", {"reason": "revoked"})]
    assert listen(program, stream.last).status == 401
    alice.http("set", key="k", value=1)
    assert other.next().name == "change"


def test_a_token_with_a_prefix_receives_only_the_ops_on_its_keys(alice, listen):
    made = alice.http("create_token", name="p", prefix="a/").json()["token"]
    program = Account(alice.server, alice.username, made)
    alice.http("set", key="secret", value="hidden")
    alice.http("set", key="a/1", value=1)
    stream = listen(program)
    page = stream.next()
    assert [op["key"] for write in page.data["writes"] for op in write["ops"]] == ["a/1"]
    assert "keys" not in page.data and "digest" not in page.data
    alice.http("set", key="secret", value="hidden too")
    ops = [{"op": "set", "key": key, "value": 1} for key in ("secret", "a/2", "a/3")]
    alice.http("batch", ops=ops)
    change = stream.next()
    assert (change.data["from"], change.data["revision"]) == (2, 4)
    assert [op["key"] for write in change.data["writes"] for op in write["ops"]] == ["a/2", "a/3"]
    alice.http("set", key="a/4", value=1)
    again = listen(program, change.id).next().data
    assert (again["reset"], [op["key"] for write in again["writes"] for op in write["ops"]]) == (False, ["a/4"])
    assert listen(program, prefix="b").status == 403


def test_a_stream_can_be_limited_to_a_prefix(alice, listen):
    stream = listen(prefix="a/")
    assert stream.next().data["writes"] == []
    alice.http("set", key="b", value=1)
    alice.http("set", key="a/1", value=1)
    assert stream.next().data["from"] == 0


def test_a_stream_is_counted_in_metrics_until_it_closes_but_not_in_presence(own_server):
    alice = own_server.sign_up("alice")
    tab = alice.open_tab()

    def streams():
        text = requests.get(f"{own_server.url}/metrics", timeout=DEADLINE).text
        return int(float(text.split("\nrkv_streams ")[1].split("\n")[0]))

    stream = Listener(alice)
    stream.next()
    assert streams() == 1
    tab.call("sync")
    assert len(tab.next("presence")["tabs"]) == 1
    stream.close()
    eventually(lambda: streams() == 0)
    alice.close()


def test_streams_per_user_are_limited_and_closing_one_frees_its_slot(tmp_path):
    server = Server(tmp_path / "data", RKV_RATE_LIMITS="on", RKV_CONNECTIONS_PER_USER="2").start()
    try:
        alice, charlie = server.sign_up(fresh_name("alice")), server.sign_up(fresh_name("charlie"))
        first, second = Listener(alice), Listener(alice)
        assert first.next().name == second.next().name == "sync"
        refused = Listener(alice)
        assert (refused.status, refused.answer.headers["Retry-After"]) == (429, "10")
        assert Listener(charlie).status == 200
        first.close()
        eventually(lambda: Listener(alice).status == 200)
    finally:
        server.close()


def test_server_shutdown_sends_a_restart_notice_and_completes_the_stream(own_server):
    alice = own_server.sign_up("alice")
    url = f"{own_server.url}/api/v1/stream"
    with requests.get(url, headers=alice.headers, stream=True, timeout=DEADLINE) as answer:
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith(b"id:"))
        assert own_server.stop() == 0
        # the chunked body is complete: a cut one would raise
        rest = [*lines]
    assert b"event: notice" in rest and b'"kind":"restart"' in b"".join(rest)


def test_an_http_1_0_client_receives_the_whole_stream_without_chunking(own_server):
    alice = own_server.sign_up("alice")
    with socket.create_connection(("127.0.0.1", own_server.port), timeout=DEADLINE) as sock:
        sock.sendall(
            f"GET /api/v1/stream HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {alice.token}\r\n\r\n".encode()
        )
        file = sock.makefile("rb")
        while not file.readline().startswith(b"id:"):
            pass
        alice.http("sign_out")
        rest = file.read()
    assert rest.endswith(b'event: signed_out\ndata: {"reason":"signed_out"}\n\n')
    assert b"\r\n" not in rest


def test_streams_are_limited_per_network(tmp_path):
    server = Server(tmp_path / "data", RKV_RATE_LIMITS="on", RKV_PROXIES="1", RKV_CONNECTIONS_PER_ADDRESS="2").start()
    try:
        account = server.sign_up(fresh_name())

        def open_stream(address):
            headers = {**account.headers, "X-Forwarded-For": address}
            return requests.get(f"{server.url}/api/v1/stream", headers=headers, stream=True, timeout=DEADLINE)

        with open_stream("2001:db8:0:1::1") as first, open_stream("[2001:db8:0:1::2]:80") as second:
            assert (first.status_code, second.status_code) == (200, 200)
            # a stream counts from its first event on; a collected generator closes its stream
            lines = [stream.iter_lines(1) for stream in (first, second)]
            assert all(b"event: sync" in events for events in lines)
            assert open_stream("2001:db8:0:1::3").status_code == 429
            with open_stream("2001:db8:0:2::1") as elsewhere:
                assert elsewhere.status_code == 200
    finally:
        server.close()


def blocks_of(raw):
    """Yield the name and the data of each block, as a reader sees them that splits lines like `str.splitlines`."""
    name, data = "message", None
    for line in raw.decode().splitlines():
        field, _, value = line.partition(": ")
        if not line:
            yield name, data
            name, data = "message", None
        elif field == "event":
            name = value
        elif field == "data":
            data = value if data is None else f"{data}\n{value}"


SEPARATORS = "a\u2028b\u2029c\u0085d\u000be\u000cf\u001cg\u001dh\u001ei\rj\nk"


def test_unicode_line_separators_in_keys_and_values_do_not_split_events(alice, listen):
    alice.http("set", key="before", value={SEPARATORS: SEPARATORS})
    with requests.get(
        f"{alice.server.url}/api/v1/stream", headers=alice.headers, stream=True, timeout=DEADLINE
    ) as stream:
        raw, pieces = b"", stream.iter_content(None)
        while b"bookmark" not in raw and raw.count(b"\n\n") < 1:
            raw += next(pieces)
        alice.http("set", key="é\u2028", value=SEPARATORS)
        while raw.count(b"\n\n") < 2:
            raw += next(pieces)
    blocks = list(blocks_of(raw))
    assert [name for name, _ in blocks] == ["sync", "change"]
    sync, change = (json.loads(data) for _, data in blocks)
    assert sync["writes"][0]["ops"][0]["value"] == {SEPARATORS: SEPARATORS}
    assert (change["writes"][0]["ops"][0]["key"], change["writes"][0]["ops"][0]["value"]) == ("é\u2028", SEPARATORS)
    assert raw.startswith(b"retry: 1000\nevent: sync\n")


def test_unicode_line_separators_do_not_split_lines_of_an_ndjson_export(alice):
    alice.http("set", key="é\u2028/1", value={SEPARATORS: SEPARATORS})
    answer = requests.get(
        f"{alice.server.url}/api/v1/export", {"format": "ndjson"}, headers=alice.headers, timeout=DEADLINE
    )
    head, entry, end = (json.loads(line) for line in answer.content.decode().splitlines())
    assert (entry["key"], entry["value"]) == ("é\u2028/1", {SEPARATORS: SEPARATORS})
    assert head["format"] == "realtime_kv" and end["complete"]


def test_a_client_that_keeps_sending_after_its_request_is_disconnected(alice, listen):
    stream = listen()
    assert stream.next().name == "sync"
    with pytest.raises(ConnectionError):
        stream._sock.sendall(b"x" * 64 * 1024 * 1024)
