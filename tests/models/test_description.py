"""Table 1's numbers."""

import math

import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.description import COLUMNS, describe_baseline

COHORT = pd.DataFrame({
    "patient_id": list("abcdefgh"),
    "group": pd.Categorical(list("rrrrnnnn"), ["r", "n", "absent"]),
    "age": [2.0, 4, 6, 8, 10, 12, None, 14],
    "sex": ["f", "f", "f", "m", "m", "m", "f", None],
    "iga": [True, False, True, False, True, False, True, False],
})  # fmt: skip


def test_a_number_has_its_median_quartiles_and_how_many_are_missing():
    table = describe_baseline(COHORT, by="group", variables=["age"])
    assert list(table.columns) == list(COLUMNS)
    shown = ["label", "n", "denominator", "n_missing", "estimate", "conf_low", "conf_high"]
    assert table[shown].to_numpy().tolist() == [
        ["r", 4, 4, 0, 5.0, 3.5, 6.5], ["n", 3, 4, 1, 12.0, 11.0, 13.0],
    ]  # fmt: skip
    assert table["level"].isna().all()


def test_a_level_has_its_count_of_those_known():
    table = describe_baseline(COHORT, by="group", variables=["sex"])
    assert table[["label", "level", "n", "denominator", "n_missing"]].to_numpy().tolist() == [
        ["r", "f", 3, 4, 0], ["n", "f", 1, 3, 1], ["r", "m", 1, 4, 0], ["n", "m", 2, 3, 1],
    ]  # fmt: skip
    assert table["estimate"].tolist() == pytest.approx([3 / 4, 1 / 3, 1 / 4, 2 / 3])


def test_standardised_differences_by_hand():
    smd = describe_baseline(COHORT, by="group", variables=["age", "sex"]).groupby("variable")["smd"].first()
    # ages 2 4 6 8: mean 5, variance 20/3; 10 12 14: mean 12, variance 4
    assert smd["age"] == pytest.approx(7 / math.sqrt((20 / 3 + 4) / 2))
    assert smd["sex"] == pytest.approx((3 / 4 - 1 / 3) / math.sqrt((3 / 16 + 2 / 9) / 2))


def test_several_groups_show_the_largest_difference():
    cohort = pd.DataFrame({"group": list("aabbcc"), "x": [1.0, 2, 2, 3, 9, 10]})
    table = describe_baseline(cohort, by="group", variables=["x"])
    assert table["smd"].unique() == pytest.approx([8 / math.sqrt(0.5)])


def test_several_levels_have_one_difference():
    cohort = pd.DataFrame({"group": list("aaaabbbb"), "kind": list("xxyzxyzz")})
    p, q = (1 / 4, 1 / 4), (1 / 4, 1 / 2)  # shares of y and z
    # S = mean of the two multinomial covariances [[3/16, -3/32], [-3/32, 7/32]], determinant 33/1024
    d = (p[0] - q[0], p[1] - q[1])
    squared = (3 / 16) * d[1] ** 2 / (33 / 1024)
    assert describe_baseline(cohort, by="group", variables=["kind"])["smd"].iloc[0] == pytest.approx(math.sqrt(squared))


def test_variables_stand_in_the_order_given_and_booleans_are_levels():
    table = describe_baseline(COHORT, by="group", variables=["iga", "age"])
    assert table["variable"].unique().tolist() == ["iga", "age"]
    assert table["level"].dropna().unique().tolist() == ["False", "True"]


def test_everyone_together_has_no_difference():
    table = describe_baseline(COHORT, variables=["age"])
    assert table[["label", "n", "n_missing"]].to_numpy().tolist() == [["all", 7, 1]]
    assert table["smd"].isna().all()


@pytest.mark.parametrize(("frame", "problem"), [
    (COHORT.assign(group=[None, *"rrrnnnn"]), "1 of 8 patients have no group"),
    (COHORT.assign(patient_id="a"), "7 of 8 rows repeat"),
    (COHORT.drop(columns="age"), "absent: age"),
])  # fmt: skip
def test_refuses_what_would_vanish(frame, problem):
    with pytest.raises(OutcomeError, match=problem):
        describe_baseline(frame, by="group", variables=["age"])
