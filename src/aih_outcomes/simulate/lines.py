"""Every drug but steroid: thiopurine, second and later lines, advanced drugs, and what is given for something else."""

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from aih_outcomes.simulate.children import SLOW, Children
from aih_outcomes.simulate.course import NEVER, Course, Option, Step
from aih_outcomes.simulate.doses import matched_drug
from aih_outcomes.simulate.growth import Growth
from aih_outcomes.simulate.parameters import Parameters
from aih_outcomes.simulate.streams import open_stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

# mg/kg/day in the first weeks, then; rounded to; at most (mg/day). Advanced drugs carry no dose: no dosing advice.
DOSES: dict[str, tuple[float, float, float, float]] = {
    "azathioprine": (1.0, 2.0, 25.0, 150.0),  # ESPGHAN 2018
    "mycophenolate": (20.0, 40.0, 250.0, 2000.0),  # ESPGHAN 2018
    "tacrolimus": (0.10, 0.12, 0.5, 8.0),  # project
    "ciclosporin": (4.0, 4.5, 25.0, 300.0),  # project
    "ursodeoxycholic_acid": (15.0, 15.0, 50.0, 1000.0),  # project
}
STEP_UP_DAYS = 28
CONVENTIONAL = ("tacrolimus", "ciclosporin", "mycophenolate", "methotrexate")


def _rows(child: Ints, drug: object, start: Floats, end: Floats, reason: object) -> pd.DataFrame:
    """Return periods [start, end) as a frame; ``reason`` holds where the period ends before observation does."""
    return pd.DataFrame(
        {"child": child, "drug": drug, "start": np.floor(start), "end": np.floor(end), "reason": reason}
    )


def _first_drugs(children: Children, course: Course, rng: Generator, p: Parameters) -> pd.DataFrame:
    """Azathioprine from week 2 to 4 (or after the first flare), and what replaces it for intolerance or delay."""
    n, u = children.n, rng.random((8, children.n))
    flare = course.first(course.step == Step.RETREATED)
    start = np.where(u[0] < p.azathioprine, 14 + np.floor(15 * u[1]), flare)
    decision = course.first(course.option != Option.NONE)
    intolerant = u[2] < p.intolerance
    slow = (children.response_class == SLOW) & (u[3] < p.insufficient_second_line)
    replaced = np.where(intolerant, start + 20 + 250 * u[4], np.where(slow, 190 + 140 * u[5], NEVER))
    replaced = np.where(start < NEVER, replaced, NEVER)
    end = np.minimum(decision, replaced)
    reason = np.where(replaced < decision, np.where(intolerant, "intolerance", "inefficacy"), "inefficacy")
    who = np.arange(n)
    return pd.concat(
        [
            _rows(who, "azathioprine", start, end, reason),
            _rows(who, "mycophenolate", replaced, decision, "inefficacy"),
        ]
    )


def _later_drugs(children: Children, course: Course, rng: Generator) -> pd.DataFrame:
    """Second and later lines from the decisions; an advanced drug stands beside the conventional one."""
    parts, swap = [], rng.random(children.n) < 0.5
    advanced = course.option >= Option.EMPIRICAL
    for group in (advanced, (course.option != Option.NONE) & ~advanced):
        given = group & (course.start < NEVER)
        child, column = np.nonzero(given)
        rank = np.cumsum(given, axis=1)[child, column] - 1
        start = course.start[child, column]
        same = np.concatenate([child[1:] == child[:-1], [False]]) if len(child) else np.zeros(0, bool)
        end = np.where(same, np.concatenate([start[1:], [NEVER]]) if len(start) else start, NEVER)
        option = course.option[child, column]
        drug = np.array(CONVENTIONAL)[np.minimum(rank, 3)]
        drug = np.where(option == Option.MYCOPHENOLATE, "mycophenolate", drug)
        empirical = np.where((rank + swap[child]) % 2 == 0, "infliximab", "rituximab")
        drug = np.where(option == Option.EMPIRICAL, empirical, drug)
        drug = np.where(option == Option.MATCHED, matched_drug(children.gene[child]), drug)
        parts.append(_rows(child, drug, start, end, "inefficacy"))
    return pd.concat(parts)


