"""The same result under every definition: the main hazard ratio for each combination of choices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import ndtri

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import TimeZero
from aih_outcomes.endpoints.definition import Definition
from aih_outcomes.endpoints.events.endpoint import derive_time_to_event, read_endpoint
from aih_outcomes.endpoints.groups.groups import RESPONDER, attained_or_insufficient, ever_attained
from aih_outcomes.endpoints.patients.baseline import KNOWN_LATER, derive_baseline
from aih_outcomes.endpoints.response.limits import lacking_in_words, lacking_limits, limits_in_words
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, counts_by_level
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.result import CoxFit
from aih_outcomes.models.survival.designs.design import LANDMARK, TIME_VARYING, caution
from aih_outcomes.models.survival.designs.landmark import landmark
from aih_outcomes.models.survival.designs.time_varying import time_varying
from aih_outcomes.models.terms.design import build_design, refuse_undeclared
from aih_outcomes.outcomes import TimeToEvent
from aih_outcomes.study.definitions import derive_responses, judged_on, read_definitions, refuse_repeats

Rescue = Literal["ignored", "failure"]

RESCUE_WORDS: dict[str, str] = {"ignored": "ignored", "failure": "counted as failure"}
UNADJUSTED = "none"
TOO_EARLY = "not allowed: landmark before the window's end"
ONE_VISIT = "not allowed: judged at one visit, not over time"
NO_EVENTS = "not estimable: no events among responders"
NOBODY = "not estimable: nobody to compare responders with"
CONF_LEVEL = 0.95
COLUMNS = {
    "label": "string", "term": "string", "n_event": "Int64", "estimate": "float64", "std_error": "float64",
    "conf_low": "float64", "conf_high": "float64", "definition": "string", "upper_limits": "string",
    "rescue": "string", "landmark": "float64", "design": "string", "adjustment": "string", "n": "Int64",
    "reference": "string", "n_reference": "Int64", "n_event_reference": "Int64", "main": "bool", "because": "string",
    "caution": "string",
}  # fmt: skip


def derive_specifications(
    cohort: Cohort,
    definitions: Sequence[Definition | str],
    *,
    upper_limits: Sequence[str] = ("as_recorded",),
    landmark_days: Sequence[int] = (182,),
    covariates: Sequence[str] = (),
    rescue: Sequence[Rescue] = ("ignored",),
    endpoint: str = "native-liver-survival",
    time_zero: TimeZero = "induction",
) -> pd.DataFrame:
    """Estimate responders' hazard ratio for every combination of choices; the first of each list is the declared one.

    Choices are response criteria, source of upper limits, how rescue treatment counts, design (each landmark, against
    insufficient response; status changing with time, against *undetermined*), and adjustment (none, the covariates).
    What is followed and adjusted for is derived once, by the declared choices, so that only the choice named changes.

    Parameters
    ----------
    definitions : criteria, or names or files of them; the titles differ
    upper_limits : names among ``UPPER_LIMITS``
    landmark_days : days since time zero; before the end of the criteria's own window a landmark is not allowed
    covariates : what the declared analysis is adjusted for, known at time zero; empty for an unadjusted one

    Returns
    -------
    frame ``label, term, n_event, estimate`` (hazard ratio)``, std_error`` (of its logarithm)``, conf_low, conf_high,
        definition, upper_limits, rescue, landmark`` (day; missing where status changes with time)``, design,
        adjustment, n`` (responders)``, reference, n_reference, n_event_reference, main, because, caution``. A
        combination without an estimate keeps its row, and ``because`` says why

    Raises
    ------
    PlanError : criteria, sources or other choices are not known, or given twice
    OutcomeError : a covariate is not known
    """
    chosen = read_definitions(definitions)
    for names, noun in ((landmark_days, "landmarks"), (rescue, "ways to count rescue")):
        refuse_repeats(list(names), noun)
    responses = derive_responses(cohort, chosen, upper_limits=upper_limits, time_zero=time_zero)
    declared = responses[upper_limits[0], chosen[0].title]
    start = derive_baseline(declared).drop(columns=list(KNOWN_LATER))
    outcome = derive_time_to_event(cohort, read_endpoint(endpoint), time_zero=time_zero, covariates=start)
    refuse_undeclared(outcome, covariates)
    adjustments: list[tuple[str, ...]] = [tuple(covariates), ()] if covariates else [()]
    rows = [
        {"label": outcome.label, "definition": definition.title, "upper_limits": limits_in_words(source),
         "rescue": RESCUE_WORDS[way]} | row
        for definition in chosen for source in upper_limits for way in rescue
        for row in _rows_of(outcome, _counting(responses[source, definition.title], way), landmark_days, adjustments)
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["main"] = np.arange(len(frame)) == 0
    frame = order_columns(frame.astype(COLUMNS))
    frame.attrs = {"time_zero": outcome.time_zero}
    return frame


def _counting(response: Response, rescue: Rescue) -> Response:
    if response.definition.response.rescue == rescue:
        return response
    return response.judged_by(response.definition.choosing(rescue=rescue))


def _rows_of(
    outcome: TimeToEvent, response: Response, landmark_days: Sequence[int], adjustments: list[tuple[str, ...]]
) -> Iterator[dict[str, Any]]:
    """Yield every design and adjustment of one response; landmarks first."""
    for day in (*landmark_days, None):
        started = _start(outcome, response, day)
        design = TIME_VARYING if day is None else LANDMARK
        common: dict[str, Any] = {
            "design": design,
            "caution": caution(design),
            "landmark": np.nan if day is None else day,
        }
        common |= {"because": started} if isinstance(started, str) else _count(started)
        for covariates in adjustments:
            found = {} if isinstance(started, str) else _estimate(started, covariates)
            yield common | {"adjustment": ", ".join(covariates) or UNADJUSTED} | found


def _start(outcome: TimeToEvent, response: Response, day: int | None) -> TimeToEvent | str:
    """Return the outcome with its groups, or why it cannot have them."""
    definition = response.definition
    lacking = lacking_limits(response, definition.windows.by[1] if day is None else judged_on(definition, day))
    if lacking:
        return lacking_in_words(lacking)
    if day is None:
        return time_varying(outcome, ever_attained(response)) if definition.windows.by[0] == 1 else ONE_VISIT
    if day < definition.windows.by[1]:
        return TOO_EARLY
    try:
        return landmark(outcome, attained_or_insufficient(response, judged_on(definition, day)), day=day)
    except OutcomeError as error:
        return f"not estimable: {error.rule}"


def _count(started: TimeToEvent) -> dict[str, Any]:
    """Return patients and events of the responders and of those they are compared with."""
    reference = str(started.frame[GROUP].cat.categories[0])
    sizes = counts_by_level(started.frame, [RESPONDER, reference]).to_numpy()
    counts = dict(zip(("n", "n_event", "n_reference", "n_event_reference"), sizes.ravel(), strict=True))
    return counts | {"reference": reference, "term": f"{RESPONDER} vs {reference}"}


def _estimate(started: TimeToEvent, covariates: tuple[str, ...]) -> dict[str, Any]:
    """Return the hazard ratio of responders against the first level, or why there is none.

    A further group without an event is left out: its ratio goes to 0, and it tells the others nothing.
    """
    frame, levels = started.frame, list(started.frame[GROUP].cat.categories)
    codes = frame[GROUP].cat.codes.to_numpy(np.int64)
    used = np.isfinite(build_design(frame, covariates).X).all(axis=1)
    stays = np.bincount(codes[used & started.event], minlength=len(levels)) > 0
    if not stays[levels.index(RESPONDER)]:
        return {"because": NO_EVENTS}
    if not np.any(used & (codes == 0)):
        return {"because": NOBODY}
    stays[0] = True
    try:
        fit = fit_cox(started.with_rows(frame[used & stays[codes]]), by=GROUP, covariates=covariates)
    except OutcomeError as error:
        return {"because": f"not estimable: {error.rule}"}
    return {"because": f"not estimable: {fit.not_estimable}"} if fit.not_estimable else {"because": ""} | _ratio(fit)


def _ratio(fit: CoxFit) -> dict[str, float]:
    place = [(term.variable, term.level) for term in fit.design.terms].index((GROUP, RESPONDER))
    log_ratio, std_error = fit.coefficients[place], np.sqrt(fit.vcov[place, place])
    z = float(ndtri((1 + CONF_LEVEL) / 2))
    low, middle, high = np.exp(log_ratio + np.array([-z, 0, z]) * std_error)
    return {"estimate": middle, "std_error": std_error, "conf_low": low, "conf_high": high}
