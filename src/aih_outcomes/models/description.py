"""The numbers of Table 1: who they were, group by group."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import EVERYONE, as_category
from aih_outcomes.models.result import order_columns

QUARTILES = (0.25, 0.5, 0.75)
COLUMNS = (
    "label",
    "variable",
    "level",
    "n",
    "denominator",
    "n_missing",
    "n_group",
    "estimate",
    "conf_low",
    "conf_high",
    "smd",
)


def describe_baseline(
    frame: pd.DataFrame, *, by: str | None = None, variables: Sequence[str], compared: Sequence[str] | None = None
) -> pd.DataFrame:
    """Describe a cohort at one time: Table 1's numbers, without p-values.

    Parameters
    ----------
    frame : one row per patient
    by : column of the group; None for everyone together. Patients without a group are an error, not a column
    variables : columns, in the order shown; numbers by median and quartiles, all else by level
    compared : groups over which the standardised difference is taken; None for all

    Returns
    -------
    frame : ``label`` (the group), ``variable, level, n, denominator, n_missing, n_group, estimate, conf_low, conf_high,
        smd``,
        variables in the order given. A number has one row per group: ``n`` with a value of ``denominator`` patients,
        median, quartiles (R's type 7). A level has ``n`` of ``denominator`` patients with a value and ``estimate``,
        their share between 0 and 1; its limits are missing. ``smd`` is the largest standardised difference between
        two groups, the same on every row of a variable; NaN where it is undefined (one group, no spread)

    Raises
    ------
    OutcomeError : a column is absent; a patient stands in two rows, or in no group

    Notes
    -----
    Standardised difference: Austin, Stat Med 2009;28:3083 (numbers: pooled variance unweighted); with several levels
    Yang & Dalton, SAS Global Forum 2012, paper 335.

    Examples
    --------
    >>> cohort = pd.DataFrame({"group": ["a", "a", "b", "b"], "age": [2.0, 4.0, 6.0, None]})
    >>> table = describe_baseline(cohort, by="group", variables=["age"])
    >>> table[["label", "n", "denominator", "n_missing", "estimate"]].values.tolist()
    [['a', 2, 2, 0, 3.0], ['b', 1, 2, 1, 6.0]]
    """
    _refuse_unusable(frame, by, variables)
    groups = as_category(frame[by]) if by else pd.Categorical([EVERYONE] * len(frame))
    parts = {str(level): np.asarray(groups == level) for level in groups.remove_unused_categories().categories}
    rows: list[dict[str, object]] = []
    for variable in variables:
        describe = _numbers if _is_measured(frame[variable]) else _levels
        rows += describe(frame[variable], parts, [name for name in parts if compared is None or name in compared])
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    types = {"n": "Int64", "denominator": "Int64", "n_missing": "Int64", "n_group": "Int64", "level": "string"}
    floats = dict.fromkeys(("estimate", "conf_low", "conf_high", "smd"), "float64")
    return order_columns(table.astype(types | floats))[list(COLUMNS)]


def _refuse_unusable(frame: pd.DataFrame, by: str | None, variables: Sequence[str]) -> None:
    absent = [name for name in [*variables, *([by] if by else [])] if name not in frame]
    if absent:
        raise OutcomeError(
            f"{len(absent)} column(s) are absent: {', '.join(absent)}",
            "A baseline table describes columns of the frame",
            "Correct their names",
        )
    repeated = int(frame["patient_id"].duplicated().sum()) if "patient_id" in frame else 0
    if repeated:
        raise OutcomeError(
            f"{repeated} of {len(frame)} rows repeat a patient",
            "A baseline table has one row per patient",
            "Keep the row at the group's own time zero",
        )
    without = int(frame[by].isna().sum()) if by else 0
    if without:
        raise OutcomeError(
            f"{without} of {len(frame)} patients have no group in {by!r}",
            "Nobody vanishes from a table",
            "Give them a label such as 'not evaluable'",
        )


def _is_measured(values: pd.Series) -> bool:
    """Return whether a column is a number; booleans and categories are levels."""
    return pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)


def _numbers(values: pd.Series, parts: dict[str, NDArray[np.bool_]], compared: list[str]) -> list[dict[str, object]]:
    numbers = values.to_numpy(float, na_value=np.nan)
    known = {label: numbers[rows & np.isfinite(numbers)] for label, rows in parts.items()}
    smd = _largest([_mean_difference(known[a], known[b]) for a, b in combinations(compared, 2)])
    table: list[dict[str, object]] = []
    for label, own in known.items():
        low, middle, high = np.quantile(own, QUARTILES) if len(own) else (np.nan, np.nan, np.nan)
        total = int(parts[label].sum())
        table.append(
            {
                "label": label,
                "variable": values.name,
                "level": pd.NA,
                "n": len(own),
                "denominator": total,
                "n_missing": total - len(own),
                "n_group": total,
                "estimate": middle,
                "conf_low": low,
                "conf_high": high,
                "smd": smd,
            }
        )
    return table


def _levels(values: pd.Series, parts: dict[str, NDArray[np.bool_]], compared: list[str]) -> list[dict[str, object]]:
    category = as_category(values)
    codes, names = np.asarray(category.codes), [str(level) for level in category.categories]
    counts = {label: np.bincount(codes[rows & (codes >= 0)], minlength=len(names)) for label, rows in parts.items()}
    smd = _largest([_share_difference(counts[a], counts[b]) for a, b in combinations(compared, 2)])
    table: list[dict[str, object]] = []
    for place, name in enumerate(names):
        for label, own in counts.items():
            n, known = int(own[place]), int(own.sum())
            table.append(
                {
                    "label": label,
                    "variable": values.name,
                    "level": name,
                    "n": n,
                    "denominator": known,
                    "n_missing": int(parts[label].sum()) - known,
                    "n_group": int(parts[label].sum()),
                    "estimate": n / known if known else np.nan,
                    "conf_low": np.nan,
                    "conf_high": np.nan,
                    "smd": smd,
                }
            )
    return table


def _mean_difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if len(a) < 2 or len(b) < 2:
        return float("nan")
    spread = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    return float(abs(a.mean() - b.mean()) / spread) if spread > 0 else float("nan")


def _share_difference(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Mahalanobis distance of two vectors of shares, the first level left out."""
    if not a.sum() or not b.sum():
        return float("nan")
    p, q = a[1:] / a.sum(), b[1:] / b.sum()
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    if not len(p) or np.linalg.matrix_rank(covariance) == 0:
        return float("nan")
    return float(np.sqrt((p - q) @ np.linalg.pinv(covariance, hermitian=True) @ (p - q)))


def _largest(differences: list[float]) -> float:
    known = [value for value in differences if np.isfinite(value)]
    return max(known) if known else float("nan")
