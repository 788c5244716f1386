"""Tables in canonical form: a folder of ``<table>.csv``, or a workbook whose sheets are named like the tables."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from aih_outcomes.errors import DataError
from aih_outcomes.load.records import Records, split_records
from aih_outcomes.load.spreadsheets.separated import read_separated
from aih_outcomes.load.spreadsheets.sheets import Workbook
from aih_outcomes.load.spreadsheets.source import Layout, Source, count
from aih_outcomes.load.values.doses import convert_doses
from aih_outcomes.load.values.laboratory import check_canonical_units, convert_results
from aih_outcomes.load.values.parse import parse_table
from aih_outcomes.schema import TABLES, Column, empty_table

EXAMPLE = "EXAMPLE (invented)"  # stands for the patient in the example rows of the template
_NEARLY_THE_SAME = 0.8  # of names: 'lab' and 'labs', 'Events' and 'events'; not 'data_dictionary'
# These columns are there, or else what was printed: a result with its unit, a dose.
MADE_BY_LOADING = {"labs": ("value", "unit", "comparator", "uln_source"), "treatments": ("dose",)}
_PRINTED = {"labs": ("raw_value", "raw_unit"), "treatments": ("raw_dose",)}
# Columns that only tables as printed have, beside those of the schema.
AS_PRINTED = {
    "labs": (Column(name="uln_unit", kind="text", describes="Unit of the upper limit, where it is not the result's"),)
}


def read_canonical(path: Path) -> list[Records]:
    """Read the tables of a folder or workbook; weights come before doses, which may be per kg.

    Raises
    ------
    DataError : ``patients`` is missing, a name is nearly that of a table, or a table lacks a required column
    """
    if path.is_file():
        book = Workbook(path, path.name)
        _check_names(book.sheets, f"workbook '{path.name}'", "sheet '{}'")
        names = [name for name in TABLES if name in book.sheets]
        return _read_tables(names, lambda name: _read_sheet(book, name))
    _check_names([file.stem for file in path.glob("*.csv")], f"folder '{path.name}'", "'{}.csv'")
    names = [name for name in TABLES if (path / f"{name}.csv").is_file()]
    return _read_tables(names, lambda name: read_separated(path / f"{name}.csv", f"{name}.csv"))


def _read_sheet(book: Workbook, name: str) -> Source:
    source = book.read(name, Layout(first_row=book.find_line(name, "patient_id")))
    others = ", ".join(f"'{sheet}'" for sheet in book.sheets if sheet not in TABLES)
    if name == "patients" and others:
        source = replace(source, notes=(*source.notes, f"sheets not used: {others}"))
    return source


def _check_names(found: Iterable[str], place: str, shown: str) -> None:
    """Refuse a folder or workbook without patients, or in which a table seems to bear another name."""
    present = set(found)
    if "patients" not in present:
        raise DataError(
            f"The {place} has no {shown.format('patients')}",
            "A folder or workbook in canonical form holds patients and, where there are any, the other tables of the "
            "schema, by their names: patients.csv, or a sheet named patients",
            "Name the file or sheet patients; or, for your own names, write a mapping with "
            f"`aih-outcomes init NEW_FOLDER --from {place.split(chr(39))[1]}`",
        )
    for name in (table for table in TABLES if table not in present):
        near = get_close_matches(name, sorted(present - set(TABLES)), n=1, cutoff=_NEARLY_THE_SAME)
        if near:
            raise DataError(
                f"The {place} holds {shown.format(near[0])} and no {shown.format(name)}",
                "A file or sheet in canonical form bears the name of its table",
                f"Name it {shown.format(name).strip(chr(39))} if it is that table, else take it out",
            )


def _read_tables(names: list[str], read: Callable[[str], Source]) -> list[Records]:
    records: dict[str, Records] = {}
    for name in sorted(names, key=lambda name: name != "measurements"):
        weights = records["measurements"].kept if "measurements" in records else empty_table("measurements")
        records[name] = _read_table(read(name), name, weights)
    return [records[name] for name in names]


def _read_table(source: Source, name: str, weights: pd.DataFrame) -> Records:
    _check_columns(source, name)
    example = source.cells["patient_id"] == EXAMPLE
    cells = source.cells[~example]
    text = cells.reset_index(drop=True)
    frame, problems = parse_table(text, name, {})
    more, further = _convert(text, frame, name, weights)
    frame = frame.drop(columns=more.columns, errors="ignore").join(more)
    frame = frame.assign(source_file=source.name, source_row=cells.index)
    told = [*source.tell(), *([f"{count(int(example.sum()), 'example row')} passed over"] if example.any() else [])]
    return split_records(
        name, frame, [*problems, *further],
        source_file=source.name,
        uneven=source.uneven,
        n_read=len(cells) + len(source.uneven),
        columns_not_used=source.list_unused(_known_columns(text, name)),
        how_read="; ".join(told),
    )  # fmt: skip


def _convert(
    text: pd.DataFrame, frame: pd.DataFrame, name: str, weights: pd.DataFrame
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Convert results and doses that are given as printed; check the units of those that are not."""
    if name == "treatments" and _is_printed(text, name):
        printed = pd.DataFrame({"dose_printed": text["raw_dose"], "dose_unit": text.get("raw_dose_unit", "")})
        doses, problems = parse_table(text.rename(columns={"raw_dose": "dose"})[["dose"]], name, {})
        parsed = frame[["patient_id", "start"]].join(doses)
        more, further = convert_doses(printed, parsed, weights[weights["measure"] == "weight"])
        return more, [*problems, *further]
    if name != "labs":
        return pd.DataFrame(index=frame.index), []
    if not _is_printed(text, name):
        return pd.DataFrame(index=frame.index), check_canonical_units(frame)
    printed = pd.DataFrame({"value": text["raw_value"], "printed": text["raw_value"], "unit": text["raw_unit"]})
    limits = [column for column in ("uln", "uln_unit", "uln_source") if column in text]
    return convert_results(printed.join(text[limits]), frame["analyte"], units={}, decimal=".")


def _known_columns(text: pd.DataFrame, name: str) -> list[str]:
    more = AS_PRINTED.get(name, ()) if _is_printed(text, name) else ()
    return [*TABLES[name].column_names(), *(column.name for column in more)]


def _is_printed(text: pd.DataFrame, name: str) -> bool:
    """Return whether a table holds what was printed, and not what loading makes of it."""
    return name in _PRINTED and MADE_BY_LOADING[name][0] not in text and _PRINTED[name][0] in text


def _check_columns(source: Source, name: str) -> None:
    """Refuse a file without a required column; its header is not quoted: where it is missing, line 1 is a patient."""
    made = MADE_BY_LOADING.get(name, ())
    needed = [column.name for column in TABLES[name].columns if column.required and column.name not in made]
    needed += _PRINTED[name] if _is_printed(source.cells, name) else made if name == "labs" else ()
    missing = [column for column in needed if column not in source.cells]
    if name == "patients" and not {"birth_date", "age_at_diagnosis"} & set(source.cells.columns):
        missing.append("birth_date (or age_at_diagnosis)")
    if missing:
        raise DataError(
            f"'{source.name}' lacks {len(missing)} required column(s): {', '.join(missing)}",
            f"The header names the columns of the table '{name}'",
            f"Add the columns, or give a mapping that says which column holds what ([{name}])",
        )
