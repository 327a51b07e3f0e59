"""Export and import keep the expiry, and a file shows one revision, despite concurrent writes."""

import contextlib
import csv
import dataclasses
import io
import itertools
import json
import threading

import pytest

from realtime_kv.concurrency.runtime import ThreadedRuntime
from realtime_kv.core.domain.space import Quota
from realtime_kv.core.transfer import exporter
from realtime_kv.core.transfer.jobs import TransferService
from realtime_kv.errors import RateLimited, Unavailable
from realtime_kv.metrics.limit_log import LimitLog
from tests.core.services import Person, Watcher


@pytest.fixture
def transfer(services, store, tmp_path):
    transfer = TransferService(store.runtime, store, tmp_path, LimitLog(store.clock))
    yield transfer
    transfer.stop()


def take(transfer, person, format="ndjson", prefix=""):
    runtime = transfer._runtime
    outgoing = runtime.wait(transfer.export(person.caller, format, prefix), 30)
    content = b""
    while piece := runtime.wait(outgoing.read(1000), 30):
        content += piece
    outgoing.close()
    return content


def bring(transfer, person, content, format="ndjson", mode="merge", prefix=None, dry_run=False):
    incoming = transfer.begin_import(person.caller)
    runtime = transfer._runtime
    runtime.wait(incoming.take(content), 30)
    return runtime.wait(incoming.carry_in(format=format, mode=mode, prefix=prefix, dry_run=dry_run), 30)


def counts(done):
    return done.added, done.changed, done.removed, done.unchanged, done.expired


def expiries(content):
    return {line["key"]: line["expires_at"] for line in map(json.loads, content.splitlines()) if "key" in line}


def test_expiry_survives_an_export_and_import(transfer, alice, charlie):
    alice.set("soon", 1, ttl=3600)
    alice.set("never", 2)
    out = take(transfer, alice)
    assert counts(bring(transfer, charlie, out)) == (2, 0, 0, 0, 0)
    assert expiries(take(transfer, charlie)) == expiries(out)
    assert expiries(out)["soon"] == alice.get("soon")["expires_at"] and expiries(out)["never"] is None
    assert counts(bring(transfer, charlie, out)) == (0, 0, 0, 2, 0)
    # a different expiry is a change, and a file without an expiry keeps the existing one
    charlie.set("soon", 1, ttl=7200)
    charlie.set("never", 2, ttl=7200)
    assert counts(bring(transfer, charlie, out)) == (0, 2, 0, 0, 0)
    assert expiries(take(transfer, charlie)) == expiries(out)
    assert counts(bring(transfer, charlie, b'{"soon":1,"never":3}', "json")) == (0, 1, 0, 1, 0)
    assert expiries(take(transfer, charlie)) == expiries(out)


def test_expired_entries_are_neither_exported_nor_imported(services, transfer, alice, charlie):
    alice.set("soon", 1, ttl=60)
    alice.set("stays", 2)
    out = take(transfer, alice)
    charlie.set("soon", "there")
    services.clock.now += 61_000
    assert set(expiries(take(transfer, alice))) == {"stays"}
    assert list(json.loads(take(transfer, alice, "json"))["entries"]) == ["stays"]
    assert counts(bring(transfer, charlie, out)) == (1, 0, 0, 0, 1)
    assert charlie.get("soon")["value"] == "there"
    # to match the file, the space must not hold the expired entry
    assert counts(bring(transfer, charlie, out, mode="replace")) == (0, 0, 1, 1, 1)
    # an expired entry counts as missing, although its delete is not written yet
    assert counts(bring(transfer, alice, b'{"soon":3}', "json")) == (1, 0, 0, 0, 0)
    assert alice.get("soon")["version"] == 1


class Meddling(io.BytesIO):
    """A file that writes to the space before each of its chunks, and has the tables flushed."""

    def __init__(self, meddle):
        super().__init__()
        self.meddle = meddle

    def write(self, piece):
        self.meddle()
        return super().write(piece)


@pytest.mark.parametrize("format", ["json", "ndjson", "csv"])
def test_an_export_shows_one_revision_despite_concurrent_writes(services, store, alice, format):
    keys = [f"k{n:03}" for n in range(exporter.EXPORT_STEP * 3 + 1)]
    values = itertools.count()

    def write():
        # after every write, all keys have the same value
        value = next(values)
        for at in range(0, len(keys), 100):
            alice.batch(*[("set", key, value) for key in keys[at : at + 100]])
        store.runtime.wait(store.flush_user(alice.caller.user_id))

    write()
    file = Meddling(write)
    with contextlib.closing(store.backend.open_reader()) as reader:
        made = exporter.write(reader, alice.caller.user_id, services.clock(), format=format, prefix="", file=file)
    # the writes did happen
    assert next(values) > 3
    assert (made.count, made.revision) == (len(keys), 4)
    text = file.getvalue().decode()
    if format == "json":
        found = json.loads(text)["entries"]
    elif format == "ndjson":
        found = {line["key"]: line["value"] for line in map(json.loads, text.splitlines()[1:-1])}
    else:
        found = {row["key"]: int(row["value"]) for row in csv.DictReader(text.splitlines())}
    assert found == dict.fromkeys(keys, 0)


