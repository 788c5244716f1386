"""Turnbull's estimate: against R and icenReg, by hand, and by what any best estimate must satisfy."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.intervals.interval_survival import estimate_interval_survival
from aih_outcomes.outcomes import Groups, IntervalTime, TimeToEvent

ROWS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6), st.booleans()), min_size=1, max_size=25)


def intervals_of(rows):
    frame = pd.DataFrame(rows, columns=["left", "width", "seen"]).astype(int)
    right = (frame["left"] + frame["width"]).where(frame["seen"] == 1)
    return pd.DataFrame({"left": frame["left"], "right": right.replace(0, 1)}).astype(float)


def masses_on(curve, low):
    """Mass of each of the reference's intervals, found by its lower end."""
    return [float(curve.mass[curve.low == q].sum()) for q in low]


def test_intervals_of_pbcseq_are_those_of_the_reference(reference, data_set, assert_close):
    visits = data_set("pbcseq").sort_values(["id", "day"])
    raised = visits["bili"] > 1.2
    chosen = visits[visits["id"].isin(visits["id"][(visits["day"] == 0) & raised])]
    right = chosen[chosen["bili"] <= 1.2].groupby("id")["day"].min().reindex(chosen["id"].unique())
    before = chosen[chosen["day"] < chosen["id"].map(right).fillna(np.inf)]
    frame = pd.DataFrame({"left": before.groupby("id")["day"].max(), "right": right})
    outcome = IntervalTime.from_frame(frame, left="left", right="right")
    result = reference("pbcseq_interval_censored")["dataset"]
    empty = int(((frame["left"] == 0) & frame["right"].isna()).sum())
    ours = [len(frame), estimate_interval_survival(outcome).glance()["n_event"], (frame["left"] == 0).sum(), empty,
            len(frame) - empty, frame["left"].sum(), frame["right"].sum()]  # fmt: skip
    names = ["n", "n_event", "n_left0", "n_dropped_single_visit", "n_used", "sum_left", "sum_right_finite"]
    for name, value in zip(names, ours, strict=True):
        assert_close(value, result["values"][name], result["rtol"], what=name)


def test_matches_the_reference_on_pbcseq(reference, normalised, assert_close):
    estimate = estimate_interval_survival(normalised)
    curve, facts = estimate.curves[0], estimate.glance()
    result = reference("pbcseq_interval_censored")["turnbull_npmle"]
    values, rtol = result["values"], result["rtol"]
    mass = np.array(values["intervals"]["mass"])
    assert_close(masses_on(curve, values["intervals"]["q"]), mass.round(12), rtol, what="mass")
    ends = [np.inf if p is None else p for p in values["intervals"]["p"]]
    assert set(curve.high) == {p for p, share in zip(ends, mass, strict=True) if share > 1e-12}
    assert_close(facts["loglik"], values["loglik"], rtol, what="loglik")
    assert facts["max_gradient_over_n"] <= 1 + 1e-9
    times = pd.DataFrame(values["at_times"])
    at = estimate.at(times["time"])
    assert at["estimate"].isna().tolist() == times["inside_mass_interval"].tolist()
    known = ~times["inside_mass_interval"]
    assert_close(1 - at["estimate"][known], times["F_upper_endpoint_convention"][known], rtol, what="F(t)")
    assert_close(1 - at["estimate_high"], times["F_upper_endpoint_convention"], rtol, what="F(t), upper end")


def test_matches_icenreg_and_survfit_on_pbcseq(reference, normalised, assert_close):
    estimate = estimate_interval_survival(normalised)
    results = reference("pbcseq_interval_censored")
    result = results["turnbull_icenReg"]
    assert_close(estimate.glance()["loglik"], result["values"]["loglik"], result["rtol"], what="loglik")
    assert estimate.glance()["loglik"] >= result["values"]["loglik"] - 1e-6 * abs(result["values"]["loglik"])
    ends = np.round(result["values"]["intervals"]["q"], 6)
    assert_close(
        masses_on(estimate.curves[0], ends), result["values"]["intervals"]["mass"], result["rtol"], what="mass", se=1.0
    )
    result = results["turnbull_survfit"]
    at = estimate.at(result["values"]["time"])
    known = at["estimate"].notna()
    assert_close(
        at["estimate"][known], np.array(result["values"]["surv"])[known], result["rtol"], what="S(t) of survfit"
    )


