"""The cumulative baseline hazard: against R and by hand."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.baseline import estimate_baseline_hazard
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.outcomes import TimeToEvent

MAYO = ["age", "edema", "log(bili)", "log(protime)", "log(albumin)"]
TIMES = [182, 365, 730, 1095, 1825, 2555, 3650]


def outcome(frame, covariates, exit="exit", event="event", **how):
    return TimeToEvent.from_frame(frame, exit=exit, event=event, covariates=covariates, **how)


def mayo(data_set, **how):
    pbc = data_set("pbc").dropna(subset=["protime"])
    frame = pbc.assign(dead=(pbc["status"] == 2).astype(int))
    return fit_cox(
        outcome(frame, ["age", "edema", "bili", "protime", "albumin"], "time", "dead"), covariates=MAYO, **how
    )


@pytest.mark.parametrize("hazard", ["efron", "breslow"])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_matches_r_on_pbc_at_zero(ties, hazard, reference, data_set, assert_close):
    result = reference("pbc_cox")["baseline_cumhaz"]
    ours = estimate_baseline_hazard(mayo(data_set, ties=ties), times=TIMES, hazard=hazard).tidy()
    expected = result["values"][f"cox_{ties}"]
    assert expected["time"] == TIMES
    assert_close(ours["estimate"], expected[hazard], result["rtol"], what=f"{hazard} hazard, {ties} fit")


@pytest.mark.parametrize("hazard", ["efron", "breslow"])
def test_matches_r_on_pbc_at_the_means(hazard, reference, data_set, assert_close):
    fit = mayo(data_set)
    result = reference("pbc_cox")["baseline_cumhaz_at_means"]
    ours = estimate_baseline_hazard(fit, at="means", times=TIMES, hazard=hazard).tidy()
    assert_close(ours["estimate"], result["values"]["table"][hazard], result["rtol"], what=f"{hazard} hazard at means")
    means = result["values"]["means"]
    stated = {name: means[name] for name in ("age", "edema")}
    stated |= {name: np.exp(means[f"log({name})"]) for name in ("bili", "protime", "albumin")}
    same = estimate_baseline_hazard(fit, at=stated, times=TIMES, hazard=hazard).tidy()
    assert_close(same["estimate"], result["values"]["table"][hazard], result["rtol"], what="stated values")


def test_by_hand_without_an_effect():
    # x balanced in each risk set of a symmetric trial: beta = 0, the hazard is d/n = 1/4, then two tied of three
    frame = pd.DataFrame({"exit": [1, 1, 2, 2, 3, 3], "event": [1, 1, 1, 1, 0, 0], "x": [0.0, 1, 0, 1, 0, 1]})
    fit = fit_cox(outcome(frame, ["x"]), covariates=["x"])
    efron = estimate_baseline_hazard(fit).tidy()
    np.testing.assert_allclose(efron["estimate"], [1 / 6 + 1 / 5, 1 / 6 + 1 / 5 + 1 / 4 + 1 / 3], rtol=1e-12)
    breslow = estimate_baseline_hazard(fit, hazard="breslow").tidy()
    np.testing.assert_allclose(breslow["estimate"], [2 / 6, 2 / 6 + 2 / 4], rtol=1e-12)
    assert efron[["n_risk", "n_event", "n_censor"]].to_numpy().tolist() == [[6, 2, 0], [4, 2, 0]]


def test_strata_have_hazards_of_their_own_and_one_without_events_has_none(late_entry):
    frame = late_entry.frame.assign(site=np.where(late_entry.frame["sex"] == 1, "a", "b"))
    quiet = frame.iloc[:4].assign(site="c", patient_id=list("wxyz"), event="censored", entry=0.0, exit=9.0)
    rows = late_entry.with_rows(pd.concat([frame, quiet]), covariates=(*late_entry.covariates, "site"))
    result = estimate_baseline_hazard(fit_cox(rows, covariates=["x"], strata="site"), times=[4, 8, 9, 10]).tidy()
    silent = result[result["strata"] == "c"]
    assert silent["estimate"].tolist()[:3] == [0, 0, 0]
    assert np.isnan(silent["estimate"].iloc[3])
    apart = [
        estimate_baseline_hazard(fit_cox(rows, covariates=["x"], strata="site"), times=[4]).tidy()["estimate"].iloc[i]
        for i in range(2)
    ]
    assert apart[0] != apart[1]


def test_after_the_end_of_follow_up_nothing_is_known(data_set):
    tidy = estimate_baseline_hazard(mayo(data_set), times=[0, 4795, 4796]).tidy()
    assert tidy["estimate"].iloc[0] == tidy["std_error"].iloc[0] == 0
    assert tidy["estimate"].notna().tolist() == [True, True, False]


def test_the_limits_hold_the_estimate_and_the_caption_says_for_whom(data_set):
    result = estimate_baseline_hazard(mayo(data_set), at={"age": 50, "edema": 0, "bili": 1.5, "protime": 11,
                                                          "albumin": 3.5})  # fmt: skip
    tidy = result.tidy()
    assert ((tidy["conf_low"] < tidy["estimate"]) & (tidy["estimate"] < tidy["conf_high"])).all()
    assert "age 50" in result.describe()
    assert result.glance()["hazard"] == "efron"
    with pytest.raises(OutcomeError, match="predict_survival"):
        result.plot()


def test_what_is_not_estimable_says_why():
    fit = fit_cox(outcome(pd.DataFrame({"exit": [1, 2], "event": 0, "x": [1.0, 2.0]}), ["x"]), covariates=["x"])
    result = estimate_baseline_hazard(fit)
    assert result.not_estimable == "no events"
    assert len(result.tidy()) == 0
    assert "no events" in result.describe()


def test_a_covariate_left_out_and_an_unknown_word_are_refused(data_set):
    fit = mayo(data_set)
    with pytest.raises(OutcomeError, match="4 covariate"):
        estimate_baseline_hazard(fit, at={"age": 50})
    with pytest.raises(OutcomeError, match="'means'"):
        estimate_baseline_hazard(fit, at="median")
