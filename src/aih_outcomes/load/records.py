"""What reading yields before the cohort exists: records that could be read, and rows set aside with their reason."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aih_outcomes.schema import conform, positions

PROBLEM_COLUMNS = ("row", "column", "rule", "way_out")
_ASIDE_DTYPES = {
    "patient_id": "string", "source_file": "string", "source_row": "Int64",
    "column": "string", "rule": "string", "way_out": "string",
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """The records of one table that came from one file.

    Attributes
    ----------
    kept : records with the columns of ``schema.TABLES[table]``
    aside : ``patient_id, source_file, source_row, column, rule, way_out``; the identifier stays inside ``load``: it
        tells whose other rows lose their patient
    n_read : records in the file, counted before anything is read into its cells
    columns_not_used, how_read : for the load report
    """

    table: str
    source_file: str
    kept: pd.DataFrame
    aside: pd.DataFrame
    n_read: int
    columns_not_used: str = ""
    how_read: str = ""


def list_problems(bad: pd.Series, column: str, rule: str, way_out: str) -> pd.DataFrame:
    """Return one problem ``row, column, rule, way_out`` for each true row of ``bad``; ``row`` is its position."""
    rows = positions(bad)
    return pd.DataFrame({"row": rows, "column": column, "rule": rule, "way_out": way_out})


def join_problems(problems: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return one line per row: where a row has several problems, they are named together."""
    found = [frame for frame in problems if len(frame)]
    if not found:
        return pd.DataFrame(columns=list(PROBLEM_COLUMNS))
    listed = pd.concat(found, ignore_index=True)
    reasons = listed[list(PROBLEM_COLUMNS[1:])]
    listed = listed.assign(reason=reasons.groupby(list(reasons), sort=False, dropna=False).ngroup())
    words = listed.drop_duplicates("reason").set_index("reason")[list(reasons)]
    listed = listed[["row", "reason"]].drop_duplicates().sort_values("row", kind="stable")
    # Words are joined once per set of reasons that occurs, of which there are few, and not once per row.
    place = listed.groupby("row").cumcount().to_numpy()
    row, line = np.unique(listed["row"].to_numpy(dtype="int64"), return_inverse=True)
    sets = np.full((len(row), place.max() + 1), -1, dtype=np.int64)
    sets[line, place] = listed["reason"]
    distinct, which = np.unique(sets, axis=0, return_inverse=True)
    joined = pd.DataFrame([words.loc[codes[codes >= 0]].agg(_join_words) for codes in distinct])
    return joined.iloc[which.ravel()].reset_index(drop=True).assign(row=row)[list(PROBLEM_COLUMNS)]


def _join_words(words: pd.Series) -> str:
    return "; ".join(dict.fromkeys(words))


def describe_aside(frame: pd.DataFrame, problems: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``frame`` that have a problem in the form of ``Records.aside``."""
    rows = frame.iloc[problems["row"].to_numpy(dtype="int64")].reset_index(drop=True)
    reasons = problems[["column", "rule", "way_out"]].reset_index(drop=True)
    places = rows.reindex(columns=["patient_id", "source_file", "source_row"])
    return pd.concat([places, reasons], axis=1).astype(_ASIDE_DTYPES)


def describe_uneven(source_file: str, lines: Iterable[int]) -> pd.DataFrame:
    """Return lines whose number of cells is not that of the header in the form of ``Records.aside``."""
    frame = pd.DataFrame({"source_row": list(lines)})
    return frame.assign(
        patient_id=None, source_file=source_file, column="",
        rule="line has more or fewer cells than the header",
        way_out="Quote cells that hold the separator, and fill up lines that end early",
    ).astype(_ASIDE_DTYPES)[list(_ASIDE_DTYPES)]  # fmt: skip


def split_records(
    table: str, frame: pd.DataFrame, problems: Iterable[pd.DataFrame], *, source_file: str, uneven: tuple[int, ...],
    n_read: int, columns_not_used: str = "", how_read: str = "",
) -> Records:  # fmt: skip
    """Keep the rows without a problem and set the others aside."""
    joined = join_problems(problems)
    good = pd.Series(data=True, index=range(len(frame)))
    good.iloc[joined["row"].to_numpy(dtype="int64")] = False
    parts = [describe_aside(frame, joined)] + ([describe_uneven(source_file, uneven)] if uneven else [])
    return Records(
        table=table,
        source_file=source_file,
        kept=conform(frame if joined.empty else frame[good.to_numpy()], table),
        aside=pd.concat(parts, ignore_index=True),
        n_read=n_read,
        columns_not_used=columns_not_used,
        how_read=how_read,
    )