def test_is_close_to_r_survfit_with_every_kind_of_row(mixed, seen_at_looks, r_figures, assert_close):
    frame = mixed[["left", "right"]].assign(w=mixed["whole"])
    expected = r_figures("intervals")["turnbull"]
    at = estimate_interval_survival(seen_at_looks(frame)).at(expected["time"])
    theirs = np.array(expected["surv"])
    known = at["estimate"].notna().to_numpy()
    assert known.sum() >= 3
    assert_close(at["estimate"][known], theirs[known], 5e-3, what="S(t)")  # R stops early, as the reference says
    assert (theirs >= at["estimate_low"] - 5e-3).all()
    assert (theirs <= at["estimate_high"] + 5e-3).all()


def test_three_patients_by_hand(seen_at_looks):
    # (0,2] and (1,3] share (1,2]; (2,4] and (1,3] share (2,3]; p on (1,2] and 1-p on (2,3]: p·1·(1-p), so 1/2 each
    frame = pd.DataFrame({"left": [0, 1, 2], "right": [2, 3, 4]})
    estimate = estimate_interval_survival(seen_at_looks(frame))
    tidy = estimate.tidy()
    assert tidy[["time_low", "time_high"]].to_numpy().tolist() == [[1, 2], [2, 3]]
    assert tidy["mass"].tolist() == pytest.approx([1 / 2, 1 / 2])
    assert estimate.glance()["loglik"] == pytest.approx(2 * np.log(1 / 2))
    at = estimate.at([1, 1.5, 2, 3])
    np.testing.assert_allclose(at["estimate"], [1, np.nan, 0.5, 0], atol=1e-12)
    np.testing.assert_allclose(at[["estimate_low", "estimate_high"]].to_numpy()[1], [0.5, 1])
    assert estimate.quantiles([0.25, 0.75])[["time_low", "time_high"]].to_numpy().tolist() == [[1, 2], [2, 3]]


def test_exact_times_among_intervals_by_hand(seen_at_looks):
    # exact 2 and 3 both lie in (0,3], and 3 comes before (3,5] begins: a at 2, b at 3, c after: a·(a+b)·b·c
    frame = pd.DataFrame({"left": [2, 0, 3, 3], "right": [2, 3, 3, 5]})
    tidy = estimate_interval_survival(seen_at_looks(frame)).tidy()
    assert tidy[["time_low", "time_high"]].to_numpy().tolist() == [[2, 2], [3, 3], [3, 5]]
    assert tidy["mass"].tolist() == pytest.approx([3 / 8, 3 / 8, 1 / 4])


@given(ROWS)
def test_no_interval_of_mass_could_gain(rows):
    """Mass moved anywhere gains nothing: the rows that hold a time, each over its own mass, sum to n at most."""
    frame = intervals_of(rows)
    outcome = IntervalTime.from_frame(frame, left="left", right="right")
    curve = estimate_interval_survival(outcome).curves[0]
    left, right = outcome.frame["left"].to_numpy(), outcome.frame["right"].to_numpy()
    held = (left[:, None] <= curve.low) & (curve.high <= right[:, None])
    held &= (left[:, None] < curve.high) | (left == right)[:, None]
    covered = held @ curve.mass
    assert curve.mass.sum() == pytest.approx(1, abs=1e-12)
    assert curve.loglik == pytest.approx(np.log(covered).sum(), abs=1e-9)
    for time in np.unique(np.concatenate([left, right[np.isfinite(right)], left + 0.5, [99.0]])):
        holds = ((left < time) & (time <= right)) | ((left == right) & (left == time))
        assert (holds / covered).sum() <= len(rows) * (1 + 1e-8)


@given(ROWS)
def test_exact_and_right_censored_times_give_kaplan_meier(rows):
    frame = pd.DataFrame(rows, columns=["time", "_", "event"]).astype(int)
    frame["time"] += 1
    seen = frame.assign(right=frame["time"].where(frame["event"] == 1))
    estimate = estimate_interval_survival(IntervalTime.from_frame(seen, left="time", right="right"))
    kaplan_meier = estimate_survival(TimeToEvent.from_frame(frame, exit="time", event="event"))
    times = np.arange(1, frame["time"].max() + 1)
    np.testing.assert_allclose(estimate.at(times)["estimate_high"], kaplan_meier.at(times)["estimate"], atol=1e-9)


