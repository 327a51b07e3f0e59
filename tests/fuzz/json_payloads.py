"""Payloads of the verbs as JSON, most of them with a defect; and JSON values that cause trouble."""

import base64
import json
from collections.abc import Callable

from tests.fuzz.case import EPOCH
from tests.fuzz.randomness import Randomness, mangle

# name, maker, and the probability that it is present
Make = Callable[[Randomness], bytes]
Fields = list[tuple[str, Make, float]]

# the verbs that are called most, then the others
VERBS = (
    *("set", "get", "delete", "list", "batch", "sync"),
    *("restore", "undo", "history", "trash", "delete_prefix", "move", "copy"),
)

KEYS = [f"folder/{name}" for name in "abcdefghij"] + [
    "a//b",
    ".",
    "..",
    "__proto__",
    "constructor",
    "é",
    "日本",
    "%",
    "_",
]
ODD_KEYS = (
    *(
        "",
        "\0",
        "a\0b",
        "\x7f",
        "\n",
        "\ufeff",
        "\uffff",
        "\ud800",
        "\udfff\ud800",
        "\U0010ffff",
        "\u202e",
        " ",
        "x" * 512,
    ),
    *(
        "x" * 513,
        "é" * 256,
        "é" * 257,
        "😀" * 128,
        "😀" * 129,
        "a/" * 256,
        "'; DROP TABLE entries; --",
        "%00",
        "${jndi}",
    ),
)
LONG_KEYS = ("k" * 5_000, "\U0010ffff" * 20_000)

ODD_JSON = (
    *b"null true false 0 -0 1 -1 1.0 1.5 1e3 1E-400 1e400 -1e400 1e308 01 1. .5 +1 0x10 1_000".split(b" "),
    *b"NaN Infinity -Infinity nan undefined ' , ] } [ { [] {} [[]] [{}] [1,] 1:2 /**/1".split(b" "),
    *b"9007199254740991 9007199254740992 -9007199254740992 9223372036854775807 9223372036854775808".split(b" "),
    *b"18446744073709551616 -9223372036854775809".split(b" "),
    *b'"" "x" " "\\ud800" "\\udc00\\ud800" "\\u0000" "\\ud83d\\ude00" "\\x" "\\u12"'.split(b" "),
    *b'"\xff" "\xed\xa0\x80" "\xf4\x90\x80\x80" "\xc0\x80" "\0" "\x1f" "\t" \xef\xbb\xbf1'.split(b" "),
    *b'{"a":} {"a":1,"a":2} {"__proto__":{"x":1}} {1:2} {"a":1,} {"constructor":null} {"":""}'.split(b" "),
    b'{"_placeholder":true,"num":0}',
    b"1" * 400,
    b"-" + b"9" * 30,
    b"0." + b"1" * 500,
    b"  1  ",
    b"\x0c1",
)
DEEP_JSON = tuple(
    opening * depth + inner + closing * depth
    for depth in (62, 63, 64, 65, 600, 5_000, 30_000)
    for opening, inner, closing in ((b"[", b"", b"]"), (b'{"a":', b"1", b"}"), (b"[", b"", b""))
)
LONG_JSON = (
    b'"' + b"x" * 65_534 + b'"',
    b'"' + b"x" * 65_535 + b'"',
    b'"' + "é".encode() * 40_000 + b'"',
    b'"' + b"\\u0001" * 11_000 + b'"',
    b"[" + b"0," * 30_000 + b"0]",
    b"{" + b",".join(b'"%d":%d' % (n, n) for n in range(5_000)) + b"}",
    b'"' + b"x" * 700_000 + b'"',
)


def payload(rng: Randomness, verb: str) -> bytes:
    """Return the payload of an event or a request of `verb`; every second one is valid."""
    return document(rng, FIELDS.get(verb, FIELDS["set"]))


