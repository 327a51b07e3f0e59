"""Each tab's path through its revisions, replayed by the client's rule: resumable, bookmarkable."""

from collections.abc import Iterator
from typing import Any

from tests.robustness.evidence import Evidence
from tests.robustness.history import Answer, Call, Disconnected, Event, History, Push, TabLog
from tests.robustness.replica import Replica


def resumable(history: History, evidence: Evidence) -> Iterator[str]:
    """A sync begins at the tab's revision, has no gap between its pages, and ends at exactly the state it names."""
    for log in evidence.logs:
        asked: int | None = None
        since: int | None = None
        for event, replica, call in _walk(log):
            if not (isinstance(event, Answer) and call is not None and call.verb == "sync" and event.body["ok"]):
                continue
            page, where = event.body, f"{log.tab} at {event.body['revision']}"
            if "next" not in call.payload:
                since = asked = call.payload.get("since")
            if page["from"] != (since or 0) and not (page["reset"] and page["from"] == 0):
                yield f"{where}: asked from {since}, the page is from {page['from']}"
            revisions = [write["revision"] for write in page["writes"]]
            if revisions != sorted(set(revisions)) or not all(page["from"] < r <= page["revision"] for r in revisions):
                yield f"{where}: a page ({page['from']}, {page['revision']}] has the writes {revisions}"
            since = page["revision"]
            if page["next"] is None:
                if page["reset"] and asked is not None and _could_go_on(asked, page["revision"], history):
                    yield f"{where}: could have gone on from {asked}, and was given everything"
                yield from (f"{where}: {what}" for what in differences(replica, evidence, page["revision"]))


def bookmarkable(_history: History, evidence: Evidence) -> Iterator[str]:
    """`keys` and `digest` match every tab that is at the revision, and are the same for all."""
    told: dict[int, Any] = {}
    for log in evidence.logs:
        for event, replica, _ in _walk(log):
            proof = event.data if isinstance(event, Push) else event.body if isinstance(event, Answer) else {}
            if "digest" not in proof:
                continue
            shown = (proof["keys"], proof["digest"])
            if told.setdefault(proof["revision"], shown) != shown:
                yield f"{log.tab}: revision {proof['revision']} is {shown}, and was {told[proof['revision']]}"
            if not replica.syncing and not replica.agrees(proof):
                yield f"{log.tab} holds ({len(replica.entries)}, {replica.digest}), {proof['revision']} is {shown}"


def differences(replica: Replica, evidence: Evidence, revision: int) -> Iterator[str]:
    """Yield the differences between the content of a tab at `revision` and the expected content.

    A replica that has applied pushes it held back is at a later revision, and is not compared.
    """
    if replica.revision != revision:
        return
    for key in evidence.history:
        expected = evidence.last(key, revision)
        held = replica.entries.get(key)
        if expected and evidence.content[key][expected] is None:
            expected = 0
        if expected != (held.revision if held else 0):
            yield f"holds {key} as of {held and held.revision}, the last write to it was {expected or 'its delete'}"


def _could_go_on(since: int, revision: int, history: History) -> bool:
    # every purge left the last few revisions of its time
    return history.purge_keeps is None or since >= revision - history.purge_keeps


def _walk(log: TabLog) -> Iterator[tuple[Event, Replica, Call | None]]:
    """Yield each event, the replica after it, and for an answer the call that it answers."""
    replica = Replica()
    asked: dict[int, Call] = {}
    for event in log.events:
        call = None
        if isinstance(event, Call):
            asked[event.id] = event
            if event.verb == "sync" and "next" not in event.payload:
                replica.begin_sync()
        elif isinstance(event, Answer):
            call = asked.get(event.id)
            if call is not None and call.verb == "sync" and event.body["ok"]:
                replica.on_page(event.body)
        elif isinstance(event, Push) and event.name == "change":
            replica.on_change(event.data)
        elif isinstance(event, Disconnected):
            replica.abort_sync()
        yield event, replica, call
