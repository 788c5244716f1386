"""How fast the longitudinal models are, beside R and statsmodels on the same files in the same run.

R's times and answers come from bench_longitudinal.R on the files of $AIH_SHARED/reference/timing. Where Rscript lacks a
package, the time is the one stated in timing.md there, times lme4's time now over lme4's then; the row says so. *From
arrays* is the engine called with NumPy arrays, *with formula and frame* the public calls from a DataFrame to the
result. Each figure is the median of several runs, with one BLAS thread.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from proof import Proof
from stopwatch import SHARED, SHORT_ONES, TIMING, begin_with_one_thread, run_r, time_call

from aih_outcomes.models.longitudinal.gaussian.covariances import VisitCovariance
from aih_outcomes.models.longitudinal.gaussian.effects import fit_effects
from aih_outcomes.models.longitudinal.gaussian.inference import DegreesOfFreedom, make_inference
from aih_outcomes.models.longitudinal.gaussian.likelihood import Fitted, Rows
from aih_outcomes.models.longitudinal.gaussian.structure import Structure
from aih_outcomes.models.longitudinal.gaussian.visits import fit_visits
from aih_outcomes.models.longitudinal.mixed_model import MixedModel
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.longitudinal.repeated_measures import fit_repeated_measures
from aih_outcomes.outcomes import RepeatedMeasures

Array = NDArray[np.float64]

STATED = {
    "lmer": "| lmer REML",
    "mmrm us satterthwaite": "| mmrm us(8)",
    "mmrm us kenward-roger": "| same, Kenward-Roger",
}  # the first words of their rows in timing.md
IN_R = {
    "heterogeneous toeplitz": "toeph", "toeplitz": "toep", "heterogeneous ar1": "ar1h", "ar1": "ar1",
    "heterogeneous compound symmetry": "csh", "compound symmetry": "cs", "heterogeneous ante-dependence": "adh",
    "ante-dependence": "ad", "exponential": "sp_exp",
}  # fmt: skip
SAME_AS_LMER, SAME_AS_MMRM = "<= 1e-5", "<= 5e-4"  # standard errors: how far R's default tolerances leave its optimum
INTERCEPT_AND_SLOPE = Structure(2, diagonal=False, nested=False, n_strata=1, serial="independent")


@dataclass(frozen=True, slots=True)
class Peer:
    """What R took and found: printed in this run, else stated in timing.md."""

    printed: dict[str, float]
    stated: dict[str, float]

    def seconds(self, task: str) -> tuple[float, str]:
        """Return R's seconds and where they come from."""
        if task in self.printed:
            return self.printed[task], "timed here"
        if "lmer" not in self.printed:
            return self.stated[task], "of timing.md, as there is no lme4 here to scale by"
        scale = self.printed["lmer"] / self.stated["lmer"]
        return self.stated[task] * scale, f"of timing.md x {scale:.2f}, lme4's time now over then"

    def answer(self, model: str, p: int) -> tuple[float, Array, Array] | None:
        """Return R's log-likelihood, estimates and standard errors; None where it was not fitted here."""
        if f"{model} loglik" not in self.printed:
            return None
        estimate, std_error = (
            np.array([self.printed[f"{model} {what} {place + 1}"] for place in range(p)])
            for what in ("estimate", "std_error")
        )
        return self.printed[f"{model} loglik"], estimate, std_error


def read_stated() -> dict[str, float]:
    """Read the seconds stated in timing.md."""
    lines = (TIMING / "timing.md").read_text(encoding="utf-8").splitlines()
    return {
        task: float(next(line for line in lines if line.startswith(begins)).split(" | ")[2])
        for task, begins in STATED.items()
    }


def compare(proof: Proof, name: str, peer: Peer, task: str, seconds: float, bar: str) -> None:
    """Record how many times faster than R."""
    theirs, origin = peer.seconds(task)
    proof.add(f"{name}: times faster than R's {theirs:.3g} s ({origin})", theirs / seconds, "1", bar)


def same_answer(
    proof: Proof, name: str, fitted: Fitted, std_error: Array, theirs: tuple[float, Array, Array], bar: str
) -> None:
    """Record how far the answers lie apart, and that the optimum is no lower than R's."""
    loglik, estimate, error = theirs
    apart = np.abs(fitted.evaluation.beta - estimate) / error
    errors = np.abs(std_error / error - 1)
    proof.add(
        f"{name}: largest difference of estimates (in standard errors) and of standard errors (relative) from R's",
        float(max(apart.max(), errors.max())), "1", bar,
    )  # fmt: skip
    proof.add(f"{name}: log-likelihood above R's", fitted.evaluation.loglik - loglik, "1", ">= -1e-6")


def infer(fitted: Fitted, df: DegreesOfFreedom) -> tuple[Array, Array, Array]:
    """Estimates, standard errors and degrees of freedom of all terms."""
    return make_inference(fitted, df=df, vcov="model").contrast(np.eye(fitted.rows.X.shape[1]))


