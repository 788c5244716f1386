"""Simon-Makuch, Mantel-Byar, landmarks together, competing events and recurrent ones after a landmark, against R."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.survival.competing.cumulative_incidence import estimate_cumulative_incidence
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.curves.log_rank import compare_survival
from aih_outcomes.models.survival.designs.comparison import compare_groups
from aih_outcomes.models.survival.designs.landmark import landmark
from aih_outcomes.models.survival.designs.landmark_model import fit_landmark_model
from aih_outcomes.models.survival.designs.time_varying import time_varying
from aih_outcomes.models.survival.recurrent.fit import fit_recurrent
from aih_outcomes.models.survival.recurrent.mean_cumulative import estimate_mean_cumulative
from aih_outcomes.outcomes import Groups, RecurrentEvents, TimeToEvent
from tests.models.conftest import REFERENCE

RTOL = 1e-7
DAYS = (20, 50, 80)


@pytest.fixture(scope="module")
def patients():
    return pd.read_csv(REFERENCE / "designs.csv")


def followed(patients, **how):
    names = {0: "censored", 1: "death", 2: "transplant"}
    frame = patients.assign(what=patients["what"].map(names), any=(patients["what"] > 0).astype(int))
    named = {"event": "any", "label": "death"} | how
    return TimeToEvent.from_frame(
        frame, entry="entry", exit="exit", patient_id="id", covariates=["x"], **named
    )  # fmt: skip


def known_by(patients, day):
    early = patients["known"] <= day
    known_at = np.where(early, patients["known"], day)
    frame = pd.DataFrame({"patient_id": patients["id"], "label": np.where(early, "yes", "no"), "known_at": known_at})
    return Groups(frame.assign(onset=frame["known_at"]), "response", ("no", "yes"), landmark=day)


def ever_known(patients):
    some = patients.dropna(subset=["known"])
    frame = pd.DataFrame({"patient_id": some["id"], "label": "yes", "onset": some["known"], "known_at": some["known"]})
    return Groups(frame, "response", ("yes",), irreversible=True)


@pytest.fixture
def assert_cox(assert_close):
    def check(fit, expected, what):
        tidy, facts = fit.tidy(), fit.glance()
        robust = "robust_se" in expected
        assert_close(tidy["estimate"], expected["coef"], RTOL, se=expected["se"], what=f"{what} coefficient")
        if robust:
            assert_close(tidy["std_error"], expected["robust_se"], RTOL, what=f"{what} robust standard error")
        model = tidy["std_error_model" if robust else "std_error"]
        assert_close(model, expected["se"], RTOL, what=f"{what} standard error")
        assert_close([facts["loglik_null"], facts["loglik"]], expected["loglik"], RTOL, what=f"{what} log-likelihood")

    return check


@pytest.mark.parametrize("start", [0, 30])
def test_simon_makuch_curves_under_late_entry_match_r_from_day_0_and_from_a_landmark(
    start, patients, r_figures, assert_close
):
    """Numbers at risk rise while patients come in late or come into the group, and fall as they leave."""
    curves = estimate_survival(time_varying(followed(patients), ever_known(patients)), by="group", from_day=start)
    columns = {"estimate": "surv", "std_error": "se", "conf_low": "lower", "conf_high": "upper",
               "cumulative_hazard": "cumhaz"}  # fmt: skip
    for place, strata in enumerate(("undetermined", "yes")):
        expected = r_figures("designs")[f"simon_makuch_{start}_{place}"]
        at = curves.at(expected["time"]).query("strata == @strata")
        for column, other in columns.items():
            assert_close(at[column], expected[other], what=f"Simon-Makuch from {start}, {strata}: {column}")
        n_risk = curves.n_at_risk(expected["time"]).query("strata == @strata")["n_risk"]
        assert_close(n_risk, expected["n_risk"], what=f"Simon-Makuch from {start}, {strata}: n_risk")
        if start == 0:
            assert (np.diff(n_risk) > 0).any() == (strata == "yes")


def test_mantel_byar_matches_its_definition_in_r(patients, r_figures, assert_close):
    observed, expected, variance, statistic = r_figures("designs")["mantel_byar_by_definition"]
    test = compare_survival(time_varying(followed(patients), ever_known(patients)), by="group")
    assert_close(test.observed[1], observed, what="Mantel-Byar observed")
    assert_close(test.expected[1], expected, what="Mantel-Byar expected")
    assert_close(test.variance[1, 1], variance, what="Mantel-Byar variance")
    assert_close(test.statistic, statistic, what="Mantel-Byar statistic")


def test_time_varying_cox_under_late_entry_matches_r(patients, r_figures, assert_cox):
    spells = time_varying(followed(patients), ever_known(patients))
    assert_cox(fit_cox(spells, by="group", covariates=["x"]), r_figures("designs")["time_varying"], "time-varying")


@pytest.mark.parametrize(("effect", "covariates"), [("constant", ["x"]), ("linear", [])])
def test_landmarks_together_match_r(effect, covariates, patients, r_figures, assert_cox):
    """R names the effect at the first landmark and its change per year of landmark."""
    expected = r_figures("designs")[f"super_{effect}"]
    fit = fit_landmark_model(
        followed(patients), {day: known_by(patients, day) for day in DAYS}, effect=effect, covariates=covariates
    )
    assert_cox(fit, expected, f"landmarks together, {effect}")
    ratios = fit.at_landmarks().set_index("landmark")["estimate"]
    slope = expected["coef"][1] if effect == "linear" else 0.0
    assert ratios[80] == pytest.approx(np.exp(expected["coef"][0] + slope * 60 / 365.25))


def test_with_competing_events_the_landmark_comparison_matches_r(patients, r_figures, assert_close):
    outcome = followed(patients, event="what", competing=["transplant"])
    start = landmark(outcome, known_by(patients, 50), day=50)
    found = compare_groups(start, by="group", horizon=80)
    tidy = found.tidy().set_index("measure")
    expected = r_figures("designs")["landmark_event_1"]
    assert_close(np.log(tidy.loc["hazard_ratio", "estimate"]), expected["coef"][0], RTOL, what="cause-specific log HR")
    assert_close(tidy.loc["hazard_ratio", "std_error"], expected["se"][0], RTOL, what="cause-specific log HR se")
    risks = [r_figures("designs")[f"landmark_incidence_{place}"] for place in (0, 1)]
    risk = risks[1]["risk"][1] - risks[0]["risk"][1]
    assert_close(tidy.loc["risk_difference", "estimate"], risk, RTOL, what="risk difference")
    spread = np.hypot(risks[0]["se"][1], risks[1]["se"][1])
    assert_close(tidy.loc["risk_difference", "std_error"], spread, RTOL, what="risk difference se")
    lost = risks[1]["time_lost"][0] - risks[0]["time_lost"][0]
    assert_close(tidy.loc["time_lost_difference", "estimate"], lost, RTOL, what="difference of time lost")


def test_with_competing_events_status_changing_with_time_matches_r(patients, r_figures, assert_cox):
    outcome = followed(patients, event="what", competing=["transplant"])
    found = compare_groups(time_varying(outcome, ever_known(patients)), by="group")
    assert_cox(found.cox, r_figures("designs")["time_varying_event_1"], "cause-specific, time-varying")
    assert found.sizes["n_event"].sum() == (patients["what"] == 1).sum()
    curves = estimate_cumulative_incidence(time_varying(outcome, ever_known(patients)), by="group")
    at = curves.at([found.incidence.horizon]).query("state == 'death'").set_index("strata")["estimate"]
    difference = found.tidy().set_index("measure").loc["risk_difference", "estimate"]
    assert difference == pytest.approx(at["yes"] - at["undetermined"])


@pytest.fixture(scope="module")
def recurrent():
    frame = pd.read_csv(REFERENCE / "recurrent_events.csv")
    frame["what"] = frame["what"].map({0: "censored", 1: "flare", 2: "death"})
    outcome = RecurrentEvents.from_frame(
        frame, patient_id="id", entry="start", exit="stop", event="what", terminal=["death"], label="flare"
    )
    ids = frame["id"].unique()
    known = pd.DataFrame({"patient_id": ids, "label": "yes", "onset": 40.0 * ids, "known_at": 40.0 * ids})
    return outcome, Groups(known, "response", ("yes",), irreversible=True)


def test_recurrent_events_with_status_changing_with_time_match_r(recurrent, r_figures, assert_cox):
    fit = fit_recurrent(time_varying(*recurrent), by="group")
    assert_cox(fit, r_figures("designs")["recurrent_time_varying"], "recurrent, time-varying")
    assert "confounded by severity" in fit.describe()


def test_recurrent_events_from_a_landmark_match_r(recurrent, r_figures, assert_cox):
    outcome, groups = recurrent
    early = groups.frame["known_at"] <= 1000
    fixed = groups.frame.assign(label=np.where(early, "yes", "no"), known_at=groups.frame["known_at"].clip(upper=1000))
    at_day = Groups(fixed.assign(onset=fixed["known_at"]), "response", ("no", "yes"), landmark=1000)
    start = landmark(outcome, at_day, day=1000)
    assert_cox(fit_recurrent(start, by="group"), r_figures("designs")["recurrent_landmark"], "recurrent, landmark")
    assert set(start.exclusions["reason"]) <= {
        "terminal event on or before the landmark", "censored on or before the landmark",
    }  # fmt: skip
    assert start.entry.min() == 0
    said = estimate_mean_cumulative(start, by="group").describe()
    assert "landmark at day 1000" in said
    assert "Prognostic association, not a treatment effect." in said
