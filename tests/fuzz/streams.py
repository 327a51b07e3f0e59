"""The stream of events, requested from any position with any token; then some writes, which it has to report."""

from tests.fuzz import json_payloads
from tests.fuzz.case import EPOCH, LIMITED, TOKEN, Case
from tests.fuzz.messages import API_TOKENS, BEARER, COOKIE, JSON, Request, harmless, percent
from tests.fuzz.randomness import Randomness

WRITING = ("set", "set", "set", "delete", "batch", "restore", "undo", "move", "copy")


def streams(rng: Randomness) -> Case:
    """Return a case: the first input requests a stream, the others write while it is open."""
    writes = [_write(rng) for _ in range(rng.below(6))]
    return Case("streams", (_stream(rng).render(), *(write.render() for write in writes)), 1 + len(writes))


def sees_all(asked: bytes) -> bool:
    """Return whether this request for a stream covers all keys of its user."""
    return LIMITED not in asked and b"prefix=" not in asked


def _stream(rng: Randomness) -> Request:
    pairs = []
    if rng.chance(0.5):
        pairs.append(b"epoch=" + (EPOCH if rng.chance(0.7) else percent(rng, rng.junk())))
    if rng.chance(0.6):
        pairs.append(b"since=" + percent(rng, json_payloads.revision(rng)))
    if rng.chance(0.2):
        pairs.append(b"prefix=" + percent(rng, json_payloads.key(rng).strip(b'"')))
    if rng.chance(0.05):
        pairs.append(percent(rng, rng.junk()) + b"=" + percent(rng, rng.junk()))
    headers = [rng.one((BEARER, BEARER, COOKIE, *API_TOKENS))]
    if rng.chance(0.4):
        headers.append((b"Last-Event-ID", _last(rng)))
    if rng.chance(0.1):
        headers.append(harmless(rng))
    target = b"/api/v1/stream?" + b"&".join(pairs) if pairs else b"/api/v1/stream"
    return Request(b"GET", target[:8000], tuple(headers))


def _last(rng: Randomness) -> bytes:
    """Return a Last-Event-ID that a browser could send, or never would; in one line."""
    if rng.chance(0.5):
        return EPOCH + b":%d" % rng.one((0, 1, 2, 5, 2**53, 10**15, 10**16))
    junk = rng.one((rng.junk(), EPOCH, b":", EPOCH + b":-1", EPOCH + b":" + b"9" * 400, b"x" * 4000, TOKEN + b":1"))
    return junk.translate(None, b"\r\n\0").strip() or b"x"


def _write(rng: Randomness) -> Request:
    verb = rng.one(WRITING)
    return Request(b"POST", b"/api/v1/" + verb.encode(), (BEARER, JSON), json_payloads.payload(rng, verb))
