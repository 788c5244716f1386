"""A Cox model per transition: against multi-state coxph of R, with returns to a state, ties, late entry and weights."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.states.transition_model import fit_transitions
from aih_outcomes.outcomes import Groups, StateHistory, TimeToEvent

STATES = ["comp", "decomp", "transplant", "death"]
RTOL = 1e-7


@pytest.fixture(scope="module")
def pbcseq_states(data_set):
    frame = data_set("derived_pbcseq_multistate")
    frame = frame.assign(to=frame["event"].map(dict(enumerate(["censored", *STATES[1:]]))))
    return StateHistory.from_frame(
        frame, patient_id="id", entry="tstart", exit="tstop", from_state="istate", to_state="to", states=STATES,
        covariates=["age", "trt"], label="state of the liver",
    )  # fmt: skip


@pytest.fixture(scope="module")
def invented(request):
    return pd.read_csv(request.path.parents[3] / "reference" / "transitions.csv")


def history(frame, covariates=("x", "arm"), **how):
    return StateHistory.from_frame(
        frame, patient_id="id", entry="start", exit="stop", from_state="state", to_state="to",
        covariates=list(covariates), **how,
    )  # fmt: skip


def test_matches_multistate_coxph_on_pbcseq(pbcseq_states, reference, assert_close):
    fit = fit_transitions(pbcseq_states, covariates=["age", "trt"])
    result = reference("pbcseq_multistate")["multistate_cox"]
    values, rtol = result["values"], result["rtol"]
    own = values["coefficients"]
    keys = []
    for name in own["term"]:
        term, pair = name.split("_")
        origin, target = (values["states"][int(number) - 1] for number in pair.split(":"))
        keys.append((term, f"{origin} → {target}"))
    tidy, facts = fit.tidy().set_index(["term", "state"]).loc[keys], fit.glance()
    assert len(fit.tidy()) == len(keys)
    for ours, theirs in (("estimate", "coef"), ("hazard_ratio", "exp_coef_"), ("std_error_model", "se_coef_"),
                         ("std_error", "robust_se"), ("statistic", "z"), ("p_value", "Pr___z__")):  # fmt: skip
        scale = own["se_coef_"] if theirs == "coef" else 0.0
        assert_close(tidy[ours], own[theirs], rtol, se=scale, what=theirs)
    assert_close([facts["loglik_null"], facts["loglik"]], values["loglik"], rtol, what="loglik")
    assert (facts["n"], facts["n_event"]) == (values["n"], values["n_event"])


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_matches_multistate_coxph_with_returns_ties_late_entry_and_weights(
    ties, weight, invented, r_figures, assert_close
):
    fit = fit_transitions(history(invented, weight=weight), by="arm", covariates=["x"], ties=ties)
    own = r_figures("transitions")[ties + ("_weighted" if weight else "")]
    terms = {"x": "x", "armb": "group: b (ref. a)"}
    keys = [
        (terms[term], f"{origin} → {target}")
        for term, origin, target in zip(own["term"], own["from"], own["to"], strict=True)
    ]
    tidy = fit.tidy().set_index(["term", "state"]).loc[keys]
    name = f"multi-state {ties} {weight or ''}"
    assert_close(tidy["estimate"], own["coef"], RTOL, se=own["robust_se"], what=f"{name} coef")
    assert_close(tidy["std_error"], own["robust_se"], RTOL, what=f"{name} robust se")
    assert_close(tidy["std_error_model"], own["se"], RTOL, what=f"{name} se")
    assert_close([fit.glance()["loglik_null"], fit.glance()["loglik"]], own["loglik"], RTOL, what=f"{name} loglik")


def test_a_history_of_one_transition_is_coxs_model(late_entry):
    frame = late_entry.frame.assign(
        id=late_entry.frame["patient_id"], start=late_entry.entry, stop=late_entry.exit, state="alive",
        to=np.where(late_entry.event, "dead", "censored"),
    )  # fmt: skip
    fit = fit_transitions(history(frame), covariates=["x", "arm"]).fits["alive → dead"]
    cox = fit_cox(late_entry, covariates=["x", "arm"], cluster="patient_id")
    np.testing.assert_array_equal(fit.coefficients, cox.coefficients)
    np.testing.assert_array_equal(fit.vcov, cox.vcov)


def test_strata_have_a_baseline_hazard_each(invented):
    fit = fit_transitions(history(invented), covariates=["x"], strata="arm").fits["well → ill"]
    spells = invented[invented["state"] == "well"].assign(moved=lambda rows: (rows["to"] == "ill").astype(int))
    rows = TimeToEvent.from_frame(
        spells, entry="start", exit="stop", event="moved", patient_id="id", covariates=["x", "arm"]
    )
    np.testing.assert_array_equal(
        fit.coefficients, fit_cox(rows, covariates=["x"], cluster="patient_id", strata="arm").coefficients
    )


def test_row_order_and_time_unit_change_nothing(invented):
    one = fit_transitions(history(invented), covariates=["x"]).tidy()
    turned = invented.iloc[::-1].assign(start=invented["start"] * 4, stop=invented["stop"] * 4)
    other = fit_transitions(history(turned), covariates=["x"]).tidy()
    np.testing.assert_allclose(one[["estimate", "std_error"]], other[["estimate", "std_error"]], rtol=1e-8)


def test_splitting_spells_at_a_time_changes_nothing(invented):
    inside = invented[(invented["start"] < 6) & (invented["stop"] > 6)]
    early = invented.assign(
        stop=np.where(invented.index.isin(inside.index), 6, invented["stop"]),
        to=invented["to"].where(~invented.index.isin(inside.index), "censored"),
    )
    parts = fit_transitions(history(pd.concat([early, inside.assign(start=6)])), covariates=["x"]).tidy()
    whole = fit_transitions(history(invented), covariates=["x"]).tidy()
    np.testing.assert_allclose(parts[["estimate", "std_error"]], whole[["estimate", "std_error"]], rtol=1e-8)


def test_a_rare_transition_is_not_estimable_alone(invented):
    last = invented.index[invented["to"] == "dead"]
    rare = invented.assign(to=invented["to"].where(~invented.index.isin(last[1:]), "censored"))
    fit = fit_transitions(history(rare), covariates=["x"], by="arm")
    facts, tidy = fit.glance(), fit.tidy().set_index("state")
    name = f"{rare.loc[last[0], 'state']} → dead"
    assert facts["not_estimable"] == f"{name}: fewer events than parameters"
    assert tidy.loc[name, ["estimate", "p_value"]].isna().all(axis=None)
    assert tidy.drop(index=name)["estimate"].notna().all()
    assert facts["loglik"] < 0
    assert "Not estimable" in fit.describe()


def test_transitions_are_tested_for_proportional_hazards(pbcseq_states):
    tests = fit_transitions(pbcseq_states, covariates=["age", "trt"]).check_proportional_hazards()
    assert tests["state"].nunique() == 5
    assert (tests["term"] == "GLOBAL").sum() == 5
    assert tests["p_value"].between(0, 1).all()


def test_few_events_per_parameter_are_said_and_firths_penalty_is_offered(pbcseq_states):
    plain = fit_transitions(pbcseq_states, covariates=["age", "trt"])
    assert "events per parameter in decomp → transplant" in plain.describe()
    assert 'penalty="firth"' in plain.describe()
    firth = fit_transitions(pbcseq_states, covariates="age + trt", penalty="firth")
    assert firth.glance()["cluster"] is None
    assert "Firth's penalty" in firth.describe()
    assert np.abs(firth.fits["decomp → transplant"].coefficients).max() < 0.2


def test_nobody_moves_is_refused(invented):
    with pytest.raises(OutcomeError, match="changes state"):
        fit_transitions(history(invented.iloc[:1].assign(to="censored")), covariates=["x"])


def test_times_to_an_event_are_refused_with_a_way_out(late_entry):
    with pytest.raises(OutcomeError, match="fit_cause_specific"):
        fit_transitions(late_entry, covariates=["x"])


def test_groups_that_became_known_later_are_refused(invented):
    ids = invented["id"].drop_duplicates().astype(str)
    known = pd.DataFrame({"patient_id": ids, "label": "yes", "onset": 30.0, "known_at": 30.0})
    with pytest.raises(ImmortalTimeError):
        fit_transitions(history(invented), by=Groups(known, "response", ("no", "yes")), covariates=["x"])


def test_missing_covariates_are_refused_or_counted(invented):
    gaps = history(invented.assign(x=invented["x"].where(invented["id"] > 2)))
    with pytest.raises(OutcomeError, match="lack a covariate"):
        fit_transitions(gaps, covariates=["x"])
    fit = fit_transitions(gaps, covariates=["x"], missing="exclude")
    assert sum(fit.glance()["n_missing_excluded"].values()) > 0
    assert "left out" in fit.describe()


def test_a_history_with_a_covariate_called_group_keeps_it(invented):
    renamed = invented.rename(columns={"arm": "group"})
    one = fit_transitions(history(renamed, ["x", "group"]), covariates=["x", "group"])
    other = fit_transitions(history(invented), covariates=["x"], by="arm")
    np.testing.assert_allclose(
        one.fits["well → ill"].coefficients, other.fits["well → ill"].coefficients[[1, 0]], rtol=1e-9
    )
