"""A workbook as a liver clinic keeps it, with several people's habits in it; of invented children, the answer known.

The registrar's list of children has a title above its header and a total below; the nurse's visits have a merged header
and a column per test and month; the laboratory's results are long, with each centre's own words and units; the
pharmacist writes names of drugs as they come. Dates are real ones, text, or a month.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from aih_outcomes.cohort import Cohort
from aih_outcomes.simulate.exports.tables import SEED
from aih_outcomes.simulate.synthetic import simulate_cohort
from aih_outcomes.units import compute_factor

MONTHS = (0, 3, 6, 12)
_DAYS_PER_MONTH = 30.4
_FIRST_DAYS = 740  # the laboratory's list covers the first two years
_WRITTEN_ON = dt.datetime(2024, 1, 30, tzinfo=dt.UTC).replace(tzinfo=None)  # the same bytes at every writing
_TESTS = {
    "alt": ("ALT", "ALAT", "GPT"),
    "igg": ("IgG", "Immunoglobulin G", "IgG"),
    "bilirubin": ("Bilirubin total", "Bili", "Bilirubin total"),
    "ana": ("ANA", "ANA", "ANA"),
}
_DRUGS = {
    "prednisolone": ("Prednisolone", "prednisolon", "Prednisolone tabs"),
    "azathioprine": ("Azathioprine", "Imurek", "AZA"),
    "mycophenolate": ("MMF", "CellCept", "Mycophenolate"),
    "ursodeoxycholic_acid": ("UDCA", "Ursofalk", "URSO"),
}
_SEXES = {"female": ("F", "female", "girl"), "male": ("M", "male", "boy"), "unknown": ("u", "u", "u")}
_TYPES = {"type_1": "1", "type_2": "2", "seronegative": "seroneg", "unclassified": "unclassified"}
_DUCTS = {"asc": "ASC", "normal": "normal", "not_imaged": "not imaged"}
_WITHOUT_UNIT = ("igg", "g/L")  # the laboratory's list leaves this unit out
_DAY, _MONTH = "%d.%m.%Y", "%m.%Y"


@dataclass(frozen=True, slots=True, eq=False)
class ClinicWorkbook:
    """The workbook, and what is in it.

    Attributes
    ----------
    path : the file
    answer : table → the rows that a right mapping reads, with the columns that the workbook tells
    """

    path: Path
    answer: dict[str, pd.DataFrame]


@dataclass(frozen=True, slots=True, eq=False)
class _Looks:
    """How cells look; colour means something to those who chose it and is not data."""

    title: Format
    header: Format
    date: Format
    yellow: Format


def write_clinic_workbook(
    path: str | Path | None = None, *, seed: int = SEED, n_patients: int = 24
) -> ClinicWorkbook:  # fmt: skip
    """Write a clinic's workbook of invented children; the same seed gives the same bytes.

    Parameters
    ----------
    path : the file; by default ``clinic.xlsx`` in a new temporary folder
    """
    path = Path(tempfile.mkdtemp(prefix="clinic-")) / "clinic.xlsx" if path is None else Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    cohort = simulate_cohort(seed, n_patients)
    with xlsxwriter.Workbook(path) as book:
        book.set_properties({"title": "Liver clinic (invented)", "created": _WRITTEN_ON})
        looks = _Looks(
            title=book.add_format({"bold": True, "font_size": 14}),
            header=book.add_format({"bold": True, "bg_color": "#DDEBF7", "align": "center"}),
            date=book.add_format({"num_format": "dd/mm/yyyy"}),
            yellow=book.add_format({"bg_color": "#FFFF00"}),
        )
        answer = _write_children(book.add_worksheet("Children"), looks, cohort)
        answer["labs"] = pd.concat(
            [
                _write_bloods(book.add_worksheet("Bloods"), looks, cohort),
                _write_visits(book.add_worksheet("Visits"), looks, cohort),
            ],
            ignore_index=True,
        )
        answer["treatments"] = _write_drugs(book.add_worksheet("Drugs"), looks, cohort)
    return ClinicWorkbook(path=path, answer=answer)


def _write_children(sheet: Worksheet, looks: _Looks, cohort: Cohort) -> dict[str, pd.DataFrame]:
    """Write the registrar's list: title, header in line 4, one child per line, a total."""
    children, events = cohort.patients, cohort.events
    n = len(children)
    seen, known_to = _as_people_write(children["diagnosis_date"])
    kinds = {
        kind: events[events["kind"] == kind].groupby("patient_id")["date"].min() for kind in ("transplant", "death")
    }
    last = cohort.follow_up.groupby("patient_id")["end"].max()
    columns = {
        "Study no": children["patient_id"].tolist(),
        "Hospital": children["centre"].tolist(),
        "Sex": _by_turns(children["sex"], _SEXES),
        "DOB": _as_dates(children["birth_date"]),
        "Age at diagnosis": [None if pd.isna(age) else float(age) for age in children["age_at_diagnosis"]],
        "Diagnosed": seen,
        "AIH type": children["aih_type"].map(_TYPES).tolist(),
        "Bile ducts": children["asc_at_baseline"].map(_DUCTS).tolist(),
        "Cirrhosis": children["cirrhosis_at_diagnosis"].map({True: "Y", False: "N"}).tolist(),
        "Transplanted": _as_dates(children["patient_id"].map(kinds["transplant"])),
        "Died": _as_dates(children["patient_id"].map(kinds["death"])),
        "Last seen": _as_dates(children["patient_id"].map(last)),
        "Comment": ["colour: discuss" if row % 5 == 0 else "" for row in range(n)],
    }
    sheet.write_string(0, 0, "Autoimmune hepatitis, list of children (invented)", looks.title)
    sheet.write_string(1, 0, "yellow = to be discussed; please do not sort")
    _write_columns(sheet, looks, columns, first_row=3, coloured=5)
    sheet.write_string(n + 5, 0, "Total")
    sheet.write_string(n + 5, 1, f"n = {n}")
    return _answer_children(cohort, known_to, kinds, last)


