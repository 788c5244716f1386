"""What to look up in the notes: which result, of which days, would make a patient's response evaluable (clinic 25)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.clock import IN_WORDS
from aih_outcomes.endpoints.patients.query_search import Look, Query, find_query
from aih_outcomes.endpoints.response.evaluation import NOT_EVALUABLE, OPEN
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.response.states import YEAR, looks
from aih_outcomes.endpoints.rules import NotInterpretable, analyte_in_words, months_in_words
from aih_outcomes.endpoints.timelines import NEVER, Days

FOUR_WEEKS = "≥ 50 % fall by 4 weeks"  # as in the rates of response
EVERY_ENDPOINT = "every endpoint"
NO_CENTRE = "centre not recorded"
TRANSPLANT_OR_DEATH = "transplant or death by the end of the window: not asked"
NOT_FOLLOWED = "not followed in the window: not asked"
UNCLEAR = "; the exact value with its upper limit would do as well"
QUERY_COLUMNS = {
    "centre": "object", "patient_id": "object", "endpoint": "object", "status": "object", "analyte": "object",
    "missing": "object", "from_date": "datetime64[s]", "to_date": "datetime64[s]", "from_day": "Int64",
    "to_day": "Int64", "because": "object",
}  # fmt: skip
Words = NDArray[np.object_]


def derive_queries(response: Response) -> pd.DataFrame:
    """Return for each patient and endpoint that is not evaluable what would make it so.

    The promise: a normal result of every analyte asked for, all drawn on one day from ``from_day`` to ``to_day`` (and
    before treatment, where a baseline value is asked for), makes the endpoint evaluable. Each question was put to the
    criteria themselves. Of several ways the one with the fewest results is asked for.

    Returns
    -------
    frame ``centre, patient_id, endpoint, status, analyte, missing`` (words)``, from_date, to_date, from_day, to_day``
    (days since time zero)``, because``: one row per result to look for. Where nothing can be asked (transplant or
    death, not followed, IgG not interpretable) ``missing`` is empty and ``because`` says why
    """
    cohort = response.timelines.cohort
    parts = [_without_time_zero(cohort, response), *(_queries_of(response, look) for look in _looks(response))]
    table = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    centre = cohort.patients.set_index("patient_id")["centre"].reindex(table["patient_id"])
    table["centre"] = centre.fillna(NO_CENTRE).to_numpy(object)
    table = table.sort_values(["centre", "patient_id"], kind="stable", ignore_index=True)
    return table[list(QUERY_COLUMNS)].astype(QUERY_COLUMNS)


def _looks(response: Response) -> list[Look]:
    """Return the endpoints that are asked for, in clinical order."""
    definition = response.definition
    rule, windows, short = definition.response, definition.windows, definition.response.short
    within = tuple(rule.same_evaluation_days if c.within_days is None else c.within_days for c in rule.criteria)
    falling = tuple(c.analyte for c in rule.criteria if c.fall_percent is not None)

    def at(time: str, window: tuple[int, int]) -> Look:
        return Look(
            endpoint=f"{short} at {time}", find=lambda r: r.find_at(window).met, table=lambda r: r.status_at(window),
            analytes=definition.analytes, within=within, window=window, earliest=1, closes=window[1],
            from_baseline=falling,
        )  # fmt: skip

    opens, day = max(windows.judged_from, windows.by[0]), windows.by[1]
    by = Look(
        endpoint=f"{short} by {windows.name}", find=lambda r: r.find_by(day).met, table=lambda r: r.status_by(day),
        analytes=definition.analytes, within=within, window=(opens, day), earliest=windows.by[0], closes=day,
        from_baseline=falling,
    )  # fmt: skip
    year = months_in_words(YEAR)
    later = [at(year, looks(definition)[year][1])] if day < YEAR else []
    return [*_fall(response), by, at(windows.name, windows.at), *later]


def _fall(response: Response) -> list[Look]:
    """Return the fall by four weeks, if the criteria have it."""
    rule = response.definition.non_response
    if rule is None:
        return []
    opens, closes = rule.window
    last = min(closes, rule.by_day) if rule.by_day >= opens else closes  # a fall after ``by_day`` settles nothing
    look = Look(
        endpoint=FOUR_WEEKS, find=lambda r: r.find_non_response().status, table=lambda r: r.non_response(),
        analytes=rule.analytes, within=(response.definition.response.same_evaluation_days,) * len(rule.analytes),
        window=(opens, last), earliest=opens, closes=closes, from_baseline=rule.analytes,
    )  # fmt: skip
    return [look]


def _without_time_zero(cohort: Cohort, response: Response) -> pd.DataFrame:
    """Return one row per patient whose days cannot be counted."""
    ids = cohort.patients["patient_id"]
    missing = ids[~ids.isin(response.patients)].sort_values().to_numpy(object)
    start = IN_WORDS[response.time_zero]
    table = pd.DataFrame({"patient_id": missing}).reindex(columns=list(QUERY_COLUMNS))
    said = {"endpoint": EVERY_ENDPOINT, "status": NOT_EVALUABLE, "missing": f"date of the {start}"}
    return table.assign(**said, because="days are counted from there").astype(QUERY_COLUMNS)


def _queries_of(response: Response, look: Look) -> pd.DataFrame:
    """Return the rows of one endpoint, without the centre."""
    because = look.table(response)["because"].to_numpy(object)
    open_, timelines = look.find(response) == OPEN, response.timelines
    gone = open_ & (timelines.failed_day <= look.closes)
    left = open_ & ~gone & (timelines.last_day < look.window[0])
    query = find_query(response, look, np.flatnonzero(open_ & ~gone & ~left))
    no_help = query.who[query.first > query.last]
    patient = np.concatenate([np.flatnonzero(gone), np.flatnonzero(left), no_help])
    said = np.repeat(np.array([TRANSPLANT_OR_DEATH, NOT_FOLLOWED], dtype=object), [gone.sum(), left.sum()])
    said = np.append(said, _why_nothing_helps(response, look, no_help, because[no_help]))
    asked = _asked(response, look, query, because)
    notes = pd.DataFrame({"patient": patient, "because": said}).reindex(columns=asked.columns)
    parts = [part for part in (asked, notes) if len(part)] or [asked]
    return _with_names(response, pd.concat(parts, ignore_index=True), look.endpoint)


def _asked(response: Response, look: Look, query: Query, because: Words) -> pd.DataFrame:
    """Return one row per result asked for: those before treatment, then those of the window."""
    helped = query.first <= query.last
    before, now = np.nonzero(query.start & helped[:, None]), np.nonzero(query.asked & helped[:, None])
    row, k = np.append(before[0], now[0]), np.append(before[1], now[1])
    start, is_start = response.definition.baseline.window, np.arange(len(row)) < len(before[0])
    why = because[query.who[row]]
    open_ = pd.Series(why, dtype=object).str.contains("unclear|without upper limit", na=False)
    why = why + np.where(open_, UNCLEAR, "").astype(object)
    also = np.asarray(query.start.any(axis=1))[row]
    words = np.array([analyte_in_words(name) for name in look.analytes], dtype=object)
    table = pd.DataFrame(
        {
            "patient": query.who[row],
            "analyte": np.array(look.analytes, dtype=object)[k],
            "from_day": np.where(is_start, start[0], query.first[row]),
            "to_day": np.where(is_start, start[1], query.last[row]),
            "because": np.select([is_start, also], ["baseline value missing", "no result in the window"], why),
        }
    )
    return table.assign(missing=words[k] + _in_words(table["from_day"], table["to_day"]))


def _in_words(first: pd.Series, last: pd.Series) -> Words:
    """Return ``, days 150–182``, ``, day 172`` or ``, days −14 to 0``."""
    begins, ends = (days.astype(str).str.replace("-", "−").to_numpy(object) for days in (first, last))
    between = np.where(first < 0, " to ", "–").astype(object)
    words: Words = np.where(first == last, ", day " + begins, ", days " + begins + between + ends)
    return words


def _with_names(response: Response, table: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    """Add the pseudonym, the endpoint and calendar dates."""
    patient = table["patient"].to_numpy(np.int64)
    began = response.zero.to_numpy("datetime64[D]")[patient]
    for edge in ("from", "to"):
        day = table[f"{edge}_day"].to_numpy(float)
        whole = np.where(np.isnan(day), 0, day).astype("timedelta64[D]")
        date = np.where(np.isnan(day), np.datetime64("NaT"), began + whole)
        table[f"{edge}_date"] = date.astype("datetime64[s]")
    ids = response.patients.to_numpy(object)[patient]
    return table.assign(patient_id=ids, endpoint=endpoint, status=NOT_EVALUABLE, centre=None).astype(QUERY_COLUMNS)


def _why_nothing_helps(response: Response, look: Look, who: Days, because: Words) -> Words:
    """Say what stands in the way: a drug after which an analyte says nothing, or values that are there."""
    said: Words = because + "; one more day of results would not settle it"
    zero = response.zero.to_numpy("datetime64[D]")[who]
    reach = np.fmin(response.timelines.last_day[who], look.window[1])
    for rule in response.definition.not_interpretable:
        until = _spoilt_until(response, rule, look.window[1])[who]
        hit = (until >= reach) & (rule.analyte in look.analytes)  # no day is left after it
        date = (zero + np.where(until < NEVER, until, 0).astype("timedelta64[D]")).astype(str).astype(object)
        ends = np.where(until < NEVER, "until " + date, "while it goes on")
        drug = rule.drug_class.replace("_", " ")
        words = f"{analyte_in_words(rule.analyte)} not interpretable ({drug} " + ends + "): cannot be mended"
        said = np.where(hit, words, said)
    return said


def _spoilt_until(response: Response, rule: NotInterpretable, day: int) -> Days:
    """Return the last day (n,) on which the drugs begun by ``day`` spoil the analyte; long ago where there are none."""
    given = response.timelines.treatments
    given = given.where(response.timelines.of_class(rule.drug_class) & (given.start <= day))
    until = np.full(response.timelines.n, -NEVER)
    np.maximum.at(until, given.patient, np.minimum(given.stop + rule.days, NEVER))
    return until
