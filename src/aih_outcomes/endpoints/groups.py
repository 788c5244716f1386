"""Who belongs to which group, and since when that is known (statistics, rules 1 to 6)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import IN_WORDS, days_since
from aih_outcomes.endpoints.evaluation import MET, NOT_EVALUABLE
from aih_outcomes.endpoints.response import Response
from aih_outcomes.endpoints.treatment import derive_treatment_starts
from aih_outcomes.errors import PlanError
from aih_outcomes.outcomes import Groups

RESPONDER = "Responder"
NOT_YET = "Not yet in response"
INSUFFICIENT = "Insufficient response"
NON_RESPONSE = "Non-response"
ENOUGH_FALL = "≥ 50 % fall"
SECOND_LINE_RESPONDER = "Responder on second line"
TARGETED = "Targeted therapy"
EMPIRICAL = "Empirical advanced therapy"
NOT_EVALUABLE_LABEL = "Not evaluable"


def attained_by(response: Response, day: int) -> Groups:
    """Return *responder* or *not yet*: was response attained, and known, by ``day``? A response lost again counts.

    Whoever has no result of these analytes up to ``day`` has no label: status is not documented.
    """
    documented = response.results["analyte"].isin(response.definition.analytes) & (response.results["day"] <= day)
    patients = response.patients[response.patients.isin(response.results.loc[documented, "patient_id"])]
    first = response.first_attained().set_index("patient_id")
    first = first[first["known_at"] <= day].reindex(patients)
    frame = pd.DataFrame(
        {
            "patient_id": patients,
            "label": np.where(first["known_at"].notna(), RESPONDER, NOT_YET),
            "onset": first["onset"].fillna(day).to_numpy(float),
            "known_at": first["known_at"].fillna(day).to_numpy(float),
        }
    )
    return _groups(frame, response, f"attained by day {day}", (NOT_YET, RESPONDER), landmark=day)


def status_at(response: Response, day: int, *, window: tuple[int, int]) -> Groups:
    """Return *responder*, *insufficient response* or *not evaluable* by the status in ``window``.

    The groups are fixed at ``day``, the earliest landmark they may be used at.

    Raises
    ------
    PlanError : the window ends after ``day``
    """
    if window[1] > day:
        raise PlanError(
            f"The landmark is day {day}, its window ends on day {window[1]}",
            "A landmark lies at or after the end of the window it uses",
            f"Set day={window[1]} or later, or end the window earlier",
        )
    return _from_status(response, response.status_at(window), f"status on days {window[0]}–{window[1]}", day=day)


def attained_or_insufficient(response: Response, day: int) -> Groups:
    """Return *responder* (attained by ``day``), *insufficient response*, or *not evaluable*: the primary contrast."""
    return _from_status(response, response.status_by(day), f"attained by day {day}", day=day)


def _from_status(response: Response, status: pd.DataFrame, detail: str, *, day: int) -> Groups:
    conditions = [status["status"] == MET, status["status"] == NOT_EVALUABLE]
    label = np.select(conditions, [RESPONDER, NOT_EVALUABLE_LABEL], INSUFFICIENT)
    frame = status.assign(label=label)[["patient_id", "label", "onset", "known_at"]]
    return _groups(frame, response, detail, (INSUFFICIENT, RESPONDER, NOT_EVALUABLE_LABEL), landmark=day)


def non_response_at(response: Response) -> Groups:
    """Return *≥ 50 % fall*, *non-response* or *not evaluable* at the end of the four-week window.

    Raises
    ------
    PlanError : the criteria have no rule of non-response
    """
    rule = response.non_response_rule()
    status = response.non_response()
    conditions = [status["status"] == MET, status["status"] == NOT_EVALUABLE]
    label = np.select(conditions, [NON_RESPONSE, NOT_EVALUABLE_LABEL], ENOUGH_FALL)
    frame = status.assign(label=label)[["patient_id", "label", "onset", "known_at"]]
    levels = (NON_RESPONSE, ENOUGH_FALL, NOT_EVALUABLE_LABEL)
    return _groups(
        frame, response, f"fall by day {rule.by_day}", levels, landmark=rule.window[1], analytes=rule.analytes
    )


def ever_attained(response: Response) -> Groups:
    """Return when each patient first attained response, if ever: for groups that change with time.

    Patients who never did have no row: over time they are *undetermined*, never non-responders.
    """
    frame = response.first_attained().assign(label=RESPONDER)[["patient_id", "label", "onset", "known_at"]]
    return _groups(frame, response, "ever attained", (RESPONDER,), irreversible=True)


def derive_groups(cohort: Cohort, response: Response, *, day: int) -> Groups:
    """Build disjoint groups at ``day`` from the two axes, response and treatment (statistics, rule 4).

    In this order: targeted (gene-matched, first dose on or before ``day``, whatever the response) · empirical advanced
    apart · responder without second line · responder on second line · insufficient response · not evaluable. Who had
    the event by ``day`` is left out by the landmark, which counts them. Those who move later stay: see
    ``derive_later_moves``.
    """
    status = response.status_by(day).set_index("patient_id")["status"].to_numpy()
    begun = _start_days(cohort, response) <= day
    met, second = status == MET, begun["second_line"].to_numpy(bool)
    conditions = [begun["gene_matched"], begun["empirical_advanced"], met & ~second, met, status == NOT_EVALUABLE]
    label = np.select(
        conditions, [TARGETED, EMPIRICAL, RESPONDER, SECOND_LINE_RESPONDER, NOT_EVALUABLE_LABEL], INSUFFICIENT
    )
    frame = pd.DataFrame({"patient_id": response.patients, "label": label, "onset": day, "known_at": day})
    levels = (INSUFFICIENT, RESPONDER, SECOND_LINE_RESPONDER, EMPIRICAL, TARGETED, NOT_EVALUABLE_LABEL)
    return _groups(frame, response, f"and treatment, at day {day}", levels, landmark=day)


def derive_later_moves(cohort: Cohort, response: Response, *, day: int) -> pd.DataFrame:
    """Count who of each group at ``day`` began another treatment later: they stay in their group (treatment policy).

    Returns
    -------
    frame ``label, moved_to, n, median_day`` (days since time zero); groups and treatments with no move are absent
    """
    groups = derive_groups(cohort, response, day=day)
    labels = groups.frame.set_index("patient_id")["label"]
    names = {"second_line": "Second line", "empirical_advanced": EMPIRICAL, "gene_matched": TARGETED}
    starts = _start_days(cohort, response).rename(columns=names)
    moves = starts.melt(ignore_index=False, var_name="moved_to", value_name="start").reset_index()
    moves = moves[moves["start"] > day].assign(label=lambda m: m["patient_id"].map(labels).astype("string"))
    counted = moves.groupby(["label", "moved_to"], as_index=False).agg(
        n=("start", "size"), median_day=("start", "median")
    )
    return counted.astype({"moved_to": "string", "n": "Int64", "median_day": float})


def _start_days(cohort: Cohort, response: Response) -> pd.DataFrame:
    """First day of each kind of treatment since time zero (index ``patient_id``); NaN where never."""
    starts = derive_treatment_starts(cohort).set_index("patient_id").reindex(response.patients)
    starts.index.name = "patient_id"
    ids = pd.Series(starts.index, index=starts.index)
    kinds = ("second_line", "empirical_advanced", "gene_matched")
    return pd.DataFrame({kind: days_since(response.zero, ids, starts[kind]).astype(float) for kind in kinds})


def targeted_over_time(cohort: Cohort, response: Response) -> Groups:
    """Return when gene-matched therapy began, for groups that change with time; once begun it stays (absorbing)."""
    start = _start_days(cohort, response)["gene_matched"].dropna().clip(lower=0)
    frame = pd.DataFrame(
        {"patient_id": start.index, "label": TARGETED, "onset": start.to_numpy(), "known_at": start.to_numpy()}
    )
    return Groups(
        _in_order(frame), "gene-matched therapy", (TARGETED,), IN_WORDS[response.time_zero], irreversible=True
    )


def _groups(
    frame: pd.DataFrame,
    response: Response,
    detail: str,
    levels: tuple[str, ...],
    *,
    landmark: int | None = None,
    irreversible: bool = False,
    analytes: tuple[str, ...] | None = None,
) -> Groups:
    return Groups(
        _in_order(frame),
        f"response to first-line treatment ({response.definition.title}), {detail}",
        levels,
        IN_WORDS[response.time_zero],
        response.definition.analytes if analytes is None else analytes,
        irreversible,
        landmark,
    )


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({"onset": float, "known_at": float}).sort_values("patient_id", ignore_index=True)
