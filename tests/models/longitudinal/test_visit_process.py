"""Informative visits: all values, planned visits only, and weights of inverse intensity (statistics 15)."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.longitudinal.visit_process import ALL, SCHEDULED, WEIGHTED, compare_visit_handling
from aih_outcomes.outcomes import Groups, RepeatedMeasures
from aih_outcomes.simulate.mechanisms.visit_process import draw_visit_process

COVARIATES = ("unscheduled", "arm", "end")
R_GEE = 1e-8  # geepack's scoring stops at 1e-4 of its estimates, which the Gaussian mean reaches in one step


def measures_of(frame, covariates=COVARIATES, **kwargs):
    return RepeatedMeasures.from_frame(
        frame, patient_id="id", time="day", value="value", covariates=list(covariates), **kwargs
    )


@pytest.fixture(scope="module")
def invented():
    return pd.read_csv("tests/reference/switches_values.csv")


@pytest.fixture(scope="module")
def compared(invented):
    return compare_visit_handling(measures_of(invented), by="arm", ends="end", scale="log")


def few(rows):
    return pd.DataFrame(rows, columns=["id", "day", "value", "unscheduled"])


COURSES = [(1, 4, 2), (2, 2, 5), (3, 6, 4), (1, 1, 3), (2, 5, 5)]  # on days 0, 90 and, unplanned, 120
PLAIN = few([(k, day, float(course[place]), int(place == 2)) for k, course in enumerate(COURSES)
             for place, day in enumerate((0, 90, 120))])  # fmt: skip


def test_matches_r_coxph_for_the_intensity(compared, r_figures, assert_close):
    expected = np.array(r_figures("switches")["intensity"])
    cox = compared.intensity.cox
    assert_close(cox.coefficients, expected[:2], 1e-7, se=expected[2:], what="log intensity ratios")
    assert_close(np.sqrt(np.diag(cox.vcov)), expected[2:], 1e-7, what="robust standard errors")


@pytest.mark.parametrize(("handling", "name"), [(ALL, "all_values"), (SCHEDULED, "planned"), (WEIGHTED, "weighted")])
def test_matches_r_geepack_with_the_same_weights(compared, r_figures, assert_close, handling, name):
    expected = np.array(r_figures("switches")[name])
    rows = compared.tidy().query("strata == @handling")
    se = expected[4:]
    assert_close(rows["estimate"], expected[:4], R_GEE, se=se, what=f"{handling}: mean")
    assert_close(rows["std_error"], se, R_GEE, what=f"{handling}: robust standard errors")


def test_matches_r_for_the_weights(compared, r_figures, assert_close):
    largest, effective, n_visits = r_figures("switches")["weights"]
    weight = compared.intensity.weight
    assert_close(weight.max(), largest, R_GEE, what="largest weight")
    assert_close(compared.intensity.effective, effective, R_GEE, what="effective number of values")
    assert_close(compared.intensity.n_visits, n_visits, what="visits modelled")
    unscheduled = compared.measures.frame["unscheduled"] == 1
    assert weight[unscheduled].mean() == pytest.approx(1)
    assert (weight[~unscheduled] == 1).all()


@pytest.mark.parametrize("visits", ["observed", "latent"])
def test_planned_visits_recover_the_mean_and_weights_where_visits_follow_what_was_seen(visits):
    frame = draw_visit_process(np.random.default_rng(3), 1500, visits=visits)
    frame = frame.assign(unscheduled=1 - frame["scheduled"].astype(int), year=frame["time"] / 365.25 - 1)
    measures = RepeatedMeasures.from_frame(
        frame, patient_id="patient_id", time="time", value="value", covariates=["unscheduled", "treated", "year"]
    )
    found = compare_visit_handling(measures, by="treated", course="year", ends=730.0)
    rows = found.tidy().set_index(["strata", "term"])
    truth = 0.75  # untreated, at a year: T10
    off = {name: rows.loc[(name, "intercept"), "estimate"] - truth for name in (ALL, SCHEDULED, WEIGHTED)}
    error = {name: rows.loc[(name, "intercept"), "std_error"] for name in off}
    assert off[ALL] > 4 * error[ALL]
    assert abs(off[SCHEDULED]) < 3 * error[SCHEDULED]
    assert off[WEIGHTED] < off[ALL] / 1.5
    if visits == "observed":
        assert abs(off[WEIGHTED]) < 3 * error[WEIGHTED]
        facts = found.glance()
        assert facts["visit_ratio_low"] < np.e < facts["visit_ratio_high"]


def test_visits_that_depend_on_nothing_have_weights_near_one():
    frame = draw_visit_process(np.random.default_rng(4), 200, visits="observed")
    rng = np.random.default_rng(5)
    frame = frame.assign(unscheduled=1 - frame["scheduled"].astype(int), value=rng.standard_normal(len(frame)))
    measures = RepeatedMeasures.from_frame(
        frame, patient_id="patient_id", time="time", value="value", covariates=["unscheduled"]
    )
    assert compare_visit_handling(measures, course=None).intensity.weight.max() < 1.3


def test_a_mean_by_hand():
    found = compare_visit_handling(measures_of(PLAIN, ["unscheduled"]), course=None).tidy().set_index("strata")
    assert found.loc[ALL, "estimate"] == pytest.approx(46 / 15)
    assert found.loc[SCHEDULED, "estimate"] == pytest.approx(27 / 10)
    assert found.loc[ALL, "n_values"] == 15
    assert found.loc[SCHEDULED, "n_values"] == 10
    assert found["n"].tolist() == [5, 5, 5]


def test_statistics_rule_15_a_planned_visit_is_the_value_nearest_the_nominal_day():
    frame = few(
        [(k, day, value + k, 0) for k in range(4) for day, value in ((0, 1.0), (85, 2.0), (91, 3.0), (99, 9.0))]
    )
    found = compare_visit_handling(measures_of(frame, []), course=None, visits=[0, 90])
    assert sorted(found.fits[SCHEDULED].fixed.frame["value"]) == [1, 2, 3, 3, 4, 4, 5, 6]  # day 0, and day 91
    assert found.n_unscheduled == 8


def test_named_visits_are_planned_where_there_is_no_flag():
    frame = PLAIN.assign(visit=np.where(PLAIN["unscheduled"] == 0, "v" + PLAIN["day"].astype(str), None))
    measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="day", value="value", visit="visit")
    found = compare_visit_handling(measures, course=None)
    assert found.tidy()["n_values"].tolist() == [15, 10, 15]
    assert found.intensity.n_visits == 10  # every visit after the first


def test_without_visits_outside_the_plan_the_weighted_row_says_so():
    found = compare_visit_handling(measures_of(PLAIN.assign(unscheduled=0), ["unscheduled"]), course=None)
    assert found.tidy()["estimate"].notna().tolist() == [True, True, False]
    assert "Not estimable, all values, weighted" in found.describe()
    assert found.glance()["not_estimable"] == "no visit but planned ones, or nobody was seen twice"


def test_a_flag_that_is_missing_counts_as_outside_the_plan():
    frame = PLAIN.assign(unscheduled=PLAIN["unscheduled"].replace({1: np.nan}))
    assert compare_visit_handling(measures_of(frame, ["unscheduled"]), course=None).n_unscheduled == 5


def test_the_order_of_rows_has_no_effect(invented, compared):
    shuffled = compare_visit_handling(
        measures_of(invented.sample(frac=1, random_state=2)), by="arm", ends="end", scale="log"
    )
    one, other = (found.tidy()[["estimate", "std_error"]].to_numpy() for found in (compared, shuffled))
    np.testing.assert_allclose(other, one, rtol=1e-9)


def test_the_unit_of_time_has_no_effect(invented, compared):
    years = invented.assign(day=invented["day"] / 365.25, end=invented["end"] / 365.25)
    other = compare_visit_handling(measures_of(years, time_unit="years"), by="arm", ends="end", scale="log").tidy()
    one = compared.tidy()
    np.testing.assert_allclose(other[["estimate", "std_error"]], one[["estimate", "std_error"]], rtol=1e-7)


def test_values_of_one_day_are_one_visit():
    twice = pd.concat([PLAIN, PLAIN[PLAIN["day"] == 120]])
    found = compare_visit_handling(measures_of(twice, ["unscheduled"]), course=None)
    assert found.intensity.n_visits == 5
    assert len(found.intensity.weight) == 20


def test_words_say_how_visits_depend_on_values_and_what_is_needed(compared):
    words = compared.describe()
    for part in ("values lie outside planned visits", "intensity of visits changes by a factor of",
                 "Largest weight", "take the weights as known", "robust standard errors"):  # fmt: skip
        assert part in words
    assert "Observation is taken to end" not in words
    ratios = compared.tidy()
    np.testing.assert_allclose(np.exp(ratios["estimate"]), ratios["ratio"])


def test_groups_that_became_known_later_meet_the_guard(invented):
    known = pd.DataFrame({"patient_id": invented["id"].astype(str).unique()}).assign(
        label="responder", onset=100.0, known_at=100.0
    )
    groups = Groups(known, "response", ("responder",))
    with pytest.raises(ImmortalTimeError):
        compare_visit_handling(measures_of(invented), by=groups)
    found = compare_visit_handling(measures_of(invented), by=groups, from_day=100, course=None)
    assert found.measures.frame["time"].min() >= 0


def test_the_end_of_observation_moves_with_a_landmark(invented):
    late = invented.assign(day=invented["day"] + 50.0, end=invented["end"] + 50.0)
    shifted = invented.assign(day=invented["day"].astype(float), end=invented["end"].astype(float))
    one, other = (
        compare_visit_handling(measures_of(frame), ends="end", from_day=day).intensity.weight
        for frame, day in ((late, 250), (shifted, 200))
    )
    np.testing.assert_allclose(one, other, rtol=1e-9)
    at = compare_visit_handling(measures_of(shifted[shifted["end"] > 1100]), ends=1400, from_day=200)
    assert at.intensity.cox.outcome.exit.max() == 1200


def test_what_cannot_be_asked_is_refused():
    measures = measures_of(PLAIN, ["unscheduled"])
    with pytest.raises(OutcomeError, match="Nothing tells which"):
        compare_visit_handling(measures_of(PLAIN, []), course=None)
    with pytest.raises(OutcomeError, match="neither 0 nor 1"):
        compare_visit_handling(measures_of(PLAIN.assign(unscheduled=2), ["unscheduled"]), course=None)
    with pytest.raises(OutcomeError, match="no logarithm"):
        compare_visit_handling(measures_of(PLAIN.assign(value=-1.0), ["unscheduled"]), scale="log")
    with pytest.raises(OutcomeError, match="not among the covariates"):
        compare_visit_handling(measures, depends_on=["steroid"])
    with pytest.raises(OutcomeError, match="no common axis"):
        compare_visit_handling(measures, course=None).plot()
    with pytest.raises(OutcomeError, match="is no RepeatedMeasures"):
        compare_visit_handling(PLAIN)
    with pytest.raises(OutcomeError, match="is no time"):
        compare_visit_handling(measures, ends=float("nan"))


def test_no_values_have_no_answer_and_no_error():
    none = compare_visit_handling(measures_of(PLAIN.iloc[:0], ["unscheduled"]), course=None)
    assert none.tidy()["estimate"].isna().all()
    assert "no values" in none.glance()["not_estimable"]
    late = compare_visit_handling(measures_of(PLAIN, ["unscheduled"]), course=None, from_day=10_000)
    assert "no values" in late.describe()


def test_a_flag_in_words_and_a_day_in_words_are_refused():
    with pytest.raises(OutcomeError, match="neither 0 nor 1"):
        compare_visit_handling(measures_of(PLAIN.assign(unscheduled="no"), ["unscheduled"]), course=None)
    with pytest.raises(OutcomeError, match="from_day='first'"):
        compare_visit_handling(measures_of(PLAIN, ["unscheduled"]), course=None, from_day="first")


def test_a_visit_is_not_weighed_by_what_nobody_knew():
    dosed = PLAIN.assign(steroid=[0.1, np.nan, 0.3] * 5)
    for missing in ("raise", "exclude"):
        with pytest.raises(OutcomeError, match="5 of 15 values of 'value' have no 'steroid'"):
            compare_visit_handling(measures_of(dosed, ["unscheduled", "steroid"]), course=None, missing=missing,
                                   depends_on=["steroid"])  # fmt: skip