def test_a_shutdown_stops_an_import_and_reports_the_part_already_written(services, tmp_path):
    runtime = ThreadedRuntime()
    store = services.open(runtime)
    alice = Person(store, services.add_user("alice"))
    transfer = TransferService(runtime, store, tmp_path, LimitLog(store.clock))
    carry_in = store.carry_in
    stopping = []

    def stop_meanwhile(caller, ops):
        if not stopping:
            stopping.append(threading.Thread(target=transfer.stop))
            transfer._stopping = True
        return carry_in(caller, ops)

    store.carry_in = stop_meanwhile
    many = {f"k{n:04}": n for n in range(1_500)}
    with pytest.raises(Unavailable) as refused:
        bring(transfer, alice, json.dumps(many).encode(), "json")
    assert refused.value.extra["written"] == {"added": 1_000, "changed": 0, "removed": 0, "revisions": [1]}
    transfer._stopping = False
    store.carry_in = carry_in
    # the same file once more adds the rest
    assert counts(bring(transfer, alice, json.dumps(many).encode(), "json")) == (500, 0, 0, 1_000, 0)
    transfer.stop()
    store.stop()
    runtime.stop()


def test_exports_and_imports_leave_no_files_in_the_data_folder(transfer, alice, tmp_path):
    before = sorted(file.name for file in tmp_path.iterdir())
    big = json.dumps({f"k{n}": "x" * 60_000 for n in range(50)}).encode()
    bring(transfer, alice, big, "json")
    outgoing = transfer._runtime.wait(transfer.export(alice.caller, "json", ""), 30)
    assert outgoing.bytes > 3_000_000
    assert sorted(file.name for file in tmp_path.iterdir()) == before
    outgoing.close()


@pytest.mark.parametrize("mode", ["merge", "replace"])
def test_undo_of_each_import_part_stays_within_the_change_size_limit(store, transfer, alice, mode):
    for n in range(40):
        alice.set(f"k{n:02}", f"{n}" + "x" * 60_000)
    lines = [json.dumps({"key": f"k{n:02}", "value": n}) for n in range(0 if mode == "merge" else 39, 40)]
    done = bring(transfer, alice, "\n".join(lines).encode(), mode=mode)
    assert counts(done)[1:3] == ((40, 0) if mode == "merge" else (1, 39))
    watcher = Watcher(store)
    for revision in reversed(done.revisions):
        alice.undo(revision)
    sizes = [len(frame) for news in watcher.commits for _, frame in news.writes]
    assert max(sizes) < 1_200_000 < sum(sizes)
    assert [alice.get(f"k{n:02}")["value"] for n in range(40)] == [f"{n}" + "x" * 60_000 for n in range(40)]


@pytest.fixture
def token_of(alice, services):
    """Make a token of Alice's with full access."""
    return Person(alice.store, services.add_credential(alice.caller, "t"))


def test_token_transfers_are_limited_to_one_and_do_not_block_the_owner(transfer, alice, token_of):
    alice.set("k", 1)
    wait = transfer._runtime.wait
    slow = wait(transfer.export(token_of.caller, "json", ""), 30)
    with pytest.raises(RateLimited, match="This token has 1 export under way and may have 1"):
        transfer.export(token_of.caller, "json", "")
    assert take(transfer, alice)
    slow.close()
    receiving = transfer.begin_import(token_of.caller)
    with pytest.raises(RateLimited, match="Another import by an API token of this user is under way"):
        transfer.begin_import(token_of.caller)
    assert counts(bring(transfer, alice, b'{"a": 1}', "json")) == (1, 0, 0, 0, 0)
    receiving.close()


def test_import_progress_is_visible_only_to_the_credential_that_sent_it(transfer, alice, token_of):
    other = dataclasses.replace(token_of.caller, session_id=99, scope="read")
    mine = transfer.begin_import(alice.caller)
    assert transfer.progress(alice.caller) is mine.progress
    assert transfer.progress(token_of.caller) is None
    theirs = transfer.begin_import(token_of.caller)
    assert transfer.progress(token_of.caller) is theirs.progress
    assert transfer.progress(other) is None
    assert transfer.progress(alice.caller) is mine.progress
    mine.close()
    theirs.close()
    assert transfer.progress(alice.caller) is transfer.progress(token_of.caller) is None


def test_full_imports_fit_the_transfer_budget_and_endless_ones_are_rate_limited(services, tmp_path):
    store = services.open(quota=Quota(keys=200, bytes=1024 * 1024))
    now = [0]
    limits = LimitLog(store.clock)
    transfer = TransferService(store.runtime, store, tmp_path, limits, rate=100, steady=lambda: now[0])
    person, other = Person(store, services.add_user("ed")), Person(store, services.add_user("di"))
    for n in range(2):
        content = "".join(f'{{"key": "k{i}", "value": {n}}}\n' for i in range(200)).encode()
        assert bring(transfer, person, content).revisions
    for _ in range(3):
        if not transfer._budget.wait((person.caller.user_id, False)):
            content = content.replace(b'"value": ', b'"value": 1')
            assert bring(transfer, person, content).revisions
    with pytest.raises(RateLimited) as refused:
        bring(transfer, person, content)
    assert [row.limit for row in limits.recent()] == ["transfer_volume"]
    assert bring(transfer, other, content).revisions
    now[0] += 1000 * refused.value.extra["retry_after"]
    assert bring(transfer, person, content).unchanged == 200
    transfer.stop()
