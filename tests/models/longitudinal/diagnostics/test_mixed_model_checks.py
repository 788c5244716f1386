"""Diagnostics of a mixed model: against figures made by hand in R, against refits, and where the truth is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.errors import DisclosureError, OutcomeError
from aih_outcomes.models.longitudinal.diagnostics.check import check_mixed_model
from aih_outcomes.models.longitudinal.diagnostics.influence import leave_patients_out
from aih_outcomes.models.longitudinal.mixed_model import refit
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
from aih_outcomes.outcomes import RepeatedMeasures

REFERENCE = Path(__file__).parents[3] / "reference"
YEAR = 365.25
NLME = 1e-6  # what its optimiser leaves


@pytest.fixture(scope="module")
def fit():
    frame = pd.read_csv(REFERENCE / "longitudinal_checks.csv")
    return fit_random_effects(measures(frame.assign(day=frame["years"] * YEAR)), course="years * arm")


@pytest.fixture(scope="module")
def checked(fit):
    return check_mixed_model(fit, lags=[0, 0.5 * YEAR, YEAR, 2 * YEAR, 3 * YEAR, 5 * YEAR])


@pytest.fixture
def figures(r_figures):
    return r_figures("longitudinal_checks")["diagnostics"]


def measures(frame, **more):
    return RepeatedMeasures.from_frame(
        frame, patient_id="id", time="day", value="value", **{"covariates": ["arm"]} | more
    )


def simulated(n=60, visits=6, seed=3, slope=0.4):
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n), visits)
    day = np.tile(np.arange(visits) * 120.0, n) + rng.integers(-20, 20, n * visits)
    own = rng.normal(size=(n, 2)) * [1.0, slope]
    value = 2 + 0.5 * day / YEAR + own[patient, 0] + own[patient, 1] * day / YEAR + 0.4 * rng.normal(size=n * visits)
    return pd.DataFrame({"id": patient, "day": day, "value": value, "arm": patient % 2, "centre": patient // 10})


def test_residuals_match_nlme_and_cholesky_by_hand(fit, checked, r_figures, assert_close):
    figures = r_figures("longitudinal_checks")["diagnostics"]
    rows = checked.residuals()
    for column in ("marginal", "conditional", "decorrelated"):
        assert_close(rows[column], figures[column], NLME, se=1.0, what=f"{column} residuals")
    assert_close(rows["standardised"], figures["pearson"], NLME, se=1.0, what="resid(type='pearson')")
    assert_close(rows["standardised"], figures["normalized"], NLME, se=1.0, what="resid(type='normalized')")
    assert_close(fit.loglik, figures["loglik"], 1e-9, what="log-likelihood")


def test_random_effects_match_nlme(checked, r_figures, assert_close):
    figures = r_figures("longitudinal_checks")["diagnostics"]
    effects = checked.effects()
    wide = effects.pivot_table(index="patient_id", columns="effect", values="estimate", sort=False)
    assert_close(wide.to_numpy(), figures["effects"], NLME, se=1.0, what="ranef")
    assert sorted(effects["effect"].unique()) == ["intercept", "slope"]


def test_the_variogram_matches_pairs_by_hand(checked, r_figures, assert_close):
    figures = r_figures("longitudinal_checks")["diagnostics"]
    table, expected = checked.variogram(), figures["variogram"]
    assert_close(table["time"] / YEAR, expected["lag"], 1e-9, what="mean lag")
    assert_close(table["n_pairs"], expected["pairs"], what="pairs")
    assert_close(table["estimate"], expected["empirical"], NLME, what="observed semivariance")
    assert_close(table["expected"], expected["model"], NLME, what="semivariance of the model")
    assert (table["n"] < table["n_pairs"]).all()


def test_the_variogram_of_conditional_residuals_has_nlmes_pairs(checked, figures):
    """Every pair that nlme's Variogram lists, and half its squared difference."""
    rows = checked.residuals()
    pairs = [
        (abs(b - a) / YEAR, (u - v) ** 2 / 2)
        for _, own in rows.groupby("patient_id", sort=False)
        for i, (a, u) in enumerate(zip(own["time"], own["conditional"], strict=True))
        for b, v in zip(own["time"].iloc[i + 1 :], own["conditional"].iloc[i + 1 :], strict=True)
    ]
    theirs = sorted(zip(figures["nlme_variogram"]["lag"], figures["nlme_variogram"]["value"], strict=True))
    assert len(pairs) == len(theirs) == checked.variogram()["n_pairs"].sum()
    np.testing.assert_allclose(sorted(lag for lag, _ in pairs), [lag for lag, _ in theirs], atol=1e-9)
    np.testing.assert_allclose(sum(value for _, value in pairs), sum(value for _, value in theirs), rtol=1e-5)


