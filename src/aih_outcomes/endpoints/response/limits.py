"""Upper limits of normal: which table is used, and whose category only the limit changed (clinic, rule 11)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_reference_limits
from aih_outcomes.cohort import DAYS_PER_YEAR, Cohort
from aih_outcomes.endpoints.response.evaluation import AT_LIMIT, IS_MET, IS_NOT_MET, OPEN, WORDS, judge
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.rules import Criterion, analyte_in_words
from aih_outcomes.endpoints.timelines import Days, Floats, Labs, take
from aih_outcomes.errors import PlanError

AS_RECORDED, FIXED = "as_recorded", "fixed"
FIXED_LIMITS = {"alt": 40.0, "ast": 40.0, "igg": 16.0}  # [P] U/L, U/L, g/L: the limits of many adult laboratories
TABLES = tuple(dict.fromkeys(read_reference_limits()["table"]))
UPPER_LIMITS = (AS_RECORDED, FIXED, *TABLES)
TABLE_WORDS = {"uk-pru": "UK Protein Reference Unit", "caliper": "CALIPER", "adult": "adult laboratories",
               "prati-2002": "Prati 2002"}  # fmt: skip
CHANGES = ("patient_id", "day", "analyte", "uln_before", "uln", "status_before", "status", "status_with_earlier_limit")


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
        uln, asked = _limits_of_table(cohort, source)
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


def _limits_of_table(cohort: Cohort, source: str) -> tuple[Floats, NDArray[np.bool_]]:
    """Return each result's limit in the table (NaN where no band fits), and which results the table speaks of."""
    labs, table = cohort.labs, read_reference_limits()
    table = table[table["table"] == source]
    analyte = labs["analyte"].to_numpy(object)
    rows = np.flatnonzero(np.isin(analyte, table["analyte"].unique()))
    patients = cohort.patients
    ids = pd.Index(labs["patient_id"].to_numpy(object)[rows])
    patient = pd.Index(patients["patient_id"].to_numpy(object)).get_indexer(ids)
    age = _ages(patients.iloc[patient], labs["date"].to_numpy("datetime64[D]")[rows])
    sex = patients["sex"].fillna("unknown").to_numpy(object)[patient]
    found = np.full(len(rows), np.nan)
    bands = [table[name] for name in ("analyte", "sex", "age_from_years", "age_to_years", "upper")]
    for name, of_sex, since, until, upper in zip(*bands, strict=True):
        fits = (analyte[rows] == name) & (age >= since) & (age < until)
        found[fits & ((of_sex == "any") | (sex == of_sex))] = upper
    uln, asked = np.full(len(labs), np.nan), np.zeros(len(labs), dtype=bool)
    uln[rows], asked[rows] = found, True
    return uln, asked


def _ages(patients: pd.DataFrame, day: NDArray[np.datetime64]) -> Floats:
    """Return ages in years: completed ones from the first birthday on, as bands change at birthdays.

    Where only the age at diagnosis is known, that age and the time since.
    """
    born, diagnosed = (patients[name].to_numpy("datetime64[D]") for name in ("birth_date", "diagnosis_date"))
    (year, month, of_month), (born_year, born_month, born_of_month) = _calendar(day), _calendar(born)
    before_birthday = (month < born_month) | ((month == born_month) & (of_month < born_of_month))
    completed = year - born_year - before_birthday
    from_birth = np.where(completed >= 1, completed, _years(day - born))
    return np.where(np.isnat(born), patients["age_at_diagnosis"].to_numpy(float) + _years(day - diagnosed), from_birth)


def _years(time: NDArray[np.timedelta64]) -> Floats:
    years: Floats = time / np.timedelta64(1, "D") / DAYS_PER_YEAR
    return years


def _calendar(date: NDArray[np.datetime64]) -> tuple[Days, Days, Days]:
    year, month = date.astype("datetime64[Y]"), date.astype("datetime64[M]")
    return year.astype(np.int64), (month - year).astype(np.int64), (date - month).astype(np.int64)


def list_limit_changes(response: Response) -> pd.DataFrame:
    """List evaluations whose category changed only because an upper limit did: another age band, laboratory or assay.

    Each evaluation that is met or not met is set beside the patient's previous such evaluation, and judged once more
    with the limits of that one. Listed is a status that changed, and would not be what it is with the earlier limits.

    Returns
    -------
    frame ``patient_id, day`` (of the later evaluation)``, analyte, uln_before, uln, status_before, status,
        status_with_earlier_limit`` (not evaluable where another analyte is missing or a sign leaves it open): one row
        per analyte whose judgement the limit changed. For internal use
    """
    found = response.judged
    clear = found.status != OPEN
    patient, known, now = found.patient[clear], found.known[clear], found.status[clear]
    judged, row = found.judged[clear], found.row[clear]
    again, before, after = judged.copy(), np.full(row.shape, np.nan), np.full(row.shape, np.nan)
    for k, criterion in enumerate(response.definition.response.criteria):
        if criterion.at_most_xuln is not None:
            after[:, k] = _limits_at(response, row[:, k])
            before[:, k] = _last_before(after[:, k], patient)
            again[:, k] = _judge_again(response, criterion, row[:, k], judged[:, k], before[:, k])
    status = np.select([(again == 0).any(axis=1), (again == 1).all(axis=1)], [IS_NOT_MET, IS_MET], OPEN)
    follows = np.append(False, patient[1:] == patient[:-1])[: len(patient)]
    earlier = np.append(OPEN, now)[: len(now)]
    listed = follows & (now != earlier) & (status != now)
    at, which = np.nonzero(listed[:, None] & (again != judged) & ~np.isnan(judged))
    names = np.array(response.definition.analytes, dtype=object)
    columns = [
        response.patients.take(patient[at]), known[at], names[which], before[at, which],
        after[at, which],
        WORDS[earlier[at]], WORDS[now[at]], WORDS[status[at]],
    ]  # fmt: skip
    return pd.DataFrame(dict(zip(CHANGES, columns, strict=True)))


def _limits_at(response: Response, row: Days) -> Floats:
    """Return the upper limit of the results at these rows of the cohort's labs; NaN where there is no result."""
    return take(response.timelines.cohort.labs["uln"].to_numpy(float), row)


def _last_before(limit: Floats, patient: Days) -> Floats:
    """Return the last limit known at an earlier evaluation of the same patient; NaN where there was none."""
    known = np.maximum.accumulate(np.where(np.isnan(limit), -1, np.arange(len(limit))))
    last = np.append(-1, known)[: len(limit)]
    own = last >= 0
    own[own] = patient[last[own]] == patient[own]
    return take(limit, np.where(own, last, -1))


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
