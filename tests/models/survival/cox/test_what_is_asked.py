"""What a Cox model refuses, or calls not estimable, before it computes."""

import time

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.terms.formula import read_terms
from aih_outcomes.outcomes import TimeToEvent


def outcome(**changes):
    random = np.random.default_rng(8)
    frame = pd.DataFrame({
        "id": np.arange(30), "t": random.integers(1, 90, 30), "e": random.integers(0, 2, 30),
        "x": random.normal(size=30), "z": random.normal(size=30), "g": np.where(np.arange(30) % 2, "a", "b"),
    })  # fmt: skip
    frame = frame.assign(**changes)
    return TimeToEvent.from_frame(frame, exit="t", event="e", patient_id="id", covariates=["x", "z", "g"])


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"missing": "drop"}, "missing='drop' is unknown"),
        ({"cluster": "g"}, "cluster='g' is unknown"),
        ({"strata": "log(x)"}, "'log\\(x\\)' is not among the covariates"),
        ({"strata": ""}, "'' is not among the covariates"),
        ({"offset": 5}, "no text but int"),
        ({"covariates": ["x", None]}, "no text but NoneType"),
        ({"covariates": 5}, "no text but int"),
    ],
)
def test_what_is_no_choice_is_refused(how, words):
    with pytest.raises(OutcomeError, match=words):
        fit_cox(outcome(), **({"covariates": ["x"]} | how))


@pytest.mark.parametrize(
    "text", ["(x+z+g)**50", "(x+z)**100000", "x**99999999999", "*".join("xz" * 20), "((x+z)**9)**9"]
)
def test_a_formula_that_would_explode_is_refused_at_once(text):
    begun = time.perf_counter()
    with pytest.raises(OutcomeError, match="Multiplied out"):
        read_terms(text, ["x", "z", "g"])
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize("text", ["(x+z+g)**2", "I(x**10) + I((x+z)**2) + I(z**3)", "I(x*x*x*x*x*x*x*x*x*x*x*x*x*x*x)"])
def test_powers_of_numbers_and_small_powers_of_terms_stand(text):
    assert read_terms(text, ["x", "z", "g"])


def test_no_more_patients_than_parameters_have_no_robust_variance():
    """The score residuals of two patients sum to 0: their sandwich has rank 1, and two terms need 2."""
    spells = {"id": np.arange(30) % 2, "entry": np.arange(30) // 2 * 10, "t": np.arange(30) // 2 * 10 + 9}
    frame = outcome().frame.assign(**spells, e=lambda f: f["event"] != "censored").drop(columns="event")
    two = TimeToEvent.from_frame(frame, entry="entry", exit="t", event="e", patient_id="id", covariates=["x", "z"])
    assert fit_cox(two, covariates=["x", "z"]).not_estimable is None
    fit = fit_cox(two, covariates=["x", "z"], cluster="patient_id")
    assert "no more patients than parameters" in fit.not_estimable
    assert fit.tidy()["estimate"].isna().all()


def test_values_too_large_to_compute_with_are_not_estimable():
    assert "too large" in fit_cox(outcome(x=np.arange(30) * 1e200), covariates=["x"]).not_estimable
    assert "too far apart" in fit_cox(outcome(x=np.arange(30) * 1e5), covariates=["z"], offset="x").not_estimable


def test_an_infinite_value_is_a_missing_one_also_in_an_interaction():
    infinite = outcome(x=np.where(np.arange(30) == 3, np.inf, np.arange(30) % 7))
    fit = fit_cox(infinite, covariates="x * g", missing="exclude")
    assert fit.glance()["n_missing_excluded"] == 1
    assert np.isfinite(fit.coefficients).all()


def test_firths_penalty_is_named_only_where_it_can_be_asked_for():
    separated = outcome(e=lambda f: (f["g"] == "a") * 1)
    assert "firth" in fit_cox(separated, by="g").not_estimable
    assert "firth" not in fit_cox(separated, by="g", cluster="patient_id").not_estimable


def test_the_outcomes_own_group_is_no_term_beside_other_groups():
    """by= calls its groups ``group``: the term would silently mean them."""
    grouped = outcome().frame.assign(
        group=np.where(np.arange(30) % 3, "late", "early"), event=lambda f: f["event"] != "censored"
    )
    both = TimeToEvent.from_frame(grouped, exit="exit", event="event", covariates=["x", "g", "group"])
    for terms in (["group"], "x + group", "x * group"):
        with pytest.raises(OutcomeError, match="'group' is a term beside by="):
            fit_cox(both, by="g", covariates=terms)
    assert len(fit_cox(both, by="group", covariates=["g"]).design.terms) == 2