@given(ROWS, st.integers(2, 9))
def test_row_order_time_unit_and_weights_change_nothing(rows, factor):
    frame = intervals_of(rows)
    one = estimate_interval_survival(IntervalTime.from_frame(frame, left="left", right="right")).curves[0]
    turned = (frame.iloc[::-1] * factor).assign(w=factor)
    other = estimate_interval_survival(IntervalTime.from_frame(turned, left="left", right="right", weight="w"))
    np.testing.assert_allclose(other.curves[0].mass, one.mass, atol=1e-9)
    np.testing.assert_allclose(other.curves[0].low, one.low * factor)
    assert other.curves[0].n == len(rows) * factor


EDGES = {
    "no events": ({"left": [3, 5], "right": [None, None]}, [], 1.0),
    "found at once": ({"left": [0, 0], "right": [3, 5]}, [[0, 3]], 0.0),
    "one patient": ({"left": [3], "right": [5]}, [[3, 5]], 0.0),
    "identical": ({"left": [3, 3, 3], "right": [5, 5, 5]}, [[3, 5]], 0.0),
    "weight 0": ({"left": [3, 1], "right": [5, 2], "w": [1, 0]}, [[3, 5]], 0.0),
}


@pytest.mark.parametrize("case", EDGES)
def test_edges(case, seen_at_looks):
    columns, where, at_five = EDGES[case]
    estimate = estimate_interval_survival(seen_at_looks(pd.DataFrame(columns)))
    assert estimate.tidy()[["time_low", "time_high"]].to_numpy().tolist() == where
    assert estimate.at([5])["estimate"][0] == pytest.approx(at_five)


def test_after_the_last_look_nothing_is_known(seen_at_looks):
    at = estimate_interval_survival(seen_at_looks(pd.DataFrame({"left": [0, 4], "right": [2, None]}))).at([3, 4, 5])
    np.testing.assert_allclose(at["estimate"], [0.5, 0.5, np.nan])
    assert at[["estimate_low", "estimate_high"]].to_numpy()[2].tolist() == pytest.approx([0, 0.5])


def test_the_bootstrap_is_reproducible_and_holds_the_estimate(mixed, seen_at_looks):
    outcome = seen_at_looks(mixed[["left", "right", "arm"]])
    one, two = (
        estimate_interval_survival(outcome, by="arm", rng=np.random.default_rng(1), n_bootstrap=40).tidy() for _ in "ab"
    )
    pd.testing.assert_frame_equal(one, two)
    assert (one["conf_low"] <= one["estimate"] + 0.05).all()
    assert (one["conf_high"] >= one["estimate"] - 0.05).all()
    assert (one["conf_high"] - one["conf_low"]).mean() > 0.1
    without = estimate_interval_survival(outcome, by="arm")
    assert without.tidy()["conf_low"].isna().all()
    assert "without limits" in without.describe()


def test_years_are_days_over_365_and_a_quarter(mixed, seen_at_looks):
    estimate = estimate_interval_survival(seen_at_looks(mixed[["left", "right"]]))
    np.testing.assert_allclose(estimate.tidy(unit="years")["time"] * 365.25, estimate.tidy()["time"])


def test_groups_known_later_are_refused(normalised):
    known = pd.DataFrame({"patient_id": normalised.frame["patient_id"], "label": "a", "onset": 30, "known_at": 30})
    with pytest.raises(ImmortalTimeError):
        estimate_interval_survival(normalised, by=Groups(known, "later", ("a",)))


def test_other_outcomes_and_fractional_weights_are_refused(mixed, seen_at_looks, royal_free):
    with pytest.raises(OutcomeError, match="no IntervalTime"):
        estimate_interval_survival(royal_free)
    with pytest.raises(OutcomeError, match="whole numbers"):
        estimate_interval_survival(seen_at_looks(mixed[["left", "right"]].assign(w=0.5)))
    with pytest.raises(OutcomeError, match="no rows"):
        estimate_interval_survival(seen_at_looks(mixed[["left", "right"]].assign(w=0)))
    with pytest.raises(OutcomeError, match="no figure"):
        estimate_interval_survival(seen_at_looks(mixed[["left", "right"]])).plot()


def test_ten_thousand_intervals_are_proven_best_within_a_moment():
    random = np.random.default_rng(1)
    left = random.integers(0, 1000, 10_000)
    right = np.where(random.random(10_000) < 0.6, left + random.integers(1, 300, 10_000), np.inf)
    frame = pd.DataFrame({"left": left, "right": right})
    estimate = estimate_interval_survival(IntervalTime.from_frame(frame, left="left", right="right"))
    assert estimate.glance()["max_gradient_over_n"] <= 1 + 1e-9
