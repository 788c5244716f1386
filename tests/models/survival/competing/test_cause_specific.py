"""Cause-specific Cox models of all causes in one table: against R, and what one cause without an answer leaves."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.competing.cause_specific import fit_cause_specific, follow_cause
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.curves.log_rank import compare_survival
from aih_outcomes.outcomes import TimeToEvent

MAYO = ["age", "edema", "log(bili)", "log(albumin)"]
CAUSES = ["transplant", "death"]


@pytest.fixture(scope="module")
def pbc(data_set):
    frame = data_set("pbc")
    frame = frame.assign(end=frame["status"].map({0: "censored", 1: "transplant", 2: "death"}))
    return TimeToEvent.from_frame(
        frame, exit="time", event="end", covariates=["trt", "age", "edema", "bili", "albumin"], label="end of native "
        "liver", competing=["transplant"],
    )  # fmt: skip


@pytest.fixture
def invented(request):
    return pd.read_csv(request.path.parents[3] / "reference" / "competing_risks.csv")


@pytest.mark.parametrize("cause", CAUSES)
def test_matches_r_for_every_cause_on_pbc(cause, pbc, reference, assert_close):
    fit = fit_cause_specific(pbc, covariates=MAYO)
    result = reference("pbc_competing_risks")[f"cause_specific_cox_{cause}"]
    values, rtol = result["values"], result["rtol"]
    own, one = values["coefficients"], fit.fits[cause]
    tidy = fit.tidy()
    rows = tidy[tidy["state"] == cause]
    facts = one.glance()
    assert rows["term"].tolist() == own["term"]
    for ours, theirs in (("estimate", "coef"), ("std_error", "se"), ("statistic", "z"), ("p_value", "p"),
                         ("hazard_ratio", "hr"), ("hr_low", "hr_lower"), ("hr_high", "hr_upper")):  # fmt: skip
        assert_close(rows[ours], own[theirs], rtol, se=own["se"], what=theirs)
    assert_close(one.vcov_model, values["vcov_model"]["values"], rtol, se=np.outer(own["se"], own["se"]), what="vcov")
    for name in ("loglik_null", "loglik", "aic"):
        assert_close(facts[name], values[name], rtol, what=name)
    for name in ("lr", "wald", "score"):
        assert_close(facts[f"{name}_test"], values[f"{name}_test"]["chisq"], rtol, what=f"{name} test")
        assert_close(facts[f"{name}_p_value"], values[f"{name}_test"]["p"], rtol, what=f"{name} p")
    c = values["concordance"]
    assert_close([facts["concordance"], facts["concordance_se"]], [c["c"], c["se"]], rtol, what="concordance")
    counted = [facts[f"pairs_{name}"] for name in ("concordant", "discordant", "tied_score", "tied_time", "tied_both")]
    assert counted == list(c["counts"].values())
    assert (facts["n"], facts["n_event"]) == (values["n"], values["n_event"])
    tests = fit.check_proportional_hazards().query("state == @cause")
    table = values["cox_zph_survival3"]["km"]
    assert_close(tests["statistic"], table["chisq"], rtol, what="zph km")
    assert_close(tests["p_value"], table["p"], rtol, what="zph km p")
    assert tests["term"].tolist() == table["term"]


@pytest.mark.parametrize("cause", CAUSES)
def test_log_rank_per_cause_matches_r_on_pbc(cause, pbc, reference, assert_close):
    treated = pbc.with_rows(pbc.frame[pbc.frame["trt"].notna()])
    result = reference("pbc_competing_risks")["cause_specific_logrank_trt"]
    values, rtol, test = (
        result["values"][cause],
        result["rtol"],
        compare_survival(follow_cause(treated, cause), by="trt"),
    )
    assert_close(test.observed, values["observed"], rtol, what=f"{cause} observed")
    assert_close(test.expected, values["expected"], rtol, what=f"{cause} expected")
    assert_close(test.variance, values["var"]["values"], rtol, what=f"{cause} variance")
    assert_close([test.statistic, test.p_value], [values["chisq"], values["p"]], rtol, what=f"{cause} chisq, p")
    assert test.df == values["df"]


def test_the_causes_add_up_to_every_event(pbc):
    fit = fit_cause_specific(pbc, covariates=MAYO)
    facts = fit.glance()
    assert facts["n_event_by_cause"] == {"death": 161, "transplant": 25}
    assert facts["n_event"] == 186
    assert facts["events_per_parameter"] == {"death": 161 / 4, "transplant": 25 / 4}
    tidy = fit.tidy()
    assert tidy["state"].tolist() == ["death"] * 4 + ["transplant"] * 4
    assert tidy["label"].eq("end of native liver").all()


def test_each_model_is_the_cox_model_of_its_cause(invented):
    rows = TimeToEvent.from_frame(
        invented, exit="time", event="status", entry="start", weight="w", patient_id="id", covariates=["x", "g"],
        competing=["death"],
    )  # fmt: skip
    fit = fit_cause_specific(rows, by="g", covariates=["x"], cluster="patient_id", ties="breslow")
    alone = fit_cox(rows.cause_specific(), by="g", covariates=["x"], cluster="patient_id", ties="breslow")
    np.testing.assert_array_equal(fit.fits["relapse"].coefficients, alone.coefficients)
    np.testing.assert_array_equal(fit.fits["relapse"].vcov, alone.vcov)


def test_a_cause_without_an_answer_says_so_and_the_other_stands():
    frame = pd.DataFrame({"time": range(1, 9), "x": [4.0, 3, 8, 1, 5, 2, 7, 6], "end": ["flare"] * 7 + ["death"]})
    frame["z"] = [1.0, 2, 1, 2, 1, 2, 2, 1]
    rows = TimeToEvent.from_frame(frame, exit="time", event="end", covariates=["x", "z"], competing=["death"])
    fit = fit_cause_specific(rows, covariates=["x", "z"])
    assert fit.glance()["not_estimable"] == "death: fewer events than parameters"
    tidy = fit.tidy().set_index("state")
    assert tidy.loc["death", ["estimate", "p_value", "hazard_ratio"]].isna().all(axis=None)
    assert tidy.loc["flare", "estimate"].notna().all()
    assert tidy.loc["death", "not_estimable"].eq("fewer events than parameters").all()
    assert "Not estimable: death" in fit.describe()


def test_firths_penalty_answers_for_a_rare_cause(pbc):
    few = pbc.with_rows(pbc.frame[pbc.frame["age"] > 55])
    plain, firth = (fit_cause_specific(few, covariates=MAYO, penalty=penalty) for penalty in (None, "firth"))
    assert plain.glance()["n_event_by_cause"]["transplant"] < 4
    assert "fewer events than parameters" in plain.glance()["not_estimable"]
    assert firth.glance()["penalty"] == "firth"
    assert firth.tidy()["state"].tolist() == ["death"] * 4 + ["transplant"] * 4


def test_nothing_to_follow_is_refused():
    frame = pd.DataFrame({"time": [1, 2], "end": ["censored"] * 2, "x": [0.0, 1]})
    rows = TimeToEvent.from_frame(frame, exit="time", event="end", covariates=["x"])
    with pytest.raises(OutcomeError, match="has no event"):
        fit_cause_specific(rows, covariates=["x"])


def test_differences_of_risk_stand_beside_the_ratios(pbc):
    from aih_outcomes.models.survival.competing.cumulative_incidence import estimate_cumulative_incidence

    treated = pbc.with_rows(pbc.frame[pbc.frame["trt"].notna()])
    fit = fit_cause_specific(treated, by="trt", covariates=["age"])
    risks = fit.compare_risks(horizon=1825)
    assert risks["state"].tolist() == ["death", "death", "transplant", "transplant"]
    assert risks["measure"].tolist() == ["risk_difference", "time_lost_difference"] * 2
    curves, key = estimate_cumulative_incidence(treated, by="trt"), ["state", "strata"]
    lost = curves.restricted_time_lost(1825).set_index(key)
    frames = {"risk_difference": curves.at([1825]).set_index(key), "time_lost_difference": lost}
    for row in risks.itertuples():
        one, other = (frames[row.measure].loc[(row.state, level)] for level in ("2", "1"))
        assert row.estimate == pytest.approx(one["estimate"] - other["estimate"], rel=1e-12)
        assert row.std_error**2 == pytest.approx(one["std_error"] ** 2 + other["std_error"] ** 2, rel=1e-12)
        assert row.conf_low < row.estimate < row.conf_high
    until = min(treated.frame.groupby("trt")["exit"].nlargest(5).groupby("trt").min())
    assert fit.compare_risks()["time"].eq(until).all()


def test_under_late_entry_the_difference_says_from_when(invented):
    rows = TimeToEvent.from_frame(
        invented, exit="time", event="status", entry="start", covariates=["x", "z"], competing=["death"]
    )
    fit = fit_cause_specific(rows, by="z", covariates=["x"])
    risks = fit.compare_risks(horizon=10)
    assert risks["alive_at"].ge(0).all()
    assert risks.loc[risks["measure"] == "risk_difference", "estimate"].between(-1, 1).all()
    before = fit.compare_risks(horizon=risks["alive_at"].iloc[0])
    assert before["not_estimable"].str.contains("before the day").all()


def test_no_difference_of_risk_beyond_the_last_time_with_five_at_risk(pbc):
    fit = fit_cause_specific(pbc.with_rows(pbc.frame[pbc.frame["trt"].notna()]), by="trt")
    risks = fit.compare_risks(horizon=20_000)
    assert risks["estimate"].isna().all()
    assert risks["not_estimable"].str.contains("fewer than 5 at risk").all()


def test_differences_of_risk_need_groups(pbc):
    with pytest.raises(OutcomeError, match="compares no groups"):
        fit_cause_specific(pbc, covariates=MAYO).compare_risks()


def test_the_words_say_that_a_ratio_alone_gives_no_risk(pbc):
    text = fit_cause_specific(pbc.with_rows(pbc.frame, design="landmark"), covariates=["age"]).describe()
    assert "none of them alone gives the risk" in text
    assert "Prognostic association, not a treatment effect" in text
