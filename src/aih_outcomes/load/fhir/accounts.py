"""The accounts of a table: its records file by file, what was passed over, and which codes were not used."""

from collections import Counter
from collections.abc import Iterator, Sequence

import pandas as pd

from aih_outcomes.load.fhir.store import Refused, Store
from aih_outcomes.load.records import Records, describe_aside, join_problems
from aih_outcomes.schema import conform, empty_table

_MOST_CODES = 10  # named per table and file


def split_by_file(
    store: Store, table: str, frame: pd.DataFrame, problems: list[pd.DataFrame], names: Sequence[str]
) -> list[Records]:
    """Keep the rows without a problem, set the others aside, and return the records of each file.

    Parameters
    ----------
    frame : the columns of the table that were read, and ``file``, the place of its file in ``names``
    """
    files = sorted(_files(store, table) | set(frame["file"]))
    if not files:
        return []
    name_of = dict(enumerate(names))
    frame = frame.assign(source_file=frame["file"].map(name_of)).reset_index(drop=True)
    joined = join_problems(problems)
    good = pd.Series(data=True, index=frame.index)
    good.iloc[joined["row"].to_numpy(dtype="int64")] = False
    kept = conform(frame[good].drop(columns="file"), table) if len(frame) else empty_table(table)
    aside = pd.concat([describe_aside(frame, joined), _describe(store, table, name_of)], ignore_index=True)
    rows_of = _positions(frame["file"][good])
    aside_of = _positions(aside["source_file"])
    read_of = frame["file"].value_counts()
    refused_of = Counter(one.file for one in store.refused if one.table == table)
    return [
        Records(
            table=table,
            source_file=names[file],
            kept=kept.take(rows_of.get(file, [])).reset_index(drop=True),
            aside=aside.take(aside_of.get(names[file], [])).reset_index(drop=True),
            n_read=int(read_of.get(file, 0)) + refused_of[file],
            columns_not_used=_name_codes(store, table, file),
            how_read="; ".join(_say(store, table, file)),
        )
        for file in files
    ]


def _positions(labels: pd.Series) -> dict[object, list[int]]:
    return {
        label: list(rows) for label, rows in labels.reset_index(drop=True).groupby(labels.to_numpy()).indices.items()
    }


def _describe(store: Store, table: str, name_of: dict[int, str]) -> pd.DataFrame:
    """Return what was refused before it was a row, in the form of ``Records.aside``."""
    refused = pd.DataFrame([one for one in store.refused if one.table == table], columns=list(Refused._fields))
    refused = refused.assign(row_number=refused["row"], row=range(len(refused)))
    places = pd.DataFrame(
        {
            "patient_id": refused["patient_id"].replace("", None),
            "source_file": refused["file"].map(name_of),
            "source_row": refused["row_number"],
        }
    )
    return describe_aside(places, refused[["row", "column", "rule", "way_out"]])


def _files(store: Store, table: str) -> set[int]:
    counters = (store.passed, store.told, store.not_used)
    counted = {file for counter in counters for name, file, _ in counter if name == table}
    return counted | {one.file for one in store.refused if one.table == table}


def _say(store: Store, table: str, file: int) -> Iterator[str]:
    """Say in words what was passed over, and what should be known of the rows that are read."""
    for (name, place, words), number in store.passed.items():
        if (name, place) == (table, file):
            yield f"{number:,} passed over: {words}"
    for (name, place, words), number in store.told.items():
        if (name, place) == (table, file):
            yield f"{number:,} {words}"
    left = sum(number for (name, place, _), number in store.not_used.items() if (name, place) == (table, file))
    if left:
        kinds = table == "patients"  # the resources of kinds that are not read are counted with it
        yield f"{left:,} passed over: " + (
            "of kinds that are not read" if kinds else "codes without a word in the schema"
        )


def _name_codes(store: Store, table: str, file: int) -> str:
    """Name the commonest codes that are not used."""
    codes = Counter({code: n for (name, place, code), n in store.not_used.items() if (name, place) == (table, file)})
    named = [f"{code} ({number:,})" for code, number in codes.most_common(_MOST_CODES)]
    more = len(codes) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "")
