"""Small-number suppression and rounding on tidy frames: the only place where it is done.

Counts from 1 to a threshold become missing together with what rests on them; all others are rounded to a multiple of 5,
so that a hidden count does not follow by subtraction from shown ones; shares come from rounded counts, or move in steps
of as many patients; other estimates have three significant digits, medians need ten patients. A curve is read off at
fixed times, in such steps, for groups that are large enough, and ends where few are at risk.

What it does not do: compare this release with an earlier one, or one frame of a report with another (differencing), or
hide the estimates of a model whose patients are many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import DisclosureError

Numbers = NDArray[np.float64]

KEYS = ("label", "strata", "variable", "level", "term", "state", "time", "visit", "next_time", "next_state", "design",
        "measure", "step", "reason")  # fmt: skip
NOT_AN_ESTIMATE = (*KEYS, "day", "landmark", "horizon", "order", "biased")
SHARES = (
    "estimate",
    "conf_low",
    "conf_high",
    "bound_low",
    "bound_high",
    "transaminase_only",
    "corrected",
    "corrected_low",
    "corrected_high",
)
DAYS_PER = {"days": 1.0, "months": 365.25 / 12, "years": 365.25}
MONTHS_PER_YEAR = 12
EVENTS_TO_DATE = "n_event_to_date"
_NEARLY = 1e-9


@dataclass(frozen=True, slots=True)
class Policy:
    """A small-number rule.

    Attributes
    ----------
    name : as the plan writes it
    smallest_shown : counts from 1 to below this are not shown
    round_to : shown counts are multiples of this
    curve_minimum : a curve is for at least so many patients, and ends where fewer are at risk
    grid_months : times at which a curve is read off, in months
    """

    name: str
    smallest_shown: int
    round_to: int
    curve_minimum: int
    grid_months: int

    def time_grid(self, unit: str) -> float:
        """Return the grid of a curve in ``unit``: 3 months are 0.25 years, or 91 days."""
        days = round(self.grid_months * DAYS_PER["months"])
        return {"days": float(days), "months": float(self.grid_months), "years": self.grid_months / MONTHS_PER_YEAR}[
            unit
        ]


# From the least to the most strict. lt5: CPRD, many ethics approvals; hes7: NHS England, HES; tre10: UK TREs (SACRO).
POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        policy.name: policy
        for policy in (
            Policy("none", 1, 1, 0, 0),
            Policy("lt5", 5, 5, 10, 3),
            Policy("hes7", 8, 5, 10, 3),
            Policy("lt10", 10, 5, 10, 3),
            Policy("tre10", 10, 5, 10, 6),
        )
    }
)


def apply_policy(frame: pd.DataFrame, policy: str | Policy, *, time_unit: str | None = None) -> pd.DataFrame:
    """Return ``frame`` as it may be written, tagged with the policy's name; see the module's docstring for its limits.

    Parameters
    ----------
    frame : tidy frame by the column contract; counts are ``n``, ``denominator`` and every ``n_*``. With ``time`` and
        ``n_risk`` it is a set of curves
    policy : a name in ``POLICIES``, or a policy
    time_unit : unit of a curve's ``time``; default ``frame.attrs["time_unit"]``

    Returns
    -------
    DataFrame, ``attrs``: ``disclosure`` (policy), for curves ``suppressed`` (names of those left out) and ``time_grid``

    Raises
    ------
    DisclosureError : unknown policy, rows of single patients, or a frame disclosed before under another policy

    Examples
    --------
    >>> rates = pd.DataFrame({"label": ["a", "b", "c"], "n": [3, 42, 9], "estimate": [0.1, 0.2, 0.3]})
    >>> apply_policy(rates, "lt5")["n"].tolist()
    [<NA>, 40, 10]
    """
    rule = policy if isinstance(policy, Policy) else _find(policy)
    before = disclosed_policy(frame)
    _refuse(frame, rule, before)
    if rule.name in ("none", before):
        shown = frame.copy()
    elif {"time", "n_risk"} <= set(frame.columns):
        shown = _disclose_curves(frame, rule, time_unit)
    else:
        shown = _disclose_rows(frame, rule)
    shown.attrs = {**frame.attrs, **shown.attrs, "disclosure": rule.name}
    return shown


def pass_with_consent(frame: pd.DataFrame, policy: str) -> pd.DataFrame:
    """Return the rows of one patient who consented, without the pseudonym, tagged as if disclosed under ``policy``."""
    shown = frame.drop(columns="patient_id")
    shown.attrs = {**frame.attrs, "disclosure": policy}
    return shown


def disclosed_policy(frame: pd.DataFrame) -> str | None:
    """Return the policy that ``frame`` went through, or None where it went through none."""
    name = frame.attrs.get("disclosure")
    return None if name is None else str(name)


def hidden_mark(frame: pd.DataFrame) -> str:
    """Return how a missing count of ``frame`` is written: ``<5`` under ``lt5``; ``–`` where nothing is hidden."""
    threshold = POLICIES[disclosed_policy(frame) or "none"].smallest_shown
    return "–" if threshold == 1 else f"<{threshold}"


def explain_hidden(frame: pd.DataFrame) -> str:
    """Return the sentence that explains ``hidden_mark`` under a table or figure; empty where no count is hidden."""
    rule = POLICIES[disclosed_policy(frame) or "none"]
    if rule.smallest_shown == 1:
        return ""
    rounded = f"counts rounded to the nearest {rule.round_to}"
    if EVENTS_TO_DATE in frame:
        rounded += f", curves in steps of {rule.round_to} patients"
    if not any(frame[column].isna().any() for column in frame if _is_count(column)):
        return f"{rounded.capitalize()}."
    return f"{hidden_mark(frame)}: fewer than {rule.smallest_shown} patients; other {rounded}."


def _find(name: str) -> Policy:
    if name not in POLICIES:
        raise DisclosureError(
            f"The small-number rule {name!r} is not known", f"Rules are {', '.join(POLICIES)}", "Choose one in the plan"
        )
    return POLICIES[name]


def _refuse(frame: pd.DataFrame, rule: Policy, before: str | None) -> None:
    if before not in (None, "none", rule.name):
        raise DisclosureError(
            f"A frame disclosed under {before!r} is disclosed again under {rule.name!r}",
            "A small-number rule is applied once, to the result itself",
            "Disclose the result, not the disclosed frame",
        )
    if rule.name == "none" or before == rule.name:
        return
    dated = [str(column) for column in frame if pd.api.types.is_datetime64_any_dtype(frame[column].dtype)]
    if dated or not any(_is_count(column) for column in frame):
        raise DisclosureError(
            f"A frame with {len(dated)} column(s) of dates, or without a column of counts, would be written",
            "A frame under a small-number rule says how many patients stand behind each row, and holds no dates",
            "Disclose the tidy frame of a result; show rows of patients only in an internal plan (disclosure = none)",
        )
    if "patient_id" in frame:
        raise DisclosureError(
            f"{len(frame)} rows of single patients would be written",
            "A frame under a small-number rule holds groups",
            "Summarise the rows first; show single patients only in an internal plan (disclosure = none)",
        )


def _is_count(column: object) -> bool:
    return str(column) in ("n", "denominator") or str(column).startswith("n_")


def _numbers(values: pd.Series) -> Numbers:
    """(n_rows,) as floats, missing as NaN."""
    return np.asarray(values.astype("Float64").to_numpy(float, na_value=np.nan), dtype=np.float64)


def _estimates(frame: pd.DataFrame) -> list[str]:
    """Every numeric column that is neither a count nor a key: what depends on the counts."""
    numeric = [str(c) for c in frame.select_dtypes("number").columns]
    return [c for c in numeric if not _is_count(c) and c not in NOT_AN_ESTIMATE]


def _hide_and_round(values: Numbers, rule: Policy) -> pd.Series:
    """Return counts as shown: missing from 1 to the threshold, else a multiple of the base (halves upwards)."""
    small = (values > 0) & (values < rule.smallest_shown)
    rounded = np.floor(values / rule.round_to + 0.5) * rule.round_to
    return pd.Series(pd.array(np.where(small, np.nan, rounded), dtype="Float64")).astype("Int64")


def _disclose_rows(frame: pd.DataFrame, rule: Policy) -> pd.DataFrame:
    """Tables, rates, flows, flow charts, medians by visit, model terms."""
    shown = frame.copy()
    counts = [str(column) for column in frame if _is_count(column)]
    before = pd.DataFrame({column: _numbers(frame[column]) for column in counts}, index=frame.index)
    for column in counts:
        shown[column] = _hide_and_round(before[column].to_numpy(float), rule).array
    if {"n", "denominator"} <= set(counts):  # a small group hides its parts
        shown["n"] = shown["n"].mask(shown["denominator"].isna())
    hidden = shown[counts].isna() & before.notna()
    lost = hidden[[column for column in counts if column != "n_missing"]].any(axis=1) | _few(frame, before, rule)
    for column in _estimates(shown):
        shown[column] = _significant(shown[column].astype(float).mask(lost))
    if "smd" in shown and "variable" in shown:  # a difference between groups tells the count hidden in one of them
        shown["smd"] = shown["smd"].mask(hidden.any(axis=1).groupby(shown["variable"]).transform("any"))
    if "n_met" in shown:
        n = sum(_numbers(shown[column]) for column in ("n_met", "n_not_met", "n_not_evaluable"))
        for column in [column for column in SHARES if column in shown]:
            shown[column] = _in_steps(_numbers(shown[column]), rule.round_to / n)
    if "probability" in shown:  # times at which one patient leaves
        grid = rule.time_grid(str(frame.attrs.get("time_unit", "days")))
        for column in ("estimate", "conf_low", "conf_high"):
            shown[column] = (shown[column] / grid).round() * grid
    return _recompute_shares(shown, frame, before)


def _few(frame: pd.DataFrame, before: pd.DataFrame, rule: Policy) -> pd.Series:
    """Rows whose estimate is a median or quartile of too few: it would be one patient's value."""
    if "n" not in before or "p_value" in frame or "measure" in frame:
        return pd.Series(False, index=frame.index)
    return (before["n"] > 0) & (before["n"] < rule.curve_minimum)


