"""Order of the server's pushes over one connection, before any client heals it: ordered, unique, gapless.

The client's own rule protects it from lost, repeated and reordered frames. That rule would hide a server that loses
them, so these validators look at the frames as they arrived.
"""

from collections.abc import Iterator
from typing import Any

from tests.robustness.evidence import Evidence
from tests.robustness.history import Answer, Call, Event, History, Push, connections
from tests.robustness.workload import WRITING


def ordered(_history: History, evidence: Evidence) -> Iterator[str]:
    """Revisions rise: within a change, from change to change, and in the order in which a tab sent its writes."""
    for where, events in _connections(evidence):
        reached, seen = 0, set()
        for change in _changes(events):
            span = (change["from"], change["revision"])
            revisions = [write["revision"] for write in change["writes"]]
            if revisions != sorted(revisions) or not revisions or revisions[-1] != change["revision"]:
                yield f"{where} was pushed a change {span} with the writes {revisions}"
            if change["revision"] < reached and span not in seen:
                yield f"{where} was pushed {span} behind {reached}"
            reached = max(reached, change["revision"])
            seen.add(span)
        acknowledged = [(call.id, answer.body["revision"]) for call, answer in _made_here(events)]
        by_sending = [revision for _, revision in sorted(acknowledged)]
        if by_sending != sorted(by_sending):
            yield f"{where}: its writes took effect in another order than they were sent in: {by_sending}"


def unique(_history: History, evidence: Evidence) -> Iterator[str]:
    """No write is pushed twice over a connection, and all tabs see the same under one revision."""
    yield from evidence.contradictions
    for where, events in _connections(evidence):
        seen: set[int] = set()
        for change in _changes(events):
            revisions = [write["revision"] for write in change["writes"]]
            if again := sorted(seen.intersection(revisions)) or (len(set(revisions)) < len(revisions)):
                yield f"{where} was pushed twice: {again if again is not True else revisions}"
            seen.update(revisions)


def gapless(_history: History, evidence: Evidence) -> Iterator[str]:
    """Each change begins where the one before ended, the first no later than the first sync; nothing is left out.

    That includes the end: a bookmark, and the acknowledgement of a tab's own write, follow the change they are about.
    """
    for where, events in _connections(evidence):
        yield from (f"{where} {what}" for what in _gaps(events))


def _gaps(events: list[Event]) -> Iterator[str]:
    pushed: int | None = None
    first: int | None = None
    first_sync: int | None = None
    # the revision of a client that believes everything
    stands = 0
    made_here = {answer.id for _, answer in _made_here(events)}
    for event in events:
        data = event.data if isinstance(event, Push) else event.body if isinstance(event, Answer) else {}
        if isinstance(event, Push) and event.name == "change":
            if pushed is not None and data["from"] > pushed:
                yield f"was pushed nothing between {pushed} and {data['from']}"
            revisions = {write["revision"] for write in data["writes"]}
            if missing := set(range(data["from"] + 1, data["revision"] + 1)) - revisions:
                yield f"was pushed a change without {sorted(missing)}"
            first = data["from"] if first is None else first
            if pushed is None and first_sync is not None and first > first_sync:
                yield f"has synced up to {first_sync}, and the first change begins at {first}"
            pushed = max(pushed or 0, data["revision"])
            stands = max(stands, pushed)
        elif isinstance(event, Push) and event.name == "bookmark" and first_sync is not None:
            if data["revision"] > stands:
                yield f"has come to {stands} and is told of {data['revision']}"
        elif isinstance(event, Answer) and event.id in made_here and data["revision"] > (pushed or 0):
            yield f"is acknowledged its write {data['revision']} before it is pushed"
        elif _is_last_page(event):
            stands = max(stands, data["revision"])
            if first_sync is None:
                first_sync = data["revision"]
                if first is not None and first > first_sync:
                    yield f"has synced up to {first_sync}, and the first change began at {first}"


def wrote(body: dict[str, Any]) -> bool:
    """Return whether this is the first answer to a write, and the write changed something."""
    if not body["ok"] or body.get("replayed"):
        return False
    if "results" in body:
        return any(result.get("existed", True) for result in body["results"])
    return bool(body.get("existed", "version" in body or body.get("count")))


def _connections(evidence: Evidence) -> Iterator[tuple[str, list[Event]]]:
    for log in evidence.logs:
        for events in connections(log):
            yield f"{log.tab} (connection {events[0].connection})", events


def _changes(events: list[Event]) -> Iterator[dict[str, Any]]:
    return (event.data for event in events if isinstance(event, Push) and event.name == "change")


def _made_here(events: list[Event]) -> list[tuple[Call, Answer]]:
    """Return the calls of this connection that wrote something themselves: no replays, and no writes without effect."""
    calls = {event.id: event for event in events if isinstance(event, Call) and event.verb in WRITING}
    return [
        (calls[event.id], event)
        for event in events
        if isinstance(event, Answer) and event.id in calls and wrote(event.body)
    ]


def _is_last_page(event: Event) -> bool:
    return isinstance(event, Answer) and event.body.get("next", "") is None and "digest" in event.body
