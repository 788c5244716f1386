"""A cohort as a centre would have written it down: every cell a text, results and doses as printed."""

from __future__ import annotations

import pandas as pd

from aih_outcomes.cohort import Cohort
from aih_outcomes.simulate.exports.tables import as_text

Printed = dict[str, pd.DataFrame]

MADE_BY_LOADING = {"labs": ("value", "unit", "comparator"), "treatments": ("dose",)}


def print_cohort(cohort: Cohort) -> Printed:
    """Return table → its cells as text (``""`` where empty).

    Columns are those of the schema but what loading makes of what was printed: of a result stay ``raw_value`` and
    ``raw_unit`` (and ``uln`` in the canonical unit), of a dose ``raw_dose`` and ``raw_dose_unit``. Where a result or
    dose has nothing printed, it is printed in its canonical unit.
    """
    return {name: _print_table(table, name) for name, table in cohort.tables().items()}


def _print_table(table: pd.DataFrame, name: str) -> pd.DataFrame:
    text = as_text(table, name).astype(object)
    text = text.where(text.notna(), "").astype(str).reset_index(drop=True)
    if name == "labs":
        bare = text["raw_value"].eq("")
        sign = text["comparator"].replace("=", "")
        text["raw_value"] = text["raw_value"].mask(bare, sign + text["value"])
        text["raw_unit"] = text["raw_unit"].mask(bare, text["unit"])
    if name == "treatments":
        bare = text["raw_dose"].eq("") & text["dose"].ne("")
        text["raw_dose"] = text["raw_dose"].mask(bare, text["dose"])
        text["raw_dose_unit"] = text["raw_dose_unit"].mask(bare, "mg/day")
    return text.drop(columns=list(MADE_BY_LOADING.get(name, ())))