def _significant(values: pd.Series) -> pd.Series:
    """Round to three significant digits, so that an exact ratio does not tell the counts behind it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.floor(np.log10(values.abs().to_numpy(float)))
    scale = 10.0 ** np.where(np.isfinite(size), 2 - size, 0)
    return pd.Series(np.round(values.to_numpy(float) * scale) / scale, index=values.index)


def _in_steps(shares: Numbers, step: Numbers | float) -> Numbers:
    """Round shares to multiples of ``step``, the share of as many patients as counts are rounded to."""
    return np.clip(np.round(shares / step) * step, 0.0, 1.0)


def _recompute_shares(shown: pd.DataFrame, frame: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Take shares of patients from the counts that are shown: exact ones would give the exact counts away."""
    if not {"n", "denominator", "estimate"} <= set(frame.columns):
        return shown
    exact = _numbers(frame["estimate"])
    with np.errstate(divide="ignore", invalid="ignore"):
        is_share = np.isclose(exact, before["n"] / before["denominator"], rtol=0, atol=_NEARLY)
    pair = shown.loc[is_share, ["n", "denominator"]].astype("Float64")
    shown.loc[is_share, "estimate"] = (pair["n"] / pair["denominator"]).astype(float)
    return shown


def _disclose_curves(frame: pd.DataFrame, rule: Policy, time_unit: str | None) -> pd.DataFrame:
    unit = str(time_unit or frame.attrs.get("time_unit"))
    if unit not in DAYS_PER:
        raise DisclosureError(
            f"The time of {len(frame)} rows of curves has no unit",
            f"Its unit is one of {', '.join(DAYS_PER)}",
            "Pass time_unit=, or set frame.attrs['time_unit']",
        )
    keys = [key for key in ("label", "strata", "term", "state") if key in frame]
    kept: list[pd.DataFrame] = []
    left_out: list[str] = []
    for rows in _positions(frame, keys):
        curve = frame.iloc[rows].sort_values("time", kind="stable", ignore_index=True)
        if _numbers(curve["n_risk"]).max(initial=0) >= rule.curve_minimum:
            kept.append(_read_on_grid(curve, rule, rule.time_grid(unit)))
        else:
            left_out.append(str(curve[keys[-1]].iloc[0]) if keys else "all patients")
    shown = pd.concat(kept, ignore_index=True) if kept else frame.iloc[:0].copy()
    shown.attrs = {"suppressed": tuple(left_out), "time_unit": unit, "time_grid": rule.time_grid(unit)}
    return shown