def test_leaving_out_for_given_variances_is_exact(fit, r_figures, assert_close):
    figures = r_figures("longitudinal_checks")["diagnostics"]
    found = leave_patients_out(fit.fitted, step=False)
    assert_close(found.beta, figures["fixed_beta"], NLME, se=fit.tidy()["std_error"], what="without each patient")
    assert_close(found.cook, figures["cook"], 1e-5, what="Cook's distance")
    assert_close(found.covariance_ratio, figures["covratio"], NLME, what="covariance ratio")
    assert np.isnan(found.theta_shift).all()


def test_refits_match_nlme_without_each_patient(fit, r_figures, assert_close):
    figures = r_figures("longitudinal_checks")["diagnostics"]
    found = check_mixed_model(fit, influence="refit").left_out
    assert_close(found.beta, figures["refit_beta"], 1e-5, se=fit.tidy()["std_error"], what="refitted without each")


def test_one_step_is_nearer_to_refits_than_given_variances(fit, figures):
    se = fit.tidy()["std_error"].to_numpy()
    refits = np.array(figures["refit_beta"])
    step, given = (leave_patients_out(fit.fitted, step=choice).beta for choice in (True, False))
    assert np.abs((step - refits) / se).max() < 0.15
    assert np.sqrt(np.mean((step - refits) ** 2)) < 0.45 * np.sqrt(np.mean((given - refits) ** 2))


@pytest.mark.parametrize("more", [
    {"random": "1"}, {"serial": "exponential", "random": "1"}, {"method": "ML"}, {"residual_by": "arm"},
])  # fmt: skip
def test_one_step_follows_refits_whatever_the_covariance(more):
    fit = fit_random_effects(measures(simulated(30, 5)), course="years", **more)
    one, exact = check_mixed_model(fit), check_mixed_model(fit, influence="refit")
    near = np.corrcoef(one.left_out.cook, exact.left_out.cook)[0, 1]
    assert near > 0.98
    ids = [check.influence()["patient_id"].iloc[0] for check in (one, exact)]
    assert ids[0] == ids[1]


@pytest.mark.parametrize("covariance", ["unstructured", "heterogeneous ar1"])
def test_one_step_follows_refits_of_repeated_measures(covariance):
    frame = simulated(40, 4)
    frame = frame.assign(visit=frame.groupby("id").cumcount().astype(str))
    frame = frame.drop(index=frame.index[::9])
    fit = fit_repeated_measures(measures(frame, visit="visit"), covariance=covariance)
    one, exact = (check_mixed_model(fit, influence=how).left_out for how in ("one-step", "refit"))
    given = leave_patients_out(fit.fitted, step=False)
    se = fit.tidy()["std_error"].to_numpy()
    assert np.abs((one.beta - exact.beta) / se).max() < 0.06
    assert np.abs((one.beta - exact.beta) / se).max() < 0.5 * np.abs((given.beta - exact.beta) / se).max()


