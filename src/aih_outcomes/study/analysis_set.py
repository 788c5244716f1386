"""The analysis set as files: CSV, Excel, SPSS and Stata, one row per patient, each column with its meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas as pd

from aih_outcomes.endpoints.patients.analysis_set import AnalysisSet, Variable, as_objects
from aih_outcomes.errors import OutcomeError, PlanError
from aih_outcomes.study.workbook import Sheet, make_room, write_workbook

if TYPE_CHECKING:
    from types import ModuleType

Format = Literal["csv", "xlsx", "sav", "dta"]
SPSS_DAY_0 = pd.Timestamp("1582-10-14")  # SPSS counts seconds, Stata days, from these dates
STATA_DAY_0 = pd.Timestamp("1960-01-01")
SECONDS_PER_DAY = 86_400
STATA_14 = 14  # its files open in every edition from 14 on; those of 15 are for Stata/MP
# No clock in a header: the library writes the time of writing and has no option. Offsets: the file formats' own pages.
SAV_TIME, SAV_FIXED = slice(92, 109), b"01 Jan 8000:00:00"
DTA_TIME, DTA_FIXED = re.compile(rb"(?<=<timestamp>\x11)[^<]{17}"), b"01 Jan 1980 00:00"


def write_analysis_set(
    table: AnalysisSet,
    folder: Path | str,
    *,
    name: str = "analysis_set",
    formats: Sequence[str] = ("csv", "xlsx", "sav", "dta"),
) -> list[Path]:
    """Write one row per patient. The rows carry pseudonyms: for internal use, never part of a report.

    CSV (UTF-8) and Excel hold words; Excel has a second sheet, the codebook. SPSS and Stata hold codes with value
    labels; words that are no answer (*not evaluable*) are declared missing there, so that nothing averages them in:
    user-missing in SPSS, ``.a``, ``.b``, … in Stata. The same input gives the same bytes.

    Parameters
    ----------
    folder : it is made if it does not exist
    name : file name without ending
    formats : which files

    Returns
    -------
    the files, in the order of ``formats``

    Raises
    ------
    PlanError : a format is not known, the name or folder cannot be used, or the package that writes SPSS and Stata is
        not installed; nothing is written
    OutcomeError : ``table`` is no analysis set
    """
    if not isinstance(table, AnalysisSet):
        raise OutcomeError(
            f"{type(table).__name__} is no analysis set", "Each column is written with its label, unit and codes",
            "Give what derive_analysis_set(...) returns, or AnalysisSet(frame, variables)",
        )  # fmt: skip
    unknown = [one for one in formats if one not in get_args(Format)]
    if unknown:
        raise PlanError(
            f"{unknown[0]!r} is not a format of an analysis set",
            f"Formats are {', '.join(get_args(Format))}",
            "Correct formats",
        )
    if not name or set(name) & set("/\\"):
        raise PlanError(f"{name!r} is no file name", "The name is that of a file, without ending and without folder",
                        "Give the folder as folder=")  # fmt: skip
    if {"sav", "dta"} & set(formats):
        _import_pyreadstat()
    writers: dict[str, Callable[[AnalysisSet, Path], None]] = {
        "csv": _write_csv,
        "xlsx": _write_xlsx,
        "sav": _write_sav,
        "dta": _write_dta,
    }
    paths = [make_room(Path(folder) / f"{name}.{one}") for one in formats]
    for one, path in zip(formats, paths, strict=True):
        writers[one](table, path)
    return paths


def describe_variables(table: AnalysisSet) -> pd.DataFrame:
    """Return the codebook: ``name, label, unit, type, codes, missing, n_known`` (patients with an answer)."""
    rows = []
    for variable in table.variables:
        words = table.words(variable) if variable.levels else table.frame[variable.name]
        rows.append(
            {
                "name": variable.name,
                "label": variable.label,
                "unit": variable.unit,
                "type": table.type_of(variable),
                "codes": "; ".join(f"{code} = {said}" for code, said in variable.levels.items()),
                "missing": "; ".join(
                    f"{said} (SPSS: user-missing {code}; Stata: .{letter})"
                    for said, (code, letter) in _missing(variable).items()
                ),
                "n_known": int((words.notna() & ~words.isin(variable.missing)).sum()),
            }
        )
    return pd.DataFrame(rows)


def _import_pyreadstat() -> ModuleType:
    try:
        import pyreadstat
    except ImportError as error:
        raise PlanError(
            "Files for SPSS and Stata cannot be written: the package pyreadstat is not installed",
            "It comes with the extra 'spss'",
            'Install it with: pip install "aih-outcomes[spss]"; or ask for formats=("csv", "xlsx")',
        ) from error
    return pyreadstat


def _missing(variable: Variable) -> dict[str, tuple[int, str]]:
    """Return words that are no answer → their code and Stata's letter."""
    codes = {words: code for code, words in variable.levels.items()}
    return {said: (codes[said], letter) for said, letter in zip(variable.missing, ascii_lowercase, strict=False)}