def _positions(frame: pd.DataFrame, keys: Sequence[str]) -> list[NDArray[np.int64]]:
    if not keys:
        return [np.arange(len(frame))]
    groups = frame.groupby(list(keys), sort=False, dropna=False, observed=True)
    return [np.asarray(rows) for rows in groups.indices.values()]


def _read_on_grid(curve: pd.DataFrame, rule: Policy, grid: float) -> pd.DataFrame:
    """Return one curve at 0, grid, 2 grid, …: its value there, who is at risk then, events up to then."""
    time = curve["time"].to_numpy(float)
    at = grid * np.arange(np.ceil(time[-1] / grid - _NEARLY) + 1)
    past = np.searchsorted(time, at + _NEARLY, side="right")  # rows up to and including each grid time
    ahead = np.searchsorted(time, at - _NEARLY, side="left")  # the next row counts who is at risk
    n_risk = np.append(_numbers(curve["n_risk"]), 0.0)[ahead]
    enough = n_risk >= rule.curve_minimum
    begins = int(np.argmax(enough))
    few = np.flatnonzero(~enough[begins:])
    shown_rows = np.arange(begins, begins + int(few[0]) if len(few) else len(at))
    shown = curve.iloc[np.maximum(past - 1, 0)].reset_index(drop=True).assign(time=at)
    everyone = _numbers(curve["n" if "n" in curve else "n_risk"]).max()
    step = rule.round_to / (np.floor(everyone / rule.round_to + 0.5) * rule.round_to)
    for column in _estimates(curve):
        before_first = 1.0 if column == "estimate" else np.nan
        shown[column] = np.where(past > 0, _in_steps(_numbers(shown[column]), step), before_first)
    if "std_error" in curve:
        shown["std_error"] = np.nan
    if "n" in curve:
        shown["n"] = _hide_and_round(_numbers(shown["n"]), rule)
    for column in [str(c) for c in curve if str(c) in ("n_event", "n_censor")]:
        so_far = np.insert(np.cumsum(_numbers(curve[column])), 0, 0.0)[past]
        shown[column] = _hide_and_round(np.diff(so_far, prepend=0.0), rule)
        if column == "n_event":
            shown[EVENTS_TO_DATE] = _hide_and_round(so_far, rule)
    shown["n_risk"] = _hide_and_round(n_risk, rule)
    return shown.iloc[shown_rows]
