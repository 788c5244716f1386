"""Matching of switches with moments at which others did not switch."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.pseudo_switches import AFTER, BEFORE, match_pseudo_switches
from aih_outcomes.outcomes import Switches


def read(rows, covariates=("peak",)):
    frame = pd.DataFrame(rows, columns=["id", "day", "switched", *covariates])
    return Switches.from_frame(frame, patient_id="id", time="day", switched="switched", covariates=list(covariates))


def partners(found):
    """Name each switch's partners from near to far."""
    frame = found.moments
    return {
        rows.loc[rows["switched"], "patient_id"].item(): rows.loc[~rows["switched"], "patient_id"].tolist()
        for _, rows in frame.groupby("set")
    }


def test_matches_plain_loops_in_r(r_figures, assert_close):
    moments = pd.read_csv("tests/reference/switches_moments.csv")
    found = match_pseudo_switches(
        Switches.from_frame(moments, patient_id="id", time="day", switched="switched", covariates=["peak", "age"])
    )
    r = r_figures("switches")
    frame = found.moments
    others = frame[~frame["switched"]].copy()
    whose = frame[frame["switched"]].set_index("set")["patient_id"]
    others["whose"] = others["set"].map(whose).astype(float)
    others = others.sort_values(["whose", "distance"])
    assert_close(others["whose"], r["pairs_switch"], what="patients who switched")
    assert_close(others["patient_id"].astype(float), r["pairs_pseudo"], what="their partners")
    assert_close(others["time"], r["pairs_day"], what="days of the pseudo-switches")
    assert_close(np.sort(others["distance"]), r["pairs_distance"], what="distances")
    balance = found.tidy().set_index("strata")["estimate"]
    assert_close(balance[BEFORE], r["smd_before"], what="standardised differences before")
    assert_close(balance[AFTER], r["smd_after"], what="standardised differences after")
    assert (found.n_incomplete, found.n_sets) == (1, len(set(r["pairs_switch"])))


def test_the_nearest_pair_first_by_hand():
    # Standard deviation of 10, 12, 11, 20, 13.5: 3.9; b (11) is nearest to both, and nearer to A (10) by name only.
    found = match_pseudo_switches(read([("A", 9, 1, 10), ("B", 9, 1, 12), ("b", 5, 0, 11), ("c", 5, 0, 20),
                                        ("d", 5, 0, 13.5)]), ratio=1)  # fmt: skip
    assert partners(found) == {"A": ["b"], "B": ["d"]}
    sd = np.std([10, 12, 11, 20, 13.5], ddof=1)
    assert found.moments["distance"].tolist() == pytest.approx([0, 1 / sd, 0, 1.5 / sd])


def test_everybody_gets_a_first_partner_before_anybody_a_second():
    rows = [("A", 9, 1, 1.0), ("B", 9, 1, 9.0), ("c", 5, 0, 1.1), ("d", 5, 0, 1.2), ("e", 5, 0, 6.5), ("f", 5, 0, 0.9)]
    assert partners(match_pseudo_switches(read(rows), ratio=2)) == {"A": ["c", "f"], "B": ["e"]}


def test_a_patient_lends_one_series_and_nobody_is_their_own_partner():
    rows = [("A", 300, 1, 2.0), ("A", 100, 0, 2.0), ("b", 50, 0, 2.1), ("b", 90, 0, 2.0), ("c", 50, 0, 3.0)]
    found = match_pseudo_switches(read(rows), ratio=3, caliper=9)
    assert partners(found) == {"A": ["b", "c"]}
    assert found.moments["time"].tolist() == [300, 90, 50]


def test_whoever_switches_later_may_lend_an_earlier_moment():
    rows = [("A", 300, 1, 2.0), ("B", 500, 1, 9.0), ("B", 200, 0, 2.0), ("c", 50, 0, 9.0)]
    assert partners(match_pseudo_switches(read(rows), ratio=1)) == {"A": ["B"], "B": ["c"]}


def test_beyond_the_caliper_a_switch_has_no_partner_and_is_counted():
    found = match_pseudo_switches(read([("A", 9, 1, 0.0), ("B", 9, 1, 9.0), ("c", 5, 0, 0.1)]))
    assert partners(found) == {"A": ["c"]}
    assert (found.n_sets, found.n_unmatched) == (1, 1)
    assert "Some switches have no partner" in found.describe()
    assert found.glance()["n_unmatched"] == 1