def document(rng: Randomness, known: Fields) -> bytes:
    """Return an object with these fields; every second one is valid."""
    fields = [(name, make) for name, make, share in known if rng.chance(share)]
    pairs = [(json.dumps(name).encode(), make(rng)) for name, make in fields]
    if rng.chance(0.5):
        return _object(pairs)
    match rng.below(10):
        case 0 if pairs:
            pairs.pop(rng.below(len(pairs)))
        case 1 if pairs:
            # the same name twice
            pairs.append((rng.one(pairs)[0], odd(rng)))
        case 2:
            pairs.append((rng.one(NAMES), rng.one(ODD_JSON)))
        case 3:
            return odd(rng)
        case 4:
            return mangle(rng, _object(pairs))
        case 5:
            return rng.one((b"[%b]", b" %b ", b"%b,", b'"%b"', b"%b%b", b"\n\t%b")).replace(b"%b", _object(pairs))
        case _ if pairs:
            at = rng.below(len(pairs))
            pairs[at] = (pairs[at][0], odd(rng))
    return _object(pairs)


def odd(rng: Randomness) -> bytes:
    """Return JSON, or nearly JSON, seldom of the expected kind."""
    roll = rng.random()
    if roll < 0.98:
        return rng.one(ODD_JSON)
    return rng.one(DEEP_JSON) if roll < 0.999 else rng.one(LONG_JSON)


def text(rng: Randomness, words: str) -> bytes:
    """Return `words` as a JSON string, in one of the possible spellings."""
    if rng.chance(0.5):
        return json.dumps(words).encode()
    return json.dumps(words, ensure_ascii=False).encode(errors="surrogatepass")


def key(rng: Randomness) -> bytes:
    roll = rng.random()
    return text(rng, rng.one(KEYS if roll < 0.8 else ODD_KEYS if roll < 0.997 else LONG_KEYS))


def value(rng: Randomness, depth: int = 3) -> bytes:
    """Return a value, valid most often."""
    roll = rng.random()
    if roll < 0.25 and depth:
        return b"[" + b",".join(value(rng, depth - 1) for _ in range(rng.below(4))) + b"]"
    if roll < 0.5 and depth:
        return b"{" + b",".join(key(rng) + b":" + value(rng, depth - 1) for _ in range(rng.below(4))) + b"}"
    if roll < 0.7:
        return b"%d" % rng.randrange(-(2**53), 2**53) if roll < 0.6 else repr(rng.uniform(-1e9, 1e9)).encode()
    return key(rng) if roll < 0.9 else odd(rng)


def cursor(rng: Randomness) -> bytes:
    """Return the `next` of a sync, or something like it: it looks opaque, but a tab can forge its own."""
    parts = [
        rng.one((b'"%b"' % EPOCH, b'"another"', b"null", odd(rng))),
        *(rng.one((b"0", b"1", b"50", b"-1", b"9223372036854775808", b"1" * 40, odd(rng))) for _ in range(2)),
        rng.one((b"true", b"false", b"null", b"1")),
    ]
    if rng.chance(0.2):
        parts.append(odd(rng)) if rng.chance(0.5) else parts.pop()
    encoded = base64.urlsafe_b64encode(b"[" + b",".join(parts) + b"]")
    if rng.chance(0.15):
        encoded = mangle(rng, encoded)
    return json.dumps(encoded.decode("latin-1")).encode()


def revision(rng: Randomness) -> bytes:
    return b"%d" % rng.below(30) if rng.chance(0.7) else rng.one(ODD_JSON)


def op_id(rng: Randomness) -> bytes:
    if rng.chance(0.8):
        return b'"op %d"' % rng.below(200)
    return text(rng, rng.one(("", "x" * 64, "x" * 65, "é", "\0", "a\n", "~ !", "op\x7f")))


def ops(rng: Randomness) -> bytes:
    roll = rng.random()
    count = rng.below(5) if roll < 0.97 else rng.one((127, 128, 129, 400))
    return b"[" + b",".join(_op(rng) for _ in range(count)) + b"]"


