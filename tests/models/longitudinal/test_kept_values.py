"""Which values a mixed model uses, and that those left out are counted."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.longitudinal.mixed_model import refit
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
from aih_outcomes.models.longitudinal.too_little import NOTHING_LEFT
from aih_outcomes.outcomes import Groups, RepeatedMeasures

MONTHS = 365.25 / 12


def frame(n=12, visits=5):
    random = np.random.default_rng(11)
    patient = np.repeat(np.arange(n), visits)
    day = np.tile(np.arange(visits) * 60.0, n)
    value = 4 + random.normal(size=n)[patient] + 0.002 * day + random.normal(scale=0.5, size=len(day))
    return pd.DataFrame({
        "id": [f"P{i}" for i in patient], "day": day, "value": value, "drug": np.where(day // 60 % 2, "a", "b"),
        "age": 10.0 + patient, "group": np.where(patient % 3, "x", "z"),
    })  # fmt: skip


def read(rows, **how):
    columns = {"patient_id": "id", "time": "day", "value": "value", "covariates": ["drug", "age"]}
    return RepeatedMeasures.from_frame(rows, **(columns | how))


def known_by(day):
    labels = pd.DataFrame({"patient_id": [f"P{i}" for i in range(12)], "label": ["yes", "no"] * 6})
    labels["known_at"] = [50.0] * 9 + [day + 1.0] * 3
    return Groups(labels.assign(onset=labels["known_at"]), "response", ("no", "yes"))


def test_a_landmark_counts_values_before_it_and_patients_unknown_by_it():
    fit = fit_random_effects(read(frame()), by=known_by(60), from_day=60, random="1")
    assert fit.measures.exclusions[["reason", "n"]].values.tolist() == [
        ["before day 60", 12], ["of patients whose group was not known by day 60", 12],
    ]  # fmt: skip
    assert fit.glance()["left_out"].startswith("12 before day 60; 12 of patients")
    assert "Values left out: before day 60; of patients whose group was not known by day 60." in fit.describe()


def test_a_landmark_is_in_days_whatever_the_unit_of_the_outcome():
    rows = frame()
    days = fit_random_effects(read(rows), from_day=60, random="1")
    months = fit_random_effects(
        read(rows.assign(day=rows["day"] / MONTHS), time_unit="months"), from_day=60, random="1"
    )
    assert len(days.frame) == len(months.frame) == 48
    assert months.estimate == pytest.approx(days.estimate, rel=1e-8)


def test_values_at_no_visit_are_counted():
    rows = frame().assign(visit=lambda d: np.where(d["day"] > 200, None, d["day"].astype(str)))
    fit = fit_repeated_measures(read(rows, visit="visit"), covariance="compound symmetry")
    assert fit.measures.exclusions["n"].tolist() == [12]
    windows = fit_repeated_measures(read(rows), visits=[0, 60, 120], covariance="compound symmetry")
    assert windows.measures.exclusions["n"].tolist() == [24]


@pytest.mark.parametrize("day", [30.5, "60", True, float("nan")], ids=str)
def test_a_landmark_is_a_whole_number_of_days(day):
    with pytest.raises(OutcomeError, match="whole number of days"):
        fit_random_effects(read(frame()), from_day=day)


def test_groups_that_change_within_a_patient_count_everyone_who_was_in_them():
    fit = fit_random_effects(read(frame()), by="drug", course=None, random="1")
    assert fit.not_estimable is None
    assert fit.names == ("intercept", "group: b (ref. a)")


def test_a_covariate_with_the_name_of_the_models_clock_is_refused():
    rows = frame().rename(columns={"age": "years"})
    with pytest.raises(OutcomeError, match="age_years"):
        fit_random_effects(read(rows, covariates=["years"]))


def test_a_covariate_with_the_name_of_the_groups_is_refused_beside_them():
    both = read(frame(), covariates=["group", "drug"])
    with pytest.raises(OutcomeError, match="by= gives its groups that name"):
        fit_random_effects(both, by="drug", covariates=["group"], random="1")


def test_one_group_only_is_said():
    fit = fit_random_effects(read(frame().assign(drug="a")), by="drug", random="1")
    assert "Groups: drug; only one of them occurs: a." in fit.describe()


def test_a_covariate_that_only_the_random_effects_read_is_refused_where_it_is_missing():
    rows = frame()
    rows.loc[3, "age"] = np.nan
    with pytest.raises(OutcomeError, match="1 of 60 rows lack a covariate"):
        fit_random_effects(read(rows), random="1 + age")
    with pytest.raises(OutcomeError, match="1 term"):
        fit_random_effects(read(frame()), random="1 + value")


def test_values_that_patients_own_effects_explain_exactly_leave_no_residual():
    exact = frame().assign(value=lambda d: d["age"] ** 2)
    fit = fit_random_effects(read(exact), random="1")
    assert fit.not_estimable == NOTHING_LEFT


def test_a_refit_keeps_the_knots_of_the_random_effects():
    fit = fit_random_effects(read(frame(visits=8)), random="1 + ns(years, df=2)", random_covariance="diagonal")
    fewer = fit.measures.frame[fit.measures.frame["time"] < 300].reset_index(drop=True)
    again = refit(fit, RepeatedMeasures(fewer, "value", covariates=("drug", "age")))
    expected = fit.fitted.rows.Z[(fit.frame["time"] < 300).to_numpy()]
    assert np.abs(again.fitted.rows.Z - expected).max() < 1e-12


def test_statistics_rule_21_groups_that_became_known_are_no_treatment_arms():
    later = frame().assign(day=lambda d: d["day"] + 100)
    assert (
        "Prognostic association, not a treatment effect."
        in fit_random_effects(read(later), by=known_by(60), random="1").describe()
    )
    assert "Prognostic" not in fit_random_effects(read(later), by="drug", random="1").describe()
