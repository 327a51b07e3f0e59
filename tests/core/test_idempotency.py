"""Receipts of repeated writes: one namespace for full access, one per limited token; permission is checked first."""

import pytest

from realtime_kv.core.domain import idempotency
from realtime_kv.errors import Forbidden, OpIdReused
from tests.core.services import Person


@pytest.fixture
def credential(services, alice):
    """Return a function that makes another credential of Alice's, with a row and a public id of its own."""
    return lambda public_id, **limits: Person(alice.store, services.add_credential(alice.caller, public_id, **limits))


def test_an_op_id_of_the_owner_is_unknown_to_a_limited_token(alice, credential):
    token = credential("limited", prefix="p/")
    alice.set("q/pay", 1, op_id="job-1")
    first = token.set("p/mine", 1, op_id="job-1")
    assert "replayed" not in first and alice.get("p/mine")["value"] == 1
    assert token.set("p/mine", 1, op_id="job-1")["replayed"]


def test_a_limited_token_cannot_occupy_an_op_id_of_the_owner(alice, credential):
    token = credential("limited", prefix="p/")
    token.set("p/mine", 1, op_id="job-2")
    assert "replayed" not in alice.set("q/pay", 1, op_id="job-2")
    assert alice.get("q/pay")["value"] == 1


def test_limited_tokens_with_the_same_prefix_do_not_share_op_ids(credential):
    one, other = credential("one", prefix="p/"), credential("other", prefix="p/")
    one.set("p/k", 1, op_id="x")
    assert "replayed" not in other.set("p/k", 2, op_id="x")
    with pytest.raises(OpIdReused):
        other.set("p/k", 1, op_id="x")


@pytest.mark.parametrize("kind", ["session", "token"])
def test_write_is_replayed_to_another_credential_with_full_access(alice, credential, kind):
    first = alice.set("k", 1, op_id="offline-1")
    assert credential("later", kind=kind).set("k", 1, op_id="offline-1") == first | {"replayed": True}


def test_the_undo_of_the_owner_is_not_replayed_to_a_limited_token(alice, credential):
    token = credential("limited", prefix="p/")
    alice.batch(("set", "q/a", 1), ("set", "q/b", 1))
    alice.undo(1, op_id="owners-undo")
    with pytest.raises(Forbidden):
        token.undo(1, op_id="owners-undo")


def test_an_undo_of_a_limited_token_is_repeated_safely(alice, credential):
    token = credential("limited", prefix="p/")
    token.set("p/k", 1)
    first = token.undo(1, op_id="u")
    assert token.undo(1, op_id="u") == first | {"replayed": True}
    assert alice.sync()["revision"] == 2


def test_permission_for_planned_ops_is_checked_before_a_replay(alice, credential, services):
    token = credential("limited", prefix="p/")
    alice.set("q/a", 1)
    alice.undo(1, op_id="u")
    # a receipt in the token's own namespace for a write that the token may not see
    alice.store.stop()
    services.database.execute(
        "UPDATE receipts SET op_id = :namespace || op_id", namespace=token.caller.receipt_namespace
    )
    store = services.open()
    with pytest.raises(Forbidden):
        Person(store, token.caller).undo(1, op_id="u")


def test_receipts_of_limited_tokens_survive_a_restart(services, credential):
    token = credential("limited", prefix="p/")
    first = token.set("p/k", 1, op_id="x")
    token.store.stop()
    again = Person(services.open(), token.caller)
    assert again.set("p/k", 1, op_id="x") == first | {"replayed": True}


def test_retry_of_a_write_from_before_an_upgrade_is_replayed_not_reapplied(services, alice, monkeypatch):
    first = alice.set("k", 1, op_id="x")
    gone = alice.delete("k", op_id="y")
    monkeypatch.setattr(idempotency, "VERSION", idempotency.VERSION + 1)
    assert alice.set("k", 1, op_id="x") == first | {"replayed": True}
    assert alice.delete("k", op_id="y") == gone | {"replayed": True}
    # the original was certainly not of another verb
    with pytest.raises(OpIdReused):
        alice.batch(("set", "k", 1), op_id="x")
    alice.set("k", 2, op_id="z")
    with pytest.raises(OpIdReused):
        alice.set("k", 3, op_id="z")


def test_receipts_without_a_fingerprint_version_are_still_replayed(services, alice):
    first = alice.set("k", 1, op_id="x")
    alice.store.stop()
    services.database.execute("UPDATE receipts SET fingerprint = 'made by an older function'")
    reopened = Person(services.open(), alice.caller)
    assert reopened.set("k", 1, op_id="x") == first | {"replayed": True}
