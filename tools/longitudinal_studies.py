"""Studies of mixed models: courses, nominal visits, visits that follow values, and patients who stop coming."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from survival_study import Interval, Study, Target, find, read_rows

from aih_outcomes.models.longitudinal.gaussian.inference import DegreesOfFreedom
from aih_outcomes.models.longitudinal.gee import fit_gee
from aih_outcomes.models.longitudinal.mixed_model import MixedModel, tidy_contrasts, with_inference
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
from aih_outcomes.models.longitudinal.visit_process import ALL, WEIGHTED, compare_visit_handling
from aih_outcomes.models.longitudinal.visit_process import SCHEDULED as SCHEDULED_ONLY
from aih_outcomes.outcomes import RepeatedMeasures
from aih_outcomes.simulate.mechanisms.clocks import Effect
from aih_outcomes.simulate.mechanisms.courses import Serial, draw_courses
from aih_outcomes.simulate.mechanisms.dropout import Dropout, draw_dropout
from aih_outcomes.simulate.mechanisms.nominal import DAYS
from aih_outcomes.simulate.mechanisms.visit_process import AT, SCHEDULED, Visits, draw_visit_process
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR

N, N_SMALL, N_VISITS, N_PROCESS = 100, 24, 80, 200  # patients, half of them treated
NAN, Z = float("nan"), 1.959964
COVARIATES = ("treated", "marker", "steroid", "unscheduled")
UNBARRED = 0.2  # part of the replicates where no limits are held to a bar
SLOW = 0.4
# Of random effects as pbkrtest. Between visits SAS and mmrm differ: mmrm takes second derivatives in the parameters of
# the Cholesky factor, which makes standard errors smaller than uncorrected ones where patients are few and drop out.
METHODS: dict[str, DegreesOfFreedom] = {
    "Kenward-Roger": "kenward-roger", "Satterthwaite": "satterthwaite", "z": "normal",
}  # fmt: skip
MMRM = "Kenward-Roger as mmrm"
METHODS_OF_VISITS: dict[str, DegreesOfFreedom] = {
    "Kenward-Roger": "kenward-roger", MMRM: "kenward-roger-mmrm", "Satterthwaite": "satterthwaite", "z": "normal",
}  # fmt: skip
TERMS = {"intercept": "intercept", "group: 1 (ref. 0)": "treated", "years": "years", "marker": "marker",
         "group: 1 (ref. 0) × years": "treated_years"}  # fmt: skip
AT_DAY = AT * DAYS_PER_YEAR
HANDLINGS = {
    SCHEDULED_ONLY: "scheduled only", ALL: "all values alike", WEIGHTED: "weighted by the inverse intensity",
}  # fmt: skip


def read_measures(frame: pd.DataFrame) -> RepeatedMeasures:
    """Read what a mechanism drew."""
    covariates = [name for name in COVARIATES if name in frame]
    visit = "visit" if "visit" in frame else None
    return RepeatedMeasures.from_frame(
        frame, patient_id="patient_id", time="time", value="value", visit=visit, covariates=covariates
    )


def courses(rng: Generator, *, serial: Serial, effect: Effect, n: int) -> dict[str, Interval]:
    """Random intercept and slope, with serial correlation where there is any."""
    measures = read_measures(draw_courses(rng, n, serial=serial, effect=effect))
    words = "exponential and error" if serial == "exponential" else "independent"
    fit = fit_random_effects(measures, by="treated", covariates=["marker"], serial=words)
    found: dict[str, Interval] = {}
    for name, df in METHODS.items():
        tidy = with_inference(fit, df, "model").tidy()
        found |= read_rows(tidy, [f"{name}, {TERMS[term]}" for term in tidy["term"]])
    return found


def compute_differences(fit: MixedModel) -> NDArray[np.float64]:
    """(7, p) combinations of the terms: treated − untreated at each visit, and the mean of these."""
    visit = fit.frame["visit"].cat.categories
    cells = pd.DataFrame({"visit": pd.Categorical(visit, categories=visit), "time": np.array(DAYS, float)})
    group = fit.frame["group"].cat.categories
    treated, untreated = (
        fit.code(cells.assign(marker=0.0, group=pd.Categorical([level] * len(cells), categories=group)))
        for level in (group[1], group[0])
    )
    each = treated - untreated
    return np.vstack([each, each.mean(axis=0)])


def fit_visits(frame: pd.DataFrame) -> MixedModel:
    """MMRM with an unstructured covariance of the values seen."""
    return fit_repeated_measures(
        read_measures(frame[frame["seen"]]), by="treated", covariates=["marker"],
        df=METHODS_OF_VISITS["Kenward-Roger"],
    )  # fmt: skip


def visits(rng: Generator, *, effect: Effect, n: int) -> dict[str, Interval]:
    """MMRM with four kinds of limits; one patient in five stops coming at random."""
    fit = fit_visits(draw_dropout(rng, n, dropout="MCAR", effect=effect))
    L, found = compute_differences(fit), dict[str, Interval]()
    names = ["first", *[""] * (len(DAYS) - 2), "last", "mean"]
    for name, df in METHODS_OF_VISITS.items():
        own = with_inference(fit, df, "model")
        rows = read_rows(tidy_contrasts(own, names, *own.contrast(L)), [f"{name}, {term}" for term in names])
        found |= {key: interval for key, interval in rows.items() if not key.endswith(", ")}
        if own.inference is not None and df != "normal":
            found[f"{name}, all visits"] = (own.inference.joint(L[:-1, own.kept])[3], NAN, NAN)
    return found


def dropout(rng: Generator, *, kind: Dropout) -> dict[str, Interval]:
    """MMRM, estimating equations, and complete cases; under MNAR also with what is known of the values not seen."""
    frame = draw_dropout(rng, N_PROCESS, dropout=kind)
    fit = fit_visits(frame)
    rows = tidy_contrasts(fit, ["", *[""] * (len(DAYS) - 2), "last", "mean"], *fit.contrast(compute_differences(fit)))
    found = {f"MMRM, {row.term}": (row.estimate, row.conf_low, row.conf_high) for row in rows.itertuples() if row.term}
    complete = frame.groupby("patient_id")["seen"].transform("all")
    for name, own in (("estimating equations", frame[frame["seen"]]), ("complete cases", frame[complete])):
        found |= by_visit(own, name)
    if kind == "MNAR":
        shift = find("shift of what is not seen", "dropout, MNAR", "treated").value
        for term, at in (("last", frame["time"] == DAYS[-1]), ("mean", frame["time"] > 0)):
            lost = 1 - frame.loc[at & (frame["treated"] == 1), "seen"].mean()
            found[f"MMRM and the shift known, {term}"] = (found[f"MMRM, {term}"][0] + shift * lost, NAN, NAN)
    return found


def by_visit(frame: pd.DataFrame, name: str) -> dict[str, Interval]:
    """Difference at the last visit, and the mean of those at all visits, by estimating equations."""
    fit = fit_gee(read_measures(frame), by="treated", course="visit", correlation="independence", vcov="CR3")
    own = [term.startswith("group") and "×" not in term for term in fit.names]
    each = np.array([[mine or f"× visit: day {day} " in term for mine, term in zip(own, fit.names, strict=True)]
                     for day in DAYS], dtype=float)  # fmt: skip
    found: dict[str, Interval] = {}
    for term, row in (("last", each[-1]), ("mean", each.mean(axis=0))):
        estimate, width = float(row @ fit.estimate), Z * float(row @ fit.vcov @ row) ** 0.5
        found[f"{name}, {term}"] = (estimate, estimate - width, estimate + width)
    return found


def process(rng: Generator, *, kind: Visits) -> dict[str, Interval]:
    """Means at a year: scheduled values only, all values by a mixed model, all alike, and weighted."""
    frame = draw_visit_process(rng, N_PROCESS, visits=kind)
    at_year = frame.assign(time=frame["time"] - AT_DAY)
    flagged = read_measures(at_year.assign(unscheduled=1.0 - frame["scheduled"]))
    compared = compare_visit_handling(flagged, by="treated", ends=SCHEDULED[-1] - AT_DAY).tidy()
    found: dict[str, Interval] = {}
    for handling, name in HANDLINGS.items():
        own = compared[compared["strata"] == handling]
        if kind != "fixed" or handling == SCHEDULED_ONLY:
            found |= read_means(own, name)
    if kind != "fixed":
        fit = fit_random_effects(read_measures(at_year), by="treated", serial="exponential and error")
        found |= read_means(fit.tidy(), "all values, mixed model")
    return found


def read_means(tidy: pd.DataFrame, name: str) -> dict[str, Interval]:
    """Return the mean of the untreated at a year, and the difference."""
    return read_rows(tidy.iloc[:2], [f"{name}, untreated", f"{name}, difference"])


def _courses() -> list[Study]:
    mechanism, found = "Gaussian course", []
    title = f"T9 random intercept and slope, serial correlation, {N} patients"
    full = {f"{name}, {key}": find("fixed effects", mechanism, key, barred=name != "z")
            for name in METHODS for key in TERMS.values()}  # fmt: skip
    null = {f"{name}, {key}": find("fixed effects", f"{mechanism}, null", key, barred=name != "z")
            for name in METHODS for key in ("treated", "treated_years")}  # fmt: skip
    for words, effect, targets in (("", "default", full), (", null", "none", null)):
        draw = partial(courses, serial="exponential", effect=effect, n=N)
        found.append(Study(f"{title}{words}", draw, targets, SLOW))
    title = f"T9 random intercept and slope, {N_SMALL} patients"
    # Satterthwaite leaves the standard error as it is, too small in so few patients: Kenward and Roger's reason.
    small = {f"{name}, {key}": find("fixed effects", mechanism, key, barred=name == "Kenward-Roger")
             for name in METHODS for key in TERMS.values()}  # fmt: skip
    return [*found, Study(title, partial(courses, serial="none", effect="default", n=N_SMALL), small)]


def _visits() -> list[Study]:
    name, own = "means by visit", "Gaussian visits"
    keys = {"first": f"difference_day_{DAYS[0]}", "last": f"difference_day_{DAYS[-1]}", "mean": "difference_mean"}
    targets = {f"{method}, {term}": find(name, own, key, barred=method not in (MMRM, "z"))
               for method in METHODS_OF_VISITS for term, key in keys.items()}  # fmt: skip
    title = f"T9 MMRM, {N_VISITS} patients, one in five stops coming, treated − untreated"
    return [Study(title, partial(visits, effect="default", n=N_VISITS), targets)]


def _dropout() -> list[Study]:
    found = []
    kinds: tuple[Dropout, ...] = ("MCAR", "MAR", "MNAR")
    for kind in kinds:
        own, targets = f"dropout, {kind}", dict[str, Target]()
        for term in ("last", "mean"):
            truth = find("difference", own, term)
            if kind == "MNAR":
                targets[f"MMRM, {term}"] = find("difference, as if MAR", own, term, missed=truth.value)
                targets[f"MMRM and the shift known, {term}"] = truth
            else:
                targets[f"MMRM, {term}"] = truth
            for name, limit in (("estimating equations", "values seen"), ("complete cases", "complete cases")):
                missed = None if kind == "MCAR" else truth.value
                targets[f"{name}, {term}"] = find(f"difference, {limit}", own, term, missed=missed)
        title = f"T11 dropout {kind}, {N_PROCESS} patients"
        found.append(Study(title, partial(dropout, kind=kind), targets))
    return found


def _process() -> list[Study]:
    found = []
    kinds: tuple[Visits, ...] = ("fixed", "observed", "latent")
    for kind in kinds:
        own, targets = f"visits, {kind}", dict[str, Target]()
        for key in ("untreated", "difference"):
            truth = find("mean at 1 year", own, key)
            told = find("mean at 1 year", own, key, barred=False)
            targets[f"scheduled only, {key}"] = truth
            if kind == "fixed":
                continue
            limit = find("mean at 1 year, all values alike", own, key, missed=truth.value)
            targets[f"all values alike, {key}"] = limit
            targets[f"all values, mixed model, {key}"] = truth if kind == "observed" else told
            targets[f"weighted by the inverse intensity, {key}"] = truth if kind == "observed" else told
        title = f"T10 visits {kind}, {N_PROCESS} patients, mean at a year"
        found.append(Study(title, partial(process, kind=kind), targets, UNBARRED))
    return found


def list_studies() -> list[Study]:
    """Return the studies of courses, visits and dropout."""
    return [*_courses(), *_visits(), *_dropout(), *_process()]
