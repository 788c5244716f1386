"""The one door: a tidy frame in, the frame as it may be written out."""

from __future__ import annotations

import pandas as pd

from aih_outcomes.disclosure.curves import disclose_curves
from aih_outcomes.disclosure.policy import Policy, disclosed_policy, find_policy
from aih_outcomes.disclosure.rounding import is_count
from aih_outcomes.disclosure.rows import disclose_rows
from aih_outcomes.errors import DisclosureError


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
    rule = policy if isinstance(policy, Policy) else find_policy(policy)
    before = disclosed_policy(frame)
    _refuse(frame, rule, before)
    if rule.name in ("none", before):
        shown = frame.copy()
    elif {"time", "n_risk"} <= set(frame.columns):
        shown = disclose_curves(frame, rule, time_unit)
    else:
        shown = disclose_rows(frame, rule)
    shown.attrs = {**frame.attrs, **shown.attrs, "disclosure": rule.name}
    return shown


def pass_with_consent(frame: pd.DataFrame, policy: str) -> pd.DataFrame:
    """Return the rows of one patient who consented, without the pseudonym, tagged as if disclosed under ``policy``."""
    shown = frame.drop(columns="patient_id")
    shown.attrs = {**frame.attrs, "disclosure": policy}
    return shown


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
    if dated or not any(is_count(column) for column in frame):
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
