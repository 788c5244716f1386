"""Fine-Gray models: against cmprsk's crr, against finegray and coxph of R survival, by hand, by brute force."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.survival.competing.fine_gray import fit_fine_gray
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.outcomes import Groups, TimeToEvent

RTOL = 1e-7  # R's own iterative fit
MAYO = ["age", "edema", "log(bili)", "log(albumin)"]
PBC = {
    "finegray_death": ("death", MAYO),
    "finegray_transplant": ("transplant", MAYO),
    "finegray_trt_only_death": ("death", ["trt"]),
}
ROWS = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from(["censored", "flare", "death"]), st.integers(-4, 4)),
    min_size=15, max_size=40,
)  # fmt: skip
FINE = {"convention": "finegray", "variance": "robust"}


@pytest.fixture(scope="module")
def pbc(data_set):
    frame = data_set("pbc")
    return frame.assign(end=frame["status"].map({0: "censored", 1: "transplant", 2: "death"}))


@pytest.fixture(scope="module")
def invented(request):
    return pd.read_csv(request.path.parents[3] / "reference" / "competing_risks.csv")


def outcome(frame, covariates=("x", "z"), exit="time", event="status", **how):
    return TimeToEvent.from_frame(frame, exit=exit, event=event, covariates=list(covariates), **how)


def follow(pbc, covariates):
    kept = pbc.dropna(subset=["trt"]) if "trt" in covariates else pbc
    return outcome(kept, ["trt", "age", "edema", "bili", "albumin"], event="end", competing=["transplant"])


@pytest.mark.parametrize("name", PBC)
def test_matches_crr_on_pbc(name, pbc, reference, assert_close):
    cause, covariates = PBC[name]
    fit = fit_fine_gray(follow(pbc, covariates), covariates=covariates, cause=cause)
    result = reference("pbc_competing_risks")[name]
    values, rtol = result["values"]["crr"], result["rtol"]
    own, tidy, facts = values["coefficients"], fit.tidy(), fit.glance()
    assert_close(tidy["estimate"], own["coef"], rtol, se=own["se"], what="coef")
    assert_close(tidy["std_error"], own["se"], rtol, what="se")
    assert_close(tidy["subdistribution_hazard_ratio"], own["shr"], rtol, what="shr")
    assert_close(tidy["p_value"], own["p"], rtol, what="p")
    assert_close(fit.vcov, values["vcov"]["values"], rtol, se=np.outer(own["se"], own["se"]), what="vcov")
    assert_close(facts["loglik"], values["loglik"], rtol, what="loglik")
    assert_close(facts["loglik_null"], values["loglik_null"], rtol, what="loglik_null")
    assert facts["n"] == values["n"]
    if "predicted_cif_crr" in result["values"]:
        predicted = result["values"]["predicted_cif_crr"]
        new = pd.DataFrame(predicted["newdata"])
        new = new.assign(bili=np.exp(new["logbili"]), albumin=np.exp(new["logalb"]))
        risk = fit.predict(new, predicted["times"])["estimate"].to_numpy().reshape(len(new), -1)
        assert_close(risk, predicted["cif"], rtol, what="predicted cumulative incidence")


@pytest.mark.parametrize("ties", ["breslow", "efron"])
@pytest.mark.parametrize("name", PBC)
def test_matches_finegray_with_coxph_on_pbc(name, ties, pbc, reference, assert_close):
    cause, covariates = PBC[name]
    fit = fit_fine_gray(
        follow(pbc, covariates), covariates=covariates, cause=cause, ties=ties, convention="finegray"
    )  # fmt: skip
    result = reference("pbc_competing_risks")[name]
    values, rtol = result["values"][f"finegray_coxph_{ties}"], result["rtol"]
    own, tidy = values["coefficients"], fit.tidy()
    assert_close(tidy["estimate"], own["coef"], rtol, se=own["se_robust"], what=f"finegray {ties} coef")
    assert_close(tidy["std_error"], own["se_robust"], rtol, what=f"finegray {ties} robust se")
    assert_close(tidy["std_error_model"], own["se_model"], rtol, what=f"finegray {ties} model se")
    assert_close(fit.glance()["loglik"], values["loglik"], rtol, what=f"finegray {ties} loglik")


@pytest.mark.parametrize("strata", [None, "centre"])
@pytest.mark.parametrize("cause", ["relapse", "death"])
def test_matches_crr_with_ties_everywhere_and_with_stratified_censoring(
    cause, strata, invented, r_figures, assert_close
):
    rows = outcome(invented, ["x", "z", "centre"])
    fit = fit_fine_gray(rows, covariates=["x", "z"], cause=cause, censoring_strata=strata)
    expected = r_figures("competing_risks")[f"crr_{cause}{'_by_centre' if strata else ''}"]
    name = f"crr {cause} {strata or ''} "
    _assert_fit(fit, expected, assert_close, name)
    risk = fit.predict(pd.DataFrame({"x": [-1, 0.5], "z": [0, 1]}), [2, 5, 10, 20])["estimate"]
    by_time = risk.to_numpy().reshape(2, 4).T.ravel()
    assert_close(by_time, expected["cif"], RTOL, what=f"{name}predicted cumulative incidence")


VARIANTS = {
    "plain": ({}, {}),
    "weighted": ({"weight": "w"}, {}),
    "late": ({"entry": "start"}, {}),
    "late_weighted": ({"entry": "start", "weight": "w"}, {}),
}


@pytest.mark.parametrize("ties", ["breslow", "efron"])
@pytest.mark.parametrize("cause", ["relapse", "death"])
@pytest.mark.parametrize("variant", [*VARIANTS, "spells"])
def test_matches_finegray_with_late_entry_weights_and_spells(
    variant, cause, ties, invented, request, r_figures, assert_close
):
    if variant == "spells":
        frame = pd.read_csv(request.path.parents[3] / "reference" / "competing_spells.csv")
        rows = outcome(frame, entry="start", patient_id="id")
    else:
        rows = outcome(invented, **VARIANTS[variant][0])
    fit = fit_fine_gray(rows, covariates=["x", "z"], cause=cause, ties=ties, convention="finegray")
    expected = r_figures("competing_risks")[f"finegray_{variant}_{cause}_{ties}"]
    _assert_fit(fit, expected, assert_close, f"finegray {variant} {cause} {ties} ")


def _assert_fit(fit, expected, assert_close, name):
    se = np.sqrt(np.array(expected["vcov"])[[0, 3]])
    scale = np.outer(se, se).ravel()
    assert_close(fit.coefficients, expected["coef"], RTOL, se=se, what=f"{name}coef")
    assert_close(fit.vcov.ravel(), expected["vcov"], RTOL, se=scale, what=f"{name}vcov")
    assert_close(fit.vcov_model.ravel(), expected["vcov_model"], RTOL, se=scale, what=f"{name}model vcov")
    assert_close([fit.loglik_null, fit.loglik], expected["loglik"], RTOL, what=f"{name}loglik")
    assert fit.scaled_gradient < 1e-6


def test_without_a_competing_event_it_is_coxs_model(late_entry):
    ours = fit_fine_gray(late_entry, covariates=["x", "arm"], ties="efron", **FINE)
    cox = fit_cox(late_entry, covariates=["x", "arm"], cluster="patient_id")
    np.testing.assert_allclose(ours.coefficients, cox.coefficients, rtol=1e-9)
    np.testing.assert_allclose(ours.vcov, cox.vcov, rtol=1e-9)
    np.testing.assert_allclose(ours.vcov_model, cox.vcov_model, rtol=1e-9)


def test_without_censoring_the_competing_stay_at_risk_for_good():
    # dead 1 (x=0), flare 2 (x=1), dead 3 (x=1), flare 4 (x=0); e = exp(beta)
    # score 1 - 2e/(2e+2) at 2, where all are at risk, and -e/(2+e) at 4, where the dead still are: e² = 2
    frame = pd.DataFrame({"time": [1, 2, 3, 4], "status": ["death", "flare", "death", "flare"], "x": [0, 1, 1, 0]})
    fit = fit_fine_gray(outcome(frame, ["x"]), covariates=["x"], cause="flare")
    assert fit.tidy()["subdistribution_hazard_ratio"][0] == pytest.approx(2**0.5, rel=1e-9)


@pytest.mark.parametrize("convention", ["crr", "finegray"])
def test_a_competing_event_is_weighted_by_the_chance_of_still_being_followed(convention):
    # flare 1 (x=1), dead 2 (x=1), censored 3 (x=0) of three at risk, flare 4 (x=0), flare 5 (x=1); e = exp(beta)
    # score 1 - 3e/(3e+2) at 1; at 4 the dead one counts 2/3: -(5e/3)/(1+5e/3); at 5 all have x=1: e² = 2/5
    status = ["flare", "death", "censored", "flare", "flare"]
    frame = pd.DataFrame({"time": range(1, 6), "status": status, "x": [1, 1, 0, 0, 1]})
    fit = fit_fine_gray(outcome(frame, ["x"]), covariates=["x"], cause="flare", convention=convention)
    assert fit.tidy()["subdistribution_hazard_ratio"][0] == pytest.approx(0.4**0.5, rel=1e-9)


def _estimable(frame, **how):
    fit = fit_fine_gray(outcome(frame, ["x"], **how), covariates=["x"], cause="flare", missing="exclude", **FINE)
    assume(fit.not_estimable is None)
    return fit


@settings(max_examples=15)
@given(ROWS)
def test_row_order_time_unit_and_names_of_the_others_change_nothing(rows):
    frame = pd.DataFrame(rows, columns=["time", "status", "x"])
    assume((frame["status"] == "flare").any())
    one = _estimable(frame)
    turned = frame.iloc[::-1].assign(time=frame["time"] * 4, status=frame["status"].replace({"death": "transplant"}))
    other = fit_fine_gray(outcome(turned, ["x"]), covariates=["x"], cause="flare", **FINE)
    np.testing.assert_allclose(one.coefficients, other.coefficients, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(one.vcov, other.vcov, rtol=1e-6)


@settings(max_examples=15)
@given(ROWS, st.integers(1, 10))
def test_splitting_spells_at_a_time_changes_nothing(rows, cut):
    frame = pd.DataFrame(rows, columns=["time", "status", "x"]).assign(entry=0, patient=range(len(rows)))
    assume((frame["status"] == "flare").any())
    how = {"entry": "entry", "patient_id": "patient"}
    whole = _estimable(frame, **how)
    inside = frame[frame["time"] > cut]
    early = frame.assign(
        status=frame["status"].where(frame["time"] <= cut, "censored"), time=frame["time"].clip(upper=cut)
    )
    parts = _estimable(pd.concat([inside.assign(entry=cut), early]), **how)
    np.testing.assert_allclose(whole.coefficients, parts.coefficients, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(whole.vcov, parts.vcov, rtol=1e-6)


def test_a_hundred_runs_give_the_same_bytes(invented):
    rows = outcome(invented)
    runs = {fit_fine_gray(rows, covariates=["x", "z"], cause="relapse").vcov.tobytes() for _ in range(100)}
    assert len(runs) == 1


HOPELESS = {
    "no events": (["death", "death", "censored", "death"], list("abab"), "no events"),
    "one group": (["flare", "flare", "death", "flare"], list("aaaa"), "only one group"),
    "few events": (["flare", "death", "death", "censored"], list("abcc"), "fewer events than parameters"),
    "no events in a group": (["flare", "flare", "death", "death"], list("aabb"), "no events in group: b"),
    "monotone": (["flare", "flare", "flare", "flare"], list("aabb"), "monotone"),
}


@pytest.mark.parametrize("case", HOPELESS)
def test_what_cannot_be_estimated_says_why_and_is_missing(case):
    status, group, reason = HOPELESS[case]
    levels = pd.Categorical(status, ["censored", "flare", "death"])
    frame = pd.DataFrame({"time": [1, 2, 3, 4], "status": levels, "group": group})
    fit = fit_fine_gray(outcome(frame, ["group"]), by="group", cause="flare")
    assert reason in fit.glance()["not_estimable"]
    assert fit.tidy()[["estimate", "std_error", "p_value", "subdistribution_hazard_ratio"]].isna().all(axis=None)
    assert "Not estimable" in fit.describe()
    if case != "one group":
        new = pd.DataFrame({"group": ["a"]})
        assert fit.predict(new, [2.0])["estimate"].isna().all()


def test_a_covariate_of_one_value_is_not_estimable():
    frame = pd.DataFrame({"time": range(1, 6), "status": ["flare", "death"] * 2 + ["flare"], "x": 1.0})
    fit = fit_fine_gray(outcome(frame, ["x"]), covariates=["x"], cause="flare")
    assert fit.not_estimable == "terms are constant or collinear"


def test_one_patient_has_no_answer():
    frame = pd.DataFrame({"time": [3], "status": ["flare"], "x": [1.0]})
    assert fit_fine_gray(outcome(frame, ["x"]), covariates=["x"], cause="flare").not_estimable


def test_nobody_with_every_value_has_no_answer():
    frame = pd.DataFrame({"time": [3, 4], "status": ["flare", "death"], "x": [np.nan, np.nan]})
    fit = fit_fine_gray(outcome(frame, ["x"]), covariates=["x"], cause="flare", missing="exclude")
    assert (fit.not_estimable, fit.glance()["n_missing_excluded"]) == ("no events", 2)


def test_late_entry_that_leaves_nobody_followed_has_no_weights():
    frame = pd.DataFrame({
        "entry": [0, 1, 4, 4, 4, 4], "time": [2, 3, 6, 7, 8, 9], "x": [0.0, 1.0, 0.5, 1.5, 0.2, 2.0],
        "status": ["death", "death", "flare", "flare", "flare", "censored"],
    })  # fmt: skip
    fit = fit_fine_gray(outcome(frame, ["x"], entry="entry"), covariates=["x"], cause="flare", convention="finegray")
    assert "weights are undefined" in fit.not_estimable


def test_weights_of_zero_leave_a_row_out(invented):
    frame = invented.assign(w=np.where(invented["id"] % 5, 1.0, 0.0))
    kept = fit_fine_gray(outcome(frame[frame["w"] > 0]), covariates=["x", "z"], cause="relapse")
    zero = fit_fine_gray(outcome(frame, weight="w"), covariates=["x", "z"], cause="relapse")
    np.testing.assert_array_equal(kept.coefficients, zero.coefficients)
    assert zero.glance()["n"] == int((frame["w"] > 0).sum())


def test_missing_covariates_are_refused_or_counted(invented):
    rows = outcome(invented.assign(x=invented["x"].where(invented["id"] > 3)))
    with pytest.raises(OutcomeError, match="3 of 240 rows"):
        fit_fine_gray(rows, covariates=["x"], cause="relapse")
    fit = fit_fine_gray(rows, covariates=["x"], cause="relapse", missing="exclude")
    assert (fit.glance()["n_missing_excluded"], fit.glance()["n"]) == (3, 237)
    assert "left out" in fit.describe()


REFUSED = {
    "late entry": ({"entry": "start"}, {}, "late entry"),
    "weights": ({"weight": "w"}, {}, "weights"),
    "full variance": ({}, {"convention": "finegray", "variance": "full"}, "variance='full'"),
    "fractions": ({"weight": "w"}, {"convention": "finegray", "variance": "model"}, "not whole numbers"),
    "cause": ({}, {"cause": "flare"}, "no event"),
    "no cause": ({}, {"cause": None}, "none is said to compete"),
    "term": ({}, {"covariates": ["y"]}, "1 term"),
    "ties": ({}, {"ties": "exact"}, "ties='exact' is unknown"),
    "convention": ({}, {"convention": "R"}, "convention='R' is unknown"),
    "variance": ({}, {"variance": "sandwich"}, "variance='sandwich' is unknown"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_covered_is_refused_with_a_way_out(case, invented):
    how, asked, message = REFUSED[case]
    with pytest.raises(OutcomeError, match=message) as error:
        fit_fine_gray(outcome(invented, **how), **{"covariates": ["x"], "cause": "relapse"} | asked)
    assert error.value.way_out


def test_a_patient_followed_after_the_event_or_with_a_gap_is_refused():
    frame = pd.DataFrame({
        "id": [1, 1, 2, 3], "entry": [0, 3, 0, 0], "time": [2, 5, 4, 6], "x": [0.0, 1, 2, 3],
        "status": ["censored", "flare", "death", "flare"],
    })  # fmt: skip
    for rows in (frame, frame.assign(entry=[0, 2, 0, 0], status=["flare", "flare", "death", "flare"])):
        with pytest.raises(OutcomeError, match="1 of 4 rows follow a gap or an event"):
            fit_fine_gray(outcome(rows, ["x"], entry="entry", patient_id="id"), covariates=["x"], cause="flare")


def test_groups_that_became_known_later_are_refused(invented):
    known = pd.DataFrame({"patient_id": invented["id"].astype(str), "label": np.where(invented["z"], "yes", "no"),
                          "onset": 3.0, "known_at": 3.0})  # fmt: skip
    groups = Groups(known, "response", ("no", "yes"))
    with pytest.raises(ImmortalTimeError):
        fit_fine_gray(outcome(invented, patient_id="id"), by=groups, cause="relapse")


def test_status_that_changes_with_time_is_refused(invented):
    rows = outcome(invented, design="status changing with time")
    with pytest.raises(OutcomeError, match="change with time"):
        fit_fine_gray(rows, covariates=["x"], cause="relapse")


def test_the_words_name_the_convention_and_what_the_ratio_is_not(invented):
    fit = fit_fine_gray(outcome(invented, ["x", "g"], competing=["death"], design="landmark"), by="g", covariates=["x"])
    text = fit.describe()
    assert "not a ratio of rates among those still at risk" in text
    assert "Prognostic association, not a treatment effect" in text
    assert "as in crr" in text
    facts = fit.glance()
    assert facts["n_event_by_cause"] == invented["status"].value_counts().drop("censored").to_dict()
    assert facts["events_per_parameter"] == facts["n_event"] / 3
    tidy = fit.tidy()
    assert tidy["term"].tolist() == ["group: b (ref. a)", "group: c (ref. a)", "x"]
    assert tidy["state"].eq("relapse").all()
    assert tidy["n"].tolist()[:2] == [(invented["g"] == level).sum() for level in "bc"]


def test_a_formula_is_its_terms(invented):
    rows = outcome(invented)
    formula = fit_fine_gray(rows, covariates="x * z", cause="relapse")
    product = outcome(invented.assign(both=invented["x"] * invented["z"]), ["x", "z", "both"])
    terms = fit_fine_gray(product, covariates=["x", "z", "both"], cause="relapse")
    np.testing.assert_allclose(formula.coefficients, terms.coefficients, rtol=1e-8)
    new = pd.DataFrame({"x": [0.5], "z": [1]})
    np.testing.assert_allclose(
        formula.predict(new, [5])["estimate"], terms.predict(new.assign(both=0.5), [5])["estimate"], rtol=1e-8
    )


def test_few_events_per_parameter_are_said(invented):
    few = outcome(invented.iloc[:40], ["x", "w", "centre", "start"])
    fit = fit_fine_gray(few, covariates=["x", "w", "centre", "start"], cause="relapse")
    assert fit.not_estimable is None
    assert fit.glance()["events_per_parameter"] < 5
    assert "Fewer than 5 events per parameter" in fit.describe()


def test_predictions_are_missing_after_the_end_of_follow_up(invented):
    fit = fit_fine_gray(outcome(invented), covariates=["x"], cause="relapse")
    risk = fit.predict(pd.DataFrame({"x": [0.0]}, index=["typical"]), [0, 25, 26])
    assert risk["strata"].unique().tolist() == ["typical"]
    assert risk["estimate"].isna().tolist() == [False, False, True]
    assert risk["estimate"][0] == 0


def test_a_hundred_thousand_patients_are_fitted_within_a_moment():
    random = np.random.default_rng(1)
    n = 100_000
    frame = pd.DataFrame({"time": random.integers(1, 3000, n), "x": random.normal(size=n), "z": random.normal(size=n),
                          "status": random.choice(["censored", "flare", "death"], n)})  # fmt: skip
    fit = fit_fine_gray(outcome(frame), covariates=["x", "z"], cause="flare")
    assert np.abs(fit.tidy()["statistic"]).max() < 4  # nothing is going on


def test_differences_of_risk_and_of_time_lost_stand_beside_the_ratio(pbc):
    rows = follow(pbc, ["trt"])
    fit = fit_fine_gray(rows, by="trt", cause="death")
    from aih_outcomes.models.survival.competing.cause_specific import fit_cause_specific

    own = fit.compare_risks(horizon=1825)
    both = fit_cause_specific(rows, by="trt").compare_risks(horizon=1825)
    pd.testing.assert_frame_equal(own, both[both["state"] == "death"].reset_index(drop=True))
    assert own["measure"].tolist() == ["risk_difference", "time_lost_difference"]
    with pytest.raises(OutcomeError, match="compares no groups"):
        fit_fine_gray(rows, covariates=["age"], cause="death").compare_risks()


def test_several_kinds_of_the_event_are_one_risk_even_where_a_rival_bears_their_name(pbc):
    halves = pbc.assign(end=np.where((pbc["end"] == "death") & (pbc["id"] % 2 == 0), "late death", pbc["end"]))
    rows = outcome(
        halves.dropna(subset=["trt"]), ["trt"], event="end", competing=["transplant"], label="transplant"
    )  # fmt: skip
    fit = fit_fine_gray(rows, by="trt")
    assert fit.cause == "transplant (the event)"
    whole = fit_fine_gray(follow(pbc, ["trt"]), by="trt", cause="death")
    assert fit.coefficients == pytest.approx(whole.coefficients, rel=1e-10)
    expected, found = (one.compare_risks(horizon=1825)["estimate"] for one in (whole, fit))
    assert found.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-10)


def test_values_too_large_to_compute_with_are_not_estimable(invented):
    frame = invented.assign(x=np.where(np.arange(len(invented)) == 3, 1e300, invented["x"]))
    fit = fit_fine_gray(outcome(frame), covariates=["x"], cause="relapse")
    assert fit.not_estimable == "a term has values too large to compute with"


def test_a_robust_variance_of_nothing_is_no_answer():
    frame = pd.DataFrame({"time": 10, "status": ["relapse"] * 6, "x": [1.0, 2, 3, 4, 5, 6], "z": "a"})
    fit = fit_fine_gray(outcome(frame), covariates=["x"])
    assert "robust variance is 0" in fit.not_estimable


def test_an_unknown_way_with_missing_values_is_refused(invented):
    with pytest.raises(OutcomeError, match="missing='banana' is unknown"):
        fit_fine_gray(outcome(invented), covariates=["x"], cause="relapse", missing="banana")


def test_rows_in_any_order_and_ids_of_any_kind_give_the_same_fit(invented):
    rows = outcome(invented.assign(pid=[f"P{i}" for i in range(len(invented))]), patient_id="pid")
    shuffled = rows.with_rows(rows.frame.sample(frac=1, random_state=2))
    one, other = (fit_fine_gray(own, covariates=["x", "z"], cause="relapse") for own in (rows, shuffled))
    assert other.coefficients == pytest.approx(one.coefficients, rel=1e-10)
    assert np.diag(other.vcov) == pytest.approx(np.diag(one.vcov), rel=1e-10)
