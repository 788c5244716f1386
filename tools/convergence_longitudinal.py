"""Small cohorts whose random effects have a variance of 0: every fit ends with an estimate or a stated reason.

1,000 cohorts of 25 patients with 4 visits each; the intercepts', the slopes' or both variances are 0 in truth, or the
two are perfectly correlated. A warning counts as a failure. The log-likelihood at which a fit ends is held against
searches from elsewhere and, for some on the boundary, a grid of covariances; a sample is held against lmer, whose
figures tests/reference/convergence.R wrote.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from proof import Proof

from aih_outcomes.models.longitudinal.gaussian.effects import Effects, describe_singular, fit_effects
from aih_outcomes.models.longitudinal.gaussian.likelihood import Fitted, Rows
from aih_outcomes.models.longitudinal.gaussian.structure import Structure
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.outcomes import RepeatedMeasures

REFERENCE = Path(__file__).resolve().parent.parent / "tests" / "reference"
SEED = 20261123
PATIENTS, VISITS = 25, 4
SDS = {  # of intercept and slope, and their correlation
    "slope 0": (1.0, 0.0, 0.0),
    "intercept 0": (0.0, 0.5, 0.0),
    "both 0": (0.0, 0.0, 0.0),
    "perfectly correlated": (1.0, 0.5, 1.0),
}
GRID = np.array([0.0, 0.03, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5])
OTHER_STARTS = ((2.0, 0.0, 2.0), (0.2, 0.0, 0.2), (1.0, 0.9, 0.1), (1.0, -0.9, 0.1), (0.1, 0.5, 1.0))
SAMPLE = 40


def invent(rng: np.random.Generator, kind: str, *, patients: int = PATIENTS, visits: int = VISITS) -> pd.DataFrame:
    """Invent one cohort: ``id, years, arm, y``; visits a little off their day."""
    n = patients * visits
    one, two = rng.standard_normal((2, patients))
    sd_intercept, sd_slope, rho = SDS[kind]
    patient = np.repeat(np.arange(patients), visits)
    years = np.tile(np.arange(visits), patients) + rng.uniform(-0.2, 0.2, n).round(2)
    slope = sd_slope * (rho * one + np.sqrt(1 - rho**2) * two)
    y = 1 + 0.3 * years + sd_intercept * one[patient] + slope[patient] * years + rng.standard_normal(n)
    return pd.DataFrame({"id": patient, "years": years.round(2), "arm": patient % 2, "y": y.round(4)})


def cohorts(replicates: int) -> list[tuple[str, pd.DataFrame]]:
    """Invent them all, kinds in turn."""
    rng = np.random.default_rng(SEED)
    kinds = list(SDS)
    return [(kinds[i % len(kinds)], invent(rng, kinds[i % len(kinds)])) for i in range(replicates)]


def rows_of(frame: pd.DataFrame) -> Rows:
    """Intercept, years, arm and their product; intercept and years vary between patients."""
    years, arm = frame["years"].to_numpy(float), frame["arm"].to_numpy(float)
    X = np.column_stack([np.ones(len(frame)), years, arm, years * arm])
    none = np.zeros(0, np.intp)
    return Rows(frame["y"].to_numpy(float), X, frame["id"].to_numpy(np.intp), years, none, X[:, :2],
                np.zeros(len(frame), np.intp), np.ones(len(frame)), none)  # fmt: skip


def fit(frame: pd.DataFrame) -> Fitted:
    """Fit intercept and slope by REML."""
    return fit_effects(rows_of(frame), Structure(2, False, False, 1, "independent"), reml=True)


def best_elsewhere(fitted: Fitted, *, grid: bool) -> float:
    """Return the largest log-likelihood that other starts, and a grid of covariances, find."""
    kernel = fitted.kernel
    assert isinstance(kernel, Effects)
    found = [fit_effects(fitted.rows, kernel.structure, reml=True, start=np.array([0.0, *start])).evaluation.loglik
             for start in OTHER_STARTS]  # fmt: skip
    if grid:
        signed = np.concatenate([-GRID[:0:-1], GRID])
        points = [(0.0, a, b, c) for a in GRID for b in signed for c in GRID]
        values = [kernel.inner.profile(np.array(point)) for point in points]  # type: ignore[attr-defined]
        found.append(max(value.loglik for value in values if value is not None) - kernel.log_det)
    return max(found)


def public_fit(frame: pd.DataFrame) -> str:
    """Fit as a user does; return 'estimate', 'reason', or the name of the warning or error."""
    measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="years", value="y", covariates=["arm"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = fit_random_effects(measures, by="arm", course="time", random="1 + time", df="kenward-roger")
        except (Warning, ArithmeticError, np.linalg.LinAlgError) as problem:
            return type(problem).__name__
    if result.not_estimable:
        return "reason"
    tidy = result.tidy()
    finite = np.isfinite(tidy[["estimate", "std_error", "p_value"]].to_numpy(float)).all()
    return "estimate" if finite else "neither estimate nor reason"


def count_ends(proof: Proof, replicates: int) -> None:
    """Count how fits end, and hold those on the boundary against other starts."""
    ends = {"inside": 0, "boundary": 0, "not estimable, with the reason": 0}
    raw, worst_lost, worst_decrement, gridded = 0, 0.0, 0.0, 0
    for _, frame in cohorts(replicates):
        raw += public_fit(frame) not in ("estimate", "reason")
        fitted = fit(frame)
        if fitted.trouble:
            ends["not estimable, with the reason"] += 1
            continue
        on_boundary = describe_singular(fitted) is not None
        ends["boundary" if on_boundary else "inside"] += 1
        worst_decrement = max(worst_decrement, fitted.scaled_gradient)
        grid = on_boundary and gridded < SAMPLE
        gridded += grid
        elsewhere = best_elsewhere(fitted, grid=grid)
        worst_lost = max(worst_lost, elsewhere - fitted.evaluation.loglik)
    for end, count in ends.items():
        proof.add(f"{replicates} cohorts of 25 × 4, a variance 0 in truth: {end}", count, "fits")
    proof.add("fits that ended with a warning, an error, or neither estimate nor reason", raw, "fits", "<= 0")
    proof.add("worst scaled gradient where a fit ended", worst_decrement, "log-likelihood", "<= 1e-6")
    proof.add(f"other starts, and a grid for {gridded} on the boundary: most that they found above the fit",
              worst_lost, "log-likelihood", "<= 1e-6")  # fmt: skip


def count_hopeless(proof: Proof, replicates: int) -> None:
    """Cohorts with two visits each cannot tell intercept, slope and error apart: each must say so."""
    rng = np.random.default_rng(SEED + 1)
    ends = [public_fit(invent(rng, "both 0", patients=8, visits=2).round({"years": 0})) for _ in range(replicates)]
    proof.add(f"{replicates} cohorts of 8 × 2: not estimable, with the reason", ends.count("reason"), "fits",
              f">= {replicates}")  # fmt: skip


def compare_with_lmer(proof: Proof) -> None:
    """Hold the log-likelihood of a sample against lmer's best of two optimisers."""
    theirs = json.loads((REFERENCE / "convergence.json").read_text())["loglik"]
    frame = pd.read_csv(REFERENCE / "convergence.csv")
    below = [
        loglik - fit(one).evaluation.loglik for loglik, (_, one) in zip(theirs, frame.groupby("cohort"), strict=True)
    ]
    name = f"lmer on {len(theirs)} of them: most that its log-likelihood is"
    proof.add(f"{name} above ours", max(below), "log-likelihood", "<= 1e-6")
    proof.add(f"{name} below ours", -min(below), "log-likelihood")


def export() -> None:
    """Write the sample that convergence.R fits."""
    sample = [frame.assign(cohort=i) for i, (_, frame) in enumerate(cohorts(SAMPLE))]
    pd.concat(sample).to_csv(REFERENCE / "convergence.csv", index=False)


def main() -> int:
    """Run with ``export`` to write the sample for R, else with the number of cohorts."""
    if sys.argv[1:] == ["export"]:
        export()
        return 0
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    proof = Proof("convergence-longitudinal")
    count_ends(proof, replicates)
    count_hopeless(proof, max(replicates // 20, 5))
    compare_with_lmer(proof)
    return proof.finish()


if __name__ == "__main__":
    sys.exit(main())
