"""Collected text → records: versions and states resolved, dates completed, results and doses converted, per file."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aih_outcomes.formats.fhir import NOT_HELD
from aih_outcomes.load.fhir.accounts import split_by_file
from aih_outcomes.load.fhir.diagnoses import add_follow_up
from aih_outcomes.load.fhir.laboratory import convert_labs
from aih_outcomes.load.fhir.references import key_of_address
from aih_outcomes.load.fhir.store import LAB_COLUMNS, Origin, Row, Store
from aih_outcomes.load.fhir.values import order_of
from aih_outcomes.load.mapping import Rules
from aih_outcomes.load.mapping_rules import number_factor
from aih_outcomes.load.records import Records, list_problems
from aih_outcomes.load.values.doses import convert_doses
from aih_outcomes.load.values.parse import parse_table
from aih_outcomes.schema import TABLES, empty_table
from aih_outcomes.units import normalise_unit

_STATES = frozenset(state for states in NOT_HELD.values() for state in states)


def assemble(store: Store, names: Sequence[str], rules: Rules) -> list[Records]:
    """Return the records of every table and file."""
    add_follow_up(store)
    records: list[Records] = []
    for table in sorted(TABLES, key=lambda name: name != "measurements"):  # weights come before doses
        text = lay_out(store, table)
        held = _resolve(store, text, table) if len(text) else text
        if len(held):
            frame, problems = _read(table, held, rules, records)
        else:
            frame, problems = empty_table(table).assign(file=0), []
        records += split_by_file(store, table, frame, problems, names)
    return records


def lay_out(store: Store, table: str) -> pd.DataFrame:
    """Return the collected rows of a table as text, a column per cell, behind those of their origin."""
    parts = [_frame(store.rows[table])] if table in store.rows else []
    if table == "labs" and store.labs:
        labs = pd.DataFrame(np.array(store.labs, dtype=object), columns=list(LAB_COLUMNS))
        parts.append(_add_visits(labs, store.encounters))
    if not parts:
        return pd.DataFrame()
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True).fillna("")


def _add_visits(labs: pd.DataFrame, encounters: dict[str, str]) -> pd.DataFrame:
    """Fill ``visit`` from the encounter of a result, where it has no word of its own."""
    if not encounters:
        return labs
    known = {address: encounters.get(key_of_address(address), "") for address in labs["encounter"].unique()}
    return labs.assign(visit=labs["visit"].where(labs["visit"] != "", labs["encounter"].map(known)))


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    origins = pd.DataFrame([row.origin for row in rows], columns=list(Origin._fields), dtype=object)
    cells = pd.DataFrame([row.cells for row in rows], dtype=object).fillna("")
    return pd.concat([origins, cells.drop(columns=list(Origin._fields), errors="ignore")], axis=1)


def _resolve(store: Store, text: pd.DataFrame, table: str) -> pd.DataFrame:
    """Keep the last version of each resource, and leave out those whose state says that they do not hold."""
    repeated = (text["key"] != "") & (text["version"] != "") & text["key"].duplicated(keep=False)
    order = text.loc[repeated, ["key", "version"]]
    order = order.assign(version=order["version"].map(order_of)).sort_values(["key", "version"], kind="stable")
    old = order.index[order.duplicated("key", keep="last") & ~order.duplicated(["key", "version"], keep=False)]
    earlier = text.index.isin(old)
    out = text["status"].isin(_STATES).to_numpy() & ~earlier
    for left, words in ((earlier, "earlier versions of a resource"), (out, "entered in error, cancelled, or not held")):
        for file, number in text["file"][left].value_counts().items():
            store.passed[table, int(str(file)), words] += int(number)
    kept = text[~(earlier | out)].reset_index(drop=True)
    return kept.drop(columns=["key", "version", "status"])


def _read(
    table: str, text: pd.DataFrame, rules: Rules, before: Sequence[Records]
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Return the records of a table, all files together, and their problems."""
    converted = ["value", "unit", "uln", "uln_source"] if table == "labs" else ["unit"]
    frame, problems = parse_table(text.drop(columns=converted, errors="ignore"), table, {})
    if table == "labs":
        more, further = convert_labs(text, frame["analyte"], rules)
    elif table == "treatments":
        more, further = _convert_doses(text, frame, before)
    elif table == "measurements":
        more, further = _convert_measures(text, frame)
    else:
        more, further = pd.DataFrame(index=frame.index), []
    frame = frame.drop(columns=more.columns, errors="ignore").join(more)
    return frame.assign(file=text["file"], source_row=text["row"]), [*problems, *further]


def _convert_doses(
    text: pd.DataFrame, frame: pd.DataFrame, before: Sequence[Records]
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Convert doses that are told per day; others stay as recorded, with no dose."""
    weights = pd.concat([empty_table("measurements"), *(part.kept for part in before if len(part.kept))])
    readable = text["readable"] == "yes"
    shown = text[["dose_printed", "dose_unit"]].where(readable, "")
    more, problems = convert_doses(shown, frame, weights[weights["measure"] == "weight"])
    raw = text["dose_printed"].replace("", None).astype("string")
    unit = text["dose_unit"].replace("", None).astype("string")
    return more.assign(raw_dose=raw, raw_dose_unit=unit), problems


def _convert_measures(text: pd.DataFrame, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Convert measurements to kg and cm; without a unit they are not read."""
    unit = text["unit"] if "unit" in text else pd.Series("", index=text.index, dtype=object)
    factors = {}
    for measure, written in (
        pd.DataFrame({"m": frame["measure"], "u": unit}).dropna().drop_duplicates().itertuples(index=False, name=None)
    ):
        try:
            factors[measure, written] = number_factor("measurements", measure, normalise_unit(written))
        except ValueError:
            continue
    found = [factors.get(pair) for pair in zip(frame["measure"], unit, strict=True)]
    factor = pd.Series(found, index=frame.index, dtype=float)
    bad = factor.isna() & frame["measure"].notna()
    way_out = "Give the unit in the source, in UCUM"
    problem = list_problems(bad, "value", "unit of a weight must be kg or g, of a height cm or m", way_out)
    return pd.DataFrame({"value": frame["value"] * factor}), [problem]
