import pytest

from realtime_kv.accounts import usernames
from realtime_kv.errors import InvalidName


@pytest.mark.parametrize("name", ["abc", "A.b_c-9", "...", "x" * 32, "007"])
def test_valid_usernames_are_accepted_unchanged(name):
    assert usernames.check(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "x" * 33,
        "al ice",
        "al\nice",
        "alice\x00",
        "élise",
        "\u212aelvin",
        "а" * 5,
        "a/b",
        "a@b",
        "😀😀😀",
        "\ud800abc",
    ],
)
def test_invalid_usernames_are_refused_with_a_reason(name):
    with pytest.raises(InvalidName) as refused:
        usernames.check(name)
    assert refused.value.extra["reason"]


def test_usernames_are_folded_to_lower_case():
    assert usernames.folded("ALICE") == usernames.folded("alice") == "alice"


@pytest.mark.parametrize("name", ["\u212aelvin", "ALİCE", "alice\x00", "", "x" * 33, "\ud800"])
def test_invalid_usernames_do_not_fold_to_valid_ones(name):
    assert usernames.folded(name) is None
