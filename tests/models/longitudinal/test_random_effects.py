"""Random intercept and slope: against lme4, nlme's data, and what cannot be estimated."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.outcomes import Groups, RepeatedMeasures

YEAR = 365.25


def simulated(n=30, visits=6, slope_sd=0.3, seed=5, first_day=0):
    random = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n), visits)
    day = first_day + np.tile(np.arange(visits) * 100, n)
    value = 3 + random.normal(size=n)[patient] + (0.5 + slope_sd * random.normal(size=n)[patient]) * day / YEAR
    value = value + random.normal(scale=0.2, size=len(day))
    return pd.DataFrame({"id": patient, "day": day, "value": value, "arm": np.where(patient % 2, "b", "a")})


def measures(frame, analyte="bilirubin"):
    return RepeatedMeasures.from_frame(
        frame, patient_id="id", time="day", value="value", covariates=["arm"], label="bilirubin", analyte=analyte
    )


def groups(known_at=180.0, landmark=180):
    frame = pd.DataFrame({"patient_id": [str(i) for i in range(30)], "label": ["yes", "no"] * 15})
    return Groups(
        frame.assign(onset=known_at, known_at=known_at), "response", ("no", "yes"), analytes=("alt",), landmark=landmark
    )


def test_matches_lme4_on_sleepstudy(reference, data_set, assert_close):
    result = reference("sleepstudy_mixed")["lmer_REML"]
    frame = data_set("sleepstudy").assign(day=lambda d: d["Days"] * YEAR)
    fit = fit_random_effects(RepeatedMeasures.from_frame(frame, patient_id="Subject", time="day", value="Reaction"))
    expected, rtol = result["values"], result["rtol"]
    tidy = fit.tidy()
    assert_close(tidy["estimate"], expected["fixed"]["est"], rtol, se=expected["fixed"]["se"])
    assert_close(tidy["std_error"], expected["fixed"]["se"], rtol, what="standard errors")
    assert_close(fit.loglik, expected["logLik"], rtol)
    sd = dict(zip(("intercept", "slope", "r", "residual"), expected["varcorr"]["sdcor"], strict=True))
    facts = fit.glance()
    assert_close([facts["sd_intercept"], facts["sd_slope"], facts["sd_residual"]],
                 [sd["intercept"], sd["slope"], sd["residual"]], rtol)  # fmt: skip


def test_the_landmark_restarts_the_clock_and_fixes_the_groups():
    fit = fit_random_effects(measures(simulated()), by=groups(), from_day=180)
    assert fit.names == ("intercept", "group: yes (ref. no)", "years", "group: yes (ref. no) × years")
    assert fit.measures.frame["time"].min() == 20
    assert fit.measures.design == "landmark at day 180: response"
    assert "Prognostic association, not a treatment effect" in fit.describe()


def test_values_from_before_membership_was_known_are_refused():
    with pytest.raises(ImmortalTimeError):
        fit_random_effects(measures(simulated()), by=groups())


def test_an_analyte_that_decides_the_groups_is_refused_after_the_landmark_too():
    with pytest.raises(ImmortalTimeError, match="describe_trajectories"):
        fit_random_effects(measures(simulated(), "alt"), by=groups(), from_day=180)


def test_a_landmark_before_the_end_of_the_window_is_refused():
    with pytest.raises(OutcomeError, match="window to day 180"):
        fit_random_effects(measures(simulated()), by=groups(known_at=90.0), from_day=100)


def test_a_covariate_known_at_time_zero_may_be_compared_from_it():
    fit = fit_random_effects(measures(simulated()), by="arm")
    assert fit.not_estimable is None
    assert len(fit.tidy()) == 4
    assert abs(fit.tidy()["estimate"][1] - 0.5) < 3 * fit.tidy()["std_error"][1]


def test_a_slope_without_variance_is_named_and_warns_of_nothing():
    fit = fit_random_effects(measures(simulated(slope_sd=0.0, seed=11)))
    assert fit.not_estimable or fit.singular or fit.glance()["sd_slope"] < 0.1


@pytest.mark.parametrize(("n", "visits", "reason"), [(2, 6, "fewer than 3 patients"), (12, 2, "nobody has 3 values")])
def test_too_little_to_estimate_says_why(n, visits, reason):
    fit = fit_random_effects(measures(simulated(n=n, visits=visits)))
    assert reason in fit.glance()["not_estimable"]
    assert fit.tidy()["estimate"].isna().all()
    assert reason in fit.describe()


def test_a_logarithm_of_zero_is_refused():
    frame = simulated()
    frame.loc[3, "value"] = 0.0
    with pytest.raises(OutcomeError, match="1 of 180 values"):
        fit_random_effects(measures(frame), scale="log")


def test_an_estimate_does_not_depend_on_the_unit_of_the_value():
    one = fit_random_effects(measures(simulated()), by="arm")
    frame = simulated()
    other = fit_random_effects(measures(frame.assign(value=frame["value"] * 1000)), by="arm")
    np.testing.assert_allclose(other.estimate, one.estimate * 1000, rtol=1e-5)
    np.testing.assert_allclose(other.tidy()["std_error"], one.tidy()["std_error"] * 1000, rtol=1e-4)


def test_degrees_of_freedom_are_kenward_rogers_where_these_are_defined():
    assert fit_random_effects(measures(simulated())).df_method == "kenward-roger"
    assert fit_random_effects(measures(simulated()), method="ML").df_method == "satterthwaite"
    assert fit_random_effects(measures(simulated()), vcov="CR2").df_method == "satterthwaite"