def test_repeated_measures_have_lags_of_their_own_and_no_random_effects():
    frame = simulated(30, 4).assign(day=lambda rows: (rows["day"] / 120).round() * 91)
    fit = fit_repeated_measures(measures(frame.assign(visit=frame["day"].astype(str)), visit="visit"))
    check = check_mixed_model(fit)
    assert list(check.variogram()["term"]) == ["91", "182", "273"]
    assert list(check.variogram()["n_pairs"]) == [90, 60, 30]
    assert check.effects().empty
    assert check.residuals()["standardised"].isna().all()
    assert check.plot().get_ylabel() == "Decorrelated residual"


def test_patients_of_centres_are_left_out_exactly_for_given_variances():
    fit = fit_random_effects(measures(simulated(40, 4), covariates=["arm", "centre"]), course="years", random="1",
                             nested_in="centre")  # fmt: skip
    found = leave_patients_out(fit.fitted)
    rows = fit.fitted.rows
    here = fit.fitted.evaluation
    V = np.zeros((len(rows.response),) * 2)
    for places, block in fit.fitted.kernel.blocks(here):
        for own, values in zip(places, block, strict=True):
            V[np.ix_(own, own)] = values
    for code in (0, 7, 39):
        keep = rows.patient != code
        W = np.linalg.inv(V[np.ix_(keep, keep)])
        X = rows.X[keep]
        beta = np.linalg.solve(X.T @ W @ X, X.T @ W @ rows.response[keep])
        np.testing.assert_allclose(found.beta[code], beta, rtol=1e-7)


def test_where_the_model_holds_the_checks_say_so():
    check = check_mixed_model(fit_random_effects(measures(simulated(400)), course="years"))
    tidy = check.tidy().set_index("term")
    held = tidy.drop(index="largest Cook's distance")
    assert (np.abs(held["estimate"] - held["expected"]) < 3.5 * held["std_error"] + 1e-9).all(), held
    lags = check.variogram()
    assert ((lags["conf_low"] < lags["expected"]) & (lags["expected"] < lags["conf_high"])).mean() > 0.7


def test_a_missing_random_slope_is_seen_in_the_variogram_and_the_values_left_out():
    frame = simulated(200, slope=1.5)
    wrong = check_mixed_model(fit_random_effects(measures(frame), course="years", random="1"))
    lags = wrong.variogram()
    assert lags["conf_high"].iloc[0] < lags["expected"].iloc[0]
    assert lags["conf_low"].iloc[-1] > lags["expected"].iloc[-1]
    neighbours = wrong.tidy().set_index("term").loc["correlation of neighbours, decorrelated"]
    assert abs(neighbours["estimate"]) > 4 * neighbours["std_error"]


def test_the_patient_who_is_different_is_the_most_influential():
    frame = simulated(30)
    frame.loc[frame["id"] == 7, "value"] += 4 * (frame["day"] / YEAR)
    influence = check_mixed_model(fit_random_effects(measures(frame), course="years")).influence()
    assert influence["patient_id"].iloc[0] == "7"


def test_two_values_of_a_patient_by_hand():
    """With V = [[2, 1], [1, 2]]: r = (1, 1) decorrelates to 1/√2 and (1 − 1/2)/√1.5."""
    from aih_outcomes.models.longitudinal.diagnostics.residuals import compute_model_residuals
    from aih_outcomes.models.longitudinal.gaussian.likelihood import Evaluation, Fitted, Rows

    class Two:
        parameters = ()

        def blocks(self, evaluation):
            return [(np.array([[0, 1]]), np.array([[[2.0, 1.0], [1.0, 2.0]]]))]

    empty = np.zeros(0, np.intp)
    rows = Rows(np.array([3.0, 3.0]), np.ones((2, 1)), np.zeros(2, np.intp), np.array([0.0, 1.0]), empty,
                np.empty((2, 0)), np.zeros(2, np.intp), np.ones(2), empty)  # fmt: skip
    nothing = np.zeros((0, 0))
    here = Evaluation(np.zeros(0), 0.0, np.array([2.0]), np.eye(1), np.zeros(0), nothing, np.zeros((0, 1, 1)), None)
    found = compute_model_residuals(Fitted(rows, Two(), here, True, 0, 0.0, None))
    np.testing.assert_allclose(found.decorrelated, [1 / np.sqrt(2), 0.5 / np.sqrt(1.5)])
    np.testing.assert_allclose(found.from_others, [2.5, 2.5])  # 2 + 1/2 · (3 − 2)
    assert np.isnan(found.conditional).all()


