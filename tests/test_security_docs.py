"""docs/security.md names only existing things, and leaves no requirement out."""

import re

from realtime_kv.accounts import rate_limits
from realtime_kv.accounts.credentials import passwords
from realtime_kv.config import Config
from tests.live_server import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text()
VERDICTS = {"met", "partly", "not met", "operator", "n/a"}

# the requirements of OWASP ASVS 5.0.0 at levels 1 and 2, by number: section, those of level 1, those of level 2
SECTIONS = """
1.1  -               1,2
1.2  1,2,3,4,5       6,7,8,9
1.3  1,2             3,4,5,6,7,8,9,10,11
1.4  -               1,2,3
1.5  1               2
2.1  1               2,3
2.2  1,2             3
2.3  1               2,3,4
2.4  -               1
3.2  1,2             -
3.3  1               2,3,4
3.4  1,2             3,4,5,6
3.5  1,2,3           4,5
3.7  -               1,2
4.1  1               2,3
4.2  -               1
4.3  -               1,2
4.4  1               2,3,4
5.1  -               1
5.2  1,2             3
5.3  1,2             -
5.4  -               1,2,3
6.1  1               2,3
6.2  1,2,3,4,5,6,7,8 9,10,11,12
6.3  1,2             3,4
6.4  1,2             3,4
6.5  -               1,2,3,4,5
6.6  -               1,2,3
6.8  -               1,2,3,4
7.1  -               1,2,3
7.2  1,2,3,4         -
7.3  -               1,2
7.4  1,2             3,4,5
7.5  -               1,2
7.6  -               1,2
8.1  1               2
8.2  1,2             3
8.3  1               -
8.4  -               1
9.1  1,2,3           -
9.2  1               2,3,4
10.1 -               1,2
10.2 -               1,2
10.3 -               1,2,3,4
10.4 1,2,3,4,5       6,7,8,9,10,11
10.5 -               1,2,3,4,5
10.6 -               1,2
10.7 -               1,2,3
11.1 -               1,2
11.2 -               1,2,3
11.3 1,2             3
11.4 1               2,3,4
11.5 -               1
11.6 -               1
12.1 1               2,3
12.2 1,2             -
12.3 -               1,2,3,4
13.1 -               1
13.2 -               1,2,3,4,5
13.3 -               1,2
13.4 1               2,3,4,5
14.1 -               1,2
14.2 1               2,3,4
14.3 1               2,3
15.1 1               2,3
15.2 1               2,3
15.3 1               2,3,4,5,6,7
16.1 -               1
16.2 -               1,2,3,4,5
16.3 -               1,2,3,4
16.4 -               1,2,3
16.5 -               1,2,3
17.1 -               1
17.2 -               1,2,3,4
17.3 -               1,2
"""


def wanted():
    """Yield each requirement and its level."""
    for line in SECTIONS.strip().splitlines():
        section, *levels = line.split()
        for level, numbers in enumerate(levels, 1):
            yield from ((f"{section}.{number}", level) for number in numbers.split(",") if number != "-")


def rows():
    """Yield the rows of the list: chapter, first cell, verdict, where."""
    chapter = None
    for line in TEXT.partition("## OWASP ASVS 5.0")[2].splitlines():
        if heading := re.match(r"### V(\d+) ", line):
            chapter = heading[1]
        elif re.match(r"\| \**\d", line):
            first, _asks, verdict, where = (cell.strip() for cell in line.strip("|").split("|"))
            yield chapter, first, verdict, where


def test_the_requirement_list_is_complete():
    levels = [level for _, level in wanted()]
    assert (levels.count(1), levels.count(2)) == (70, 183)


def test_every_requirement_is_listed_once_in_its_chapter_with_its_level():
    found = []
    for chapter, first, _, _ in rows():
        for bold, number in re.findall(r"(\**)(\d+\.\d+\.\d+)", first):
            assert number.split(".")[0] == chapter
            found.append((number, 1 if bold else 2))
    assert sorted(found) == sorted(wanted())


def test_every_requirement_has_a_verdict_and_a_place_or_reason():
    for _, first, verdict, where in rows():
        assert verdict in VERDICTS, first
        assert where or verdict == "operator", first


def test_every_named_file_exists():
    named = re.findall(r"`([\w./-]+(?:\.(?:py|js|html|css|txt|json|md)|/))`", TEXT)
    assert len(named) > 100
    for name in named:
        if not name.startswith("/"):
            assert (ROOT / name).exists() or (ROOT / "realtime_kv" / name).exists(), name


def test_the_documented_limits_and_words_match_the_code():
    text = " ".join(TEXT.split())
    seconds = {rate: rate.interval // rate_limits.SECOND for rate in (rate_limits.SIGN_UP, rate_limits.RECOVER)}
    longest = rate_limits.MAX_DELAY // rate_limits.MINUTE
    for said in (
        f"Signing in: {rate_limits.SIGN_IN.burst} attempts at once from a network, then one a second",
        f"{rate_limits.FREE_ATTEMPTS} free, then waits that double up to {longest} minutes",
        f"({rate_limits.FREE_UNDER_ATTACK} free while a name is under attack)",
        f"Six-digit codes: {rate_limits.FREE_CODES} free",
        f"Signing up: {rate_limits.SIGN_UP.burst} at once, then one in {seconds[rate_limits.SIGN_UP]} s",
        f"Recovering: {rate_limits.RECOVER.burst}, then one in {seconds[rate_limits.RECOVER]} s",
        f"{rate_limits.MAIL.burst} mails, then one in {rate_limits.MAIL.interval // rate_limits.MINUTE} minutes",
        f"**Passwords** have {passwords.MIN_BYTES} to {passwords.MAX_BYTES} bytes",
        ", ".join(f"`{word}`" for word in passwords.HOUSE_WORDS),
        f"after {Config.session_idle_days} days unused and {Config.session_days} days at most",
    ):
        assert said in text, said


def test_every_link_within_the_page_has_its_heading():
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in TEXT.splitlines()
        if line.startswith("#")
    }
    for target in re.findall(r"\]\(#([^)]+)\)", TEXT):
        assert target in headings, target