def test_moments_without_a_covariate_are_left_out_and_counted():
    found = match_pseudo_switches(
        read([("A", 9, 1, 1.0), ("B", 9, 1, None), ("c", 5, 0, 1.1), ("d", 5, 0, None)]), caliper=9
    )
    assert (found.n_incomplete, found.n_switches_incomplete, found.n_unmatched) == (2, 1, 0)
    assert "Moments with a missing covariate are left out" in found.describe()


def test_of_equally_distant_moments_the_earlier_counts():
    rows = [("A", 9, 1, 1.0), ("z", 4, 0, 2.0), ("b", 5, 0, 0.0), ("c", 5, 0, 2.0)]
    assert partners(match_pseudo_switches(read(rows), ratio=3, caliper=9)) == {"A": ["z", "b", "c"]}


@given(st.integers(0, 10_000))
def test_the_order_of_rows_has_no_effect(seed):
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"id": [f"p{k % 14}" for k in range(24)], "day": np.arange(24), "switched": 0,
                         "peak": rng.integers(0, 5, 24)})  # fmt: skip
    last = rows.groupby("id")["day"].transform("max") == rows["day"]
    rows.loc[last & (rng.random(24) < 0.4), "switched"] = 1
    read_rows = [
        match_pseudo_switches(Switches.from_frame(part, patient_id="id", time="day", switched="switched",
                                                  covariates=["peak"]), ratio=2).moments
        for part in (rows, rows.sample(frac=1, random_state=seed))
    ]  # fmt: skip
    pd.testing.assert_frame_equal(*read_rows)
    others = read_rows[0][~read_rows[0]["switched"]]
    assert others["patient_id"].is_unique
    assert others.groupby("set").size().le(2).all()


def test_the_unit_of_a_covariate_has_no_effect():
    rows = [("A", 9, 1, 1.0, 30), ("B", 8, 1, 2.0, 10), ("c", 5, 0, 1.2, 31), ("d", 4, 0, 2.2, 12), ("e", 3, 0, 0, 9)]
    one = match_pseudo_switches(read(rows, ("peak", "age")), caliper=2)
    other = match_pseudo_switches(
        read([(*row[:3], row[3] * 40, row[4] * 12) for row in rows], ("peak", "age")), caliper=2
    )
    assert partners(one) == partners(other)
    assert other.moments["distance"].tolist() == pytest.approx(one.moments["distance"].tolist())


@pytest.mark.parametrize("rows", [[], [("A", 9, 1, 1.0)], [("a", 9, 0, 1.0)], [("A", 9, 1, 1.0), ("b", 9, 0, 1.0)]])
def test_nobody_one_side_only_and_no_spread(rows):
    found = match_pseudo_switches(read(rows))
    assert found.n_sets == (1 if len(rows) == 2 else 0)
    assert len(found.tidy()) == 2
    assert found.glance()["not_estimable"] == (None if found.n_sets else "no switch has a comparable pseudo-switch")
    assert found.describe()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"covariates": ["age"]}, "not declared"), ({"covariates": []}, "no covariate to match on"),
     ({"ratio": 0}, "no number of partners"), ({"caliper": 0}, "not above 0"), ({"covariates": "peak"}, "in a list")],
)  # fmt: skip
def test_what_cannot_be_matched_on_is_refused(wrong, words):
    with pytest.raises(OutcomeError, match=words):
        match_pseudo_switches(read([("A", 9, 1, 1.0), ("b", 9, 0, 1.0)]), **wrong)


def test_text_is_no_covariate_and_a_balance_has_no_figure():
    with pytest.raises(OutcomeError, match="have no number"):
        match_pseudo_switches(read([("A", 9, 1, "high"), ("b", 9, 0, "low")]))
    with pytest.raises(OutcomeError, match="is no Switches"):
        match_pseudo_switches(pd.DataFrame())
    with pytest.raises(OutcomeError, match="no figure"):
        match_pseudo_switches(read([("A", 9, 1, 1.0)])).plot()
