"""MMRM as a user meets it: visits, the ladder, landmarks, grouped covariances, and what cannot be estimated."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.longitudinal.repeated_measures import LADDER, fit_repeated_measures
from aih_outcomes.outcomes import Groups, RepeatedMeasures

SIGMA = np.array([[1.0, 0.6, 0.4, 0.3], [0.6, 1.4, 0.7, 0.5], [0.4, 0.7, 1.8, 0.9], [0.3, 0.5, 0.9, 2.2]])


def invented(n=60, seed=8, lost=0.15):
    """n children at 4 visits, some values missing."""
    random = np.random.default_rng(seed)
    values = random.multivariate_normal([2.0, 1.6, 1.3, 1.1], SIGMA, size=n)
    frame = pd.DataFrame({
        "id": np.repeat(np.arange(n), 4), "visit": np.tile([f"week {w}" for w in (4, 13, 26, 104)], n),
        "day": np.tile([28, 91, 182, 728], n), "value": values.ravel(), "arm": np.repeat(np.arange(n) % 2, 4),
        "w": np.repeat(random.uniform(0.5, 2, n), 4),
    })  # fmt: skip
    return frame[random.random(len(frame)) > lost].reset_index(drop=True)


def read(frame, **how):
    return RepeatedMeasures.from_frame(
        frame, **{"patient_id": "id", "time": "day", "value": "value", "visit": "visit", "covariates": ["arm", "w"],
                  "label": "bilirubin"} | how,
    )  # fmt: skip


def test_visits_stand_in_the_order_of_their_time_not_of_their_names():
    fit = fit_repeated_measures(read(invented()))
    assert fit.names == (
        "intercept", "visit: week 13 (ref. week 4)", "visit: week 26 (ref. week 4)", "visit: week 104 (ref. week 4)",
    )  # fmt: skip


def test_complete_data_give_the_means_of_the_visits_exactly():
    frame = invented(lost=0.0)
    fit = fit_repeated_measures(read(frame), df="kenward-roger-linear")
    means = frame.groupby("day")["value"].mean().to_numpy()
    np.testing.assert_allclose(fit.estimate, np.r_[means[0], means[1:] - means[0]], rtol=1e-9)
    spread = frame[frame["day"] == 28]["value"].std() / np.sqrt(60)
    assert fit.tidy()["std_error"][0] == pytest.approx(spread, rel=1e-6)
    assert fit.tidy()["df"][0] == pytest.approx(59, rel=1e-6)
    assert fit.glance()["sd_visit1"] == pytest.approx(frame[frame["day"] == 28]["value"].std(), rel=1e-6)


def test_windows_pick_the_value_nearest_the_nominal_day_never_the_worst():
    frame = invented(lost=0.0)
    flares = frame.assign(day=frame["day"] + 9, value=99.0)
    fit = fit_repeated_measures(read(pd.concat([flares, frame]), visit=None), visits=[28, 91, 182, 728])
    plain = fit_repeated_measures(read(frame))
    np.testing.assert_allclose(fit.estimate, plain.estimate, rtol=1e-9)
    assert fit.names[1] == "visit: day 91 (ref. day 28)"


def test_values_without_a_visit_are_left_out():
    frame = invented()
    extra = frame.head(20).assign(visit=None, day=lambda d: d["day"] + 3, value=50.0)
    fit = fit_repeated_measures(read(pd.concat([frame, extra])))
    assert fit.glance()["n"] == len(frame)


def test_two_values_at_one_visit_are_refused():
    frame = invented()
    with pytest.raises(OutcomeError, match="3 of"):
        fit_repeated_measures(read(pd.concat([frame, frame.head(3)])))


def test_values_that_name_no_visit_are_refused():
    with pytest.raises(OutcomeError, match="names a visit"):
        fit_repeated_measures(read(invented(), visit=None))


def test_too_few_children_for_a_structure_take_the_next_one_and_say_so():
    fit = fit_repeated_measures(read(invented(n=4, lost=0.0)))
    assert fit.covariance in LADDER[1:]
    assert fit.tried[0].startswith("unstructured (")
    assert "Left before it, as the data do not carry them: unstructured" in fit.describe()
    assert fit.glance()["tried"]


def test_a_structure_that_the_data_carry_is_kept():
    fit = fit_repeated_measures(read(invented()), by="arm")
    assert fit.covariance == "unstructured"
    assert fit.tried == ()
    assert fit.singular is None


def test_groups_may_have_covariances_of_their_own():
    frame = invented(n=80)
    fit = fit_repeated_measures(read(frame), by="arm", covariance_by="arm", df="satterthwaite")
    own = [fit_repeated_measures(read(frame[frame["arm"] == arm]), df="satterthwaite", method="REML") for arm in (0, 1)]
    # With the mean of each group apart, the two halves share nothing.
    assert fit.loglik == pytest.approx(sum(one.loglik for one in own), abs=1e-6)
    np.testing.assert_allclose(fit.estimate[0], own[0].estimate[0], rtol=1e-6)
    np.testing.assert_allclose(fit.tidy()["std_error"][0], own[0].tidy()["std_error"][0], rtol=1e-5)


def groups(n=60, known_at=20.0):
    frame = pd.DataFrame({"patient_id": [str(i) for i in range(n)], "label": ["yes", "no"] * (n // 2)})
    return Groups(frame.assign(onset=known_at, known_at=known_at), "response", ("no", "yes"), analytes=("alt",))


def test_groups_known_only_later_are_refused_and_a_landmark_is_the_way_out():
    measures = read(invented(), analyte="bilirubin")
    with pytest.raises(ImmortalTimeError):
        fit_repeated_measures(measures, by=groups(known_at=100.0))
    fit = fit_repeated_measures(measures, by=groups(known_at=80.0), from_day=85)
    assert fit.by_name == "response"
    assert fit.measures.design == "landmark at day 85: response"
    assert fit.frame["time"].min() == 6
    assert fit.names[1] == "group: yes (ref. no)"


def test_statistics_rule_7_an_analyte_that_decides_the_groups_is_refused():
    with pytest.raises(ImmortalTimeError, match="describe_trajectories"):
        fit_repeated_measures(read(invented(), analyte="alt"), by=groups(), from_day=85)


def test_a_group_never_seen_at_a_visit_is_not_estimable_there_and_only_there():
    frame = invented()
    frame = frame[~((frame["arm"] == 1) & (frame["day"] == 728))]
    fit = fit_repeated_measures(read(frame), by="arm")
    lost = np.array(fit.names)[~fit.kept]
    assert lost.tolist() == ["group: 1 (ref. 0) × visit: week 104 (ref. week 4)"]
    assert np.isfinite(fit.tidy()["estimate"][fit.kept]).all()


@pytest.mark.parametrize("covariance", ["banded", "us", None])
def test_an_unknown_structure_is_refused(covariance):
    with pytest.raises(OutcomeError, match="covariance="):
        fit_repeated_measures(read(invented()), covariance=covariance)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_an_empty_cohort_and_single_patients_give_the_reason(n):
    frame = invented(lost=0.0)
    fit = fit_repeated_measures(read(frame[frame["id"] < n]))
    assert fit.not_estimable
    assert fit.tidy()["estimate"].isna().all()


def test_weights_scale_the_variances():
    frame = invented()
    one = fit_repeated_measures(read(frame), weights="w")
    two = fit_repeated_measures(read(frame.assign(w=frame["w"] * 4)), weights="w")
    np.testing.assert_allclose(two.estimate, one.estimate, rtol=1e-7)
    assert two.glance()["sd_visit1"] == pytest.approx(2 * one.glance()["sd_visit1"], rel=1e-6)
    assert not np.allclose(one.estimate, fit_repeated_measures(read(frame)).estimate, rtol=1e-4)


def test_a_covariance_by_what_changes_within_a_patient_is_refused():
    frame = invented()
    frame.loc[0, "arm"] = 1 - frame.loc[0, "arm"]
    with pytest.raises(OutcomeError, match=r"1 patient\(s\) have more than one level of 'arm'"):
        fit_repeated_measures(read(frame), covariance_by="arm")


def test_an_exponential_covariance_on_own_days_tells_its_range():
    frame = invented().assign(day=lambda d: d["day"] + np.arange(len(d)) % 5)
    facts = fit_repeated_measures(read(frame), covariance="exponential", df="satterthwaite").glance()
    assert facts["sd"] > 0
    assert facts["range"] > 0
