"""The table ``treatments``: steroid and every other drug, with what still goes on and why the rest stopped."""

import numpy as np
import pandas as pd

from aih_outcomes.simulate.doses import draw_steroid, tabulate_steroid
from aih_outcomes.simulate.lines import tabulate_lines, tabulate_other_drugs
from aih_outcomes.simulate.notes import Notes
from aih_outcomes.simulate.parameters import Parameters

ROUTES = {
    "infliximab": "intravenous", "rituximab": "intravenous", "abatacept": "intravenous",
    "immunoglobulin": "intravenous", "tocilizumab": "subcutaneous", "adalimumab": "subcutaneous",
}  # the rest is oral  # fmt: skip


def tabulate_treatments(notes: Notes, p: Parameters) -> pd.DataFrame:
    """Return one row per period of one drug at one dose; days, the last one included."""
    children, stop = notes.children, notes.stop
    courses = draw_steroid(notes.seed, children, notes.course, p)
    steroid = tabulate_steroid(courses, notes.growth, stop + 1, p).rename(columns={"stop": "end"})
    lines = tabulate_lines(notes.seed, children, notes.course, notes.growth, stop, p)
    others = tabulate_other_drugs(notes.seed, children, stop, notes.survival.transplant, notes.follow_up.end)
    rows = pd.concat([steroid.assign(reason="planned", indication="aih"), lines, others], ignore_index=True)
    return _with_texts(_closed(rows, notes))


def _closed(rows: pd.DataFrame, notes: Notes) -> pd.DataFrame:
    """Leave open what goes on when observation ends; close everything at a transplant but what is for the graft."""
    child, graft = rows["child"].to_numpy(), rows["indication"].eq("rejection").to_numpy()
    end, stop = rows["end"].to_numpy(float), notes.stop[child]
    going_on = end > np.where(graft, notes.follow_up.end[child], stop)
    transplanted = going_on & (notes.survival.transplant[child] <= stop) & ~graft
    reason = rows["reason"].mask(going_on).mask(transplanted, "other")
    return rows.assign(stop=np.where(going_on & ~transplanted, np.nan, end - 1), reason_stopped=reason)


def _with_texts(rows: pd.DataFrame) -> pd.DataFrame:
    dosed = rows["dose"].notna()
    text = rows["dose"].map("{:g}".format).where(dosed)
    unit = pd.Series("mg/day", index=rows.index).where(dosed)
    return rows.assign(route=rows["drug"].map(ROUTES).fillna("oral"), raw_dose=text, raw_dose_unit=unit)
