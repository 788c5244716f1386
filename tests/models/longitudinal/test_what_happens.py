"""What the longitudinal functions answer when data say little: an estimate, "not estimable" with why, or a refusal."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import AihError
from aih_outcomes.models.longitudinal.before_after import fit_before_after
from aih_outcomes.models.longitudinal.case_against_cohort import case_against_cohort
from aih_outcomes.models.longitudinal.contrasts import compare_marginal_means
from aih_outcomes.models.longitudinal.diagnostics.check import check_mixed_model
from aih_outcomes.models.longitudinal.gee import compare_mean_models, fit_gee
from aih_outcomes.models.longitudinal.logistic_random_intercept import fit_random_logistic
from aih_outcomes.models.longitudinal.marginal_means import estimate_marginal_means
from aih_outcomes.models.longitudinal.mixed_model import with_inference
from aih_outcomes.models.longitudinal.model_comparison import compare_mixed_models
from aih_outcomes.models.longitudinal.profile_intervals import profile_covariance
from aih_outcomes.models.longitudinal.pseudo_switches import match_pseudo_switches
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
from aih_outcomes.models.longitudinal.trajectories import describe_trajectories
from aih_outcomes.models.longitudinal.visit_process import compare_visit_handling
from aih_outcomes.outcomes import Groups, RepeatedMeasures, Switches

N, VISITS, LANDMARK, SWITCH = 16, 5, 60, 200
OWN = "P0041"  # how every identifier begins, and no number does


def values():
    random = np.random.default_rng(29)
    patient, visit = np.repeat(np.arange(N), VISITS), np.tile(np.arange(VISITS), N)
    level, slope = 4 + 0.8 * random.normal(size=N), 0.3 * random.normal(size=N)
    value = level[patient] + (0.2 + slope[patient]) * visit + 0.4 * random.normal(size=len(visit))
    return pd.DataFrame({
        "id": [f"{OWN}{n}" for n in patient], "day": 91.0 * visit, "visit": [f"month {3 * n}" for n in visit],
        "value": value, "g": np.where(patient % 2, "a", "b"), "x": np.sin(patient), "centre": patient % 4,
        "w": 1.0, "steroid": 0.1 * (visit % 2),
    })  # fmt: skip


FIRST = values()["day"] == 0
SITUATIONS = {
    "plenty": {},
    "nobody": {"id": None},
    "one patient": {"id": f"{OWN}0", "day": np.arange(N * VISITS) * 7.0, "visit": [f"v{n}" for n in range(N * VISITS)]},
    "one value each": {"value": np.where(FIRST, values()["value"], np.nan)},
    "no values": {"value": np.nan},
    "one group empty": {"g": "a"},
    "a group of one": {"g": np.where(values()["id"] == f"{OWN}3", "a", "b")},
    "a group never at baseline": {"value": values()["value"].mask(FIRST & (values()["g"] == "a"))},
    "all values alike": {"value": 3.0},
    "values on a line": {"value": 2.0 + values()["day"]},
    "levels without error": {"value": np.arange(N * VISITS) // VISITS + 1.0},
    "values of 0": {"value": np.where(FIRST, 0.0, values()["value"])},
    "words for values": {"value": "high"},
    "infinite values": {"value": np.where(FIRST, np.inf, values()["value"])},
    "values beyond squares": {"value": 1e200 * values()["value"]},
    "tiny values": {"value": 1e-9 * values()["value"]},
    "one time for all": {"day": 100.0},
    "NaN covariates": {"x": np.where(FIRST, np.nan, values()["x"])},
    "a covariate that the groups make up": {"x": np.where(values()["g"] == "a", 2.0, 1.0)},
    "weights of 0": {"w": 0.0},
    "groups that change within patients": {"g": np.where(values()["day"] > 100, "a", "b")},
}


def measures(frame, **how):
    return RepeatedMeasures.from_frame(
        frame, patient_id="id", time="day", visit="visit", value="value",
        covariates=["g", "x", "centre", "w", "steroid"], label="bilirubin", analyte="bilirubin",
        time_zero="induction", **how,
    )  # fmt: skip


def responders(frame):
    rows = frame.drop_duplicates("id")
    labels = pd.DataFrame({"patient_id": rows["id"], "label": np.where(rows["x"] > 0, "responder", "other")})
    return Groups(labels.assign(onset=20, known_at=40), "response", ("other", "responder"), "induction")


def switches(frame):
    rows = frame.drop_duplicates("id").reset_index(drop=True)
    moments = rows[["id", "x"]].assign(day=SWITCH, switched=rows.index < 3)
    return Switches.from_frame(
        moments, patient_id="id", time="day", switched="switched", covariates=["x"], time_zero="induction"
    )


def slopes(frame, **how):
    return fit_random_effects(measures(frame), **({"by": "g", "covariates": ["x"]} | how))


def visits(frame, **how):
    return fit_repeated_measures(measures(frame), **({"by": "g", "covariates": ["x"]} | how))


FUNCTIONS = {
    "fit_random_effects": slopes,
    "fit_random_effects, log": lambda f: slopes(f, scale="log", random="1", df="kenward-roger"),
    "fit_random_effects, serial": lambda f: slopes(f, random="1", serial="exponential and error"),
    "fit_random_effects, centres": lambda f: slopes(f, random="1", nested_in="centre", residual_by="g", weights="w"),
    "fit_random_effects, landmark": lambda f: slopes(f, by=responders(f), covariates=(), from_day=LANDMARK, random="1"),
    "fit_repeated_measures": visits,
    "fit_repeated_measures, robust": lambda f: visits(f, covariance="ar1", df="satterthwaite", vcov="CR2"),
    "fit_repeated_measures, weights": lambda f: visits(f, covariance="exponential", weights="w"),
    "fit_gee": lambda f: fit_gee(measures(f), by="g", covariates=["x"]),
    "fit_random_logistic": lambda f: fit_random_logistic(
        measures(f.assign(value=1.0 * (pd.to_numeric(f["value"], errors="coerce") > 4.5))), by="g"
    ),
    "describe_trajectories": lambda f: describe_trajectories(measures(f), by="g", visits=[0, 91, 182]),
    "estimate_marginal_means": lambda f: estimate_marginal_means(slopes(f), at=[0, 182]),
    "compare_marginal_means": lambda f: compare_marginal_means(estimate_marginal_means(visits(f)), reference="b"),
    "with_inference": lambda f: with_inference(slopes(f), "residual", "CR0"),
    "compare_mixed_models": lambda f: compare_mixed_models(slopes(f, random="1"), slopes(f)),
    "profile_covariance": lambda f: profile_covariance(slopes(f, random="1")),
    "compare_mean_models": lambda f: compare_mean_models(slopes(f), fit_gee(measures(f), by="g", covariates=["x"])),
    "check_mixed_model": lambda f: check_mixed_model(slopes(f)),
    "compare_visit_handling": lambda f: compare_visit_handling(measures(f), by="g", visits=[0, 91, 182, 273, 364]),
    "match_pseudo_switches": lambda f: match_pseudo_switches(switches(f)),
    "fit_before_after": lambda f: fit_before_after(measures(f), switches(f)),
    "case_against_cohort": lambda f: case_against_cohort(
        slopes(f, by=None, covariates=["steroid"], scale="log", serial="exponential", random="1"), f"{OWN}0",
        switches=switches(f), steroid="steroid",
    ),
}  # fmt: skip


def answer(function, situation):
    frame = values().assign(**SITUATIONS[situation])
    frame = frame[frame["id"].notna()]
    try:
        found = FUNCTIONS[function](frame)
        if isinstance(found, pd.DataFrame):
            return "estimated" if found["estimate"].notna().any() else "not estimable"
        found.tidy()
        words, facts = found.describe(), found.glance()
    except AihError as error:
        return "an identifier in a message" if OWN in str(error) else f"refused: {error.rule}"
    assert OWN not in words + " ".join(map(str, facts.values()))
    assert "p = 0.000" not in words
    assert " nan" not in words
    reason = facts.get("not_estimable")
    return f"not estimable: {reason}" if reason else "estimated"


# What is not "estimated": each answer, and the functions that give it.
LINES = (
    "fit_random_effects",
    "fit_random_effects, log",
    "fit_random_effects, serial",
    "fit_random_effects, centres",
    "fit_random_effects, landmark",
)
REPEATED = ("fit_repeated_measures", "fit_repeated_measures, robust", "fit_repeated_measures, weights")
FOLLOWING = ("estimate_marginal_means", "with_inference", "check_mixed_model")
TABLES = ("profile_covariance", "compare_mean_models")
MIXED = (*LINES, *REPEATED, *FOLLOWING)
NO_TABLE = "not estimable"
NUMBERS = "refused: A value is a finite number"
MISSING = "refused: A missing value is never a normal one"
ANSWERS = {
    "plenty": {},
    "nobody": {
        "not estimable: no values": (*MIXED, "fit_gee", "fit_random_logistic"),
        "refused: A difference is between two groups": ("compare_marginal_means",),
        "not estimable: the smaller model: no values": ("compare_mixed_models",),
        NO_TABLE: (*TABLES,),
        "not estimable: no values; no planned visit; no visit but planned ones, or nobody was seen twice": (
            "compare_visit_handling",
        ),
        "not estimable: no switch has a comparable pseudo-switch": ("match_pseudo_switches",),
        "not estimable: fewer than 3 matched switches with values on both sides": ("fit_before_after",),
        "refused: The case is one of the patients of the fit": ("case_against_cohort",),
    },
    "one patient": {
        "not estimable: fewer than 3 patients in a, b": (
            *REPEATED, *FOLLOWING, "fit_random_effects", "fit_random_effects, log", "fit_random_effects, serial",
            "fit_gee", "fit_random_logistic", "compare_marginal_means",
        ),
        "refused: A patient belongs to one level of it": ("fit_random_effects, centres",),
        "not estimable: fewer than 3 patients in other": ("fit_random_effects, landmark",),
        "not estimable: the smaller model: fewer than 3 patients in a, b": ("compare_mixed_models",),
        NO_TABLE: (*TABLES,),
        "not estimable: fewer than 3 patients in a, b; fewer than 3 patients in a, b; the intensity of "
        "visits: no more patients than parameters, which a robust variance needs": ("compare_visit_handling",),
        "not estimable: no switch has a comparable pseudo-switch": ("match_pseudo_switches",),
        "not estimable: fewer than 3 matched switches with values on both sides": ("fit_before_after",),
        "not estimable: fewer than 3 patients in all": ("case_against_cohort",),
    },
    "one value each": {
        "not estimable: nobody has 3 values, so 2 effect(s) per patient and residual cannot be told apart": (
            *FOLLOWING, "fit_random_effects",
        ),
        "not estimable: nobody has 2 values, so 1 effect(s) per patient and residual cannot be told apart": (
            "fit_random_effects, log", "fit_random_effects, serial", "fit_random_effects, centres",
            "case_against_cohort",
        ),
        "not estimable: no values": ("fit_random_effects, landmark",),
        "not estimable: no patient has two values, so they have no correlation": ("fit_gee",),
        "not estimable: hardly anybody's values change, so how far patients differ has no limit": (
            "fit_random_logistic",
        ),
        "not estimable: the smaller model: nobody has 2 values, so 1 effect(s) per patient and residual "
        "cannot be told apart": ("compare_mixed_models",),
        NO_TABLE: (*TABLES,),
        "not estimable: no visit but planned ones, or nobody was seen twice": ("compare_visit_handling",),
        "not estimable: fewer than 3 matched switches with values on both sides": ("fit_before_after",),
    },
    "no values": {
        "not estimable: no values": (*MIXED, "fit_gee"),
        "not estimable: all values are the same": ("fit_random_logistic",),
        "refused: A difference is between two groups": ("compare_marginal_means",),
        "not estimable: the smaller model: no values": ("compare_mixed_models",),
        NO_TABLE: (*TABLES,),
        "not estimable: no values; no planned visit; no visit but planned ones, or nobody was seen twice": (
            "compare_visit_handling",
        ),
        "not estimable: fewer than 3 matched switches with values on both sides": ("fit_before_after",),
        "refused: The case is one of the patients of the fit": ("case_against_cohort",),
    },
    "one group empty": {
        "refused: A difference is between two groups": ("compare_marginal_means",),
        "not estimable: the intensity of visits: only one group in group": ("compare_visit_handling",),
    },
    "a group of one": {
        "not estimable: fewer than 3 patients in a": (
            *REPEATED, *FOLLOWING, "fit_random_effects", "fit_random_effects, log", "fit_random_effects, serial",
            "fit_random_effects, centres", "fit_gee", "fit_random_logistic", "compare_marginal_means",
        ),
        "not estimable: the smaller model: fewer than 3 patients in a": ("compare_mixed_models",),
        NO_TABLE: (*TABLES,),
        "not estimable: fewer than 3 patients in a; fewer than 3 patients in a; fewer than 3 patients in a": (
            "compare_visit_handling",
        ),
    },
    "a group never at baseline": {},
    "all values alike": {
        "not estimable: the fixed effects explain every value exactly: nothing is left to vary between "
        "patients": (*LINES, *FOLLOWING, "fit_before_after", "case_against_cohort"),
        "not estimable: compound symmetry (the fixed effects explain every value exactly)": (
            "fit_repeated_measures", "compare_marginal_means",
        ),
        "not estimable: ar1 (the fixed effects explain every value exactly)": ("fit_repeated_measures, robust",),
        "not estimable: exponential (the fixed effects explain every value exactly)": (
            "fit_repeated_measures, weights",
        ),
        "not estimable: the values lie on the model exactly": ("fit_gee",),
        "not estimable: all values are the same": ("fit_random_logistic",),
        "not estimable: the smaller model: the fixed effects explain every value exactly: nothing is left to "
        "vary between patients": ("compare_mixed_models",),
        NO_TABLE: (*TABLES,),
        "not estimable: the values lie on the model exactly; the values lie on the model exactly; the "
        "intensity of visits: terms are constant or collinear": ("compare_visit_handling",),
    },
    "values on a line": {
        "not estimable: the fixed effects explain every value exactly: nothing is left to vary between "
        "patients": (
            *FOLLOWING, "fit_random_effects", "fit_random_effects, serial", "fit_random_effects, centres",
            "fit_random_effects, landmark", "fit_before_after",
        ),
        "not estimable: compound symmetry (the fixed effects explain every value exactly)": (
            "fit_repeated_measures", "compare_marginal_means",
        ),
        "not estimable: ar1 (the fixed effects explain every value exactly)": ("fit_repeated_measures, robust",),
        "not estimable: exponential (the fixed effects explain every value exactly)": (
            "fit_repeated_measures, weights",
        ),
        "not estimable: the values lie on the model exactly": ("fit_gee",),
        "not estimable: fitted probabilities of 0 or 1: a term separates the values": ("fit_random_logistic",),
        "not estimable: the smaller model: the fixed effects explain every value exactly: nothing is left to "
        "vary between patients": ("compare_mixed_models",),
        NO_TABLE: (*TABLES,),
        "not estimable: the values lie on the model exactly; the values lie on the model exactly; the "
        "intensity of visits: the likelihood is monotone in 'last_value' (the events separate, or nothing "
        "varies among those at risk)": ("compare_visit_handling",),
    },
    "levels without error": {
        "not estimable: fixed effects and a patient's own explain every value exactly: nothing is left to "
        "vary within patients": (*LINES, *FOLLOWING, "fit_before_after", "case_against_cohort"),
        "not estimable: compound symmetry (the likelihood has no maximum: the values at visits 1, 2, 4, 5 "
        "determine each other: a combination has variance 0)": ("fit_repeated_measures", "compare_marginal_means"),
        "not estimable: ar1 (fixed effects and a patient's own explain every value exactly: nothing is left "
        "to vary within patients)": ("fit_repeated_measures, robust",),
        "not estimable: exponential (the likelihood has no maximum: the values at visits 1, 2, 3, 4, 5 "
        "determine each other: a combination has variance 0)": ("fit_repeated_measures, weights",),
        "not estimable: a working correlation of 1 is impossible for 5 values of a patient": ("fit_gee",),
        "not estimable: hardly anybody's values change, so how far patients differ has no limit": (
            "fit_random_logistic",
        ),
        "not estimable: the smaller model: fixed effects and a patient's own explain every value exactly: "
        "nothing is left to vary within patients": ("compare_mixed_models",),
        NO_TABLE: (*TABLES,),
    },
    "values of 0": {
        "refused: The log scale needs positive values": ("fit_random_effects, log", "case_against_cohort"),
    },
    "words for values": {
        NUMBERS: (
            *MIXED, *TABLES, "fit_gee", "describe_trajectories", "compare_marginal_means", "compare_mixed_models",
            "compare_visit_handling", "fit_before_after", "case_against_cohort",
        ),
        "not estimable: all values are the same": ("fit_random_logistic",),
    },
    "infinite values": {
        NUMBERS: (
            *MIXED, *TABLES, "fit_gee", "describe_trajectories", "compare_marginal_means", "compare_mixed_models",
            "compare_visit_handling", "fit_before_after", "case_against_cohort",
        ),
    },
    "values beyond squares": {
        "refused: Values lie below 1e+100, and not all of them below 1e-100": (
            *MIXED, *TABLES, "fit_gee", "compare_marginal_means", "compare_mixed_models", "compare_visit_handling",
            "fit_before_after", "case_against_cohort",
        ),
        "not estimable: all values are the same": ("fit_random_logistic",),
    },
    "tiny values": {
        "not estimable: all values are the same": ("fit_random_logistic",),
    },
    "one time for all": {
        "not estimable: the columns of the random effects depend on each other: their variances cannot be "
        "told apart": (*FOLLOWING, "fit_random_effects"),
        "not estimable: too few patients, or too few values of each, to tell the variances of the model apart": (
            "fit_random_effects, serial",
        ),
        "not estimable: exponential (64 values have the same time as the patient's value before)": (
            "fit_repeated_measures, weights",
        ),
        "not estimable: the larger model: the columns of the random effects depend on each other: their "
        "variances cannot be told apart": ("compare_mixed_models",),
        "not estimable: no visit but planned ones, or nobody was seen twice": ("compare_visit_handling",),
        "not estimable: fewer than 3 matched switches with values on both sides": ("fit_before_after",),
        "not estimable: two values of a patient at one time are the same value of an exponential process: "
        "they need an error of their own": ("case_against_cohort",),
    },
    "NaN covariates": {
        MISSING: (
            *REPEATED, *FOLLOWING, *TABLES, "fit_random_effects", "fit_random_effects, log",
            "fit_random_effects, serial", "fit_random_effects, centres", "fit_gee", "compare_marginal_means",
            "compare_mixed_models",
        ),
        "not estimable: no switch has a comparable pseudo-switch": ("match_pseudo_switches",),
        "not estimable: fewer than 3 matched switches with values on both sides": ("fit_before_after",),
    },
    "a covariate that the groups make up": {},
    "weights of 0": {
        "refused: The residual variance is divided by the weight": (
            "fit_random_effects, centres", "fit_repeated_measures, weights",
        ),
    },
    "groups that change within patients": {
        "not estimable: the intensity of visits: the likelihood is monotone in 'group: b (ref. a)' (the "
        "events separate, or nothing varies among those at risk)": ("compare_visit_handling",),
    },
}  # fmt: skip


def expected(function, situation):
    return next((said for said, functions in ANSWERS[situation].items() if function in functions), "estimated")


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_answers_or_says_why_not(function, situation):
    assert answer(function, situation) == expected(function, situation)
