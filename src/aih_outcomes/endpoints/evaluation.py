"""Evaluations: which results belong together, and whether each set meets the criteria.

Every step is one operation over all rows; a patient's evaluations depend on that patient's rows alone. An evaluation
looks back, never ahead: on the day of each sample it holds the latest result of each analyte that is recent enough.
So it is known on its own day, and no two of its results lie further apart than the criteria allow.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_drugs
from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import days_since
from aih_outcomes.endpoints.definition import Criterion, Definition

MET, NOT_MET, NOT_EVALUABLE = "met", "not met", "not evaluable"
STATUSES = (MET, NOT_MET, NOT_EVALUABLE)
AT_LIMIT = 1e-9  # relative: converting units leaves a last bit, which must not push a value at the limit over it
BELOW, ABOVE = ("<", "<="), (">", ">=")
_PATIENT_SPAN = 1 << 20  # days between the clocks of two patients on one line; more than anyone lives


def results_on_clock(cohort: Cohort, zero: pd.Series, definition: Definition) -> pd.DataFrame:
    """Return the results of patients with a time zero, up to the day before transplant.

    Returns
    -------
    frame ``row`` (position in ``cohort.labs``), ``patient_id, day, date, analyte, value, xuln, comparator, visit``, and
        ``interpretable``: False where a drug that the criteria name makes it say nothing about the disease
    """
    labs = cohort.labs
    rows = labs[["patient_id", "date", "analyte", "value", "comparator", "visit"]].assign(
        row=np.arange(len(labs)),
        day=days_since(zero, labs["patient_id"], labs["date"]),
        xuln=labs["value"] / labs["uln"],
    )
    transplants = cohort.events[cohort.events["kind"] == "transplant"].groupby("patient_id")["date"].min()
    transplanted = pd.to_datetime(rows["patient_id"].map(transplants))
    native = transplanted.isna() | (rows["date"] < transplanted)
    rows = rows[rows["day"].notna() & native].reset_index(drop=True)
    rows["interpretable"] = _interpretable(rows, cohort, definition)
    columns = ["row", "patient_id", "day", "date", "analyte", "value", "xuln", "comparator", "visit", "interpretable"]
    return rows[columns].astype({"day": "int64"})


def _interpretable(results: pd.DataFrame, cohort: Cohort, definition: Definition) -> NDArray[np.bool_]:
    good = np.ones(len(results), dtype=bool)
    classes = cohort.treatments["drug"].map(read_drugs().set_index("drug")["drug_class"])
    for rule in definition.not_interpretable:
        given = cohort.treatments.loc[classes == rule.drug_class, ["patient_id", "start", "stop"]]
        samples = results.loc[results["analyte"] == rule.analyte, ["patient_id", "date"]].reset_index()
        pairs = samples.merge(given, on="patient_id")
        until = pairs["stop"] + pd.Timedelta(days=rule.days)
        hit = (pairs["date"] >= pairs["start"]) & (pairs["stop"].isna() | (pairs["date"] <= until))
        good[pairs.loc[hit, "index"].to_numpy(int)] = False
    return good


def judge(results: pd.DataFrame, criterion: Criterion) -> NDArray[np.float64]:
    """Return 1 where a result meets the criterion, 0 where not, NaN where its sign or a missing ULN leaves it open.

    ``<50`` against a limit of 40 may be either; ``<30`` meets it, and ``>40`` does not.
    """
    size = results["xuln" if criterion.at_most is None else "value"].to_numpy(float)
    limit = criterion.limit
    met = size <= limit * (1 + AT_LIMIT)
    below = results["comparator"].isin(BELOW).to_numpy(bool)
    above = results["comparator"].isin(ABOVE).to_numpy(bool)
    beyond = results["comparator"].eq(">").to_numpy(bool) & (size >= limit * (1 - AT_LIMIT))
    unclear = np.isnan(size) | (below & ~met) | (above & met & ~beyond)
    return np.select([unclear, met & ~beyond], [np.nan, 1.0], 0.0)


def evaluate(results: pd.DataFrame, criteria: tuple[Criterion, ...], *, same_evaluation_days: int) -> pd.DataFrame:
    """Judge every day after time zero on which any of the analytes was measured.

    Any abnormal result makes the evaluation *not met*; otherwise a missing one makes it *not evaluable*: a missing IgG
    is never a normal IgG. A result that is not interpretable counts as missing. Results up to day 0 are baseline.

    Returns
    -------
    frame ``patient_id, day, status, known_day``, and per analyte ``<analyte>`` (1, 0, NaN) and ``<analyte>_row``
    (position in the cohort's labs; missing where none): the rows that decided. ``known_day`` is the last day of these
    rows; ``day`` is where the status began: for *met* the first of them after the last abnormal result, else
    ``known_day``
    """
    names = tuple(c.analyte for c in criteria)
    after = results[results["analyte"].isin(names) & (results["day"] >= 1)]
    judged = after[["patient_id", "day", "analyte", "row"]].assign(size=after["value"], judged=np.nan)
    for criterion in criteria:
        own = (after["analyte"] == criterion.analyte).to_numpy(bool)
        judged.loc[own, "judged"] = judge(after[own], criterion)
    judged["judged"] = judged["judged"].where(after["interpretable"])
    found = combine(judged, names, within=same_evaluation_days)
    values, days = found[list(names)].to_numpy(float), found[[f"{name}_day" for name in names]].to_numpy(float)
    known = found["known_day"].to_numpy(float)
    abnormal, complete = (values == 0).any(axis=1), (values == 1).all(axis=1)
    fresh = ((values == 0) & (days == known[:, None])).any(axis=1)
    last_abnormal = (
        pd.Series(np.where(fresh, known, 0.0)).groupby(found["patient_id"].to_numpy()).cummax().to_numpy(float)
    )
    began = np.where(days > last_abnormal[:, None], days, np.inf).min(axis=1, initial=np.inf)
    found["day"] = np.where(complete, began, known).astype("int64")
    found["status"] = np.select([abnormal, complete], [NOT_MET, MET], NOT_EVALUABLE)
    return found[["patient_id", "day", "status", "known_day", *names, *[f"{name}_row" for name in names]]]


def combine(judged: pd.DataFrame, analytes: tuple[str, ...], *, within: int) -> pd.DataFrame:
    """Lay side by side, on each day with a sample, the latest result of each analyte from the last ``within`` days.

    Of several results of one analyte on one day the worst counts: abnormal before unclear before normal, then the
    highest.

    Parameters
    ----------
    judged : ``patient_id, day`` (1 or later)``, analyte, row, size, judged`` (1, 0, NaN)

    Returns
    -------
    frame ``patient_id, known_day``, and per analyte ``<analyte>, <analyte>_row, <analyte>_day``; by patient and day
    """
    patient, ids = pd.factorize(judged["patient_id"], sort=True)
    line = patient.astype("int64") * _PATIENT_SPAN + judged["day"].to_numpy("int64")
    asked = np.unique(line)
    found: dict[str, object] = {"patient_id": ids.take(asked // _PATIENT_SPAN), "known_day": asked % _PATIENT_SPAN}
    for analyte in analytes:
        own = (judged["analyte"] == analyte).to_numpy(bool)
        rows, when = judged[own], line[own]
        result = rows["judged"].to_numpy(float)
        rank = np.select([result == 0, np.isnan(result)], [2, 1], 0)
        order = np.lexsort((rows["row"], rows["size"], rank, when))
        when, result, row = when[order], result[order], rows["row"].to_numpy("int64")[order]
        at = np.searchsorted(when, asked, side="right") - 1
        near = at >= 0
        near[near] = when[at[near]] >= asked[near] - within
        found[analyte] = _put(result, at, near)
        found[f"{analyte}_row"] = pd.array(_put(row, at, near), dtype="Float64").astype("Int64")
        found[f"{analyte}_day"] = _put(when % _PATIENT_SPAN, at, near)
    return pd.DataFrame(found)


def _put(values: NDArray[np.generic], at: NDArray[np.intp], near: NDArray[np.bool_]) -> NDArray[np.float64]:
    out = np.full(len(at), np.nan)
    out[near] = values[at[near]]
    return out
