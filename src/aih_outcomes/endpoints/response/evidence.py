"""Which rows decided: in words for one patient, and as a frame."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.endpoints.clock import IN_WORDS
from aih_outcomes.endpoints.response.evaluation import MET, WORDS
from aih_outcomes.endpoints.response.response import Response
from aih_outcomes.endpoints.rules import Criterion, analyte_in_words
from aih_outcomes.errors import DataError

FOOTER = "Research software. Not a medical device; must not guide treatment of an individual."


def derive_evidence(response: Response) -> pd.DataFrame:
    """Return every result that decided an evaluation: one row per evaluation and analyte.

    Returns
    -------
    frame ``patient_id, known_day, status, analyte, judgement`` (met, not met, not evaluable)``, sample_day, value,
    xuln, comparator, row, interpretable, visit``; ``row`` is the line of the table 'labs', from 1; empty where the
    analyte is missing
    """
    found, names = response.judged, response.definition.analytes
    m, k = found.row.shape
    row = found.row.ravel()
    results = response.results.set_index("row").reindex(row)
    table = pd.DataFrame(
        {
            "patient_id": np.repeat(response.patients.take(found.patient), k),
            "known_day": np.repeat(found.known, k),
            "status": np.repeat(WORDS[found.status], k),
            "analyte": np.tile(np.array(names, dtype=object), m),
            "judgement": WORDS[np.where(np.isnan(found.judged), -1, found.judged).astype(int)].ravel(),
            "row": pd.array(row + 1, dtype="Int64"),
        }
    )
    table.loc[row < 0, "row"] = pd.NA
    for source, name in (("day", "sample_day"), ("value", "value"), ("xuln", "xuln"), ("comparator", "comparator"),
                         ("interpretable", "interpretable"), ("visit", "visit")):  # fmt: skip
        table[name] = results[source].to_numpy()
    columns = ["patient_id", "known_day", "status", "analyte", "judgement", "sample_day", "value", "xuln", "comparator"]
    return table[[*columns, "row", "interpretable", "visit"]]


def explain(response: Response, patient_id: str) -> str:
    """Tell in words which rows decided: days since time zero and multiples of ULN. For internal use.

    Raises
    ------
    DataError : the patient has no time zero
    """
    start = IN_WORDS[response.time_zero]
    if patient_id not in response.zero.index:
        raise DataError(
            "The patient asked for has no time zero",
            f"Days are counted from the {start}",
            "Check the pseudonym and the table 'treatments'",
        )
    position = list(response.patients).index(patient_id)
    rule = response.definition.response
    lines = [f"{rule.term} ({response.definition.title}), days since {start}:", *_in_short(response, position)]
    used = response.results[response.results["patient_id"] == patient_id].set_index("row")
    found = response.judged
    for at in np.flatnonzero(found.patient == position):
        parts = [_evidence(used, int(found.row[at, k]), c) for k, c in enumerate(rule.criteria)]
        note = "; IgG carried forward" if found.carried[at] else ""
        note += "; one transaminase only" if found.single[at] else ""
        lines.append(f"- day {found.known[at]}: {WORDS[found.status[at]]}: {', '.join(parts)}{note}")
    return "\n".join([*lines, FOOTER])


def _in_short(response: Response, position: int) -> list[str]:
    """Return what follows for one patient: by and at six months, and at four weeks."""
    windows, short = response.definition.windows, response.definition.response.short
    months = windows.name
    by = response.status_by(windows.by[1]).iloc[position]
    at = response.status_at(windows.at).iloc[position]
    since = f", since day {by['onset']:.0f}, known on day {by['known_at']:.0f}" if by["status"] == MET else ""
    lines = [
        f"{short} by {months}: {by['status']} ({by['because']}{since})",
        f"{short} at {months} (days {windows.at[0]}–{windows.at[1]}): {at['status']} ({at['because']})",
    ]
    if response.definition.non_response is None:
        return lines
    table = response.non_response().iloc[position]
    parts = []
    for name in response.definition.non_response.analytes:
        start = response.baseline_of(name)
        if start.position[position] >= 0:
            labs = response.timelines.labs[name]
            day, row = labs.day[start.position[position]], labs.row[start.position[position]]
            size = _size(start.value[position], start.xuln[position])
            parts.append(f"{analyte_in_words(name)} {size} (day {day}, row {row + 1})")
    before = f"; before treatment {', '.join(parts)}" if parts else ""
    return [*lines, f"{response.definition.non_response.term}: {table['status']} ({table['because']}{before})"]


def _evidence(used: pd.DataFrame, row: int, criterion: Criterion) -> str:
    name = analyte_in_words(criterion.analyte)
    if row < 0:
        return f"{name} missing"
    result = used.loc[row]
    sign = "" if result["comparator"] == "=" else f"{result['comparator']} "
    size = f"{result['value']:.4g}" if criterion.in_unit else _size(float(result["value"]), float(result["xuln"]))
    note = "" if result["interpretable"] else ", not interpretable"
    return f"{name} {sign}{size} (day {result['day']}, row {row + 1}{note})"


def _size(value: float, xuln: float) -> str:
    """Return a multiple of the upper limit of normal, or the value in its own unit where there is no limit."""
    return f"{value:.4g}, no upper limit of normal" if np.isnan(xuln) else f"{xuln:.2f} × ULN"
