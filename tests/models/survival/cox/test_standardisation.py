"""The g-formula on a Cox fit: against R's averaged predictions; intervals by bootstrap of patients."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.standardisation import estimate_standardised_survival
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.outcomes import TimeToEvent


def trial(data_set, **how):
    pbc = data_set("pbc").dropna(subset=["protime", "trt"])
    frame = pbc.assign(dead=(pbc["status"] == 2).astype(int), arm=np.where(pbc["trt"] == 1, "one", "two"))
    rows = TimeToEvent.from_frame(frame, exit="time", event="dead", patient_id="id",
                                  covariates=["arm", "age", "bili", "sex"], label="death")  # fmt: skip
    return fit_cox(rows, by="arm", covariates=["age", "log(bili)"], **how)


def standardise(fit, n_resamples=60, **how):
    return estimate_standardised_survival(fit, rng=np.random.default_rng(1), n_resamples=n_resamples, **how)


def test_matches_the_average_of_rs_predicted_curves(data_set, r_figures, assert_close):
    result = standardise(trial(data_set), n_resamples=20, horizon=3650)
    figures = r_figures("cox_extras")["standardised"]
    at = result.at([365, 1825, 3650])
    for level in ("one", "two"):
        assert_close(at[at["strata"] == level]["estimate"], figures[level], 1e-7, what=f"standardised {level}")
    tidy = standardise(trial(data_set), n_resamples=20, horizon=3000).contrasts()
    means = tidy[tidy["measure"] == "restricted_mean"]
    assert_close(means["estimate"], figures["area"], 1e-7, what="standardised restricted mean")
    gap = tidy[tidy["measure"] == "restricted_mean_difference"]["estimate"]
    assert_close(gap, [figures["area"][1] - figures["area"][0]], 1e-6, what="difference")


def test_one_resample_is_the_analysis_of_its_rows_written_out(data_set):
    from aih_outcomes.models.survival.cox.refit import arrange_rows, number_patients
    from aih_outcomes.models.survival.cox.resamples import draw

    fit = trial(data_set, strata="sex")
    copies = next(draw(arrange_rows(fit), np.random.default_rng(1), 1))[:, 0]
    frame = fit.frame.iloc[np.repeat(np.arange(len(fit.frame)), copies[number_patients(fit)])].reset_index(drop=True)
    frame["patient_id"] = frame.index.astype(str)
    again = fit_cox(
        fit.outcome.with_rows(frame.drop(columns=["group", "weight"])),
        by="arm",
        covariates=["age", "log(bili)"],
        strata="sex",
    )
    alone = standardise(again, n_resamples=1, horizon=3000).contrasts()
    low = standardise(fit, n_resamples=2, horizon=3000)
    one = estimate_standardised_survival(fit, rng=np.random.default_rng(1), n_resamples=1, horizon=3000)
    assert one.n_failed == low.n_failed == 0
    # two resamples: mean ± half their range is their percentile interval; the first is the one written out
    both = low.contrasts()
    middle, spread = (both["conf_low"] + both["conf_high"]) / 2, both["std_error"] / np.sqrt(2)
    for measure in ("restricted_mean", "survival_difference", "restricted_mean_difference"):
        rows, own = both["measure"] == measure, alone["measure"] == measure
        off = np.abs(alone.loc[own, "estimate"].to_numpy() - middle[rows].to_numpy())
        np.testing.assert_allclose(off, spread[rows], rtol=1e-6, atol=1e-9)


def test_without_covariates_it_is_close_to_the_curves_themselves(royal_free):
    result = standardise(fit_cox(royal_free, by="arm"), n_resamples=5, horizon=120)
    at, curves = result.at([60, 120]), estimate_survival(royal_free, by="arm").at([60, 120])
    np.testing.assert_allclose(at["estimate"], curves["estimate"], atol=0.1)


def test_the_interval_holds_the_estimate_and_failures_are_counted(royal_free):
    result = standardise(fit_cox(royal_free, by="arm"), n_resamples=300, horizon=120)
    tidy = result.tidy()
    moving = tidy[tidy["time"] > 10]
    assert ((moving["conf_low"] < moving["estimate"]) & (moving["estimate"] < moving["conf_high"])).all()
    assert result.glance()["n_failed"] == 0
    rest = result.contrasts()
    assert ((rest["conf_low"] < rest["estimate"]) & (rest["estimate"] < rest["conf_high"])).all()
    gap = rest[rest["measure"] == "survival_difference"]
    assert gap["term"].tolist() == ["prednisolone − control"]
    assert gap["estimate"].iloc[0] == pytest.approx(np.diff(result.at([120])["estimate"])[0])


def test_where_many_resamples_fail_there_is_no_interval():
    frame = pd.DataFrame({"exit": range(1, 25), "event": [1] * 6 + [0] * 18,
                          "arm": list("abaaaa") + list("ab") * 9})  # fmt: skip
    fit = fit_cox(TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["arm"]), by="arm")
    result = standardise(fit, n_resamples=100, horizon=10)
    assert result.n_failed > 5
    assert result.tidy()["estimate"].notna().all()
    assert result.tidy()[["conf_low", "conf_high"]].isna().all(axis=None)
    assert f"{result.n_failed} of them without an estimate" in result.describe()


def test_weights_count_the_patients_over_whom_is_averaged(data_set):
    fit = trial(data_set)
    doubled = fit.outcome.with_rows(fit.outcome.frame.assign(weight=np.where(fit.outcome.frame["age"] > 50, 2.0, 1.0)))
    weighted = fit_cox(doubled, by="arm", covariates=["age", "log(bili)"], ties="breslow")
    frame = doubled.frame.drop(columns="weight").iloc[
        np.repeat(np.arange(len(doubled.frame)), doubled.weight.astype(int))
    ]
    frame = frame.reset_index(drop=True)
    frame["patient_id"] = frame.index.astype(str)
    copies = fit_cox(fit.outcome.with_rows(frame), by="arm", covariates=["age", "log(bili)"], ties="breslow")
    one, other = (standardise(f, n_resamples=1, horizon=3000).contrasts()["estimate"] for f in (weighted, copies))
    np.testing.assert_allclose(one, other, rtol=1e-9)


def test_the_horizon_ends_where_five_are_at_risk(data_set):
    fit = trial(data_set)
    result = standardise(fit, n_resamples=2)
    late = fit.frame[fit.frame["exit"] >= result.horizon]
    assert late.groupby("group", observed=True).size().min() >= 5
    beyond = standardise(fit, n_resamples=2, horizon=result.horizon + 1)
    assert "beyond the last time" in beyond.not_estimable
    assert len(beyond.tidy()) == len(beyond.contrasts()) == len(beyond.at([1])) == 0
    assert "not estimable" in beyond.describe()


def test_what_it_is_adjusted_for_stands_in_the_caption(data_set, responded_by, pbcseq):
    words = standardise(trial(data_set, strata="sex"), n_resamples=2).describe()
    assert "adjusted for age, log(bili), within strata of sex" in words
    assert "may still differ" in words
    from aih_outcomes.models.survival.designs.landmark import landmark

    at_landmark = landmark(pbcseq, responded_by(365), day=365)
    words = standardise(fit_cox(at_landmark, by="group", covariates=["age"]), n_resamples=2).describe()
    assert "Prognostic association, not a treatment effect." in words


def test_covariates_that_change_with_time_are_refused(data_set):
    visits = data_set("derived_pbcseq_timedep")
    frame = visits.assign(dead=(visits["death"] == 2).astype(int), arm=np.where(visits["trt"] == 1, "one", "two"))
    rows = TimeToEvent.from_frame(frame, entry="tstart", exit="tstop", event="dead", patient_id="id",
                                  covariates=["arm", "bili", "age"])  # fmt: skip
    with pytest.raises(OutcomeError, match="patients have covariates that change with time"):
        standardise(fit_cox(rows, by="arm", covariates=["log(bili)"]))
    fixed = standardise(fit_cox(rows, by="arm", covariates=["age"]), n_resamples=2)
    assert fixed.not_estimable is None


def test_what_is_no_category_is_refused(data_set):
    with pytest.raises(OutcomeError, match="these are: group"):
        standardise(trial(data_set), over="age")
    assert standardise(trial(data_set), over="arm", n_resamples=2).over == "group"


def test_a_fit_that_is_not_estimable_has_no_curves():
    frame = pd.DataFrame({"exit": [1, 2, 3, 4], "event": [1, 1, 0, 0], "group": list("aabb")})
    fit = fit_cox(TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["group"]), by="group")
    result = standardise(fit)
    assert result.not_estimable == fit.not_estimable
    assert len(result.tidy()) == 0


def test_what_is_written_passes_the_small_number_rule(data_set):
    result = standardise(trial(data_set), n_resamples=20)
    shown = apply_policy(result.contrasts(), "lt5")
    assert shown["measure"].tolist() == result.contrasts()["measure"].tolist()
    assert shown["n_event"].dropna().tolist() == [65, 60]
    assert len(apply_policy(result.tidy(), "lt5")) > 10


def test_it_draws(royal_free):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6, 5))
    assert standardise(fit_cox(royal_free, by="arm"), n_resamples=20).plot(ax=ax) is ax
    plt.close(figure)
