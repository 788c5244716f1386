"""Models of the rate of a recurrent event against R's coxph with cluster."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.survival.recurrent.fit import fit_recurrent, to_risk_spells
from aih_outcomes.outcomes import Groups, RecurrentEvents, TimeToEvent
from tests.models.survival.recurrent.test_mean_cumulative import FOUR, SETS, from_r, read

RTOL = 1e-7
MODELS = {
    "ag_efron": {}, "ag_breslow": {"ties": "breslow"}, "by_number": {"strata": "event_number"}, "gap": {"scale": "gap"},
    "gap_by_number": {"scale": "gap", "strata": "event_number"},
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("model", MODELS)
def test_matches_r_coxph_with_cluster(name, model, r_figures, assert_close):
    expected = r_figures("recurrent")[f"{name}_{model}"]
    fit = fit_recurrent(from_r(name), by="arm", covariates=["x"], **MODELS[model])
    tidy = fit.tidy()
    what = f"{name} {model}"
    assert_close(tidy["estimate"], expected["coef"], RTOL, se=expected["se"], what=f"{what} coefficient")
    assert_close(tidy["std_error"], expected["robust_se"], RTOL, what=f"{what} robust standard error")
    assert_close(tidy["std_error_model"], expected["se"], RTOL, what=f"{what} model standard error")
    facts = fit.glance()
    assert_close([facts["loglik_null"], facts["loglik"]], expected["loglik"], RTOL, what=f"{what} log-likelihood")


def test_only_spells_at_risk_count_and_death_censors():
    rows = [("a", 0, 4, "flare", 1), ("a", 4, 9, "censored", 0), ("a", 9, 12, "death", 1), ("b", 0, 10, "censored", 0)]
    spells = to_risk_spells(read(rows, ["risk"], at_risk="risk"))
    assert spells.frame[["entry", "exit"]].to_numpy().tolist() == [[0, 4], [9, 12]]
    assert spells.event.tolist() == [True, False]
    assert spells.competing == ()
    assert spells.frame["event_number"].tolist() == ["1", "2"]


def test_the_gap_clock_restarts_after_an_event_and_when_again_at_risk_but_not_at_a_mere_split():
    rows = [("a", 5, 9, "flare", 1), ("a", 9, 11, "censored", 1), ("a", 11, 15, "censored", 1),
            ("a", 15, 18, "censored", 0), ("a", 18, 20, "flare", 1)]  # fmt: skip
    spells = to_risk_spells(read(rows, ["risk"], at_risk="risk"), scale="gap")
    assert spells.frame[["entry", "exit"]].to_numpy().tolist() == [[0, 4], [0, 2], [2, 6], [0, 2]]


def test_says_that_terminal_events_censor():
    said = fit_recurrent(from_r("ties"), by="arm").describe()
    assert said.startswith("Andersen-Gill model of flare (Efron ties, robust standard errors by patient)")
    assert "among those alive: after death nothing counts" in said
    by_number = fit_recurrent(from_r("ties"), by="arm", strata="event_number", scale="gap").describe()
    assert "Prentice-Williams-Peterson" in by_number
    assert "again after each event" in by_number


def test_events_per_parameter_and_per_patient_are_shown():
    facts = fit_recurrent(from_r("ties"), by="arm", covariates=["x"]).glance()
    assert facts["events_per_parameter"] == facts["n_event"] / 2
    assert facts["events_per_patient"] == facts["n_event"] / facts["n_patients"]
    assert facts["n_terminal"] == from_r("ties").ends.sum()


def test_row_order_changes_nothing():
    outcome = from_r("ties")
    shuffled = outcome.with_rows(outcome.frame.sample(frac=1, random_state=1))
    for scale in ("calendar", "gap"):
        one, other = (fit_recurrent(data, by="arm", covariates=["x"], scale=scale) for data in (outcome, shuffled))
        assert other.tidy()["estimate"].tolist() == pytest.approx(one.tidy()["estimate"].tolist(), rel=1e-12)
        assert other.tidy()["std_error"].tolist() == pytest.approx(one.tidy()["std_error"].tolist(), rel=1e-12)


def test_no_events_is_not_estimable_with_the_reason():
    outcome = from_r("ties")
    quiet = outcome.with_rows(outcome.frame.assign(event=outcome.frame["event"].where(~outcome.event, "censored")))
    fit = fit_recurrent(quiet, by="arm")
    assert "no events" in fit.describe()
    assert np.isnan(fit.tidy()["estimate"]).all()


def test_groups_known_after_the_first_time_at_risk_are_refused():
    known = pd.DataFrame({"patient_id": list("abcd"), "label": ["yes", "no"] * 2, "onset": 3.0, "known_at": 3.0})
    with pytest.raises(ImmortalTimeError):
        fit_recurrent(read(FOUR), by=Groups(known, "response", ("no", "yes")))


def test_a_single_event_outcome_is_refused():
    frame = pd.DataFrame({"t": [1, 2], "e": [1, 0]})
    with pytest.raises(OutcomeError, match="holds no recurrent events"):
        fit_recurrent(TimeToEvent.from_frame(frame, exit="t", event="e"))


def test_groups_known_at_entry_may_be_compared_on_the_gap_clock():
    """Known on day 3 of patients first at risk from day 5 on: the restarted clock makes nobody immortal."""
    frame = pd.DataFrame({
        "id": list("aabbccddeeff"), "start": [5, 9, 5, 12, 5, 20, 5, 15, 6, 11, 5, 30], "what": [1, 0, 1, 1, 1, 0] * 2,
        "stop": [9, 40, 12, 30, 20, 50, 15, 33, 11, 44, 30, 61],
    })  # fmt: skip
    events = RecurrentEvents.from_frame(frame, patient_id="id", entry="start", exit="stop", event="what")
    arms = pd.DataFrame({"patient_id": list("abcdef"), "label": ["x", "y"] * 3, "onset": 1.0, "known_at": 3.0})
    by = Groups(arms, "arm", ("x", "y"))
    named = frame.assign(arm=frame["id"].map(dict(zip("abcdef", ["x", "y"] * 3, strict=True))))
    known = RecurrentEvents.from_frame(
        named, patient_id="id", entry="start", exit="stop", event="what", covariates=["arm"]
    )
    ours, same = fit_recurrent(events, by=by, scale="gap").tidy(), fit_recurrent(known, by="arm", scale="gap").tidy()
    np.testing.assert_array_equal(ours["estimate"], same["estimate"])
    late = Groups(arms.assign(known_at=7.0), "arm", ("x", "y"))
    with pytest.raises(ImmortalTimeError):
        fit_recurrent(events, by=late, scale="gap")


@pytest.mark.parametrize("how", [{"scale": "days"}, {"missing": "drop"}])
def test_an_unknown_choice_is_refused(how):
    with pytest.raises(OutcomeError, match="is unknown"):
        fit_recurrent(from_r(SETS[0]), by="arm", **how)