def _op(rng: Randomness) -> bytes:
    tag = rng.one((b'"set"', b'"set"', b'"delete"', odd(rng)))
    pairs = [(b'"op"', tag), (b'"key"', key(rng))]
    if tag == b'"set"' or rng.chance(0.1):
        pairs.append((b'"value"', value(rng, 1)))
    if rng.chance(0.1):
        pairs.append((b'"if_revision"', revision(rng)))
    if rng.chance(0.05):
        pairs.append((b'"ttl"', ttl(rng)))
    if rng.chance(0.1):
        rng.shuffle(pairs)
        pairs[0] = (pairs[0][0], odd(rng))
    return _object(pairs)


def _object(pairs: list[tuple[bytes, bytes]]) -> bytes:
    return b"{" + b",".join(name + b":" + value for name, value in pairs) + b"}"


def one_of(*words: bytes) -> Make:
    """Return a maker that picks any of these."""
    return lambda rng: rng.one(words)


flag = one_of(b"true", b"false", b"null", b"1")


def ttl(rng: Randomness) -> bytes:
    """Return a ttl; some expire while the fuzzer still runs."""
    return rng.one((b"0.01", b"0.5", b"3600", b"null", b"0", b"-1", b"3155760000", b"3155760001", b"1e300", odd(rng)))


def place(rng: Randomness) -> bytes:
    """Return a prefix, more often than a key."""
    if rng.chance(0.3):
        return key(rng)
    return text(rng, rng.one(("folder/", "folder/a", "a/", "a//", "é/", "/", "", "x" * 511 + "/", "x" * 512 + "/")))


FIELDS: dict[str, Fields] = {
    "get": [("key", key, 1)],
    "set": [
        ("key", key, 1),
        ("value", value, 1),
        ("if_revision", revision, 0.15),
        ("op_id", op_id, 0.15),
        ("ttl", ttl, 0.15),
    ],
    "delete": [("key", key, 1), ("if_revision", revision, 0.15), ("op_id", op_id, 0.15)],
    "list": [
        ("prefix", key, 0.4),
        ("after", key, 0.4),
        ("limit", one_of(b"1", b"1", b"2", b"0", b"1000", b"1001", b"-1", b"1e1", b'"1"'), 0.9),
        ("values", one_of(b"true", b"false", b"null", b"1"), 0.3),
    ],
    "batch": [("ops", ops, 1), ("op_id", op_id, 0.15)],
    "sync": [
        ("epoch", one_of(b'"%b"' % EPOCH, b'"%b"' % EPOCH, b'"other"', b'"\\u0000"', b"1"), 0.5),
        ("since", revision, 0.5),
        ("next", cursor, 0.6),
    ],
    "restore": [("key", key, 1), ("revision", revision, 0.5), ("if_revision", revision, 0.2), ("op_id", op_id, 0.2)],
    "undo": [("revision", revision, 1), ("dry_run", flag, 0.2), ("op_id", op_id, 0.2)],
    "trash": [("prefix", key, 0.4), ("after", key, 0.4), ("limit", revision, 0.5)],
    "delete_prefix": [("prefix", place, 1), ("dry_run", flag, 0.4), ("op_id", op_id, 0.2)],
    "move": [("from", place, 1), ("to", place, 1), ("dry_run", flag, 0.2), ("op_id", op_id, 0.2)],
    "copy": [("from", place, 1), ("to", place, 1), ("dry_run", flag, 0.2), ("op_id", op_id, 0.2)],
    "history": [("key", key, 0.7), ("before", revision, 0.5), ("limit", revision, 0.5)],
}
NAMES = (
    b'"Key"',
    b'"key "',
    b'"__proto__"',
    b'""',
    b'"\\u006bey"',
    b'"user_id"',
    b'"k\\u0000ey"',
    b'"\\ud800"',
    b'"ttl"',
    b"key",
)
