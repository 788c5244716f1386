"""A description and a model of one quantity pick the same value for a visit."""

import numpy as np
import pandas as pd

from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
from aih_outcomes.models.longitudinal.trajectories import describe_trajectories
from aih_outcomes.outcomes import RepeatedMeasures

VISITS = {"month 3": (60.0, 91.0, 120.0), "month 6": (150.0, 182.0, 215.0), "month 12": (300.0, 365.0, 430.0)}


def irregular():
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"id": np.repeat(np.arange(25), 9), "day": rng.integers(0, 470, 225).astype(float)})
    return RepeatedMeasures.from_frame(frame.assign(value=rng.normal(3, 1, 225), arm=frame["id"] % 2), patient_id="id",
                                       time="day", value="value", covariates=["arm"])  # fmt: skip


def test_medians_and_model_count_the_same_patients_at_every_visit():
    measures = irregular()
    course = describe_trajectories(measures, by="arm", visits=VISITS).tidy()
    model = fit_repeated_measures(measures, by="arm", visits=VISITS, covariance="compound symmetry")
    used = model.frame.groupby(["group", "visit"], observed=True)["value"].agg(["size", "median"]).reset_index()
    assert list(course["n"]) == list(used["size"])
    assert list(course["term"]) == list(used["visit"].astype(str))
    np.testing.assert_allclose(course["estimate"], used["median"])


def test_nominal_days_alone_agree_too():
    measures = irregular()
    course = describe_trajectories(measures, visits=[91, 182, 365]).tidy()
    model = fit_repeated_measures(measures, visits=[91, 182, 365], covariance="compound symmetry")
    used = model.frame.groupby("visit", observed=True)["value"].median()
    assert list(course["n"]) == list(model.frame["visit"].value_counts(sort=False))
    np.testing.assert_allclose(course["estimate"], used)