def test_the_order_of_rows_and_the_unit_of_values_have_no_effect():
    frame = simulated(12, 4)
    one, other, scaled = (
        check_mixed_model(fit_random_effects(measures(rows), course="years", random="1"))
        for rows in (frame, frame.sample(frac=1, random_state=2), frame.assign(value=100 * frame["value"]))
    )
    for again in (other, scaled):
        np.testing.assert_allclose(again.tidy()["estimate"], one.tidy()["estimate"], rtol=1e-4)
    by_id = (check.influence().set_index("patient_id")["cook"].sort_index() for check in (one, other))
    np.testing.assert_allclose(*by_id, rtol=1e-4)


def test_rows_of_patients_never_pass_and_tables_do(checked):
    for frame in (checked.residuals(), checked.influence(), checked.effects()):
        with pytest.raises(DisclosureError):
            apply_policy(frame, "lt5")
    for frame in (checked.tidy(), checked.variogram(), checked.predicted()):
        assert apply_policy(frame, "lt5").attrs["disclosure"] == "lt5"


def test_groups_and_words(checked):
    assert "Calibration slope" in checked.describe()
    assert "look more normal" in checked.describe()
    facts = checked.glance()
    assert facts["n_patients"] == 40
    assert facts["largest_cook"] == checked.influence()["cook"].iloc[0]
    assert list(checked.tidy()["expected"][:3].round(3)) == [1.0, 0.046, 0.0]


def test_nothing_to_check_is_said():
    frame = simulated(2, 3)
    check = check_mixed_model(fit_random_effects(measures(frame), course="years"))
    assert "Nothing to check" in check.describe()
    assert check.not_estimable
    for table in (check.tidy(), check.residuals(), check.effects(), check.variogram(), check.predicted(),
                  check.influence()):  # fmt: skip
        assert len(table) == 0
    assert check.glance()["not_estimable"]


def test_a_term_that_rests_on_one_patient_has_no_fit_without_her():
    frame = simulated(10, 4).assign(arm=lambda rows: (rows["id"] == 3).astype(int))
    check = check_mixed_model(fit_random_effects(measures(frame), course="years", covariates=["arm"], random="1"))
    influence = check.influence().set_index("patient_id")
    assert np.isnan(influence.loc["3", "cook"])
    assert influence["cook"].notna().sum() == 9
    refits = check_mixed_model(check.fit, influence="refit").influence().set_index("patient_id")
    assert np.isnan(refits.loc["3", "cook"])


def test_refit_of_the_rest_is_what_one_reads_off(fit):
    rest = fit.measures.frame[fit.measures.frame["patient_id"] != "31"].reset_index(drop=True)
    by_hand = refit(fit, replace(fit.measures, frame=rest))
    exact = check_mixed_model(fit, influence="refit").influence().set_index("patient_id")
    np.testing.assert_allclose(exact.loc["31", list(fit.names)].to_numpy(float), by_hand.estimate, rtol=1e-9)


@pytest.mark.parametrize(("arguments", "words"), [({"influence": "jackknife"}, "influence"), ({"lags": [3, 1]}, "lags"),
                                                  ({"lags": [1]}, "lags")])  # fmt: skip
def test_what_it_refuses(fit, arguments, words):
    with pytest.raises(OutcomeError, match=words):
        check_mixed_model(fit, **arguments)


def test_only_a_mixed_model_can_be_checked():
    with pytest.raises(OutcomeError, match="no mixed model"):
        check_mixed_model(3)
