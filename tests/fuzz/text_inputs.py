"""Text typed by people, or sent by programs, into the fields about accounts: sometimes right, most often odd."""

from collections.abc import Callable

from tests.fuzz.case import LINK, NAME, OTHER_ID, PAWN, READER, SESSION_ID, STEP, TOKEN_ID
from tests.fuzz.oracles import ELEMENT, HEADER
from tests.fuzz.randomness import Randomness
from tests.live_server import PASSWORD

TextInput = Callable[[Randomness], str]

MARKUP = f"\"'>{ELEMENT.decode()} onload=x>"
SPLIT = f"x\r\n{HEADER.decode()}: 1\r\n\r\n"
# odd text for any field
ODD = (
    *("", " ", "\0", "a\0b", "\n", "\x7f", "\ufeff", "\u202e", "\u2028", "\ud800", "\udfff\ud800", "\U0010ffff"),
    *("é", "é" * 600, "x" * 1025, "x" * 5000, "%00", "%s%n", "${7*7}", "{{7*7}}", "'; DROP TABLE users; --", "../.."),
    *("null", "true", "-1", "1e400", "NaN", "{}", "[]", "__proto__", MARKUP, SPLIT),
)


def _of(share: float, right: tuple[str, ...], *others: str) -> TextInput:
    """Return a maker: one of `right` with probability `share`, else one of `others` or something odd."""

    def make(rng: Randomness) -> str:
        if rng.chance(share):
            return rng.one(right)
        return rng.one(others) if others and rng.chance(0.5) else rng.one(ODD)

    return make


_NAME = NAME.decode()
_SECRETS = (LINK.decode(), STEP.decode(), "x" * 43, "y" * 128, "z" * 129, "-", PAWN.decode())

password = _of(0.5, (PASSWORD,), "wrong-but-long-enough", "short", "x" * 1024, "é" * 512, f" {PASSWORD}", "\0" * 9)
new_password = _of(
    0.6, (PASSWORD,), "password1", "aaaaaaaaaaaa", "x" * 1024, "é" * 512, "\0" * 9, "\ud800" * 9, "🐎" * 12
)
name = _of(
    0.5,
    (_NAME, _NAME.upper()),
    *(
        "ab",
        "abc",
        "n" * 32,
        "n" * 33,
        "nobody.here",
        "\u212aelvin",
        "ＡＤＡ",
        "ı" * 3,
        "..",
        "-" * 3,
        "superuser",
        "user1",
    ),
)
new_name = _of(0.5, (*(f"new{n}" for n in range(500)),), _NAME, "ab", "n" * 33, "\u212aelvin", "superuser", "SUPERUSER")
code = _of(0.4, ("000000", "123 456", "abcd-efgh-ijkl-mnop"), "٣٣٣٣٣٣", "0" * 7, "abcd-" * 500, "²²²²²²", "      ")
secret = _of(0.6, _SECRETS)
which = _of(
    0.6,
    (SESSION_ID.decode(), OTHER_ID.decode(), OTHER_ID.decode(), TOKEN_ID.decode()),
    *("0", "1", "x" * 12, "A" * 12, READER.decode()),
)
token_name = _of(0.5, ("a program",), "x" * 64, "x" * 65, "😀" * 64, "e\u0301" * 32, "\t", "\x85", "\u2029")
prefix = _of(
    0.4,
    ("folder/", "a", "a", f"folder/{MARKUP}"),
    "x" * 512,
    "x" * 513,
    "é" * 256,
    "é" * 257,
    "😀" * 129,
    "a/" * 256,
    "/",
    "%",
    "_",
)
email = _of(
    0.4,
    ("ada@example.org", "a@b.c", "Ada.L+tag@sub.example.org"),
    *("é@é.é", "a@b", "a@@b.c", "@", "a@[::1]", '"a b"@x.org', "=?utf-8?q?x?=@x.org", "a@-.-", "a@b.c, d@e.f"),
    *("a" * 300 + "@x.org", "a@" + "b" * 300 + ".org", "a@" + "b." * 150 + "c", f"{ELEMENT.decode()}>@x.org"),
    *(
        "a@x.org\r\nBcc: b@x.org",
        "a@x.org\n",
        "a@x\u2028.org",
        "a@xn--\x80.org",
        "a@\u212a.org",
        "<a@x.org>",
        "(a)b@x.org",
    ),
)
moment = _of(
    0.3,
    ("2099-01-01T00:00:00Z", "2099-01-01T00:00:00.123456+05:45"),
    *("2000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59", "2099-01-01T00:00:00"),
    *(
        "2099-01-01",
        "2099-02-30T00:00:00Z",
        "2016-12-31T23:59:60Z",
        "2099-01-01T24:00:00Z",
        "2099-01-01T00:00:00+99:99",
    ),
    *("10000-01-01T00:00:00Z", "-2099-01-01T00:00:00Z", "2099-01-01t00:00:00z", "2099-01-01T00:00:00.9999999999999Z"),
    *("٢٠٩٩-01-01T00:00:00Z", "2099-W01-1", "9999-12-31T23:59:59.9999999Z"),
)
day = _of(
    0.4,
    ("2026-01-01", "2099-12-31", "1970-01-01"),
    *("1969-12-31", "0001-01-01", "9000-12-31", "9001-01-01", "9999-12-31", "2026-02-30", "2026-1-1", "٢٠٢٦-01-01"),
)
number = _of(
    0.4,
    ("1", "2", "50", "200"),
    *("0", "201", "-1", "+1", " 1", "1_0", "0x1", "1.0", "1e3", "٣", "²", "9223372036854775807", "9223372036854775808"),
    *("1" * 15, "1" * 16, "1" * 18, "1" * 19, "1" * 20, "9" * 400, "1" * 5000),
)
path = _of(
    0.5, ("/keys", "/account/profile"), "//evil", "/\\evil", "/%0d%0aX:y", "/" + "a" * 5000, "javascript:x", "/\t/x"
)
anything = _of(0, ())


def exactly(*words: str) -> TextInput:
    """Return a maker: one of these words, seldom something odd."""
    return _of(0.9, words)
