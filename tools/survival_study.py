"""A study of the recovery: what is drawn and estimated, what the truth is, and what passes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from proof import Proof

FILE = Path(__file__).resolve().parent.parent / "data" / "synthetic" / "truth.json"
MONTE_CARLO = 3.0  # standard errors
COVERAGE, LOWEST, HIGHEST = 0.95, 0.94, 0.96
NEGLIGIBLE = 0.05  # of a standard error

Interval = tuple[float, float, float]  # estimate, lower and upper limit; NaN where there are none
Estimates = dict[str, NDArray[np.float64]]  # (n_replicates, 3) per figure


@dataclass(frozen=True, slots=True)
class Target:
    """What an estimate tends to.

    Attributes
    ----------
    value, error : of ``truth.json``, with its Monte-Carlo error
    missed : the truth that a biased analysis does not find; None where the target is the truth
    barred : whether bars stand; not where the sample is too small, or theory says that the estimate misses
    """

    value: float
    error: float = 0.0
    missed: float | None = None
    barred: bool = True


@dataclass(frozen=True, slots=True)
class Study:
    """One mechanism and one estimator.

    Attributes
    ----------
    title : both in words
    estimate : draws one data set and returns its figures
    targets : by figure
    part : of the replicates asked for, where an estimator is slow or no limits are held to a bar
    """

    title: str
    estimate: Callable[[Generator], dict[str, Interval]]
    targets: Mapping[str, Target]
    part: float = 1.0


with FILE.open(encoding="utf-8") as _file:
    _TRUTH = {(e["name"], e["mechanism"]): e for e in json.load(_file)["estimands"]}


def find(name: str, mechanism: str, key: str, *, missed: float | None = None, barred: bool = True) -> Target:
    """Return a true value of ``truth.json``."""
    found = _TRUTH[name, mechanism]
    return Target(found["value"][key], found["monte_carlo_error"][key], missed, barred)


def read_rows(frame: pd.DataFrame, names: NDArray[np.object_] | list[str]) -> dict[str, Interval]:
    """Return estimates and limits of a tidy frame, one figure per row."""
    values = frame[["estimate", "conf_low", "conf_high"]].to_numpy(float)
    return {str(name): (row[0], row[1], row[2]) for name, row in zip(names, values.tolist(), strict=True)}


def judge(proof: Proof, study: Study, estimates: Estimates) -> None:
    """Record each figure's distance from its target and its coverage."""
    for figure, target in study.targets.items():
        found = estimates[figure]
        known = found[np.isfinite(found[:, 0])]
        words = f"{study.title}: {figure}"
        if len(known) < len(found):
            bar = "<= 0" if target.barred else ""
            proof.add(f"{words}: not estimable, of {len(found)}", 1 - len(known) / len(found), "share", bar)
        _judge_mean(proof, words, target, known[:, 0])
        if np.isfinite(known[:, 1:]).any():
            _judge_coverage(proof, words, target, known)


def _judge_mean(proof: Proof, words: str, target: Target, values: NDArray[np.float64]) -> None:
    spread = float(values.std(ddof=1))
    error = float(np.hypot(spread / len(values) ** 0.5, target.error))
    limit = max(MONTE_CARLO * error, NEGLIGIBLE * spread)
    goal = "the truth" if target.missed is None else "its own limit"
    told = f"{words}: mean of {len(values)} from {goal}, {target.value:.4g}, Monte-Carlo error {error:.2g}"
    proof.add(told, abs(float(values.mean()) - target.value), "distance", f"<= {limit:.4g}" if target.barred else "")
    if target.missed is not None:
        told = f"{words}: bias against the truth, {target.missed:.4g}, as theory says"
        proof.add(told, float(values.mean()) - target.missed, "difference")


def _judge_coverage(proof: Proof, words: str, target: Target, found: NDArray[np.float64]) -> None:
    truth = target.value if target.missed is None else target.missed
    low, high = (np.where(np.isnan(found[:, k]), found[:, 0], found[:, k]) for k in (1, 2))
    share = float(((low <= truth) & (truth <= high)).mean())
    error = (COVERAGE * (1 - COVERAGE) / len(found)) ** 0.5
    bar = ""
    if target.barred and target.missed is None:
        lowest = min(LOWEST, COVERAGE - MONTE_CARLO * error)
        highest = min(max(HIGHEST, COVERAGE + MONTE_CARLO * error), 1.0)
        bar = f">= {lowest:.4f}" if share < COVERAGE else f"<= {highest:.4f}"
    told = f"{words}: coverage of 95 % limits, {len(found)} replicates, Monte-Carlo error {error:.4f}"
    proof.add(told, share, "share", bar)
