"""A sync of several pages while keys are written, deleted and purged: it ends, and the client has the present state."""

import random

import pytest

from realtime_kv.core.retention.purge import Purge

DAY = 24 * 60 * 60 * 1000
# nine of them fill a page
LARGE = "x" * 60_000
KEYS = 40
# a sync that always begins anew would go on for ever
MAX_PAGES = 60


class Client:
    """Follows the pages of a sync, as protocol §3 says."""

    def __init__(self, person):
        self._person = person
        self._next = None
        self.entries = {}
        self.pages = 0

    def take_page(self):
        """Take the next page; return whether it was the last."""
        page = self._person.sync(**({} if self._next is None else {"next": self._next}))
        self.pages += 1
        if page["reset"] and page["from"] == 0:
            self.entries.clear()
        for write in page["writes"]:
            for op in write["ops"]:
                if op["op"] == "set":
                    self.entries[op["key"]] = op["value"][:20]
                else:
                    self.entries.pop(op["key"], None)
        self._next = page["next"]
        return self._next is None


def fill(person):
    for n in range(KEYS):
        person.set(f"k{n}", f"{n} {LARGE}")


def purge(services, store):
    services.clock.now += 31 * DAY
    Purge(store).remove_trashed(services.clock() - 30 * DAY)


def present(person):
    return {entry["key"]: entry["value"][:20] for entry in person.list(values=True, limit=5)["entries"]} | {
        key: person.get(key)["value"][:20]
        for key in (entry["key"] for entry in person.list(values=False, limit=1000)["entries"])
    }


def finish(client):
    while not client.take_page():
        assert client.pages < MAX_PAGES, "the sync begins anew for ever"


def test_long_sync_ends_where_deletes_after_its_first_pages_have_been_purged(services, store, alice):
    fill(alice)
    alice.set("late", 1)
    alice.delete("late")
    purge(services, store)
    client = Client(alice)
    finish(client)
    assert client.entries == present(alice)
    assert client.pages == 5


def test_long_sync_ends_if_a_purge_during_it_removes_earlier_deletes(services, store, alice):
    fill(alice)
    alice.delete("k1")
    client = Client(alice)
    assert not client.take_page()
    purge(services, store)
    finish(client)
    assert client.entries == present(alice)
    assert client.pages == 5, "that delete came before the sync, so no page has to be sent again"


def test_long_sync_begins_anew_if_a_delete_during_it_has_been_purged(services, store, alice):
    fill(alice)
    client = Client(alice)
    assert not client.take_page()
    assert "k1" in client.entries
    alice.delete("k1")
    purge(services, store)
    finish(client)
    assert client.entries == present(alice)


@pytest.mark.parametrize("seed", range(8))
def test_long_syncs_between_random_writes_and_purges_end_in_the_present_state(seed, services, store, alice):
    chance = random.Random(seed)
    fill(alice)
    client, writes = Client(alice), 0
    while not client.take_page():
        assert client.pages < MAX_PAGES
        if writes < 12 and chance.random() < 0.7:
            writes += 1
            key = f"k{chance.randrange(KEYS)}"
            alice.set(key, f"again {writes} {LARGE}") if chance.random() < 0.4 else alice.delete_prefix(key)
            if chance.random() < 0.5:
                purge(services, store)
    assert client.entries == present(alice)
