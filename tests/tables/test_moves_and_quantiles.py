"""Two small tables: who moved on later, and how long a time was."""

import pandas as pd

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.tables import tabulate_moves, tabulate_quantiles


def test_moves_are_counted_with_their_median_time_in_years():
    frame = pd.DataFrame(
        {"label": ["Responder", "Responder"], "moved_to": ["Second line", "Targeted"], "n": [12, 2],
         "median_day": [365.25, 800.0]}
    )  # fmt: skip
    table = tabulate_moves(apply_policy(frame, "lt5"))
    assert table.display.to_numpy().tolist() == [["Second line", "10", "1.0"], ["Targeted", "<5", "–"]]


def test_a_quantile_that_was_not_reached_is_a_dash():
    frame = pd.DataFrame(
        {"strata": ["all", "all"], "probability": [0.25, 0.5], "estimate": [3.21, None], "conf_low": [2.5, 6.0],
         "conf_high": [4.0, None]}
    )  # fmt: skip
    table = tabulate_quantiles(frame)
    assert table.display.to_numpy().tolist() == [["all", "25", "3.2 (2.5 to 4.0)"], ["all", "50", "–"]]
    assert table.display.columns[2] == "Years (95 % CI)"
