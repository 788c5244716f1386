"""Profile-likelihood limits against lme4's, and where the likelihood is flat or its maximum on the boundary."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.gaussian.effects import fit_effects
from aih_outcomes.models.longitudinal.profile_intervals import profile_covariance
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
from aih_outcomes.outcomes import RepeatedMeasures

REFERENCE = Path(__file__).parents[2] / "reference"
LIMITS = 1e-3  # the reference folder's own: lme4 interpolates its profiles


@pytest.fixture(scope="module")
def invented():
    frame = pd.read_csv(REFERENCE / "random_effects.csv")

    def read(value="y"):
        return RepeatedMeasures.from_frame(
            frame, patient_id="patient", time="years", value=value, covariates=["arm", "centre"], time_unit="years"
        )

    return read


def test_matches_lme4_on_sleepstudy(data_set, reference, assert_close):
    measures = RepeatedMeasures.from_frame(data_set("sleepstudy"), patient_id="Subject", time="Days", value="Reaction")
    fit = fit_random_effects(measures, course="time", random="1 + time", method="ML")
    limits = profile_covariance(fit)
    figures = reference("sleepstudy_mixed")["profile_ci_ML"]
    expected = np.array(figures["values"]["values"])[[0, 2, 1, 3, 4, 5]]
    assert_close(limits[["conf_low", "conf_high"]], expected, figures["rtol"], what="SDs, correlation, fixed effects")


@pytest.mark.parametrize(
    ("name", "value", "how", "order"),
    [
        ("profile_slope", "y", {"random": "1 + time"}, [0, 2, 1, 3, 4, 6, 5, 7]),
        ("profile_nested", "y", {"random": "1", "nested_in": "centre"}, [0, 1, 2, 3, 5, 4, 6]),
        ("profile_noise", "noise", {"random": "1"}, [0, 1, 2, 4, 3, 5]),
    ],
)
def test_matches_lme4_on_invented_data(name, value, how, order, invented, r_figures, assert_close):
    fit = fit_random_effects(invented(value), by="arm", course="time", method="ML", **how)
    limits = profile_covariance(fit)
    figures = r_figures("random_effects")["results"][name]
    for column, side in (("conf_low", "low"), ("conf_high", "high")):
        expected = np.array(figures[side], float)[order]
        assert_close(limits[column], expected, LIMITS, se=0.05, what=f"{name}: {side}")


def test_the_likelihood_at_a_limit_is_that_of_the_model_with_the_value_held(invented):
    fit = fit_random_effects(invented(), by="arm", course="time", random="1", method="ML")
    limits = profile_covariance(fit).set_index("term")
    fitted = fit.fitted
    place = fit.names.index("time")
    high = limits.loc["time", "conf_high"]
    rows = fitted.rows
    held = fit_effects(
        type(rows)(**{name: getattr(rows, name) for name in rows.__slots__}
                   | {"response": rows.response - high * rows.X[:, place], "X": np.delete(rows.X, place, axis=1)}),
        fitted.kernel.structure, reml=False,
    )  # fmt: skip
    assert 2 * (fit.loglik - held.evaluation.loglik) == pytest.approx(3.841458820694124, rel=1e-6)


def test_on_the_boundary_limits_reach_0_and_the_whole_range_of_the_correlation():
    frame = pd.read_csv(REFERENCE / "convergence.csv")
    singular = 0
    for cohort in (0, 1, 2, 3):
        measures = RepeatedMeasures.from_frame(
            frame[frame["cohort"] == cohort], patient_id="id", time="years", value="y", covariates=["arm"]
        )
        fit = fit_random_effects(measures, by="arm", course="time", random="1 + time")
        limits = profile_covariance(fit).set_index("term")
        rows = limits.loc[["sd_intercept", "sd_slope", "correlation_slope_intercept", "sd_residual"]]
        assert (rows["conf_low"] <= rows["estimate"] + 1e-9).all()
        assert (rows["conf_high"] >= rows["estimate"] - 1e-9).all()
        assert rows["conf_low"].between(-1, 2).all()
        assert rows.loc["correlation_slope_intercept", "conf_high"] <= 1
        singular += fit.singular is not None
    assert singular >= 2


def test_serial_correlation_has_limits_too(invented):
    fit = fit_random_effects(invented(), by="arm", course="time", random="1", serial="exponential", method="ML")
    limits = profile_covariance(fit).set_index("term")
    assert limits.loc["range", "conf_low"] < limits.loc["range", "estimate"] < limits.loc["range", "conf_high"]


def test_an_error_that_the_likelihood_can_do_without_has_the_limit_0(invented):
    fit = fit_random_effects(invented(), course="time", random="1", residual_by="arm", serial="exponential and error")
    limits = profile_covariance(fit).set_index("term")
    assert limits.loc["error_share", "conf_low"] == 0
    assert 0 < limits.loc["error_share", "estimate"] < limits.loc["error_share", "conf_high"] < 1
    assert limits.loc["sd ratio 2", "conf_low"] > 1


def test_a_mean_alone_has_limits_from_a_model_without_terms(invented):
    limits = profile_covariance(fit_random_effects(invented(), course=None, random="1")).set_index("term")
    assert (
        limits.loc["intercept", "conf_low"] < limits.loc["intercept", "estimate"] < limits.loc["intercept", "conf_high"]
    )


def test_wider_confidence_gives_wider_limits_and_the_unit_changes_nothing_but_the_unit(invented):
    fit = fit_random_effects(invented(), by="arm", course="time", random="1 + time")
    narrow, wide = profile_covariance(fit, conf_level=0.8), profile_covariance(fit, conf_level=0.95)
    assert (wide["conf_high"] >= narrow["conf_high"]).all()
    assert (wide["conf_low"] <= narrow["conf_low"]).all()
    frame = pd.read_csv(REFERENCE / "random_effects.csv")
    other = RepeatedMeasures.from_frame(
        frame.assign(years=frame["years"] * 12, y=frame["y"] * 1000), patient_id="patient", time="years", value="y",
        covariates=["arm"],
    )  # fmt: skip
    scaled = profile_covariance(fit_random_effects(other, by="arm", course="time", random="1 + time"))
    factor = np.array([1000, 1000 / 12, 1, 1000, 1000, 1000, 1000 / 12, 1000 / 12])
    np.testing.assert_allclose(scaled["conf_high"], wide["conf_high"] * factor, rtol=1e-4)


def test_independent_effects_have_no_correlation_to_limit(invented):
    fit = fit_random_effects(invented(), course="time", random="1 + time", random_covariance="diagonal")
    assert list(profile_covariance(fit)["term"]) == ["sd_intercept", "sd_slope", "sd_residual", "intercept", "time"]


def test_repeated_measures_are_refused_with_the_way_out(invented):
    frame = pd.read_csv(REFERENCE / "random_effects.csv")
    measures = RepeatedMeasures.from_frame(frame, patient_id="patient", time="years", value="y", visit="visit")
    with pytest.raises(OutcomeError, match="fit_random_effects"):
        profile_covariance(fit_repeated_measures(measures, covariance="compound symmetry"))


def test_a_fit_without_an_answer_has_no_limits():
    frame = pd.DataFrame({"id": [1, 2, 3], "t": [0, 1, 2], "y": [1.0, 2.0, 4.0]})
    measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="t", value="y")
    assert profile_covariance(fit_random_effects(measures, course="time", random="1")).empty
