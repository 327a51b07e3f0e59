"""The stream of events, requested from any position with any token; then some writes, which it has to report."""

from tests.fuzz import documents
from tests.fuzz.case import EPOCH, LIMITED, TOKEN, Case
from tests.fuzz.dice import Dice
from tests.fuzz.messages import API_TOKENS, BEARER, COOKIE, JSON, Request, harmless, percent

WRITING = ("set", "set", "set", "delete", "batch", "restore", "undo", "move", "copy")


def streams(dice: Dice) -> Case:
    """Return a case: the first input requests a stream, the others write while it is open."""
    writes = [_write(dice) for _ in range(dice.below(6))]
    return Case("streams", (_stream(dice).render(), *(write.render() for write in writes)), 1 + len(writes))


def sees_all(asked: bytes) -> bool:
    """Return whether this request for a stream covers all keys of its user."""
    return LIMITED not in asked and b"prefix=" not in asked


def _stream(dice: Dice) -> Request:
    pairs = []
    if dice.chance(0.5):
        pairs.append(b"epoch=" + (EPOCH if dice.chance(0.7) else percent(dice, dice.junk())))
    if dice.chance(0.6):
        pairs.append(b"since=" + percent(dice, documents.revision(dice)))
    if dice.chance(0.2):
        pairs.append(b"prefix=" + percent(dice, documents.key(dice).strip(b'"')))
    if dice.chance(0.05):
        pairs.append(percent(dice, dice.junk()) + b"=" + percent(dice, dice.junk()))
    headers = [dice.one((BEARER, BEARER, COOKIE, *API_TOKENS))]
    if dice.chance(0.4):
        headers.append((b"Last-Event-ID", _last(dice)))
    if dice.chance(0.1):
        headers.append(harmless(dice))
    target = b"/api/v1/stream?" + b"&".join(pairs) if pairs else b"/api/v1/stream"
    return Request(b"GET", target[:8000], tuple(headers))


def _last(dice: Dice) -> bytes:
    """Return a Last-Event-ID that a browser could send, or never would; in one line."""
    if dice.chance(0.5):
        return EPOCH + b":%d" % dice.one((0, 1, 2, 5, 2**53, 10**15, 10**16))
    junk = dice.one((dice.junk(), EPOCH, b":", EPOCH + b":-1", EPOCH + b":" + b"9" * 400, b"x" * 4000, TOKEN + b":1"))
    return junk.translate(None, b"\r\n\0").strip() or b"x"


def _write(dice: Dice) -> Request:
    verb = dice.one(WRITING)
    return Request(b"POST", b"/api/v1/" + verb.encode(), (BEARER, JSON), documents.payload(dice, verb))
