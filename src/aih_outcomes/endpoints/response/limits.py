"""Upper limits of normal: which table is used, and whose category only the limit changed (clinic, rule 11)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aih_outcomes.catalogue import read_reference_limits
from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.response.evaluation import AT_LIMIT, IS_MET, IS_NOT_MET, OPEN, WORDS, judge
from aih_outcomes.endpoints.response.limit_reasons import explain_limits
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.rules import Criterion, analyte_in_words
from aih_outcomes.endpoints.timelines import Days, Floats, Labs, take
from aih_outcomes.errors import PlanError
from aih_outcomes.upper_limits import limits_of_table

AS_RECORDED, FIXED = "as_recorded", "fixed"
FIXED_LIMITS = {"alt": 40.0, "ast": 40.0, "igg": 16.0}  # [P] U/L, U/L, g/L: the limits of many adult laboratories
TABLES = tuple(dict.fromkeys(read_reference_limits()["table"]))
UPPER_LIMITS = (AS_RECORDED, FIXED, *TABLES)
TABLE_WORDS = {"uk-pru": "UK Protein Reference Unit", "caliper": "CALIPER", "adult": "adult laboratories",
               "prati-2002": "Prati 2002"}  # fmt: skip
CHANGES = (
    "patient_id", "day", "age", "analyte", "uln_before", "uln", "reason", "status_before", "status",
    "status_with_earlier_limit",
)  # fmt: skip


def limits_in_words(source: str) -> str:
    """Return a source of upper limits as a reader would write it.

    Examples
    --------
    >>> limits_in_words("fixed"), limits_in_words("uk-pru")
    ('fixed: ALT 40, AST 40, IgG 16', 'UK Protein Reference Unit: IgG')
    """
    if source == AS_RECORDED:
        return "as recorded"
    if source == FIXED:
        return "fixed: " + ", ".join(f"{analyte_in_words(name)} {limit:g}" for name, limit in FIXED_LIMITS.items())
    analytes = read_reference_limits().query("table == @source")["analyte"].unique()
    known = [analyte_in_words(name) for name in FIXED_LIMITS if name in analytes]
    return f"{TABLE_WORDS.get(source, source)}: {', '.join(known)}"


def with_upper_limits(cohort: Cohort, source: str) -> Cohort:
    """Return the cohort with upper limits of normal from one source.

    ``as_recorded`` changes nothing: reported with the result, else the laboratory's, else a table's. ``fixed`` sets
    ``FIXED_LIMITS``. The name of a table of the catalogue sets the limit of the child's sex and age at the sample, for
    every analyte that the table has; where none of its bands fits (older, sex or age not known) the limit is missing.
    Other analytes keep theirs.

    Raises
    ------
    PlanError : ``source`` is not one of ``UPPER_LIMITS``
    """
    if source not in UPPER_LIMITS:
        raise PlanError(
            f"{source!r} is not a source of upper limits", f"Sources are {', '.join(UPPER_LIMITS)}", "Name one of them"
        )
    if source == AS_RECORDED:
        return cohort
    labs = cohort.labs
    if source == FIXED:
        uln, found = labs["analyte"].map(FIXED_LIMITS).to_numpy(float), "fixed"
        asked = ~np.isnan(uln)
    else:
        uln, asked = limits_of_table(cohort.labs, cohort.patients, source)
        found = "age_sex_table"
    named = np.where(np.isnan(uln), "none", found)
    changed = labs.assign(
        uln=np.where(asked, uln, labs["uln"].to_numpy(float)),
        uln_source=pd.array(np.where(asked, named, labs["uln_source"].to_numpy(object)), dtype="string"),
    )
    return replace(cohort, labs=changed)


def lacking_limits(response: Response, day: int) -> list[str]:
    """Return the criteria's analytes by which hardly anybody can be judged, for want of an upper limit.

    That is: of the patients with a result of it on days 1 to ``day``, more than half have none with an upper limit [P].
    """
    found = []
    for criterion in response.definition.response.criteria:
        labs = response.timelines.labs[criterion.analyte]
        inside = (labs.day >= 1) & (labs.day <= day)
        measured = np.unique(labs.patient[inside])
        limited = np.unique(labs.patient[inside & ~np.isnan(labs.xuln)])
        if criterion.at_most_xuln is not None and 2 * len(limited) < len(measured):
            found.append(criterion.analyte)
    return found


def lacking_in_words(analytes: list[str]) -> str:
    """Return why nothing can be estimated where ``analytes`` lack upper limits; nothing where none does."""
    names = " and ".join(", ".join(map(analyte_in_words, analytes)).rsplit(", ", 1))
    return f"not estimable: no upper limit of {names} in more than half of the patients measured" if analytes else ""


def list_limit_changes(response: Response) -> pd.DataFrame:
    """List evaluations whose category changed only because an upper limit did: another age band, laboratory or assay.

    Each evaluation that is met or not met is set beside the patient's previous such evaluation, and judged once more
    with the limits of that one. Listed is a status that changed, and would not be what it is with the earlier limits.

    Returns
    -------
    frame ``patient_id, day`` (of the later evaluation)``, age`` (years at the later result)``, analyte, uln_before,
        uln, reason`` (one of ``LIMIT_REASONS``)``, status_before, status, status_with_earlier_limit`` (not evaluable
        where another analyte is missing or a sign leaves it open): one row per analyte whose judgement the limit
        changed. For internal use
    """
    found = response.judged
    clear = found.status != OPEN
    patient, known, now = found.patient[clear], found.known[clear], found.status[clear]
    judged, row = found.judged[clear], found.row[clear]
    again, row_before = judged.copy(), np.full(row.shape, -1, dtype=np.int64)
    for k, criterion in enumerate(response.definition.response.criteria):
        if criterion.at_most_xuln is not None:
            last = _last_before(_limits_at(response, row[:, k]), patient)
            row_before[:, k] = np.where(last >= 0, row[last, k], -1)
            limit = _limits_at(response, row_before[:, k])
            again[:, k] = _judge_again(response, criterion, row[:, k], judged[:, k], limit)
    status = np.select([(again == 0).any(axis=1), (again == 1).all(axis=1)], [IS_NOT_MET, IS_MET], OPEN)
    follows = np.append(False, patient[1:] == patient[:-1])[: len(patient)]
    earlier = np.append(OPEN, now)[: len(now)]
    listed = follows & (now != earlier) & (status != now)
    at, which = np.nonzero(listed[:, None] & (again != judged) & ~np.isnan(judged))
    names = np.array(response.definition.analytes, dtype=object)
    rows = row_before[at, which], row[at, which]
    before, after = (_limits_at(response, part) for part in rows)
    reason, age = explain_limits(response.timelines.cohort, *rows)
    columns = [
        response.patients.take(patient[at]), known[at], age, names[which], before, after, reason,
        WORDS[earlier[at]], WORDS[now[at]], WORDS[status[at]],
    ]  # fmt: skip
    return pd.DataFrame(dict(zip(CHANGES, columns, strict=True)))


def _limits_at(response: Response, row: Days) -> Floats:
    """Return the upper limit of the results at these rows of the cohort's labs; NaN where there is no result."""
    return take(response.timelines.cohort.labs["uln"].to_numpy(float), row)