def _in_words(table: AnalysisSet) -> pd.DataFrame:
    return pd.DataFrame(
        {v.name: table.words(v) if v.levels else table.frame[v.name] for v in table.variables}, index=table.frame.index
    )


def _write_csv(table: AnalysisSet, path: Path) -> None:
    _in_words(table).to_csv(path, index=False, encoding="utf-8", lineterminator="\n", date_format="%Y-%m-%d")


def _write_xlsx(table: AnalysisSet, path: Path) -> None:
    write_workbook(path, [Sheet("data", _in_words(table)), Sheet("codebook", describe_variables(table), wrap=True)])


def _write_sav(table: AnalysisSet, path: Path) -> None:
    columns = {v.name: _statistical(table, v, SPSS_DAY_0, SECONDS_PER_DAY) for v in table.variables}
    types = {v.name: table.type_of(v) for v in table.variables}
    measures = {"coded": "nominal", "text": "nominal", "number": "scale", "date": "scale"}
    _import_pyreadstat().write_sav(
        pd.DataFrame(columns),
        path,
        file_label=table.label,
        column_labels=[v.title for v in table.variables],
        variable_value_labels={v.name: dict(v.levels) for v in table.variables if v.levels},
        missing_ranges={v.name: [code for code, _ in _missing(v).values()] for v in table.variables if v.missing},
        variable_format={
            n: {"coded": "F8.0", "date": "SDATE10"}[t] for n, t in types.items() if t in ("coded", "date")
        },
        variable_measure={name: measures[kind] for name, kind in types.items()},
    )
    content = bytearray(path.read_bytes())
    content[SAV_TIME] = SAV_FIXED
    path.write_bytes(content)


def _write_dta(table: AnalysisSet, path: Path) -> None:
    columns, labels, extended = {}, {}, {}
    for variable in table.variables:
        values = _statistical(table, variable, STATA_DAY_0, 1)
        letters = dict(_missing(variable).values())
        if letters:
            values = values.astype(object).mask(values.isin(list(letters)), values.map(letters))
            extended[variable.name] = list(letters.values())
        if variable.levels:
            labels[variable.name] = {letters.get(code, code): words for code, words in variable.levels.items()}
        columns[variable.name] = values
    _import_pyreadstat().write_dta(
        pd.DataFrame(columns),
        path,
        version=STATA_14,
        file_label=table.label,
        column_labels=[v.title for v in table.variables],
        variable_value_labels=labels,
        missing_user_values=extended,
        variable_format={v.name: "%tdCCYY-NN-DD" for v in table.variables if table.type_of(v) == "date"},
    )
    path.write_bytes(DTA_TIME.sub(DTA_FIXED, path.read_bytes(), count=1))


def _statistical(table: AnalysisSet, variable: Variable, day_0: pd.Timestamp, per_day: int) -> pd.Series:
    """Return a column as SPSS and Stata keep it: codes, dates as a number since their day 0, numbers, texts."""
    values = table.frame[variable.name].reset_index(drop=True)
    kind = table.type_of(variable)
    if kind == "coded":
        return table.codes(variable).reset_index(drop=True)
    if kind == "date":
        since: Any = (values.astype("datetime64[s]") - day_0).dt.days
        return pd.Series(since * per_day, dtype="float64")
    if kind == "number":
        return values.astype("Float64").astype("float64")
    return pd.Series(as_objects(values), dtype=object)
