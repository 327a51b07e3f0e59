"""Trimming of a history: what a write is charged, and which parts must stay."""

from realtime_kv.core.domain.space import Quota
from tests.core.services import Person, rows
from tests.core.test_disk_limits import KIB


def test_a_write_is_charged_in_bytes_and_not_in_characters(services, alice):
    alice.set("é/𝄞", "ü" * 4000)
    alice.set("é/𝄞", "𝄞" * 4000)
    alice.set("a", "x" * 4000)
    charges = [charge for (charge,) in rows(alice.store, "SELECT charge FROM log ORDER BY revision")]
    sizes = [len(frame.encode()) for frame in services.database.frames()]
    assert len(sizes) == 3
    assert all(charge >= size for charge, size in zip(charges, sizes, strict=True))


def test_trimming_keeps_the_last_earlier_op_of_each_key_for_undo(services):
    store = services.open(quota=Quota(history_bytes=200 * KIB))
    alice = Person(store, services.add_user("alice"))
    alice.batch(("set", "kept", 1), ("set", "other", 1))
    alice.set("other", 2)
    for n in range(300):
        alice.set("busy", f"{n:04}" * 500)
        if n % 10 == 9:
            alice.list(limit=1)
    assert alice.history(limit=1)["floor"] > 10
    # the last earlier op of each key is left
    for key, before in (("kept", 1), ("other", 2)):
        assert alice.undo(alice.set(key, "new")["revision"])["count"] == 1
        assert alice.get(key)["value"] == before
