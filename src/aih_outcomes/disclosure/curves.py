"""Curves: read off on a grid of times, in steps of several patients, where enough are at risk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.disclosure.policy import DAYS_PER, EVENTS_TO_DATE, Policy
from aih_outcomes.disclosure.rounding import hide_and_round, in_steps, list_estimates, read_numbers
from aih_outcomes.errors import DisclosureError

_NEARLY = 1e-9
MEAN_NUMBERS = ("mean", "rate_at_risk")  # measures that are no shares


def disclose_curves(frame: pd.DataFrame, rule: Policy, time_unit: str | None) -> pd.DataFrame:
    """Return curves as they may be shown; ``attrs`` name those left out and the grid.

    Curves of several states (column ``state``) belong together: they are shown where enough are followed
    (``n_followed``, else the largest number at risk in one of them), and still sum to 1 where they did before.
    """
    unit = str(time_unit or frame.attrs.get("time_unit"))
    if unit not in DAYS_PER:
        raise DisclosureError(
            f"The time of {len(frame)} rows of curves has no unit",
            f"Its unit is one of {', '.join(DAYS_PER)}",
            "Pass time_unit=, or set frame.attrs['time_unit']",
        )
    keys = [key for key in ("label", "strata", "term") if key in frame]
    grid = rule.time_grid(unit)
    kept: list[pd.DataFrame] = []
    left_out: list[str] = []
    for rows in _positions(frame, keys):
        group = frame.iloc[rows]
        followed = _followed(group)
        if followed.max() >= rule.curve_minimum:
            kept.append(_disclose_group(group, followed, rule, grid))
        else:
            left_out.append(str(group[keys[-1]].iloc[0]) if keys else "all patients")
    shown = pd.concat(kept, ignore_index=True) if kept else frame.iloc[:0].copy()
    shown.attrs = {"suppressed": tuple(left_out), "time_unit": unit, "time_grid": grid}
    return shown


def _positions(frame: pd.DataFrame, keys: Sequence[str]) -> list[NDArray[np.int64]]:
    if not keys:
        return [np.arange(len(frame))]
    groups = frame.groupby(list(keys), sort=False, dropna=False, observed=True)
    return [np.asarray(rows) for rows in groups.indices.values()]


def _followed(group: pd.DataFrame) -> pd.Series:
    """Return how many are followed at each time (index) of one group of curves."""
    counts = read_numbers(group["n_followed" if "n_followed" in group else "n_risk"])
    return pd.Series(np.nan_to_num(counts)).groupby(group["time"].to_numpy(float)).max()


def _disclose_group(group: pd.DataFrame, followed: pd.Series, rule: Policy, grid: float) -> pd.DataFrame:
    """Read the curves of one group on the grid, state by state."""
    states = _positions(group, ["state"]) if "state" in group else [np.arange(len(group))]
    shown = pd.concat(
        [_read_on_grid(group.iloc[rows].sort_values("time", kind="stable"), followed, rule, grid) for rows in states],
        ignore_index=True,
    )
    if "state" not in group or "estimate" not in group:
        return shown
    whole = group.groupby("time")["estimate"].sum()
    if np.allclose(whole, 1, rtol=0, atol=_NEARLY):
        short = 1 - shown.groupby("time")["estimate"].transform("sum")
        largest = shown.groupby("time")["estimate"].transform("idxmax")
        shown["estimate"] += short.where(largest == shown.index, 0.0)
    return shown


def _read_on_grid(curve: pd.DataFrame, followed: pd.Series, rule: Policy, grid: float) -> pd.DataFrame:
    """Return one curve at 0, grid, 2 grid, …: its value there, who is at risk then, events up to then."""
    curve = curve.reset_index(drop=True)
    time = curve["time"].to_numpy(float)
    at = grid * np.arange(np.ceil(time[-1] / grid - _NEARLY) + 1)
    past = np.searchsorted(time, at + _NEARLY, side="right")  # rows up to and including each grid time
    ahead = np.searchsorted(time, at - _NEARLY, side="left")  # the next row counts who is at risk
    n_risk = np.append(read_numbers(curve["n_risk"]), 0.0)[ahead]
    of_all = np.searchsorted(followed.index.to_numpy(float), at - _NEARLY, side="left")
    enough = np.append(followed.to_numpy(float), 0.0)[of_all] >= rule.curve_minimum
    begins = int(np.argmax(enough))
    few = np.flatnonzero(~enough[begins:])
    shown_rows = np.arange(begins, begins + int(few[0]) if len(few) else len(at))
    shown = curve.iloc[np.maximum(past - 1, 0)].reset_index(drop=True).assign(time=at)
    everyone = read_numbers(curve["n"]).max() if "n" in curve else followed.max()
    step = rule.round_to / (np.floor(everyone / rule.round_to + 0.5) * rule.round_to)
    counts_events = "measure" in curve and curve["measure"].isin(MEAN_NUMBERS).all()
    begins_at = 0.0 if counts_events else (np.nan if "state" in curve else 1.0)
    for column in list_estimates(curve):
        before_first = begins_at if column == "estimate" else np.nan
        values = in_steps(read_numbers(shown[column]), step, top=np.inf if counts_events else 1.0)
        shown[column] = np.where(past > 0, values, before_first)
    if "std_error" in curve:
        shown["std_error"] = np.nan
    if "n" in curve:
        shown["n"] = hide_and_round(read_numbers(shown["n"]), rule)
    if "n_followed" in curve:
        shown["n_followed"] = hide_and_round(np.append(read_numbers(curve["n_followed"]), 0.0)[ahead], rule)
    for column in [str(c) for c in curve if str(c) in ("n_event", "n_censor")]:
        so_far = np.insert(np.cumsum(read_numbers(curve[column])), 0, 0.0)[past]
        shown[column] = hide_and_round(np.diff(so_far, prepend=0.0), rule)
        if column == "n_event":
            shown[EVENTS_TO_DATE] = hide_and_round(so_far, rule)
    shown["n_risk"] = hide_and_round(n_risk, rule)
    return shown.iloc[shown_rows]
