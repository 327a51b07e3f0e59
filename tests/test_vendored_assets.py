"""Export and import of large files on a real server: streamed, bounded, and without effect on other users."""

import contextlib
import json
import socket
import threading
import time
from pathlib import Path

import pytest
import requests

from tests.live_server import DEADLINE, Server, fresh_name

MIB = 1024 * 1024


def bring(account, body, mimetype="application/json", **query):
    headers = {**account.headers, "Content-Type": mimetype}
    return requests.post(
        f"{account.server.url}/api/v1/import", data=body, headers=headers, params=query, timeout=DEADLINE
    )


def export(account, format="json"):
    answer = requests.get(
        f"{account.server.url}/api/v1/export", params={"format": format}, headers=account.headers, timeout=DEADLINE
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def large(megabytes, value="x"):
    return {f"file/{n:05}": value * 50_000 for n in range(megabytes * 20)}


def nameless_files(server):
    found = []
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += [target for target in [str(link.readlink())] if "deleted" in target]
    return found


@pytest.fixture
def bob(server):
    account = server.sign_up(fresh_name("bob"))
    yield account
    account.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_file_over_the_normal_body_limit_can_be_imported_and_exported(bob, chunked):
    values = large(12)
    body = json.dumps(values).encode()
    pieces = (body[at : at + 100_000] for at in range(0, len(body), 100_000))
    answer = bring(bob, pieces if chunked else body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["added"] == len(values)
    out = export(bob, "ndjson")
    found = [json.loads(line) for line in out.splitlines()[1:-1]]
    assert {entry["key"]: entry["value"] for entry in found} == values
    again = bring(bob, out, "application/x-ndjson", mode="replace").json()
    assert (again["unchanged"], again["revisions"]) == (len(values), [])


def test_tab_receives_every_write_of_an_import_in_order(bob):
    tab = bob.open_tab()
    tab.call("sync")
    done = bring(bob, json.dumps({f"k{n:04}": n for n in range(2_500)})).json()
    seen, revision = {}, 0
    while revision < done["revision"]:
        change = tab.next("change")
        assert change["from"] == revision
        revision = change["revision"]
        for write in change["writes"]:
            assert write["origin"]["via"] == "import" and len(write["ops"]) <= 1_000
            seen |= {op["key"]: op["value"] for op in write["ops"]}
    assert seen == {f"k{n:04}": n for n in range(2_500)}


def test_large_import_and_export_do_not_block_other_users(server, bob):
    other = server.sign_up(fresh_name("eve"))
    over, pauses = threading.Event(), []

    def go_on_writing():
        while not over.is_set():
            began = time.monotonic()
            assert other.http("set", key="k", value=began).status_code == 200
            pauses.append(time.monotonic() - began)

    writer = threading.Thread(target=go_on_writing)
    writer.start()
    try:
        assert bring(bob, json.dumps(large(40)).encode()).status_code == 200
        assert len(export(bob)) > 40_000_000
    finally:
        over.set()
        writer.join()
    # the limit catches a hang, not a busy machine
    assert len(pauses) > 10 and max(pauses) < 5


def test_aborted_upload_writes_nothing_and_does_not_block_the_next_import(server, bob):
    body = json.dumps(large(3)).encode()
    for headers, sent in (
        (f"Content-Length: {len(body)}", body[:-10]),
        ("Transfer-Encoding: chunked", b"%x\r\n" % len(body) + body[: 2 * MIB]),
        ("Transfer-Encoding: chunked", b"%x\r\n" % len(body) + body + b"\r\nrubbish\r\n"),
    ):
        raw = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)
        head = f"POST /api/v1/import HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{headers}\r\n"
        raw.sendall(f"{head}Authorization: Bearer {bob.token}\r\n\r\n".encode() + sent)
        raw.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := raw.recv(65_536):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1") == 1
        raw.close()
    assert bob.http("list").json()["revision"] == 0
    assert bring(bob, b'{"a":1}').status_code == 200


def test_import_refuses_unauthenticated_clients_and_oversized_bodies(server, bob):
    body = iter([b"{" + b" " * 20 * MIB])
    refused = requests.post(f"{server.url}/api/v1/import", data=body, timeout=DEADLINE)
    assert refused.status_code == 401
    raw = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)
    raw.sendall(
        b"POST /api/v1/import HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 999999999999\r\nExpect: 100-continue\r\n"
        b"Authorization: Bearer " + bob.token.encode() + b"\r\n\r\n"
    )
    assert raw.recv(65_536).startswith(b"HTTP/1.1 413 ")
    raw.close()


def test_import_completes_after_its_client_disconnects(server, bob):
    tab = bob.open_tab()
    tab.call("sync")
    body = json.dumps({f"k{n:05}": n for n in range(20_000)}).encode()
    raw = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)
    raw.sendall(
        b"POST /api/v1/import HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\nAuthorization: Bearer %b\r\n\r\n" % (len(body), bob.token.encode()) + body
    )
    raw.close()
    revision = 0
    while revision < 20:
        revision = tab.next("change")["revision"]
    assert bob.http("get", key="k19999").json()["entry"]["value"] == 19_999


def test_aborted_download_releases_its_slot_and_temporary_file(server, bob):
    bring(bob, json.dumps(large(5)))
    for _ in range(5):
        raw = socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE)
        raw.sendall(
            b"GET /api/v1/export HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
            + bob.token.encode() + b"\r\n\r\n"
        )  # fmt: skip
        assert raw.recv(10).startswith(b"HTTP/1.1 ")
        raw.close()
        # its slot is free as soon as the server notices
        while requests.get(f"{server.url}/api/v1/export", headers=bob.headers, timeout=DEADLINE).status_code != 200:
            pass
    assert "Traceback" not in "".join(server.output)
    # its file goes as well; the server notices every broken download in the end
    while nameless_files(server):
        pass


def test_an_import_takes_little_memory(tmp_path):
    server = Server(tmp_path / "data", RKV_QUOTA_BYTES=str(200 * MIB)).start()
    try:
        account = server.sign_up(fresh_name())
        bring(account, b'{"a":1}')

        def most() -> int:
            status = Path(f"/proc/{server.process.pid}/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) // 1024

        before = most()
        # indented, as by an editor
        assert bring(account, json.dumps(large(60), indent=2).encode(), dry_run="true").json()["added"] == 1_200
        assert most() - before < 40
    finally:
        server.close()


def test_interrupted_import_leaves_whole_batches_and_a_rerun_adds_the_rest(tmp_path):
    server = Server(tmp_path / "data").start()
    try:
        account = server.sign_up(fresh_name())
        tab = account.open_tab()
        tab.call("sync")
        values = {f"k{n:05}": n for n in range(60_000)}
        sent = threading.Thread(target=_bring_anyhow, args=(account, json.dumps(values)))
        sent.start()
        revision = 0
        while revision < 3:
            revision = tab.next("change")["revision"]
        server.kill()
        sent.join()
        tab.client.shutdown()
        server.start()
        written = account.http("list", limit=1).json()["revision"]
        assert written >= revision
        done = bring(account, json.dumps(values)).json()
        assert (done["unchanged"], done["added"]) == (written * 1_000, 60_000 - written * 1_000)
        assert done["revision"] == 60
    finally:
        server.close()


def _bring_anyhow(account, body):
    with contextlib.suppress(requests.ConnectionError):
        bring(account, body)
