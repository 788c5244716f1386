"""Response rates corrected for missing results: every evaluation is completed by imputation and judged again."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from aih_outcomes.endpoints.response.evaluation import (
    AT_LIMIT,
    IS_MET,
    IS_NOT_MET,
    MET,
    NOT_EVALUABLE,
    OPEN,
    Evaluations,
    Lookup,
    confirm,
    judge,
)
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.response.states import derive_response_status, looks
from aih_outcomes.endpoints.timelines import SPAN, Days, Flags, Floats, on_line
from aih_outcomes.models.imputation import compute_imputations
from aih_outcomes.models.rates import ResponseRates, estimate_rates

# [P] days at which the mean course bends: planned visits of a first year, close together while values fall quickly
MEAN_KNOTS = (0, 7, 14, 28, 56, 84, 126, 175, 273, 364)
PATIENT_KNOTS = (0, 60, 175)  # [P] a patient's own departure from it: at the start, on the way, in the long run
SLOWING = 10.0  # [P] days; time runs as log(1 + day / 10)
UNPLANNED = "unscheduled"


def estimate_response_rates(response: Response, *, imputations: int = 20, rng: Generator) -> ResponseRates:
    """Estimate response rates, and beside them what they would be with every result present.

    Each result that an evaluation lacks, or that cannot be judged, is imputed ``imputations`` times from the patient's
    other results (``compute_imputations``, logarithms of multiples of ULN); the evaluations are judged again, and the
    statuses derived from them as ever. Visits are not imputed: who has no *planned* visit in an endpoint's window is
    left out of its corrected rate, whatever earlier or unplanned visits showed, as those depend on the course.

    Not corrected (NaN) are the fall by 4 weeks, which is taken from a baseline value that may be missing too; criteria
    with limits other than multiples of ULN; and all, where an analyte was never measured.
    """
    statuses = derive_response_status(response)
    rule = response.definition.response
    in_xuln = all(criterion.at_most_xuln is not None for criterion in rule.criteria)
    completed = _complete(response, imputations, rng) if in_xuln else None
    if completed is None:
        return estimate_rates(statuses)
    of_evaluations = statuses["endpoint"].str.startswith(f"{rule.short} ").to_numpy(bool)
    counted = of_evaluations & _had_planned_visit(response)
    met = np.stack([_statuses(_judge_again(response, judged)) == MET for judged in completed])
    return estimate_rates(statuses, completed=np.where(counted, met, np.nan))


def _statuses(response: Response) -> NDArray[np.object_]:
    return derive_response_status(response)["status"].to_numpy(object)


def _complete(response: Response, imputations: int, rng: Generator) -> Floats | None:
    """Return the judgements of all evaluations with none open (draws, m, k); None where an analyte was never measured.

    Evaluations later than every window keep what is open.
    """
    found, definition = response.judged, response.definition
    last = max(definition.windows.at_tolerant[1], *(window[1] for _, window in looks(definition).values()))
    line, values = _lay_out(response, definition.baseline.fallback[0], last)
    imputed = compute_imputations(
        values,
        patient=line // SPAN,
        time=_slow(line % SPAN - SPAN // 2),
        knots=_slow(MEAN_KNOTS),
        patient_knots=_slow(PATIENT_KNOTS),
        draws=imputations,
        rng=rng,
    )
    if np.isnan(imputed).any():
        return None
    due = found.known <= last
    at = np.searchsorted(line, on_line(found.patient[due], found.known[due]))
    limit = np.log([criterion.limit for criterion in definition.response.criteria]) + AT_LIMIT
    completed = np.repeat(found.judged[None], imputations, axis=0)
    completed[:, due] = np.where(np.isnan(found.judged[due]), imputed[:, at] <= limit, found.judged[due])
    return completed


def _lay_out(response: Response, first: int, last: int) -> tuple[Days, Floats]:
    """Return each patient's days with a result (n,), in order, and the logarithms of what was measured then (n, k).

    Missing is also what cannot be judged: not interpretable, without limit, or a sign that leaves it open.
    """
    parts = []
    for criterion in response.definition.response.criteria:
        labs, usable = response.timelines.labs[criterion.analyte], response.interpretable[criterion.analyte]
        near = (labs.day >= first) & (labs.day <= last)
        labs, usable = labs.where(near), usable[near]
        parts.append((labs, usable & (labs.xuln > 0) & ~np.isnan(judge(labs, criterion))))
    line = np.unique(np.concatenate([labs.line for labs, _ in parts]))
    values = np.full((len(line), len(parts)), np.nan)
    for k, (labs, usable) in enumerate(parts):
        order = np.lexsort((labs.xuln, labs.line))
        order = order[usable[order]]  # of several results of one day the highest is written last
        values[np.searchsorted(line, labs.line[order]), k] = np.log(labs.xuln[order])
    return line, values


def _slow(day: Days | tuple[int, ...]) -> Floats:
    """Return the time on which courses are straight between knots: fast at first, level before treatment."""
    return np.asarray(np.log1p(np.maximum(day, 0) / SLOWING))


def _judge_again(response: Response, judged: Floats) -> Response:
    """Return the response with other judgements of its evaluations (m, k)."""
    found = response.judged
    status = np.select([(judged == 0).any(axis=1), (judged == 1).all(axis=1)], [IS_NOT_MET, IS_MET], OPEN)
    status = status.astype(np.int8)
    seen = Lookup(found.patient, found.known, judged, found.row, found.day)
    again = replace(
        found,
        judged=judged,
        status=status,
        onset=np.where(status == found.status, found.onset, found.known),
        confirmed_at=confirm(seen, status, response.definition.response.confirmed_after_days),
    )
    return replace(response, judged=again)


def _had_planned_visit(response: Response) -> Flags:
    """Return whose status, per row of ``derive_response_status``, would be known whatever planned visits had shown.

    Asked of the statuses themselves, with every planned evaluation abnormal: only patients without one in the window
    stay not evaluable, and transplant, death and rescue count as the criteria say.
    """
    found = response.judged
    visit = response.timelines.cohort.labs["visit"].to_numpy(object, na_value="")
    drawn = (found.row >= 0) & (found.day == found.known[:, None])
    planned = (drawn & (visit[found.row] != UNPLANNED)).any(axis=1)
    kept = Evaluations(*(getattr(found, field.name)[planned] for field in fields(found)))
    return np.asarray(
        _statuses(_judge_again(replace(response, judged=kept), np.zeros_like(kept.judged))) != NOT_EVALUABLE
    )
