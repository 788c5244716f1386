"""Predicted survival: against R's survfit.coxph; who cannot be predicted is refused."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.baseline import estimate_baseline_hazard
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.prediction import predict_survival
from aih_outcomes.models.survival.cox.residuals import compute_residuals
from aih_outcomes.outcomes import TimeToEvent

MAYO = ["age", "edema", "log(bili)", "log(protime)", "log(albumin)"]
TIMES = [182, 365, 730, 1095, 1825, 2555, 3650]
LIMITS = {"log": "log", "log-log": "loglog", "plain": "plain"}
LATE_TIMES = [2, 4, 7, 9, 12]
NEW = pd.DataFrame({"x": [0.5, -1.0], "arm": ["b", "a"], "sex": [1, 0]})


def outcome(frame, covariates, exit="exit", event="event", **how):
    return TimeToEvent.from_frame(frame, exit=exit, event=event, covariates=covariates, **how)


@pytest.fixture
def assert_curves(assert_close):
    def check(fit, profiles, expected, rtol, hazard):
        for conf_type, name in LIMITS.items():
            ours = predict_survival(fit, profiles, times=TIMES, hazard=hazard, conf_type=conf_type).tidy()
            for i, profile in enumerate(profiles.index):
                mine, theirs = ours[ours["strata"] == str(profile)], expected[f"profile{i + 1}"]
                se = theirs["se_surv"]
                words = f"{hazard} profile {i + 1}"
                assert_close(mine["estimate"], theirs["surv"], rtol, what=f"{words} surv")
                assert_close(mine["cumulative_hazard"], theirs["cumhaz"], rtol, what=f"{words} cumhaz")
                assert_close(mine["std_error"], se, rtol, what=f"{words} se")
                assert_close(mine["conf_low"], theirs[f"lower_{name}"], rtol, se=se, what=f"{words} lower {name}")
                assert_close(mine["conf_high"], theirs[f"upper_{name}"], rtol, se=se, what=f"{words} upper {name}")

    return check


@pytest.mark.parametrize("hazard", ["efron", "breslow"])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_matches_r_on_pbc(ties, hazard, reference, data_set, assert_curves):
    pbc = data_set("pbc").dropna(subset=["protime"])
    frame = pbc.assign(dead=(pbc["status"] == 2).astype(int))
    rows = outcome(frame, ["age", "edema", "bili", "protime", "albumin"], "time", "dead")
    fit = fit_cox(rows, covariates=MAYO, ties=ties)
    profiles = pd.DataFrame(reference("pbc_cox")["predicted_survival_efron_fit"]["values"]["newdata"])
    result = reference("pbc_cox")[f"predicted_survival_{ties}_fit"]
    assert_curves(fit, profiles, result["values"]["survival"][hazard], result["rtol"], hazard)


@pytest.mark.parametrize("hazard", ["efron", "breslow"])
def test_matches_r_with_covariates_that_change_with_time(hazard, reference, data_set, assert_curves):
    visits = data_set("derived_pbcseq_timedep")
    frame = visits.assign(dead=(visits["death"] == 2).astype(int))
    rows = outcome(
        frame, ["age", "bili", "protime", "albumin"], "tstop", "dead", entry="tstart", patient_id="id"
    )  # fmt: skip
    fit = fit_cox(rows, covariates=["age", "log(bili)", "log(protime)", "log(albumin)"])
    result = reference("pbcseq_timedep_cox")["td_predicted_survival_fixed_path"]
    profiles = pd.DataFrame(result["values"]["newdata"])
    assert_curves(fit, profiles, result["values"]["survival"][hazard], result["rtol"], hazard)


@pytest.mark.parametrize("conf_type", list(LIMITS))
@pytest.mark.parametrize("variant", ["plain", "weighted", "strata"])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_matches_r_with_late_entry_ties_weights_and_strata(
    ties, variant, conf_type, late_entry, r_figures, assert_close
):
    figures = r_figures("cox_extras")[f"{ties}_{variant}_{conf_type}"]
    rows = late_entry
    if variant == "weighted":
        rows = rows.with_rows(rows.frame.assign(weight=rows.frame["w"].astype(float)))
    names = ["x", "arm"] if variant == "strata" else ["arm", "x"]
    fit = fit_cox(
        rows, covariates=names, ties=ties, cluster="patient_id" if variant == "weighted" else None,
        strata="sex" if variant == "strata" else None,
    )  # fmt: skip
    times = LATE_TIMES[1:] if variant == "strata" else LATE_TIMES
    ours = predict_survival(fit, NEW, times=times, conf_type=conf_type).tidy()
    if variant == "strata":
        parts = [figures["first"], figures["second"]]
        theirs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    else:
        theirs = figures
    ends = np.repeat([0, 1], [len(theirs["surv"]) // 2] * 2)
    assert len(ends) == len(ours)
    assert_close(ours["estimate"], theirs["surv"], 1e-7, what="surv")
    assert_close(ours["cumulative_hazard"], theirs["cumhaz"], 1e-7, what="cumhaz")
    assert_close(ours["std_error"], theirs["se"], 1e-7, what="se")
    assert_close(ours["conf_low"], theirs["lower"], 1e-7, se=theirs["se"], what="lower")
    assert_close(ours["conf_high"], theirs["upper"], 1e-7, se=theirs["se"], what="upper")


def test_matches_r_with_an_offset(late_entry, r_figures, assert_close):
    frame = late_entry.frame
    rows = late_entry.with_rows(
        frame.assign(known=0.3 * frame["x"] + 0.1 * frame["w"]), covariates=(*late_entry.covariates, "known")
    )
    fit = fit_cox(rows, covariates=["arm"], offset="known")
    figures = r_figures("cox_extras")["offset_curve"]
    profiles = pd.DataFrame({"arm": ["b", "a"], "known": [0.4, -0.2]})
    ours = predict_survival(fit, profiles, times=LATE_TIMES, conf_type="log").tidy()
    for column, name in (("estimate", "surv"), ("std_error", "se"), ("conf_low", "lower"), ("conf_high", "upper")):
        assert_close(ours[column], figures[name], 1e-7, what=f"{name}, offset")
    at_means = estimate_baseline_hazard(fit, at="means", times=LATE_TIMES).tidy()
    assert_close(at_means["estimate"], r_figures("cox_extras")["offset_means"], 1e-7, what="hazard at means, offset")
    with pytest.raises(OutcomeError, match="offset"):
        predict_survival(fit, profiles[["arm"]])


def test_matches_r_with_exact_ties(late_entry, r_figures, assert_close):
    rows = late_entry.with_rows(late_entry.frame.assign(entry=0.0, patient_id=late_entry.frame.index.astype(str)))
    fit = fit_cox(rows, covariates=["arm", "x"], ties="exact")
    figures = r_figures("cox_extras")["exact_curve"]
    ours = predict_survival(fit, NEW, times=LATE_TIMES, conf_type="log").tidy()
    for column, name in (("estimate", "surv"), ("std_error", "se"), ("conf_low", "lower"), ("conf_high", "upper")):
        assert_close(ours[column], figures[name], 1e-7, what=f"{name}, exact ties")
    expected = r_figures("cox_extras")["exact_martingale"]
    assert_close(compute_residuals(fit, "martingale")["martingale"], expected, 1e-7, se=1.0, what="martingale, exact")
    with pytest.raises(OutcomeError, match="exact ties"):
        compute_residuals(fit, "schoenfeld")


def test_before_the_first_event_survival_is_one_and_after_the_last_time_unknown():
    frame = pd.DataFrame({"exit": [2, 3, 4, 5], "event": [1, 1, 1, 0], "x": [1.0, 0, 1, 0]})
    fit = fit_cox(outcome(frame, ["x"]), covariates=["x"])
    tidy = predict_survival(fit, pd.DataFrame({"x": [0.5]}), times=[1, 5, 6]).tidy()
    assert tidy[["estimate", "conf_low", "conf_high"]].iloc[0].tolist() == [1, 1, 1]
    assert tidy["estimate"].notna().tolist() == [True, True, False]


def test_groups_are_named_by_their_levels(royal_free):
    fit = fit_cox(royal_free, by="arm")
    by_name = predict_survival(fit, pd.DataFrame({"arm": ["prednisolone", "control"]}), times=[60]).tidy()
    by_group = predict_survival(fit, pd.DataFrame({"group": ["prednisolone", "control"]}), times=[60]).tidy()
    assert by_name["estimate"].tolist() == by_group["estimate"].tolist()
    assert by_name["estimate"].iloc[0] > by_name["estimate"].iloc[1]


def test_weights_that_are_no_counts_leave_the_patients_counted(late_entry):
    rows = late_entry.with_rows(late_entry.frame.assign(weight=late_entry.frame["w"] / 3))
    fit = fit_cox(rows, covariates=["arm", "x"], cluster="patient_id", strata="sex")
    tidy = predict_survival(fit, NEW, times=[4.0]).tidy()
    inside = (rows.entry < 4) & (rows.exit >= 4)
    sex = rows.frame["sex"].to_numpy()
    assert tidy["n_risk"].tolist() == [int(np.sum(inside & (sex == level))) for level in (1, 0)]


def test_row_order_changes_nothing(late_entry):
    turned = late_entry.with_rows(late_entry.frame.iloc[::-1])
    one, other = (
        predict_survival(fit_cox(rows, covariates=["arm", "x"], strata="sex"), NEW, times=LATE_TIMES).tidy()
        for rows in (late_entry, turned)
    )
    np.testing.assert_allclose(one["estimate"], other["estimate"], rtol=1e-10)
    np.testing.assert_allclose(one["std_error"], other["std_error"], rtol=1e-10)


REFUSED = {
    "a covariate is not given": (pd.DataFrame({"x": [1.0], "sex": [1]}), "arm"),
    "a value is missing": (pd.DataFrame({"x": [1.0, np.nan], "arm": ["a", "b"], "sex": [1, 1]}), "1 of 2 rows lack"),
    "a level is unknown": (pd.DataFrame({"x": [1.0], "arm": ["z"], "sex": [1]}), "1 of 1 rows"),
    "a stratum is unknown": (pd.DataFrame({"x": [1.0], "arm": ["a"], "sex": [7]}), "1 of 1 rows"),
    "the stratum is not given": (pd.DataFrame({"x": [1.0], "arm": ["a"]}), "stratum"),
    "nobody is described": (pd.DataFrame({"x": [], "arm": [], "sex": []}), "0 rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_cannot_be_predicted_is_refused(case, late_entry):
    profiles, words = REFUSED[case]
    fit = fit_cox(late_entry, covariates=["arm", "x"], strata="sex")
    with pytest.raises(OutcomeError, match=words) as caught:
        predict_survival(fit, profiles)
    assert "Rule:" in str(caught.value)
    assert "Way out:" in str(caught.value)
    assert "'z'" not in str(caught.value)


def test_a_fit_that_is_not_estimable_predicts_nothing():
    frame = pd.DataFrame({"exit": [1, 2, 3, 4], "event": [1, 1, 0, 0], "group": list("aabb")})
    fit = fit_cox(outcome(frame, ["group"]), by="group")
    result = predict_survival(fit, pd.DataFrame({"group": ["a", "b"]}), times=[1, 2])
    assert result.tidy()["estimate"].isna().all()
    assert result.glance()["not_estimable"] == fit.not_estimable
    assert "not estimable" in result.describe()


def test_it_draws_and_says_what_it_is(royal_free):
    import matplotlib.pyplot as plt

    result = predict_survival(fit_cox(royal_free, by="arm"), pd.DataFrame({"arm": ["control"]}, index=["untreated"]))
    figure, ax = plt.subplots(figsize=(6, 5))
    assert result.plot(ax=ax) is ax
    plt.close(figure)
    assert "Not validated" in result.describe()
    assert result.tidy()["strata"].unique().tolist() == ["untreated"]
