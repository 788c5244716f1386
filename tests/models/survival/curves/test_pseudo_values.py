"""Pseudo-values and regressions on them: against R, against leaving each patient out, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.curves.pseudo_value_fit import fit_pseudo_values
from aih_outcomes.models.survival.curves.pseudo_values import compute_pseudo_values
from aih_outcomes.models.survival.curves.restricted_mean import compare_survival_at, restricted_mean
from aih_outcomes.outcomes import Groups, TimeToEvent

AT = (3, 7, 12)
ROWS = st.lists(st.tuples(st.integers(1, 8), st.booleans()), min_size=2, max_size=12)


def small(exit, event, entry=None, **more):
    frame = pd.DataFrame({"exit": exit, "event": event, "entry": 0 if entry is None else entry, **more})
    return TimeToEvent.from_frame(frame, exit="exit", event="event", entry="entry", covariates=list(more))


def competing(curve_rows):
    return curve_rows(event="cause", competing=["other"])


def values(outcome, times, of):
    return compute_pseudo_values(outcome, times=times, of=of)["pseudo_value"].to_numpy()


@pytest.mark.parametrize("of", ["survival", "restricted mean", "cumulative incidence"])
def test_matches_leaving_each_patient_out_in_r(of, curve_rows, r_figures, assert_close):
    outcome = competing(curve_rows) if of == "cumulative incidence" else curve_rows()
    name = {"cumulative incidence": "incidence"}.get(of, of.replace(" ", "_"))
    expected = r_figures("curves")[f"pseudo_{name}"]
    assert_close(values(outcome, AT, of), expected, 1e-10, se=1.0, what=f"pseudo-values of {of}")


@settings(max_examples=40)
@given(ROWS, st.integers(1, 8))
def test_matches_brute_force(rows, when):
    exit, event = (np.array(part) for part in zip(*rows, strict=True))
    when = min(when, int(exit.max()))

    def survival(kept):
        curve = estimate_survival(small(exit[kept], event[kept])).curves[0]
        step = np.searchsorted(curve.time, when, side="right")
        return np.concatenate([[1.0], curve.estimate])[step], restricted_mean(curve, float(when))[0]

    n = len(rows)
    whole = survival(np.arange(n))
    left_out = np.array([survival(np.arange(n) != i) for i in range(n)])
    outcome = small(exit, event)
    assert values(outcome, [when], "survival") == pytest.approx(n * whole[0] - (n - 1) * left_out[:, 0], abs=1e-11)
    assert values(outcome, [when], "restricted mean") == pytest.approx(
        n * whole[1] - (n - 1) * left_out[:, 1], abs=1e-10
    )


@settings(max_examples=25)
@given(ROWS)
def test_without_censoring_they_are_what_happened(rows):
    exit = np.array([length for length, _ in rows])
    outcome = small(exit, np.ones(len(exit), int))
    when = float(np.median(exit))
    assert values(outcome, [when], "survival") == pytest.approx((exit > when) * 1.0, abs=1e-10)
    assert values(outcome, [when], "restricted mean") == pytest.approx(np.minimum(exit, when), abs=1e-10)


def test_incidence_and_survival_of_any_event_add_to_one(curve_rows):
    outcome = competing(curve_rows)
    other = curve_rows(event="cause", competing=["liver"])
    total = values(outcome, AT, "cumulative incidence") + values(other, AT, "cumulative incidence")
    assert total + values(curve_rows(), AT, "survival") == pytest.approx(np.ones(270), abs=1e-11)


def test_by_hand_with_one_censored():
    # exits 1, 2+, 3: S(1) = 2/3; without the first S(1) = 1, without another 1/2
    assert values(small([1, 2, 3], [1, 0, 1]), [1], "survival") == pytest.approx([0, 1, 1])


def test_a_common_late_start_is_a_landmark():
    late, plain = small([5, 7, 9], [1, 0, 1], entry=[4] * 3), small([1, 3, 5], [1, 0, 1])
    assert values(late, [6], "restricted mean") == pytest.approx(values(plain, [2], "restricted mean"))


def test_rows_are_in_order_within_each_time():
    frame = compute_pseudo_values(small([3, 1], [1, 0]), times=[1, 2])
    assert frame["patient_id"].tolist() == ["0", "1", "0", "1"]
    assert frame["time"].tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize(("rows", "times", "match"), [
    (small([3, 4], [1, 0], entry=[0, 1]), [2], "late entry"),
    (small([3, 4], [1, 0]), [5], "outside the follow-up"),
    (small([3, 4], [1, 0]), [], "outside the follow-up"),
    (small([], []), [1], "no rows"),
    (TimeToEvent.from_frame(pd.DataFrame({"t": [1, 2], "e": 1, "w": [1, 2]}), exit="t", event="e", weight="w"), [1],
     "weights"),
])  # fmt: skip
def test_what_they_do_not_cover_is_refused(rows, times, match):
    with pytest.raises(OutcomeError, match=match):
        compute_pseudo_values(rows, times=times)


def test_survival_with_competing_events_is_refused(curve_rows):
    with pytest.raises(OutcomeError, match="competing"):
        compute_pseudo_values(competing(curve_rows), times=[3])


FITS = {
    "risk_identity": ("survival", "identity", [7]), "risk_cloglog": ("survival", "cloglog", [7]),
    "risk_cloglog_all_times": ("survival", "cloglog", AT), "mean_identity": ("restricted mean", "identity", [12]),
    "incidence_cloglog": ("cumulative incidence", "cloglog", [7]),
}  # fmt: skip


@pytest.mark.parametrize("name", FITS)
def test_regression_matches_r(name, curve_rows, r_figures, assert_close):
    of, link, times = FITS[name]
    outcome = competing(curve_rows) if of == "cumulative incidence" else curve_rows()
    fit = fit_pseudo_values(outcome, times=times, of=of, by="arm", covariates=["x"], link=link)
    expected = r_figures("curves")[name]
    tidy = fit.tidy()
    assert_close(tidy["estimate"], expected["coef"], 1e-6, se=tidy["std_error"], what=f"{name} coefficients")
    assert_close(tidy["std_error"], expected["se"], 1e-6, what=f"{name} robust errors")
    assert fit.glance()["not_estimable"] is None


def test_the_unadjusted_difference_is_nearly_that_of_the_curves(curve_rows):
    rows = curve_rows()
    fit = fit_pseudo_values(rows, times=[7], by="sex").tidy()
    curves = compare_survival_at(rows, by="sex", horizon=7).contrasts.iloc[0]
    assert fit["term"].tolist() == ["intercept", "group: m (ref. f)"]
    assert fit["measure"].tolist() == ["intercept", "risk_difference"]
    assert fit["estimate"].iloc[1] == pytest.approx(curves["estimate"], abs=0.02)
    assert fit["std_error"].iloc[1] == pytest.approx(curves["std_error"], rel=0.1)


def test_missing_covariates_are_answered_for():
    rows = small([1, 2, 3, 4, 5, 6, 7, 8], [1, 0, 1, 1, 1, 0, 1, 0], x=[1, 2, np.nan, 1, 0, 3, 1, 2.5])
    with pytest.raises(OutcomeError, match="1 of 8 rows"):
        fit_pseudo_values(rows, times=[5], covariates=["x"])
    fit = fit_pseudo_values(rows, times=[5], covariates=["x"], missing="exclude")
    assert fit.glance()["n"] == 7
    assert fit.glance()["n_missing"] == 1
    assert "missing covariate: 1" in fit.describe()


@pytest.mark.parametrize(("event", "x", "reason"), [
    ([0] * 6, [1, 2, 3, 1, 2, 3], "no events"), ([1] * 6, [2] * 6, "constant"),
])  # fmt: skip
def test_what_cannot_be_fitted_says_why(event, x, reason):
    fit = fit_pseudo_values(small([1, 2, 3, 4, 5, 6], event, x=x), times=[4], covariates=["x"])
    assert reason in fit.glance()["not_estimable"]
    assert fit.tidy()["estimate"].isna().all()
    assert reason in fit.describe()


def test_a_mean_has_no_cloglog_link_and_a_fit_no_figure(curve_rows):
    with pytest.raises(OutcomeError, match="identity"):
        fit_pseudo_values(curve_rows(), times=[3], of="restricted mean", covariates=["x"], link="cloglog")
    with pytest.raises(OutcomeError, match="table"):
        fit_pseudo_values(curve_rows(), times=[3], covariates=["x"]).plot()


def test_groups_known_later_are_guarded():
    outcome = small([5, 6, 7], [1, 1, 0])
    late = Groups(pd.DataFrame({"patient_id": ["0", "1", "2"], "label": list("aba"), "onset": 2, "known_at": 2}),
                  "response", ("a", "b"))  # fmt: skip
    with pytest.raises(ImmortalTimeError):
        fit_pseudo_values(outcome, times=[5], by=late)