def _beside_withdrawal(rows: pd.DataFrame, course: Course) -> pd.DataFrame:
    """Cut periods at a withdrawal; they go on after the flare that ends it."""
    out = course.first(course.step == Step.WITHDRAWAL)
    back = course.first((course.step == Step.RETREATED) & (course.start > out[:, None]))
    child = rows["child"].to_numpy()
    before = rows.assign(
        end=np.minimum(rows["end"], out[child]), reason=np.where(rows["end"] > out[child], "remission", rows["reason"])
    )
    after = rows.assign(start=np.maximum(rows["start"], back[child]))
    return pd.concat([before, after[back[child] < NEVER]])


def _with_doses(rows: pd.DataFrame, growth: Growth) -> pd.DataFrame:
    """Split off the first weeks at the lower dose, and round doses to tablets."""
    doses = rows["drug"].map(DOSES)
    step_up = rows["start"] + STEP_UP_DAYS
    dosed = doses.notna()
    low = rows.assign(end=np.minimum(rows["end"], step_up), level=0)[dosed]
    low.loc[low["end"] < rows.loc[dosed, "end"], "reason"] = "planned"
    high = rows.assign(start=step_up, level=1)[dosed & (step_up < rows["end"])]
    split = pd.concat([low, high, rows.assign(level=-1)[~dosed]]).reset_index(drop=True)
    weight = growth.weight(split["child"].to_numpy(), split["start"].to_numpy(float))
    table = np.array([DOSES.get(drug, (np.nan,) * 4) for drug in split["drug"]]).reshape(-1, 4)
    per_kg = np.where(split["level"] == 1, table[:, 1], table[:, 0])
    dose = np.minimum(np.maximum(np.rint(per_kg * weight / table[:, 2]), 1) * table[:, 2], table[:, 3])
    return split.assign(dose=np.where(split["level"] >= 0, dose, np.nan)).drop(columns="level")


def tabulate_lines(
    seed: int, children: Children, course: Course, growth: Growth, stop: Floats, p: Parameters
) -> pd.DataFrame:
    """Return every drug for AIH but steroid: ``child, drug, start, end, reason, dose``; [start, end) in days.

    Parameters
    ----------
    stop : (n,) last day of clinical observation; a period that reaches it goes on
    """
    rng = open_stream("treatments", seed, chunk=1)
    rows = pd.concat([_first_drugs(children, course, rng, p), _later_drugs(children, course, rng)], ignore_index=True)
    rows = _beside_withdrawal(rows, course)
    bile = np.flatnonzero(children.asc & (rng.random(children.n) < 0.85))
    rows = pd.concat(
        [rows, _rows(bile, "ursodeoxycholic_acid", np.full(len(bile), 7.0), np.full(len(bile), NEVER), "")]
    )
    rows["end"] = np.minimum(rows["end"], stop[rows["child"].to_numpy()] + 1)
    rows = _with_doses(rows[rows["start"] < rows["end"]].reset_index(drop=True), growth)
    return rows.assign(indication="aih")


def tabulate_other_drugs(seed: int, children: Children, stop: Floats, transplant: Floats, end: Floats) -> pd.DataFrame:
    """Return drugs for something else: anti-TNF for the bowel, immunoglobulin, hydrocortisone, and the graft."""
    rng = open_stream("treatments", seed, chunk=2)
    u = rng.random((6, children.n))
    who = np.arange(children.n)
    bowel = np.where(children.ibd & (u[0] < 0.25), np.floor(-200 + 1400 * u[1]), NEVER)
    bowel = np.maximum(bowel, -np.floor(children.age * 200))
    ivig = np.where(u[2] < np.where(children.gene >= 0, 0.35, 0.012), np.floor(60 + 700 * u[3]), NEVER)
    adrenal = np.where(u[4] < 0.02, np.floor(800 + 400 * u[5]), NEVER)
    graft = np.where(transplant <= end, transplant, NEVER)
    rows = pd.concat(
        [
            _rows(who, "adalimumab", bowel, np.full(children.n, NEVER), "").assign(indication="ibd"),
            _rows(who, "immunoglobulin", ivig, ivig + 150, "planned").assign(indication="cytopenia"),
            _rows(who, "hydrocortisone", adrenal, adrenal + 180, "planned").assign(indication="replacement"),
            _rows(who, "tacrolimus", graft, np.full(children.n, NEVER), "").assign(indication="rejection"),
        ]
    )
    last = np.where(rows["indication"] == "rejection", end[rows["child"]], stop[rows["child"]])
    rows["end"] = np.minimum(rows["end"], last + 1)
    rows["dose"] = np.where(rows["drug"] == "hydrocortisone", 10.0, np.nan)
    return rows[rows["start"] < rows["end"]]
