"""The two-way table of criteria, and its line of kappa."""

import pandas as pd
import pytest

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.agreement import estimate_agreement
from aih_outcomes.tables.agreement import tabulate_agreement

ORDER = ("met", "not met", "not evaluable")


def crossed(*counts: list[int], second: str = "ALT only") -> pd.DataFrame:
    pairs = [(a, b) for a, row in zip(ORDER, counts, strict=True) for b, n in zip(ORDER, row, strict=True)
             for _ in range(n)]  # fmt: skip
    frame = pd.DataFrame(pairs, columns=["one", "other"], dtype="string")
    return estimate_agreement(frame["one"], frame["other"], labels=("IAIHG 2022", second)).tidy()


def test_rows_are_the_first_criteria_and_columns_the_second() -> None:
    table = tabulate_agreement(crossed([40, 9, 5], [6, 45, 0], [7, 1, 12]), caption="By 6 months")
    assert list(table.display.columns) == ["", "Met", "Not met", "Not evaluable"]
    assert table.display.to_numpy().tolist() == [
        ["Met", "40", "9", "5"], ["Not met", "6", "45", "0"], ["Not evaluable", "7", "1", "12"],
    ]  # fmt: skip
    assert set(table.groups) == {"IAIHG 2022 (rows), ALT only (columns)"}


def test_the_line_holds_agreement_kappa_and_who_was_left_out() -> None:
    (line,) = tabulate_agreement(crossed([40, 9, 5], [6, 45, 0], [7, 1, 12])).footnotes
    assert line == (
        "Of 100 evaluable by both, 85 % agree; Cohen's kappa 0.70 (95 % CI 0.56 to 0.84). Not evaluable by one or "
        "both, and left out: 25."
    )


def test_several_pairs_stand_under_their_names() -> None:
    both = pd.concat([crossed([9, 9, 0], [6, 9, 0], [0, 0, 1]), crossed([9, 1, 0], [6, 9, 0], [0, 0, 1], second="B")])
    table = tabulate_agreement(both)
    assert len(table.display) == 6
    assert [line.split(":")[0] for line in table.footnotes] == ["IAIHG 2022 against ALT only", "IAIHG 2022 against B"]


def test_small_cells_are_marked_and_kappa_is_not_shown() -> None:
    table = tabulate_agreement(apply_policy(crossed([150, 3, 0], [0, 77, 0], [0, 0, 40]), "lt5"))
    assert table.display.iloc[0].tolist() == ["Met", "150", "<5", "0"]
    assert "not estimable or not shown" in table.footnotes[0]
    assert table.footnotes[-1].startswith("<5: fewer than 5 patients")
    assert "0.9" not in " ".join(table.footnotes)


def test_nobody_is_a_table_too() -> None:
    empty = pd.Series(dtype="string")
    table = tabulate_agreement(estimate_agreement(empty, empty).tidy())
    assert (table.display.iloc[:, 1:] == "0").all(axis=None)


def test_a_frame_without_its_columns_is_refused() -> None:
    with pytest.raises(OutcomeError, match="missing for the table of agreement"):
        tabulate_agreement(pd.DataFrame({"label": ["a"]}))
