import pytest

from tests.timing_attacks.names import area


@pytest.mark.parametrize(
    ("longer", "shorter", "expected"),
    [([2.0, 3.0], [0.0, 1.0], 1), ([0.0, 1.0], [2.0, 3.0], 0), ([1.0, 1.0], [1.0], 0.5), ([1.0, 3.0], [2.0], 0.5)],
)
def test_the_area_is_the_probability_that_one_sample_exceeds_the_other(longer, shorter, expected):
    assert area(longer, shorter) == expected