def _answer_children(
    cohort: Cohort, known_to: pd.Series, kinds: Mapping[str, pd.Series], last: pd.Series
) -> dict[str, pd.DataFrame]:
    told = ["patient_id", "centre", "sex", "birth_date", "age_at_diagnosis", "diagnosis_date", "aih_type",
            "asc_at_baseline", "cirrhosis_at_diagnosis"]  # fmt: skip
    patients = cohort.patients[told].copy()
    patients["diagnosis_date"] = _as_known(patients["diagnosis_date"], known_to)
    patients["date_precision"] = known_to
    events = pd.concat(
        [day.rename("date").reset_index().assign(kind=kind) for kind, day in kinds.items()], ignore_index=True
    )  # fmt: skip
    follow_up = patients[["patient_id", "date_precision"]].assign(
        start=patients["diagnosis_date"], end=patients["patient_id"].map(last)
    )
    return {"patients": patients, "events": events, "follow_up": follow_up}


def _write_bloods(sheet: Worksheet, looks: _Looks, cohort: Cohort) -> pd.DataFrame:
    """Write the laboratory's list: one result per line, in each centre's words and units, one unit left out."""
    start = cohort.labs["patient_id"].map(cohort.patients.set_index("patient_id")["diagnosis_date"])
    early = (cohort.labs["date"] - start).dt.days.between(0, _FIRST_DAYS)
    labs = cohort.labs[early & cohort.labs["analyte"].isin(list(_TESTS))].reset_index(drop=True)
    pairs = zip(labs["analyte"], labs["raw_unit"], strict=True)
    limit = labs["uln"] / [compute_factor(analyte, unit) for analyte, unit in pairs]
    untold = labs["analyte"].eq(_WITHOUT_UNIT[0]) & labs["raw_unit"].eq(_WITHOUT_UNIT[1])
    columns = {
        "Study no": labs["patient_id"].tolist(),
        "Date": _text_or_date(labs["date"]),
        "Test": _by_turns(labs["analyte"], _TESTS),
        "Result": [_as_typed(cell) for cell in labs["raw_value"]],
        "Unit": labs["raw_unit"].mask(untold, "").tolist(),
        "Upper limit": [None if pd.isna(value) else round(float(value), 6) for value in limit],
    }
    _write_columns(sheet, looks, columns)
    return labs[["patient_id", "date", "analyte", "value", "comparator", "raw_value", "uln"]]


