"""CSV tables, in canonical form or through a mapping, to a cohort."""

from difflib import get_close_matches
from pathlib import Path

from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import DataError
from aih_outcomes.load.laboratory import check_canonical_units
from aih_outcomes.load.mapped import read_mapped
from aih_outcomes.load.mapping import Mapping, read_mapping
from aih_outcomes.load.parse import parse_table
from aih_outcomes.load.quarantine import quarantine
from aih_outcomes.load.records import Records, split_records
from aih_outcomes.load.source import Source, read_source
from aih_outcomes.schema import TABLES

_NEARLY_THE_SAME = 0.8  # of file names: 'lab' and 'labs', 'Events' and 'events'; not 'data_dictionary'


def read_tables(folder: str | Path, mapping: str | Path | Mapping | None = None, *, label: str | None = None) -> Cohort:
    """Read a folder of CSV files into a cohort.

    Parameters
    ----------
    folder : holds the files
    mapping : None where the files are in canonical form: ``<table>.csv`` for each table of the schema that there is
        (``patients.csv`` must be there), columns by their names in the data dictionary, dates ``YYYY-MM-DD``,
        laboratory values in the canonical unit. Else a mapping file (TOML), which says which column of which file
        holds what; see ``aih_outcomes.load.mapping``
    label : what the data are, printed with every figure; else the label of the mapping, else ``cohort``

    Returns
    -------
    Cohort : rows that cannot be read or that break a rule stand in ``set_aside``, each with file, line, column, rule
        and way out; ``load_report`` counts rows read, kept and set aside per table

    Raises
    ------
    DataError : a file is missing, empty, in another encoding or lacks a required column; no patient is left
    PlanError : the mapping cannot be used, or names a file or column that is not there
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"There is no folder '{folder.name}'", "Tables are read from a folder", "Check its path")
    if mapping is None:
        return quarantine(_read_canonical(folder), label=label or "cohort")
    if not isinstance(mapping, Mapping):
        mapping = read_mapping(mapping)
    return quarantine(read_mapped(folder, mapping), label=label or mapping.label or "cohort")


def _read_canonical(folder: Path) -> list[Records]:
    if not (folder / "patients.csv").is_file():
        raise DataError(
            f"The folder '{folder.name}' has no 'patients.csv'",
            "A folder in canonical form holds patients.csv and, where there are any, the other tables of the schema",
            "Name the file patients.csv, or give a mapping for files of other names",
        )
    missing = [name for name in TABLES if not (folder / f"{name}.csv").is_file()]
    others = sorted({path.stem for path in folder.glob("*.csv")} - set(TABLES))
    for name in missing:
        near = get_close_matches(name, others, n=1, cutoff=_NEARLY_THE_SAME)
        if near:
            raise DataError(
                f"The folder '{folder.name}' holds '{near[0]}.csv' and no '{name}.csv'",
                "A file in canonical form bears the name of its table",
                f"Name the file {name}.csv if it is that table, else take it out of the folder",
            )
    return [_read_table(folder, name) for name in TABLES if name not in missing]


def _read_table(folder: Path, name: str) -> Records:
    source = read_source(folder, f"{name}.csv")
    _check_columns(source, name)
    text = source.cells.reset_index(drop=True)
    frame, problems = parse_table(text, name, {})
    frame = frame.assign(source_file=source.name, source_row=source.cells.index)
    if name == "labs":
        problems += check_canonical_units(frame)
    known = TABLES[name].column_names()
    return split_records(
        name, frame, problems,
        source_file=source.name,
        uneven=source.uneven,
        n_read=source.n_lines,
        columns_not_used=source.list_unused(known),
        how_read=f"{source.n_blank} blank line(s) passed over" if source.n_blank else "",
    )  # fmt: skip


def _check_columns(source: Source, name: str) -> None:
    """Refuse a file without a required column; its header is not quoted: where it is missing, line 1 is a patient."""
    needed = [column.name for column in TABLES[name].columns if column.required] + (["unit"] if name == "labs" else [])
    missing = [column for column in needed if column not in source.cells]
    if name == "patients" and not {"birth_date", "age_at_diagnosis"} & set(source.cells.columns):
        missing.append("birth_date (or age_at_diagnosis)")
    if missing:
        single = source.cells.shape[1] == 1
        raise DataError(
            f"'{source.name}' lacks {len(missing)} required column(s): {', '.join(missing)}",
            f"Line 1 names the columns of the table '{name}'" + (", separated by commas" if single else ""),
            'If the file is separated by semicolons, read it with a mapping: [reading] separator = ";"'
            if single
            else f"Add the columns, or give a mapping that says which column holds what ([{name}])",
        )
