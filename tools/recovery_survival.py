"""Survival models against simulated truths: whether estimates come back, and how often 95 % limits hold the truth.

Every study draws data sets from a mechanism whose truth is known (``data/synthetic/truth.json``) and is told by two
figures per truth: how far the mean estimate lies from it, and how often the limits hold it. Coverage passes if it lies
within 3 Monte-Carlo standard errors of 95 %, or in [94, 96] %. A mean passes within 3 Monte-Carlo
errors (those of the truth included) or 5 % of an estimate's standard error, which costs coverage less than 0.03 %.
Where theory says that an analysis is biased, its own limit is recovered, and its miss of the truth is told without a
bar. Response without effect in the whole synthetic cohort is held by ``tests/study/test_null_cohort.py``.
"""

from __future__ import annotations

import sys
import time
from functools import partial

import numpy as np
from proof import Proof
from replicates import CORES, open_pool, spread
from survival_states import list_studies as list_more
from survival_studies import list_studies, ten_events
from survival_study import COVERAGE, Estimates, find, judge

from aih_outcomes.simulate.mechanisms.small import Sample

SEED = 4
N_REPLICATES = 5_000
LEAST_FIRTH = 1_000  # replicates: its bars allow no noise
FIRTH_BIAS, FIRTH_SHARE, FIRTH_LOWEST, FIRTH_HIGHEST = 0.1, 0.5, 0.93, 0.97

SAMPLES: tuple[Sample, ...] = ("crowded", "few exposed")  # of ten events: they have bars of their own
STUDIES = [*list_studies(), *list_more()]


def judge_ten_events(proof: Proof, sample: Sample, found: Estimates) -> None:
    """Hold Firth's penalty to its bars: bias, bias against plain Cox, coverage of profile limits.

    Where few are exposed, plain Cox is biased so little once the samples without an answer are left out that half of
    it is no yardstick: that figure is told without a bar.
    """
    truth = find("log hazard ratio", f"ten events, {sample}", "exposed").value
    plain, firth = found["plain"], found["Firth"]
    both = np.isfinite(plain[:, 0]) & np.isfinite(firth[:, 0])
    title = f"ten events, {sample}, log hazard ratio {truth:g}, {len(firth)} replicates"
    proof.add(f"{title}: plain Cox does not converge", 1 - float(np.isfinite(plain[:, 0]).mean()), "share")
    proof.add(f"{title}: Firth does not converge", 1 - float(np.isfinite(firth[:, 0]).mean()), "share", "<= 0")
    bias, own = (float(values[both, 0].mean()) - truth for values in (plain, firth))
    error = float(firth[:, 0].std(ddof=1)) / len(firth) ** 0.5
    proof.add(f"{title}: bias of plain Cox where it converges", bias, "difference")
    proof.add(f"{title}: bias of Firth on the same samples, Monte-Carlo error {error:.3f}", own, "difference")
    proof.add(f"{title}: size of the bias of Firth on the same samples", abs(own), "distance", f"<= {FIRTH_BIAS}")
    whole = abs(float(firth[:, 0].mean()) - truth)
    proof.add(f"{title}: size of the bias of Firth on all samples", whole, "distance", f"<= {FIRTH_BIAS}")
    bar = f"<= {FIRTH_SHARE}" if sample == "crowded" else ""
    proof.add(f"{title}: bias of Firth as a share of plain Cox's", abs(own / bias), "ratio", bar)
    share = float(((firth[:, 1] <= truth) & (truth <= firth[:, 2])).mean())
    error = (COVERAGE * (1 - COVERAGE) / len(firth)) ** 0.5
    bar = f">= {FIRTH_LOWEST}" if share < COVERAGE else f"<= {FIRTH_HIGHEST}"
    proof.add(f"{title}: coverage of profile limits, Monte-Carlo error {error:.4f}", share, "share", bar)


def main(n: int) -> int:
    """Repeat every study and record."""
    proof, begun = Proof("recovery-survival"), time.perf_counter()
    with open_pool() as pool:
        for number, study in enumerate(STUDIES):
            judge(proof, study, spread(pool, study.estimate, (SEED, number), max(round(n * study.part), 1)))
        for number, sample in enumerate(SAMPLES, start=len(STUDIES)):
            draw = partial(ten_events, sample=sample)
            judge_ten_events(proof, sample, spread(pool, draw, (SEED, number), max(n, LEAST_FIRTH)))
    print(f"{time.perf_counter() - begun:.0f} s on {CORES} cores", flush=True)
    return proof.finish()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else N_REPLICATES))
