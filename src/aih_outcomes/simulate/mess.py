"""Mess with known truth: what centres get wrong, put into a cohort as printed, and where it stands (truth T15).

Every fault here can be carried by every format that is exported, and each is one line of ``_FAULTS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from aih_outcomes.simulate.exports.printed import Printed
from aih_outcomes.simulate.streams import open_stream

Found = Literal["yes", "no", "nothing wrong"]
TRUTH_COLUMNS = ("table", "row", "kind", "column", "right_value", "found")
NOBODY = "X-9999"  # a patient that is in no table 'patients'
_TITRES = ("ana", "sma", "lkm1")


@dataclass(frozen=True, slots=True, eq=False)
class Mess:
    """A cohort as printed with faults in it.

    Attributes
    ----------
    printed : table → cells as text; the faults stand among the other rows, rows that were added at the end
    truth : ``table, row, kind, column, right_value, found``: which rows are not as they were, ``row`` being the
        position in ``printed[table]``; ``right_value`` is what stood in ``column`` (``""`` where the whole row should
        not be there; of two rows that contradict each other both are listed, as reading cannot know which is right);
        ``found`` is ``yes`` where reading must set the row aside, ``no`` where nobody can see it from the data,
        ``nothing wrong`` where another way of writing means the same or states less
    """

    printed: Printed
    truth: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    """One way to go wrong: where it can happen, and what is then written."""

    kind: str
    table: str
    column: str
    among: Callable[[pd.DataFrame, Printed], pd.Series]
    write: Callable[[pd.DataFrame, Printed], pd.Series | str]
    found: Found = "yes"
    added: bool = False
    of_patient: bool = False
    spoils_original: bool = False


def make_mess(printed: Printed, seed: int, *, per_kind: int = 2) -> Mess:
    """Put every kind of fault into a cohort as printed.

    Parameters
    ----------
    printed : see ``print_cohort``; it stays as it is
    seed : another seed spoils other rows
    per_kind : rows of each kind, fewer where the cohort has no more of them; faults of a whole patient once

    Returns
    -------
    Mess : no row has two faults, and no row of a patient who is at fault as a whole has one of its own
    """
    rng = open_stream("mess", seed)
    tables = {name: table.copy() for name, table in printed.items()}
    free = {name: pd.Series(data=True, index=table.index) for name, table in printed.items()}
    truth = []
    for fault in _FAULTS:
        table = printed[fault.table]
        candidates = table.index[fault.among(table, printed) & free[fault.table]]
        n = min(1 if fault.of_patient else per_kind, len(candidates))
        rows = pd.Index(sorted(rng.choice(candidates, n, replace=False))) if n else candidates[:0]
        truth += _spoil(fault, table.loc[rows], printed, tables)
        free[fault.table][rows] = False
        if fault.of_patient:
            gone = set(table.loc[rows, "patient_id"])
            free = {name: kept & ~printed[name]["patient_id"].isin(gone) for name, kept in free.items()}
    listed = pd.concat(truth).sort_values(["table", "row"], ignore_index=True)
    return Mess(printed=tables, truth=listed[list(TRUTH_COLUMNS)])


def _spoil(fault: _Fault, rows: pd.DataFrame, printed: Printed, tables: Printed) -> list[pd.DataFrame]:
    """Write the fault into ``tables`` and return its lines of the truth."""
    spoilt = rows.assign(**{fault.column: fault.write(rows, printed)} if fault.column else {})
    about = {"table": fault.table, "kind": fault.kind, "column": fault.column, "found": fault.found}
    said = pd.DataFrame(about, rows.index)
    if not fault.added:
        tables[fault.table].loc[rows.index] = spoilt
        return [said.assign(row=rows.index, right_value=rows[fault.column])]
    first = len(tables[fault.table])
    tables[fault.table] = pd.concat([tables[fault.table], spoilt], ignore_index=True)
    lines = [said.assign(row=range(first, first + len(rows)), right_value="")]
    if fault.spoils_original:
        lines.append(said.assign(row=rows.index, right_value=rows[fault.column]))
    return lines


def _everywhere(table: pd.DataFrame, _: Printed) -> pd.Series:
    return pd.Series(data=True, index=table.index)


def _where(**words: str | tuple[str, ...]) -> Callable[[pd.DataFrame, Printed], pd.Series]:
    """Return the rule that each of these columns holds one of its words."""

    def choose(table: pd.DataFrame, _: Printed) -> pd.Series:
        chosen = pd.Series(data=True, index=table.index)
        for column, accepted in words.items():
            chosen &= table[column].isin([accepted] if isinstance(accepted, str) else accepted)
        return chosen

    return choose


def _between(low: float, high: float, **words: str) -> Callable[[pd.DataFrame, Printed], pd.Series]:
    """Return the rule that the result is a plain number from ``low`` to ``high``, and the columns hold these words."""

    def choose(table: pd.DataFrame, printed: Printed) -> pd.Series:
        return pd.to_numeric(table["raw_value"], errors="coerce").between(low, high) & _where(**words)(table, printed)

    return choose


def _put(word: str) -> Callable[[pd.DataFrame, Printed], pd.Series | str]:
    return lambda _rows, _printed: word


def _death(printed: Printed) -> pd.Series:
    """Return the day of death by patient, of those who died."""
    deaths = printed["events"].query("kind == 'death' and date != ''")
    return pd.to_datetime(deaths.groupby("patient_id")["date"].min())


def _birth(printed: Printed) -> pd.Series:
    """Return the date of birth by patient, where it is known."""
    known = printed["patients"].query("birth_date != ''")
    return pd.to_datetime(known.set_index("patient_id")["birth_date"])


def _who_died(table: pd.DataFrame, printed: Printed) -> pd.Series:
    return table["patient_id"].isin(_death(printed).index)


def _with_birth_date(table: pd.DataFrame, printed: Printed) -> pd.Series:
    return table["patient_id"].isin(_birth(printed).index)


def _after_death(rows: pd.DataFrame, printed: Printed) -> pd.Series:
    return _write_days(rows["patient_id"].map(_death(printed)) + pd.Timedelta(days=40))


def _before_birth(rows: pd.DataFrame, printed: Printed) -> pd.Series:
    return _write_days(rows["patient_id"].map(_birth(printed)) - pd.Timedelta(days=40))


def _before_start(rows: pd.DataFrame, _: Printed) -> pd.Series:
    return _write_days(pd.to_datetime(rows["start"]) - pd.Timedelta(days=40))


def _with_stop(table: pd.DataFrame, _: Printed) -> pd.Series:
    return table["stop"].ne("")


def _write_days(dates: pd.Series) -> pd.Series:
    written: pd.Series = dates.dt.strftime("%Y-%m-%d")
    return written


def _in_another_millennium(rows: pd.DataFrame, _: Printed) -> pd.Series:
    return "2" + rows["date"].str[2] + "9" + rows["date"].str[3:]


def _other_sex(rows: pd.DataFrame, _: Printed) -> pd.Series:
    return rows["sex"].map({"female": "male", "male": "female", "unknown": "female"})


def _slipped(rows: pd.DataFrame, _: Printed) -> pd.Series:
    return rows["raw_value"] + "0"


def _with_sign(rows: pd.DataFrame, _: Printed) -> pd.Series:
    return "<" + rows["raw_value"]


# Patients first: what they lose must not hide another fault. Those who died stay, for results after death.
_FAULTS = (
    _Fault(kind="result after death", table="labs", column="date", among=_who_died, write=_after_death),
    _Fault(
        kind="two rows of one patient", table="patients", column="sex", write=_other_sex,
        among=lambda table, printed: ~_who_died(table, printed), added=True, of_patient=True, spoils_original=True,
    ),
    _Fault(
        kind="patient without date of diagnosis", table="patients", column="diagnosis_date", write=_put(""),
        among=lambda table, printed: ~_who_died(table, printed), of_patient=True,
    ),
    _Fault(kind="exact duplicate", table="labs", column="", among=_everywhere, write=_put(""), added=True),
    _Fault(kind="exact duplicate", table="treatments", column="", among=_everywhere, write=_put(""), added=True),
    _Fault(
        kind="conflicting units", table="labs", column="raw_unit", write=_put("mg/dL"), added=True,
        among=_between(5, 40, analyte="bilirubin", raw_unit="umol/L"), spoils_original=True,
    ),
    _Fault(
        kind="impossible value", table="labs", column="raw_value", write=_put("99999"),
        among=_where(analyte="alt", raw_unit="U/L"),
    ),
    _Fault(kind="impossible value", table="measurements", column="value", among=_everywhere, write=_put("700")),
    _Fault(kind="impossible value", table="biopsies", column="hai", among=_everywhere, write=_put("25")),
    _Fault(kind="missing unit", table="labs", column="raw_unit", write=_put(""), among=_where(analyte="igg")),
    _Fault(
        kind="unknown unit", table="labs", column="raw_unit", write=_put("U/furlong"),
        among=_where(analyte=("ast", "ggt")),
    ),
    _Fault(kind="no number", table="labs", column="raw_value", write=_put("see note"), among=_where(analyte="albumin")),
    _Fault(kind="titre in words", table="labs", column="raw_value", write=_put("neg"), among=_where(analyte=_TITRES)),
    _Fault(kind="result before birth", table="labs", column="date", write=_before_birth, among=_with_birth_date),
    _Fault(kind="date missing", table="labs", column="date", write=_put(""), among=_everywhere),
    _Fault(kind="date that cannot be", table="imaging", column="date", write=_in_another_millennium, among=_everywhere),
    _Fault(
        kind="transplant without date", table="events", column="date", write=_put(""), among=_where(kind="transplant"),
    ),
    _Fault(kind="unknown patient", table="labs", column="patient_id", write=_put(NOBODY), among=_everywhere),
    _Fault(
        kind="unknown patient", table="events", column="patient_id", write=_put(NOBODY), among=_where(kind="transfer"),
    ),
    _Fault(kind="misspelt category", table="imaging", column="finding", write=_put("normall"), among=_everywhere),
    _Fault(kind="misspelt category", table="treatments", column="indication", write=_put("ahi"), among=_everywhere),
    _Fault(
        kind="unit of a dose", table="treatments", column="raw_dose_unit", write=_put("spoons"),
        among=_where(drug="prednisolone"),
    ),
    _Fault(
        kind="ends before it starts", table="treatments", column="stop", write=_before_start, among=_with_stop,
    ),
    _Fault(kind="ends before it starts", table="follow_up", column="end", write=_before_start, among=_everywhere),
    _Fault(
        kind="decimal slip", table="labs", column="raw_value", write=_slipped, found="no",
        among=_between(20, 300, analyte="alt", raw_unit="U/L"),
    ),
    _Fault(
        kind="below the limit of detection", table="labs", column="raw_value", write=_with_sign, found="nothing wrong",
        among=_between(0, 1000, analyte="ggt"),
    ),
    _Fault(
        kind="unit in another spelling", table="labs", column="raw_unit", write=_put("μmol/l"), found="nothing wrong",
        among=_where(analyte="creatinine", raw_unit="umol/L"),
    ),
    _Fault(
        kind="date known to the month", table="labs", column="date_precision", write=_put("month"),
        found="nothing wrong", among=lambda table, _: table["date"].str.endswith("-15"),
    ),
)  # fmt: skip
