"""What tables show where there is no interval."""

from fedseed.results.markdown import interval_in_points, with_interval


def test_a_share_with_and_without_an_interval() -> None:
    assert with_interval({"value": 0.7, "ci95": [0.65, 0.75]}) == "70.0 % (65.0 - 75.0)"
    assert with_interval({"value": 0.7, "ci95": None}) == "70.0 % (one run)"


def test_a_difference_of_a_single_run_has_no_interval() -> None:
    assert interval_in_points([-0.01, 0.02]) == "-1.0 to +2.0"
    assert interval_in_points(None) == "one run"
