"""The table of upper limits names who changed category, and hides what is few."""

import pandas as pd

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.tables.limit_changes import tabulate_limit_changes

TIDY = pd.DataFrame(
    {
        "label": ["as recorded", "CALIPER", "CALIPER"],
        "term": ["age band", "choice of limits", "age band"],
        "state": ["met → not met", "met → not met", "not met → met"],
        "n": pd.array([0, 45, 2], dtype="Int64"),
        "denominator": pd.array([340, 340, 340], dtype="Int64"),
    }
)


def test_changes_that_nobody_made_are_left_out():
    table = tabulate_limit_changes(TIDY)
    assert "as recorded" not in table.to_html()
    assert "45 of 340" in table.to_html()
    assert "2 of 340" in table.to_html()


def test_few_patients_are_hidden_and_their_row_stays():
    html = tabulate_limit_changes(apply_policy(TIDY, "lt5")).to_html()
    assert "2 of 340" not in html
    assert "not met → met" in html
