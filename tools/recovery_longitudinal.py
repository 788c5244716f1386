"""Mixed models against simulated truths: whether estimates come back, and how often 95 % limits hold the truth.

As in ``recovery_survival.py``: every study draws data sets from a mechanism whose truth is known
(``data/synthetic/truth.json``); a mean and a coverage pass by the same bars. Where theory says that an analysis is
biased, its own limit is recovered, and its miss of the truth is told without a bar. Two bars are of their own:
Kenward-Roger's type-I error with twelve patients per group (SAS's convention; that of R's mmrm is told beside it, and
is larger than the z-test's there), and how often the limits of one case hold her values.
"""

from __future__ import annotations

import sys
import time
from functools import partial

import numpy as np
from longitudinal_studies import METHODS_OF_VISITS, list_studies, visits
from proof import Proof
from replicates import CORES, open_pool, spread
from survival_study import COVERAGE, MONTE_CARLO, Estimates, Study, judge
from switch_studies import SINCE, list_case_studies, list_switch_studies

SEED = 5
N_REPLICATES = 5_000
PER_GROUP = 12
LEAST_KENWARD_ROGER, OFTENER = 500, 2  # replicates at least, and for each of the others
CASE_LOWEST, CASE_HIGHEST = 0.93, 0.97
LEVEL = 0.05

STUDIES = [*list_studies(), *list_switch_studies()]
CASES = list_case_studies()
NULL = partial(visits, effect="none", n=2 * PER_GROUP)


def judge_kenward_roger(proof: Proof, found: Estimates) -> None:
    """Hold type-I error to 5 % within Monte-Carlo error; the z-test stands beside it and is larger."""
    title = f"MMRM, {PER_GROUP} per group, six visits, one in five stops coming, no effect: type-I error"
    last = {name: found[f"{name}, last"] for name in METHODS_OF_VISITS}
    known = np.isfinite(last["Kenward-Roger"][:, 0])
    n = int(known.sum())
    proof.add(f"{title}: not estimable, of {len(known)}", 1 - float(known.mean()), "share", "<= 0")
    error = (LEVEL * (1 - LEVEL) / n) ** 0.5
    shares = {name: float(((own[known, 1] > 0) | (own[known, 2] < 0)).mean()) for name, own in last.items()}
    for name, share in shares.items():
        within = f"<= {LEVEL + MONTE_CARLO * error:.4f}" if share > LEVEL else f">= {LEVEL - MONTE_CARLO * error:.4f}"
        words = f"{title}: {name}, last visit, {n} replicates, Monte-Carlo error {error:.4f}"
        proof.add(words, share, "share", within if name == "Kenward-Roger" else "")
    gap = shares["z"] - shares["Kenward-Roger"]
    proof.add(f"{title}: z, last visit, above Kenward-Roger", gap, "difference", "> 0")
    for name in METHODS_OF_VISITS:
        if f"{name}, all visits" in found:
            joint = float((found[f"{name}, all visits"][known, 0] < LEVEL).mean())
            proof.add(f"{title}: {name}, all visits jointly, F test", joint, "share")


def judge_case(proof: Proof, study: Study, found: Estimates, *, barred: bool) -> None:
    """Hold the limits of one case's values to 93 to 97 %, where the model has serial correlation.

    Fewer replicates widen the bar to 3 Monte-Carlo errors. The joint distance of all values is told without a bar.
    """
    known = np.isfinite(found[f"{SINCE[0]} days"][:, 0])
    n = int(known.sum())
    missing = 1 - float(known.mean())
    proof.add(f"{study.title}: not estimable, of {len(known)}", missing, "share", "<= 0" if barred else "")
    error = (COVERAGE * (1 - COVERAGE) / n) ** 0.5
    lowest = min(CASE_LOWEST, COVERAGE - MONTE_CARLO * error)
    highest = min(max(CASE_HIGHEST, COVERAGE + MONTE_CARLO * error), 1.0)
    within = f"within 95 % limits, {n} replicates, Monte-Carlo error {error:.4f}"
    for day in SINCE:
        low, high = found[f"{day} days"][known, 1:].T
        share = float(((low <= 0) & (high >= 0)).mean())
        bar = f">= {lowest:.4f}" if share < COVERAGE else f"<= {highest:.4f}"
        proof.add(f"{study.title}: value {day} days after the flare {within}", share, "share", bar if barred else "")
    joint = float(found["all values jointly"][known, 0].mean())
    proof.add(f"{study.title}: all values jointly {within}", joint, "share")


def main(n: int) -> int:
    """Repeat every study and record."""
    proof, begun = Proof("recovery-longitudinal"), time.perf_counter()
    with open_pool() as pool:
        for number, study in enumerate(STUDIES):
            judge(proof, study, spread(pool, study.estimate, (SEED, number), max(round(n * study.part), 1)))
        for number, study in enumerate(CASES, start=len(STUDIES)):
            found = spread(pool, study.estimate, (SEED, number), max(round(n * study.part), 1))
            judge_case(proof, study, found, barred=number == len(STUDIES))
        number = len(STUDIES) + len(CASES)
        judge_kenward_roger(proof, spread(pool, NULL, (SEED, number), max(OFTENER * n, LEAST_KENWARD_ROGER)))
    print(f"{time.perf_counter() - begun:.0f} s on {CORES} cores", flush=True)
    return proof.finish()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else N_REPLICATES))
