"""The clinician's judgement beside the algorithm's, never in its place (clinic 26)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.response.evaluation import NOT_EVALUABLE, STATUSES
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.errors import DataError, refuse_unknown

JudgedEndpoint = Literal["response_by_6_months", "non_response_4_weeks"]
Judge = Literal["algorithm", "clinician"]
SIX_MONTHS = 182  # the last day of "by 6 months"
NOT_JUDGED = "not judged"
JUDGEMENT_COLUMNS = ("patient_id", "endpoint", "clinician", "reason", "initials", "date", "latest", "n_judgements")
OVERRIDE_COLUMNS = ("patient_id", "endpoint", "algorithm", "clinician", "agrees", *JUDGEMENT_COLUMNS[3:])


def derive_overrides(response: Response) -> pd.DataFrame:
    """Return every judgement of a clinician with the algorithm's beside it; earlier judgements are kept.

    A patient without time zero is *not evaluable* to the algorithm. Non-response is judged as such: *met* is too small
    a fall.

    Returns
    -------
    frame ``patient_id, endpoint, algorithm, clinician, agrees, reason, initials, date, latest`` (this judgement
    counts)``, n_judgements`` (of this patient and endpoint), by patient, endpoint and date

    Raises
    ------
    DataError : judgements of one day contradict each other
    PlanError : non-response was judged, and the criteria have no rule of it
    """
    table = _judgements(response.timelines.cohort)
    algorithm = np.full(len(table), NOT_EVALUABLE, dtype=object)
    for endpoint in table["endpoint"].unique():
        own = (table["endpoint"] == endpoint).to_numpy(bool)
        judged = _statuses(response, endpoint).reindex(table.loc[own, "patient_id"])
        algorithm[own] = judged.fillna(NOT_EVALUABLE).to_numpy(object)
    table["algorithm"] = algorithm
    table["agrees"] = table["algorithm"] == table["clinician"]
    return table[list(OVERRIDE_COLUMNS)]


def compare_with_clinician(response: Response, *, endpoint: JudgedEndpoint) -> pd.DataFrame:
    """Count patients by the algorithm's judgement and the clinician's latest one.

    Returns
    -------
    frame ``algorithm, clinician, n``: every pair of *met*, *not met*, *not evaluable*, and who was *not judged* by a
    clinician; pairs that do not occur have 0

    Raises
    ------
    DataError : judgements of one day contradict each other
    PlanError : the endpoint is not one that clinicians judge, or the criteria have no rule of it
    """
    algorithm, latest = _statuses(response, endpoint), _latest(response, endpoint)["clinician"]
    patients = algorithm.index.union(latest.index)  # a judgement of a patient without time zero counts too
    by_algorithm = pd.Categorical(algorithm.reindex(patients).fillna(NOT_EVALUABLE), categories=list(STATUSES))
    by_clinician = pd.Categorical(latest.reindex(patients).fillna(NOT_JUDGED), categories=[*STATUSES, NOT_JUDGED])
    n = np.zeros((len(STATUSES), len(STATUSES) + 1), dtype=np.int64)
    np.add.at(n, (by_algorithm.codes, by_clinician.codes), 1)
    pairs = pd.MultiIndex.from_product([by_algorithm.categories, by_clinician.categories])
    table = pd.DataFrame({"algorithm": pairs.get_level_values(0), "clinician": pairs.get_level_values(1)})
    return table.assign(n=pd.array(n.ravel(), dtype="Int64"))


def override(response: Response, *, endpoint: JudgedEndpoint, use: Judge | None = None) -> pd.DataFrame:
    """Return the algorithm's statuses of an endpoint with the clinician's latest judgement of it beside each.

    Parameters
    ----------
    use : only when asked: whose judgement ``status_used`` holds. With ``"clinician"`` it is the clinician's where there
        is one, else the algorithm's

    Returns
    -------
    ``response.status_by(182)``, or ``response.non_response()``, with ``clinician_status, clinician_reason,
    clinician_initials, clinician_known_on`` (the day it was written down)``, n_judgements``; with ``use`` also
    ``status_used, status_source`` (algorithm, clinician)``, known_on_used``: nobody knew a judgement before it was
    written down

    Raises
    ------
    DataError : judgements of one day contradict each other
    PlanError : the endpoint is not one that clinicians judge, the criteria have no rule of it, or ``use`` is neither
    """
    if use is not None:
        refuse_unknown(use, get_args(Judge), "whose judgement can be used")
    status = _table(response, endpoint)
    found = _latest(response, endpoint).reindex(status["patient_id"])
    columns = {"clinician_status": "clinician", "clinician_reason": "reason", "clinician_initials": "initials",
               "clinician_known_on": "date"}  # fmt: skip
    beside = status.assign(**{name: found[source].array for name, source in columns.items()})
    beside["n_judgements"] = found["n_judgements"].fillna(0).astype("Int64").array
    if use is None:
        return beside
    by_clinician = beside["clinician_status"].notna() & (use == "clinician")
    return beside.assign(
        status_used=beside["status"].mask(by_clinician, beside["clinician_status"]),
        status_source=np.where(by_clinician, "clinician", "algorithm"),
        known_on_used=beside["known_on"].mask(by_clinician, beside["clinician_known_on"]),
    )


def _table(response: Response, endpoint: str) -> pd.DataFrame:
    """Return the algorithm's statuses.

    Raises
    ------
    PlanError : the endpoint is not one that clinicians judge, or the criteria have no rule of it
    """
    refuse_unknown(endpoint, get_args(JudgedEndpoint), "an endpoint that clinicians judge")
    return response.non_response() if endpoint == "non_response_4_weeks" else response.status_by(SIX_MONTHS)


def _statuses(response: Response, endpoint: str) -> pd.Series:
    """Return the algorithm's status (index ``patient_id``)."""
    return _table(response, endpoint).set_index("patient_id")["status"].astype(object)


def _latest(response: Response, endpoint: str) -> pd.DataFrame:
    """Return the judgement that counts of each patient (index ``patient_id``)."""
    table = _judgements(response.timelines.cohort)
    return table[(table["endpoint"] == endpoint) & table["latest"]].set_index("patient_id")


def _judgements(cohort: Cohort) -> pd.DataFrame:
    """Return ``JUDGEMENT_COLUMNS``, by patient, endpoint and date; of one day the last row counts.

    Raises
    ------
    DataError : judgements of one patient, endpoint and day differ
    """
    rows = cohort.clinician_responses.rename(columns={"clinician_response": "clinician"})
    rows = rows.astype(dict.fromkeys(("patient_id", "endpoint", "clinician", "reason", "initials"), "object"))
    of = ["patient_id", "endpoint"]
    different = rows.drop_duplicates([*of, "date", "clinician"]).duplicated([*of, "date"])
    if different.any():
        raise DataError(
            f"{int(different.sum())} judgement(s) in 'clinician_responses' contradict another of the same day",
            "A patient has one judgement per endpoint and day; of several days the latest counts",
            "Settle them in the notes and keep one row, or correct the date of the later one",
        )
    rows = rows.sort_values([*of, "date"], kind="stable", ignore_index=True)
    rows["latest"] = ~rows.duplicated(of, keep="last")
    rows["n_judgements"] = rows.groupby(of)["date"].transform("size").astype("int64")
    return rows[list(JUDGEMENT_COLUMNS)]
