"""Numbers, times and groups are read before anything is computed."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_number, read_numbers, require_groups


@pytest.mark.parametrize("given", [5, 5.0, np.int64(5), np.float64(5)])
def test_a_number_is_read_whatever_its_type(given):
    assert read_number("horizon", given, "horizon=5") == 5.0


@pytest.mark.parametrize("given", [None, "5", [5], True, np.nan, np.inf, pd.DataFrame({"age": [61]})])
def test_what_is_no_number_is_refused_without_a_table_in_the_message(given):
    with pytest.raises(OutcomeError, match="horizon=") as refused:
        read_number("horizon", given, "horizon=5")
    assert "61" not in str(refused.value)


@pytest.mark.parametrize("given", [[1, 2.5], (1, 2.5), np.array([1, 2.5]), pd.Series([1, 2.5]), pd.Index([1, 2.5])])
def test_a_list_of_numbers_is_read_whatever_its_kind(given):
    assert read_numbers("times", given, "at([1])").tolist() == [1.0, 2.5]


@pytest.mark.parametrize("given", [5, None, "x", ["x"], [[1, 2]], {"a": 1}, np.ones((2, 2))])
def test_what_is_no_list_of_numbers_is_refused(given):
    with pytest.raises(OutcomeError, match="no list of numbers"):
        read_numbers("times", given, "at([1])")


def test_groups_are_groups():
    with pytest.raises(OutcomeError, match="NoneType is no Groups"):
        require_groups(None)
