"""The simulated cohort as files in the canonical form; the truth is not among them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from aih_outcomes.cohort import Cohort
from aih_outcomes.schema import TABLES, data_dictionary
from aih_outcomes.simulate.synthetic import simulate_cohort
from aih_outcomes.units import canonical_units

if TYPE_CHECKING:
    from aih_outcomes.simulate.exports.printed import Printed

SEED = 20240130  # of the cohort in data/synthetic
NOT_WRITTEN = ("source_file", "source_row")

_README = """# The synthetic cohort

{n} invented children with autoimmune hepatitis. No line belongs to a real child; every effect was set by us.
`AIH-0000` is a composite child: invented; not a published patient; not dosing advice.

    aih-outcomes simulate data/synthetic --seed {seed} --patients {n}

writes these files anew, byte for byte. One file per table; what the columns mean stands in `data_dictionary.csv`;
dates are ISO 8601, decimals have a point, an empty field is missing. `truth.json` (what is true of the mechanism behind
the cohort) and `calibration.csv` (published figures beside what was simulated) are made by

    python -m aih_outcomes.simulate.truth data/synthetic/truth.json
    python -m aih_outcomes.simulate.calibration data/synthetic/calibration.csv
"""


def write_synthetic(folder: Path | str, *, seed: int = SEED, n_patients: int = 350) -> Cohort:
    """Simulate the default cohort and write its eleven tables, the data dictionary and a short README.

    Parameters
    ----------
    folder : where to write; it is made if it does not exist
    seed, n_patients : see ``simulate_cohort``

    Returns
    -------
    the cohort that was written
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    cohort = simulate_cohort(seed, n_patients)
    for name, table in cohort.tables().items():
        _write(as_text(table, name), out / f"{name}.csv")
    _write(data_dictionary(), out / "data_dictionary.csv")
    readme = _README.format(n=cohort.n_patients, seed=seed)
    (out / "README.md").write_text(readme, encoding="utf-8", newline="\n")
    return cohort


def export_tables(printed: Printed, folder: Path | str) -> None:
    """Write ``<table>.csv`` for each table, in canonical form with results and doses as printed.

    What is no result, no unit or no date is written as it is, for the loader to set aside.

    Parameters
    ----------
    printed : table → cells as text, see ``print_cohort``
    folder : where to write; it is made if it does not exist
    """
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    for name, table in printed.items():
        _write(say_limit_unit(table), out / f"{name}.csv")


def say_limit_unit(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of results with the unit of their upper limits, which is the canonical one; others as they are."""
    if "uln" not in table:
        return table
    unit = table["analyte"].map(canonical_units()).fillna("").mask(table["uln"] == "", "")
    return table.assign(uln_unit=unit)


def as_text(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the table as it is written: ISO dates, the shortest number that reads back as itself, empty if missing."""
    written = {}
    for column in TABLES[name].columns:
        if column.name in NOT_WRITTEN:
            continue
        values = table[column.name]
        if column.kind == "date":
            written[column.name] = values.dt.strftime("%Y-%m-%d")
        elif column.kind == "number":
            written[column.name] = values.map(_shortest)
        elif column.kind == "yes_no":
            written[column.name] = values.map({True: "yes", False: "no"})
        else:
            written[column.name] = values
    return pd.DataFrame(written)


def _shortest(value: float) -> str | None:
    """Return the shortest text that reads back as the same number; whole numbers without a point."""
    if pd.isna(value):
        return None
    return str(int(value)) if value == int(value) else repr(float(value))


def _write(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
