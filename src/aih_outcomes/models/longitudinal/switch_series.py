"""Values around switches and pseudo-switches: one series per moment, its clock at the moment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.outcomes import DAYS_PER_UNIT, RepeatedMeasures, Switches, Vector

SERIES, KIND, AFTER, STRETCH = "series", "kind", "after_switch", "stretch"
OWN = (SERIES, KIND, AFTER, STRETCH)
SWITCH, MATCHED, PSEUDO = "switch", "switch, matched", "pseudo-switch"
KINDS = (PSEUDO, SWITCH)  # the first is the reference
CELLS = ("before", "after")
NO_SET = -1
MOMENT, LAST = "moment of the series", "last day of the series"  # no names that a covariate has
SAME = 1e-12  # of a stretch: rounding of days


def lay_beside(
    measures: RepeatedMeasures, switches: Switches, moments: pd.DataFrame, *, before_days: float, after_days: float
) -> pd.DataFrame:
    """Return the values around each moment; a value near two moments of a patient stands in both series.

    Parameters
    ----------
    measures : values on the clock of the switches
    moments : rows of ``switches.frame``; ``set`` where they were matched
    before_days, after_days : how far a series reaches

    Returns
    -------
    frame : ``patient_id, series`` (code), ``kind`` (``switch`` or ``pseudo-switch``)``, set, day`` (since the moment),
        ``time, visit, value`` and covariates. A series ends on the day of the patient's own later switch

    Raises
    ------
    OutcomeError : measures and switches run on different clocks
    """
    _refuse_other_clock(measures, switches)
    asked = pd.DataFrame({
        "patient_id": moments["patient_id"].to_numpy(), MOMENT: moments["time"].to_numpy(float),
        SERIES: np.arange(len(moments)), "set": moments["set"].to_numpy() if "set" in moments else NO_SET,
        KIND: pd.Categorical(np.where(moments["switched"], SWITCH, PSEUDO), categories=list(KINDS)),
    })  # fmt: skip
    last = asked["patient_id"].map(switches.day_of_switch()).to_numpy(float, na_value=np.nan)
    asked[LAST] = np.where(asked[KIND] == SWITCH, np.nan, last)
    rows = measures.frame.drop(columns=[name for name in (*OWN, "set", "day") if name in measures.frame])
    rows = asked.merge(rows, on="patient_id", how="inner", sort=False)
    rows["day"] = (rows["time"] - rows[MOMENT]) * DAYS_PER_UNIT[measures.time_unit]
    inside = (rows["day"] >= -before_days) & (rows["day"] <= after_days) & ~(rows["time"] > rows[LAST])
    rows = rows[inside].drop(columns=[MOMENT, LAST])
    return rows.sort_values([SERIES, "day", "value"], kind="stable", ignore_index=True)


def cut_window(rows: pd.DataFrame, decision_days: float) -> pd.DataFrame:
    """Leave out the decision window: the days from ``−decision_days`` to 0, both included."""
    return rows[~rows["day"].between(-decision_days, 0)].reset_index(drop=True)


def mark_after(rows: pd.DataFrame) -> pd.DataFrame:
    """Add ``after_switch``: 1 after the moment, 0 up to it (what is measured on that day precedes the first dose)."""
    return rows.assign(**{AFTER: (rows["day"] > 0).astype(float)})


def keep_pairs(rows: pd.DataFrame, needed: Sequence[str] = ()) -> pd.DataFrame:
    """Keep series with a value before and one after; of matched sets those with a switch and a pseudo-switch.

    Parameters
    ----------
    rows : with ``after_switch``
    needed : columns without which a value is left out
    """
    rows = rows[rows[list(needed)].notna().all(axis=1)] if needed else rows
    both = rows.groupby(SERIES)[AFTER].transform("nunique") == 2
    rows = rows[both]
    matched = (rows["set"] == NO_SET) | (rows.groupby("set")[KIND].transform("nunique") == 2)
    return rows[matched].reset_index(drop=True)


def tabulate_cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Tabulate each kind of series before and after: a median per series, then its median and quartiles over series.

    Returns
    -------
    frame : ``strata`` (every switch, those of matched sets, pseudo-switches), ``term`` (before or after), ``n`` series,
        ``n_values``, ``estimate`` (median), ``conf_low, conf_high`` (quartiles); a cell without values has none
    """
    switch = (rows[KIND] == SWITCH).to_numpy(bool)
    kinds = {SWITCH: switch, MATCHED: switch & (rows["set"] != NO_SET).to_numpy(bool), PSEUDO: ~switch}
    found = []
    for kind, chosen in kinds.items():
        for place, term in enumerate(CELLS):
            own = rows[chosen & (rows[AFTER] == place).to_numpy(bool)]
            found.append({"strata": kind, "term": term, **_quartiles(own), "n_values": len(own)})
    return pd.DataFrame(found)


def find_stretches(day: Vector, every_days: float) -> NDArray[np.intp]:
    """(n,) numbers of stretches of time: 1 is (0, every], 2 the next, −1 is [−every, 0], −2 the one before; never 0.

    Examples
    --------
    >>> find_stretches(np.array([-92.0, -91.0, 0.0, 1.0, 91.0, 92.0]), 91.0).tolist()
    [-2, -1, -1, 1, 1, 2]
    """
    after = np.maximum(np.ceil(day / every_days), 1)
    before = np.minimum(np.floor(day / every_days + SAME), -1)
    return np.where(day > 0, after, before).astype(np.intp)


def tabulate_course(rows: pd.DataFrame, every_days: float) -> pd.DataFrame:
    """Tabulate medians by stretches of time around the moment, as ``tabulate_cells`` does.

    Returns
    -------
    frame : ``strata, time`` (middle of the stretch, days since the moment), ``n, estimate, conf_low, conf_high``
    """
    place = find_stretches(rows["day"].to_numpy(float), every_days)
    found = []
    for kind in (SWITCH, PSEUDO):
        for at in np.unique(place[(rows[KIND] == kind).to_numpy(bool)]):
            own = rows[(rows[KIND] == kind).to_numpy(bool) & (place == at)]
            found.append({"strata": kind, "time": (at - np.sign(at) / 2) * every_days, **_quartiles(own)})
    columns = ["strata", "time", "n", "estimate", "conf_low", "conf_high"]
    return pd.DataFrame(found, columns=columns).sort_values(["strata", "time"], kind="stable", ignore_index=True)


def _quartiles(rows: pd.DataFrame) -> dict[str, float | int]:
    own = rows.groupby(SERIES)["value"].median().to_numpy(float)
    low, middle, high = np.quantile(own, (0.25, 0.5, 0.75)) if len(own) else (np.nan, np.nan, np.nan)
    return {"n": len(own), "estimate": float(middle), "conf_low": float(low), "conf_high": float(high)}


def _refuse_other_clock(measures: RepeatedMeasures, switches: Switches) -> None:
    if not isinstance(measures, RepeatedMeasures):
        raise OutcomeError(
            f"{type(measures).__name__} is no RepeatedMeasures", "Before and after are values followed over time",
            "Derive them, or use RepeatedMeasures.from_frame(frame, patient_id=..., time=..., value=...)",
        )  # fmt: skip
    if (measures.time_zero, measures.time_unit) != (switches.time_zero, switches.time_unit):
        raise OutcomeError(
            f"{measures.label!r} counts {measures.time_unit} since {measures.time_zero!r}, {switches.label!r} "
            f"{switches.time_unit} since {switches.time_zero!r}",
            "Values and switches are laid beside each other on one clock",
            "Derive both from the same time zero, or name it: from_frame(..., time_zero=..., time_unit=...)",
        )
