"""Who belongs to which group, and since when that is known (statistics, rules 1 to 6)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_gene_matches
from aih_outcomes.endpoints.clock import IN_WORDS
from aih_outcomes.endpoints.response.evaluation import IS_MET, MET, NOT_EVALUABLE, OPEN
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.timelines import NEVER, SPAN, on_line
from aih_outcomes.endpoints.treatment.genes import find_genes, find_matches
from aih_outcomes.endpoints.treatment.starts import find_starts
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
GROUP_LEVELS = (INSUFFICIENT, RESPONDER, SECOND_LINE_RESPONDER, EMPIRICAL, TARGETED, NOT_EVALUABLE_LABEL)
UNTESTED = "Untested"
NO_VARIANT = "No variant found"
NO_MATCH = "Variant without a match"


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
    """Return *responder* (attained by ``day``), *insufficient response*, or *not evaluable*: the primary contrast.

    Raises
    ------
    PlanError : ``day`` lies before the last day on which the criteria let response be attained
    """
    _refuse_early(response, day)
    return _from_status(response, response.status_by(day), f"attained by day {day}", day=day)


def _refuse_early(response: Response, day: int) -> None:
    """Refuse to call anybody's response insufficient before the criteria's time is over."""
    until = response.definition.windows.by[1]
    if day < until:
        raise PlanError(
            f"Groups are asked for at day {day}, the criteria give until day {until}",
            "Nobody's response is insufficient before the end of the window",
            f"Set day={until} or later, or use attained_by(response, {day}): responder or not yet",
        )


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


def derive_groups(response: Response, *, day: int) -> Groups:
    """Build disjoint groups at ``day`` from the two axes, response and treatment (statistics, rule 4).

    In this order: targeted (gene-matched, first dose on or before ``day``, whatever the response) · empirical advanced
    apart · responder without second line · responder on second line · insufficient response · not evaluable. Who had
    the event by ``day`` is left out by the landmark, which counts them. Those who move later stay: see
    ``derive_later_moves``.

    Raises
    ------
    PlanError : ``day`` lies before the last day on which the criteria let response be attained
    """
    _refuse_early(response, day)
    label = label_groups(response, day=day)
    frame = pd.DataFrame({"patient_id": response.patients, "label": label, "onset": day, "known_at": day})
    return _groups(frame, response, f"and treatment, at day {day}", GROUP_LEVELS, landmark=day)


def label_groups(response: Response, *, day: int) -> NDArray[np.object_]:
    """Return each patient's group at ``day`` (n,), as ``derive_groups`` does, whether or not the event came before."""
    status, begun = response.find_by(day).met, find_starts(response.timelines)
    met, second = status == IS_MET, begun.second_line <= day
    conditions = [begun.gene_matched <= day, begun.empirical_advanced <= day, met & ~second, met, status == OPEN]
    labels = [TARGETED, EMPIRICAL, RESPONDER, SECOND_LINE_RESPONDER, NOT_EVALUABLE_LABEL]
    return np.select(conditions, labels, INSUFFICIENT).astype(object)


def derive_later_moves(response: Response, *, day: int) -> pd.DataFrame:
    """Count who of each group at ``day`` began another treatment later: they stay in their group (treatment policy).

    Returns
    -------
    frame ``label, moved_to, n, median_day`` (days since time zero); groups and treatments with no move are absent
    """
    groups = derive_groups(response, day=day)
    labels = groups.frame.set_index("patient_id")["label"]
    names = {"second_line": "Second line", "empirical_advanced": EMPIRICAL, "gene_matched": TARGETED}
    begun = find_starts(response.timelines)
    starts = pd.DataFrame(
        {"patient_id": response.patients} | {words: getattr(begun, kind) for kind, words in names.items()}
    )
    moves = starts.melt(id_vars="patient_id", var_name="moved_to", value_name="start")
    moves = moves[moves["start"] > day].assign(label=lambda m: m["patient_id"].map(labels).astype("string"))
    counted = moves.groupby(["label", "moved_to"], as_index=False).agg(
        n=("start", "size"), median_day=("start", "median")
    )
    return counted.astype({"moved_to": "string", "n": "Int64", "median_day": float})


def targeted_over_time(response: Response) -> Groups:
    """Return when gene-matched therapy began, for groups that change with time; once begun it stays (absorbing)."""
    day = np.fmax(find_starts(response.timelines).gene_matched, 0)
    begun = ~np.isnan(find_starts(response.timelines).gene_matched)
    frame = pd.DataFrame(
        {"patient_id": response.patients[begun], "label": TARGETED, "onset": day[begun], "known_at": day[begun]}
    )
    return Groups(
        _in_order(frame), "gene-matched therapy", (TARGETED,), IN_WORDS[response.time_zero], irreversible=True
    )


def gene_groups(response: Response) -> Groups:
    """Return what genetic testing has found by each day, since the result was there (clinic 12, 13; statistics 1).

    Untested is not negative. A variant of class 4 or 5 with its mechanism confirmed belongs to the gene group of its
    gene, mechanism and zygosity; any other variant that is not known to be benign (class 1 or 2) has *no match*. A
    finding stays until that gene and mechanism are classified again, and a negative panel does not end it; of two gene
    groups the first known, of one day the first in the catalogue. Where a re-classification takes a label back the
    groups are not irreversible: Simon-Makuch and Mantel-Byar refuse them.
    """
    timelines = response.timelines
    found, matches = find_genes(timelines), find_matches(timelines, "gene_group")
    levels = (UNTESTED, NO_VARIANT, NO_MATCH, *dict.fromkeys(read_gene_matches()["gene_group"]))
    ended = found.stop < NEVER
    who = np.concatenate([np.arange(timelines.n), found.patient, found.patient[ended]])
    when = np.concatenate([np.zeros(timelines.n, dtype=np.int64), found.day, found.stop[ended] + 1])
    asked = np.unique(on_line(who, np.maximum(when, 0)))
    patient, day = asked // SPAN, asked % SPAN - SPAN // 2
    standing = [found.stood(chosen).covers(patient, day) for chosen in (found.unmatched, found.negative)]
    code, since = np.select(standing, [2, 1], 0), np.full(len(asked), NEVER)
    for name, stood in matches.items():
        began = np.append(stood.start, NEVER)[stood.at(patient, day)]  # the last is that of none
        code, since = np.where(began < since, levels.index(name), code), np.minimum(since, began)
    same = np.append(False, patient[1:] == patient[:-1])[: len(patient)]
    before = np.append(0, code)[: len(code)]
    told = ~same | (code != before)
    days = day[told].astype(float)
    frame = pd.DataFrame(
        {
            "patient_id": timelines.patients.take(patient[told]),
            "label": np.array(levels, dtype=object)[code[told]],
            "onset": days,
            "known_at": days,
        }
    )
    goes_back = bool((same & (code < before)).any())
    return Groups(frame, "gene group", levels, IN_WORDS[response.time_zero], irreversible=not goes_back)


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
