"""A likelihood with two maxima, patients' own lines or residuals that follow each other: the higher one is found."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.outcomes import RepeatedMeasures

FRAME = pd.read_csv(Path(__file__).parents[2] / "reference" / "two_maxima.csv")
LOGLIK, RTOL = 1e-6, 1e-4  # nlme's search ends within about this distance of the optimum


def fit_of(number):
    own = FRAME[FRAME["set"] == number]
    measures = RepeatedMeasures.from_frame(own, patient_id="id", time="t", value="y")
    return fit_random_effects(
        measures, course="time", random="1 + time", serial="ar1", df="satterthwaite"
    )  # nlme corrects no standard error


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_log_likelihood_is_no_lower_than_that_of_r_nlme(number, r_figures):
    expected = r_figures("two_maxima")[f"set {number}"]
    assert fit_of(number).loglik > expected["loglik"] - LOGLIK * abs(expected["loglik"])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_matches_r_nlme_at_the_higher_maximum(number, r_figures, assert_close):
    expected = r_figures("two_maxima")[f"set {number}"]
    fit = fit_of(number)
    tidy, facts = fit.tidy(), fit.glance()
    assert_close(tidy["estimate"], expected["estimate"], RTOL, se=expected["std_error"], what="estimates")
    assert_close(tidy["std_error"], expected["std_error"], RTOL, what="standard errors")
    assert_close(fit.loglik, expected["loglik"], RTOL, what="log-likelihood")
    assert_close(facts["correlation_of_neighbours"], expected["correlation"], RTOL, what="correlation of neighbours")
    assert np.abs(facts["scaled_gradient"]) < LOGLIK