def rows_of_course(frame: pd.DataFrame) -> Rows:
    """Arrays of y ~ t * arm + (t | id)."""
    n, nothing = len(frame), np.zeros(0, np.intp)
    t, arm, y = (frame[name].to_numpy(float) for name in ("t", "arm", "y"))
    ones = np.ones(n)
    return Rows(y, np.column_stack([ones, t, arm, t * arm]), _codes(frame, "id"), t, nothing,
                np.column_stack([ones, t]), np.zeros(n, np.intp), ones, nothing)  # fmt: skip


def fit_course(frame: pd.DataFrame) -> MixedModel:
    """Fit the same with formula and frame, Satterthwaite's degrees of freedom included."""
    measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="t", value="y", covariates=["arm"])
    return fit_random_effects(measures, covariates="arm", course="time * arm", random="1 + time")


def rows_of_visits(frame: pd.DataFrame) -> tuple[Rows, int]:
    """Arrays of y ~ base + arm * visit, and the number of visits."""
    n, nothing = len(frame), np.zeros(0, np.intp)
    base, arm, y = (frame[name].to_numpy(float) for name in ("base", "arm", "y"))
    visit = _codes(frame, "visit")
    later = (visit[:, None] == np.arange(1, visit.max() + 1)).astype(float)
    X = np.column_stack([np.ones(n), base, arm, later, arm[:, None] * later])
    rows = Rows(y, X, _codes(frame, "id"), frame["visit"].to_numpy(float), visit, np.empty((n, 0)),
                np.zeros(n, np.intp), np.ones(n), nothing)  # fmt: skip
    return rows, int(visit.max()) + 1


def fit_mmrm(frame: pd.DataFrame, df: DegreesOfFreedom) -> MixedModel:
    """Fit the same with formula and frame."""
    measures = RepeatedMeasures.from_frame(
        frame, patient_id="id", time="visit", visit="visit", value="y", covariates=["arm", "base"]
    )
    return fit_repeated_measures(measures, by="arm", covariates="base", covariance="unstructured", df=df)


def bench_random_effects(proof: Proof, peer: Peer) -> None:
    """Time random intercept and slope, 10,000 patients x 10 visits."""
    name = "Random intercept and slope, 10,000 x 10"
    frame = pd.read_csv(TIMING / "lmm_100k.csv.gz")
    rows = rows_of_course(frame)
    arrays = time_call(partial(fit_effects, rows, INTERCEPT_AND_SLOPE, reml=True), SHORT_ONES)
    public = time_call(partial(fit_course, frame), SHORT_ONES)
    proof.add(f"{name}, from arrays", arrays, "s")
    proof.add(f"{name}, with formula and frame", public, "s")
    compare(proof, f"{name}, from arrays", peer, "lmer", arrays, ">= 30")
    compare(proof, f"{name}, with formula and frame", peer, "lmer", public, ">= 10")
    theirs = time_mixedlm(rows)
    proof.add(f"{name}, from arrays: times faster than MixedLM's {theirs:.3g} s (timed here)", theirs / arrays, "1",
              ">= 500")  # fmt: skip
    proof.add(f"{name}, with formula and frame: times faster than MixedLM from arrays", theirs / public, "1")
    answer = peer.answer("lmer", 4)
    if answer is not None:
        fitted = fit_effects(rows, INTERCEPT_AND_SLOPE, reml=True)
        same_answer(proof, name, fitted, infer(fitted, "satterthwaite")[1], answer, SAME_AS_LMER)


def time_mixedlm(rows: Rows) -> float:
    """Return the seconds of statsmodels' MixedLM on the same arrays: one run, half a minute."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    def fit() -> object:
        return MixedLM(rows.response, rows.X, groups=rows.patient, exog_re=rows.Z).fit(reml=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return time_call(fit, 1)


def bench_repeated_measures(proof: Proof, peer: Peer) -> None:
    """Time MMRM, 1,000 patients x 8 visits with drop-out."""
    name = "MMRM unstructured, 1,000 x 8"
    frame = pd.read_csv(TIMING / "mmrm_1000x8.csv.gz")
    rows, n_visits = rows_of_visits(frame)
    fit = partial(fit_visits, rows, n_visits=n_visits, reml=True)
    df: DegreesOfFreedom
    for df, bar in (("satterthwaite", ">= 50"), ("kenward-roger-mmrm", ">= 200")):
        arrays = time_call(lambda df=df: infer(fit(covariance="unstructured"), df), SHORT_ONES)
        public = time_call(partial(fit_mmrm, frame, df), SHORT_ONES)
        proof.add(f"{name}, {df}, from arrays", arrays, "s")
        proof.add(f"{name}, {df}, with formula and frame", public, "s")
        compare(proof, f"{name}, {df}, from arrays", peer, f"mmrm us {df.removesuffix('-mmrm')}", arrays, bar)
        compare(proof, f"{name}, {df}, with formula and frame", peer, f"mmrm us {df.removesuffix('-mmrm')}", public, "")
    fitted = fit(covariance="unstructured")
    answer = peer.answer("mmrm", rows.X.shape[1]) or _stated_answer()
    same_answer(proof, name, fitted, infer(fitted, "satterthwaite")[1], answer, SAME_AS_MMRM)
    for covariance in get_args(VisitCovariance):
        if covariance != "unstructured":
            bench_structure(proof, peer, covariance, fit)


def bench_structure(proof: Proof, peer: Peer, covariance: VisitCovariance, fit: Callable[..., Fitted]) -> None:
    """Time one covariance structure beside mmrm's, or beside its unstructured fit where no other time is known."""
    seconds = time_call(lambda: infer(fit(covariance=covariance), "satterthwaite"))
    proof.add(f"MMRM {covariance}, 1,000 x 8, from arrays", seconds, "s")
    own, unstructured = f"mmrm {IN_R[covariance]} satterthwaite", "mmrm us satterthwaite"
    task, beside = (own, "") if own in peer.printed else (unstructured, " beside mmrm's unstructured")
    compare(proof, f"MMRM {covariance}, 1,000 x 8, from arrays{beside}", peer, task, seconds, ">= 10")