def _last_before(limit: Floats, patient: Days) -> Days:
    """Return the last earlier evaluation of the same patient at which a limit was known; −1 where there was none."""
    known = np.maximum.accumulate(np.where(np.isnan(limit), -1, np.arange(len(limit))))
    last = np.append(-1, known)[: len(limit)]
    own = last >= 0
    own[own] = patient[last[own]] == patient[own]
    return np.where(own, last, -1)


def _judge_again(response: Response, criterion: Criterion, row: Days, judged: Floats, limit: Floats) -> Floats:
    """Return the judgement of each evaluation's result of one analyte, by another limit where there is one."""
    labs = response.timelines.labs[criterion.analyte]
    position = np.full(len(response.timelines.cohort.labs), -1, dtype=np.int64)
    position[labs.row] = np.arange(len(labs.row))
    differs = np.abs(_limits_at(response, row) - limit) > AT_LIMIT * limit  # False where either is missing
    at = np.flatnonzero(differs & ~np.isnan(judged))
    chosen = position[row[at]]
    value = labs.value[chosen]
    own = Labs(labs.patient[chosen], labs.day[chosen], value, value / limit[at], labs.sign[chosen],
               labs.strict[chosen], labs.row[chosen])  # fmt: skip
    again = judged.copy()
    again[at] = judge(own, criterion)
    return again
