"""What may be asked of a comparison: formulas, weights, penalties; and what the design keeps saying."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.designs.bias import quantify_bias
from aih_outcomes.models.survival.designs.comparison import compare_groups
from aih_outcomes.models.survival.designs.design import PROGNOSTIC
from aih_outcomes.models.survival.designs.landmark import INCIDENT, incident_only, landmark
from aih_outcomes.models.survival.designs.landmark_grid import compare_landmarks
from aih_outcomes.models.survival.designs.landmark_model import fit_landmark_model
from aih_outcomes.models.survival.designs.multi_state import as_states
from aih_outcomes.models.survival.designs.naive import naive_comparison
from aih_outcomes.models.survival.designs.time_varying import time_varying
from aih_outcomes.models.survival.recurrent.mean_cumulative import estimate_mean_cumulative
from aih_outcomes.outcomes import Groups, RecurrentEvents, TimeToEvent

N = 60
RIVALS = {"patient_id": "id", "covariates": ["x", "age", "g"], "label": "death"}


def patients():
    random = np.random.default_rng(4)
    return pd.DataFrame({
        "id": [f"P{n}" for n in range(N)], "entry": 0, "exit": random.integers(50, 900, N),
        "event": random.integers(0, 2, N), "x": random.normal(size=N), "age": random.integers(20, 70, N),
        "g": np.where(np.arange(N) % 2, "a", "b"), "w": random.uniform(0.3, 2, N).round(2),
    })  # fmt: skip


def outcome(frame, **how):
    return TimeToEvent.from_frame(frame, entry="entry", exit="exit", event="event", **RIVALS, **how)


def groups(frame, **changes):
    rows = pd.DataFrame({"patient_id": frame["id"], "label": np.where(frame["g"] == "a", "responder", "other")})
    return Groups(rows.assign(onset=10, known_at=40), "response", ("other", "responder"), irreversible=True, **changes)


ASKED = {
    "compare_groups": lambda o, g, terms: compare_groups(o, by="g", covariates=terms),
    "naive_comparison": lambda o, g, terms: naive_comparison(o, g, never="other", covariates=terms),
    "quantify_bias": lambda o, g, terms: quantify_bias(o, g, never="other", day=40, covariates=terms),
    "compare_landmarks": lambda o, g, terms: compare_landmarks(o, {40: g, 100: g}, covariates=terms),
    "fit_landmark_model": lambda o, g, terms: fit_landmark_model(o, {40: g, 100: g}, covariates=terms),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_formula_and_its_list_of_terms_give_the_same(name):
    of_list, of_text = (
        ASKED[name](outcome(patients()), groups(patients()), terms) for terms in (["x", "log(age)"], "x + log(age)")
    )
    columns = ["estimate", *({"std_error", "conf_low"} & set(of_list.tidy()))]
    pd.testing.assert_frame_equal(of_text.tidy()[columns], of_list.tidy()[columns])


@pytest.mark.parametrize("name", ASKED)
def test_terms_that_are_no_text_are_refused(name):
    with pytest.raises(OutcomeError, match="no text but int"):
        ASKED[name](outcome(patients()), groups(patients()), [5])


def test_fractional_weights_give_robust_errors_and_no_log_rank_test():
    weighted = outcome(patients(), weight="w")
    found = compare_groups(weighted, by="g", horizon=300)
    alone = fit_cox(weighted, by="g", cluster="patient_id").tidy()
    ratio = found.tidy().set_index("measure").loc["hazard_ratio"]
    assert (ratio["estimate"], ratio["std_error"]) == (alone["hazard_ratio"][0], alone["std_error"][0])
    assert found.log_rank is None
    assert "weights" in found.glance()["not_estimable_log_rank"]
    assert "No log-rank test" in found.describe()
    assert "robust standard errors by patient" in found.describe()
    assert found.tidy()[["estimate", "std_error"]].notna().all(axis=None)


def test_the_scale_of_fractional_weights_is_without_effect():
    once, twice = (
        compare_groups(outcome(patients().assign(w=lambda f, k=k: f["w"] * k), weight="w"), by="g", horizon=300).tidy()
        for k in (0.5, 1.3)
    )
    columns = ["estimate", "std_error", "conf_low", "conf_high"]
    np.testing.assert_allclose(once[columns], twice[columns], rtol=1e-8)


def test_patients_of_weight_0_are_not_counted():
    frame = patients().assign(w=lambda f: (np.arange(N) < 40) * 1.0)
    found, kept = compare_groups(outcome(frame, weight="w"), by="g"), compare_groups(outcome(frame[:40]), by="g")
    pd.testing.assert_frame_equal(found.tidy(), kept.tidy())


def test_firths_penalty_compares_a_group_without_events():
    frame = patients().assign(event=lambda f: f["event"] * (f["g"] == "a"))
    assert 'penalty="firth"' in compare_groups(outcome(frame), by="g").cox.not_estimable
    found = compare_groups(outcome(frame), by="g", penalty="firth")
    ratio = found.tidy().set_index("measure").loc["hazard_ratio"]
    assert np.isfinite(ratio["estimate"])
    assert "Firth's penalty" in found.describe()


def test_a_reference_without_events_is_said_and_another_one_compares_the_others():
    frame = patients().assign(entry=0, exit=lambda f: f["exit"] + 40)  # nobody dies before the group is known
    found = compare_groups(time_varying(outcome(frame), groups(frame)), by="group")
    assert "The reference has no events" in found.describe()
    other = compare_groups(time_varying(outcome(frame), groups(frame), reference="other"), by="group").tidy()
    known = compare_groups(landmark(outcome(frame), groups(frame), day=40), by="group").tidy()
    ratios = [own.query("measure == 'hazard_ratio' and strata == 'responder'")["estimate"] for own in (other, known)]
    assert ratios[0].iloc[0] == pytest.approx(ratios[1].iloc[0], rel=1e-9)


@pytest.mark.parametrize(
    "ask", [landmark, time_varying, naive_comparison, as_states, incident_only], ids=lambda f: f.__name__
)
def test_a_design_keeps_what_the_outcome_said_before(ask):
    frame = patients()
    how = {landmark: {"day": 40}, naive_comparison: {"never": "other"}}.get(ask, {})
    known = groups(frame)
    if ask is incident_only:
        found = incident_only(landmark(outcome(frame), known, day=40))
        assert PROGNOSTIC in fit_cox(found, by="group").describe().casefold()
    else:
        found = ask(incident_only(outcome(frame)), known, **how)
    design = found.outcome.design if ask is naive_comparison else found.design
    assert design.endswith(INCIDENT)
    assert design != INCIDENT


def test_incident_only_counts_events_of_the_outcome_alone():
    frame = patients().assign(entry=lambda f: np.where(np.arange(N) < 10, 5, 0))
    frame["event"] = np.where(np.arange(N) % 2, "death", "transplant")
    left = incident_only(outcome(frame, competing=["transplant"])).exclusions
    assert left[["n", "n_event"]].to_numpy().tolist() == [[10, 5]]


def test_whoever_had_the_event_before_the_landmark_is_left_out_also_if_followed_on():
    """A patient with the event on day 20 has no membership on day 40, though a later spell reaches beyond it."""
    frame = patients()
    again = frame[:1].assign(entry=20, exit=400, event=0)
    twice = pd.concat([frame[:1].assign(exit=20, event=1), again, frame[1:]])
    found = landmark(outcome(twice), groups(frame), day=40)
    assert found.n_patients == N - 1
    assert found.exclusions[["n", "n_event"]].to_numpy().tolist() == [[1, 1]]


def test_a_competing_event_with_the_outcomes_own_name_stays_apart():
    frame = patients().assign(
        event=lambda f: np.where(f["event"] == 0, "censored", np.where(f.index % 3, "pcm", "death"))
    )
    named, plain = (
        compare_groups(
            TimeToEvent.from_frame(
                frame, exit="exit", event="event", competing=["death"], **(RIVALS | {"label": label})
            ),
            by="g", horizon=300,
        ).tidy()
        for label in ("death", "pcm")
    )  # fmt: skip
    np.testing.assert_array_equal(named["estimate"], plain["estimate"])


def test_recurrent_events_take_incident_patients_too():
    spells = RecurrentEvents.from_frame(patients().assign(entry=lambda f: (f.index < 5) * 9), patient_id="id",
                                        entry="entry", exit="exit", event="event")  # fmt: skip
    assert estimate_mean_cumulative(incident_only(spells)).glance()["n"] == N - 5


@pytest.mark.parametrize("ask", [landmark, time_varying, as_states, naive_comparison], ids=lambda f: f.__name__)
def test_what_is_no_groups_is_refused(ask):
    how = {landmark: {"day": 40}, naive_comparison: {"never": "other"}}.get(ask, {})
    with pytest.raises(OutcomeError, match="DataFrame is no Groups"):
        ask(outcome(patients()), patients(), **how)


@pytest.mark.parametrize("given", ["late", [300], np.nan, True])
def test_a_horizon_that_is_no_number_is_refused(given):
    with pytest.raises(OutcomeError, match="horizon="):
        compare_groups(outcome(patients()), by="g", horizon=given)


def test_an_unknown_effect_of_the_landmark_is_refused():
    with pytest.raises(OutcomeError, match="effect='quadratic' is unknown"):
        fit_landmark_model(outcome(patients()), {40: groups(patients()), 90: groups(patients())}, effect="quadratic")