def bench_clinic(proof: Proof) -> None:
    """Time the size of this disease: 350 patients x 10 visits with Kenward-Roger."""
    frame = invent(350, 10)
    rows, n_visits = rows_of_visits(frame)
    seconds = time_call(
        lambda: infer(fit_visits(rows, "unstructured", n_visits=n_visits, reml=True), "kenward-roger"), SHORT_ONES
    )
    proof.add("MMRM unstructured, 350 x 10, kenward-roger, from arrays", seconds, "s", "< 0.03")
    seconds = time_call(partial(fit_mmrm, frame, "kenward-roger"), SHORT_ONES)
    proof.add("MMRM unstructured, 350 x 10, kenward-roger, with formula and frame", seconds, "s")
    rows = rows_of_course(frame)
    seconds = time_call(lambda: infer(fit_effects(rows, INTERCEPT_AND_SLOPE, reml=True), "kenward-roger"), SHORT_ONES)
    proof.add("Random intercept and slope, 350 x 10, kenward-roger, from arrays", seconds, "s", "< 0.03")


def growth(proof: Proof, n_large: int) -> None:
    """Measure how time grows with rows."""
    sizes = [10_000, 100_000, n_large]
    frames = [invent(n // 10, 10) for n in sizes]
    calls: dict[str, list[Callable[[], object]]] = {
        "from arrays": [partial(fit_effects, rows_of_course(f), INTERCEPT_AND_SLOPE, reml=True) for f in frames],
        "with formula and frame": [partial(fit_course, f) for f in frames],
    }
    for name, of_sizes in calls.items():
        seconds = [time_call(call, 5) for call in of_sizes]
        slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
        proof.add(f"Random intercept and slope, {name}: growth exponent from {sizes[0]} to {n_large} rows", slope, "1",
                  "<= 1.1")  # fmt: skip
        proof.add(f"Random intercept and slope, {name}, {n_large} rows", seconds[-1], "s")


def invent(n: int, visits: int) -> pd.DataFrame:
    """Invent a course per patient; a tenth of the values are lost, the first ones never."""
    rng = np.random.default_rng(n)
    visit = np.tile(np.arange(visits), n)
    patient = np.repeat(np.arange(n), visits)
    arm, base = rng.integers(0, 2, n)[patient], rng.normal(size=n)[patient]
    own = rng.normal(size=(n, 2)) @ np.array([[1.0, 0.1], [0.0, 0.3]])
    y = 1 + 0.2 * visit - 0.1 * visit * arm + own[patient, 0] + own[patient, 1] * visit + rng.normal(size=n * visits)
    frame = pd.DataFrame(
        {"id": patient, "visit": visit + 1, "t": visit.astype(float), "arm": arm, "base": base, "y": y}
    )
    return frame[(visit == 0) | (rng.random(n * visits) > 0.1)].reset_index(drop=True)


def _codes(frame: pd.DataFrame, column: str) -> NDArray[np.intp]:
    return np.unique(frame[column], return_inverse=True)[1].astype(np.intp)


def _stated_answer() -> tuple[float, Array, Array]:
    """Return what mmrm found on the same file, where timing.md was made."""
    path = SHARED / "reference" / "reference" / "bench_results.json"
    stated = json.loads(path.read_text(encoding="utf-8"))["results"]["mmrm_us"]
    return float(stated["loglik"]), np.array(stated["est"]), np.array(stated["se"])


def main(n_large: int) -> int:
    """Measure and record."""
    again = begin_with_one_thread()
    if again is not None:
        return again
    proof = Proof("bench-longitudinal")
    if TIMING.is_dir():
        peer = Peer(run_r(Path(__file__).with_suffix(".R"), TIMING, 3), read_stated())
        bench_random_effects(proof, peer)
        bench_repeated_measures(proof, peer)
    bench_clinic(proof)
    growth(proof, n_large)
    return proof.finish()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