def _write_visits(sheet: Worksheet, looks: _Looks, cohort: Cohort) -> pd.DataFrame:
    """Write the nurse's visits: one child per line, months below a merged header; AST as a whole number in U/L."""
    ast = cohort.labs[cohort.labs["analyte"] == "ast"]
    start = ast["patient_id"].map(cohort.patients.set_index("patient_id")["diagnosis_date"])
    month = ((ast["date"] - start).dt.days / _DAYS_PER_MONTH).round().astype(int)
    chosen = ast.assign(month=month)[month.isin(MONTHS)].drop_duplicates(["patient_id", "month"])
    chosen["value"] = chosen["value"].round()
    sheet.merge_range(0, 0, 1, 0, "Study no", looks.header)
    wide = chosen.pivot(index="patient_id", columns="month", values=["date", "value"])  # month 0 … 12 below both
    for block, title in enumerate(("Date", "AST (U/L)")):
        first = 1 + block * len(MONTHS)
        sheet.merge_range(0, first, 0, first + len(MONTHS) - 1, title, looks.header)
        for place, after in enumerate(MONTHS):
            sheet.write_string(1, first + place, f"m{after}", looks.header)
    for row, (patient_id, cells) in enumerate(wide.iterrows(), start=2):
        sheet.write_string(row, 0, str(patient_id))
        for place, after in enumerate(MONTHS):
            day, value = cells["date", after], cells["value", after]
            if pd.notna(value):
                sheet.write_datetime(row, 1 + place, day.to_pydatetime(), looks.date)
                sheet.write_number(row, 1 + len(MONTHS) + place, float(value))
            else:
                sheet.write_string(row, 1 + len(MONTHS) + place, "n/a")
    return chosen[["patient_id", "date", "analyte", "value"]].assign(comparator="=")


def _write_drugs(sheet: Worksheet, looks: _Looks, cohort: Cohort) -> pd.DataFrame:
    """Write the pharmacist's list: names as they come, doses in mg a day, some starts known to the month."""
    drugs = cohort.treatments[cohort.treatments["drug"].isin(list(_DRUGS))].reset_index(drop=True)
    drugs = drugs[drugs["dose"].notna()].reset_index(drop=True)
    started, known_to = _as_people_write(drugs["start"])
    columns = {
        "Study no": drugs["patient_id"].tolist(),
        "Drug": _by_turns(drugs["drug"], _DRUGS),
        "Dose (mg/day)": [float(dose) for dose in drugs["dose"]],
        "Started": started,
        "Stopped": _as_dates(drugs["stop"]),
    }
    _write_columns(sheet, looks, columns)
    told = drugs[["patient_id", "drug", "dose", "start", "stop"]].assign(date_precision=known_to)
    return told.assign(start=_as_known(told["start"], known_to))


def _as_people_write(dates: pd.Series) -> tuple[list[object], pd.Series]:
    """Return dates as three people write them, a real date, text, or a month, and how exactly each is then known."""
    rows = np.arange(len(dates))
    months = pd.Series(rows % 7 == 3, index=dates.index)
    written = [
        day.strftime(_MONTH) if month else cell
        for day, month, cell in zip(dates, months, _text_or_date(dates), strict=True)
    ]  # fmt: skip
    return written, months.map({True: "month", False: None}).astype("string")


def _as_known(dates: pd.Series, known_to: pd.Series) -> pd.Series:
    """Return dates as loading knows them: one known to the month stands on its 15th."""
    middle = dates.dt.to_period("M").dt.to_timestamp() + pd.Timedelta(days=14)
    return dates.mask(known_to.eq("month").fillna(value=False), middle.astype(dates.dtype))


def _text_or_date(dates: pd.Series) -> list[object]:
    return [day.strftime(_DAY) if row % 2 else day.to_pydatetime() for row, day in enumerate(dates)]


def _as_dates(dates: pd.Series) -> list[object]:
    return [None if pd.isna(day) else day.to_pydatetime() for day in dates]


def _by_turns(words: pd.Series, written: Mapping[str, Sequence[str]]) -> list[object]:
    """Return each word as one of three people writes it, by turns."""
    return [written[word][row % 3] for row, word in enumerate(words)]


def _as_typed(cell: str) -> object:
    """Return a plain number as a number, all else as the text that it is."""
    try:
        return float(cell)
    except ValueError:
        return cell


def _write_columns(
    sheet: Worksheet, looks: _Looks, columns: Mapping[str, Sequence[object]], *, first_row: int = 0, coloured: int = 0
) -> None:
    """Write a header and the cells below it; every ``coloured``-th line is yellow."""
    for place, (name, cells) in enumerate(columns.items()):
        sheet.write_string(first_row, place, name, looks.header)
        for row, cell in enumerate(cells):
            look = looks.yellow if coloured and row % coloured == 0 else None
            _write_cell(sheet, first_row + 1 + row, place, cell, looks.date if isinstance(cell, dt.datetime) else look)


def _write_cell(sheet: Worksheet, row: int, place: int, cell: object, look: Format | None) -> None:
    if isinstance(cell, dt.datetime):
        sheet.write_datetime(row, place, cell, look)
    elif isinstance(cell, float):
        sheet.write_number(row, place, cell, look)
    elif isinstance(cell, str) and cell:
        sheet.write_string(row, place, str(cell), look)
