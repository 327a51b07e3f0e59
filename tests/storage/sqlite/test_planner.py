"""Plans, and data that a restore replaces meanwhile."""

from realtime_kv.core.engine import planner
from tests.core.services import Clock, Person
from tests.core.test_planner import DEADLINE, much_trash


class Prompting(Clock):
    """A clock that calls `prompt` at the third reading after `prompt` was set."""

    prompt, asked = None, 0

    def __call__(self):
        if self.prompt is not None:
            self.asked += 1
            if self.asked == 3:
                self.prompt()
        return super().__call__()


def test_a_plan_restarts_when_the_data_set_is_replaced(busy_services, runtime, monkeypatch):
    monkeypatch.setattr(planner, "STEP_ROWS", 64)
    busy_services.clock = Prompting()
    store = busy_services.open(runtime)
    alice = Person(store, busy_services.add_user("alice"))
    much_trash(alice)
    runtime.wait(store.writer.flush(None), DEADLINE)

    def put_in_place(db):
        # restore a key that the first steps have found deleted
        db.execute("UPDATE entries SET deleted_at = NULL WHERE key = 'a/1'")
        db.execute("UPDATE meta SET value = 'another' WHERE name = 'epoch'")
        db.commit()

    busy_services.clock.prompt = lambda: store.replace(put_in_place)
    assert alice.delete_prefix("a/")["count"] == 3
    assert busy_services.clock.asked > 3


def test_copy_does_not_wait_for_the_history_index(alice, store):
    alice.set("a/x", 1)
    indexed = store._committer.indexed
    alice.copy("a/", "b/")
    assert store._committer.indexed == indexed
    alice.restore("b/x", revision=2)
    assert store._committer.indexed > indexed
