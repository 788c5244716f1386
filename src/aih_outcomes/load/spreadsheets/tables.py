"""Files of tables, in canonical form or through a mapping, to a cohort."""

from pathlib import Path

from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import DataError
from aih_outcomes.load.door import make_cohort
from aih_outcomes.load.mapping import Mapping, read_mapping
from aih_outcomes.load.privacy.pseudonyms import Pseudonyms
from aih_outcomes.load.spreadsheets.canonical import read_canonical
from aih_outcomes.load.spreadsheets.mapped import read_mapped
from aih_outcomes.load.spreadsheets.sheets import WORKBOOKS
from aih_outcomes.load.values.limits import read_upper_limits


def read_tables(
    path: str | Path, mapping: str | Path | Mapping | None = None, *, label: str | None = None,
    pseudonyms: Pseudonyms | None = None,
) -> Cohort:  # fmt: skip
    """Read a folder of files, or one file, into a cohort: .csv, .xlsx, .ods, SPSS (.sav) and Stata (.dta).

    Colour is not data: what a cell's fill, font or comment says is not read.

    Parameters
    ----------
    path : folder that holds the files, or one file
    mapping : None where the tables are in canonical form: a folder with ``<table>.csv``, or a workbook with a sheet,
        for each table of the schema that there is (``patients`` must be there), columns by their names in the data
        dictionary, dates ``YYYY-MM-DD``, laboratory values in the canonical unit (or as printed: ``raw_value`` and
        ``raw_unit`` instead of ``value``, ``unit`` and ``comparator``; so of doses). Else a mapping file (TOML), which
        says which column of which file or sheet holds what; see ``aih_outcomes.load.mapping``
    label : what the data are, printed with every figure; else the label of the mapping, else ``cohort``
    pseudonyms : replaces identifiers as the rows come in

    Returns
    -------
    Cohort : rows that cannot be read or that break a rule stand in ``set_aside``, each with file, line, column, rule
        and way out; ``load_report`` counts rows read, kept and set aside per table

    Raises
    ------
    DataError : a file is missing, empty, in another encoding or lacks a required column; no patient is left
    PlanError : the mapping cannot be used, or names a file or column that is not there
    """
    path = Path(path)
    _check_path(path, mapped=mapping is not None)
    if mapping is None:
        return make_cohort(read_canonical(path), label=label or "cohort", pseudonyms=pseudonyms)
    if not isinstance(mapping, Mapping):
        mapping = read_mapping(mapping)
    limits = read_upper_limits(mapping.upper_limits, path if path.is_dir() else path.parent, mapping.reading)
    records = read_mapped(path, mapping)
    return make_cohort(records, label=label or mapping.label or "cohort", limits=limits, pseudonyms=pseudonyms)


def _check_path(path: Path, *, mapped: bool) -> None:
    if path.is_dir() or (path.is_file() and (mapped or path.suffix.lower() in WORKBOOKS)):
        return
    if path.is_file():
        raise DataError(
            f"'{path.name}' is one file and no workbook",
            "In canonical form tables stand in a folder (patients.csv, …) or in a workbook (a sheet named patients, …)",
            "Name the folder; or write a mapping, which says which column holds what, with "
            f"`aih-outcomes init NEW_FOLDER --from {path.name}`",
        )
    raise DataError(
        f"There is no folder '{path.name}'", "Tables are read from a folder, or from one file", "Check its path"
    )
