import pytest

from realtime_kv.accounts import names
from realtime_kv.core.errors import InvalidName


@pytest.mark.parametrize("name", ["abc", "A.b_c-9", "...", "x" * 32, "007"])
def test_a_name_of_the_right_length_and_letters_is_taken_as_it_came(name):
    assert names.check(name) == name


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
def test_any_other_name_is_refused_with_a_reason(name):
    with pytest.raises(InvalidName) as refused:
        names.check(name)
    assert refused.value.extra["reason"]


def test_names_are_folded_without_regard_to_case():
    assert names.folded("ALICE") == names.folded("alice") == "alice"


@pytest.mark.parametrize("name", ["\u212aelvin", "ALİCE", "alice\x00", "", "x" * 33, "\ud800"])
def test_a_name_that_nobody_can_have_is_not_folded_into_one_that_somebody_has(name):
    assert names.folded(name) is None
