"""The truth behind the synthetic cohort, by counting; ``python -m aih_outcomes.simulate.truth FILE`` writes it anew."""

import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from aih_outcomes.simulate.estimands import Estimand, Truth
from aih_outcomes.simulate.parameters import DEFAULT
from aih_outcomes.simulate.truth_mechanisms import truth_of_mechanisms
from aih_outcomes.simulate.truth_population import MECHANISMS, draw_population, truth_of_prevalence
from aih_outcomes.simulate.truth_response import truth_of_courses, truth_of_response
from aih_outcomes.simulate.truth_survival import (
    truth_of_designs,
    truth_of_hazards,
    truth_of_landmarks,
    truth_of_null,
    truth_of_survival,
)
from aih_outcomes.simulate.truth_switch import draw_outcomes, truth_of_individuals, truth_of_switch

SEED = 1
N_CHILDREN = 1_000_000
N_CARRIERS = 400_000


def _population(mechanism: str, n: int) -> list[Estimand]:
    pop = draw_population(SEED, n, MECHANISMS[mechanism], with_visits=mechanism != "null, high hazard")
    found = [truth_of_hazards(DEFAULT, mechanism), *truth_of_survival(pop, mechanism)]
    found += [*truth_of_landmarks(pop, mechanism), *truth_of_designs(pop, mechanism)]
    if MECHANISMS[mechanism].response_effect == "none":
        return [*found, truth_of_null(mechanism)]
    return [*truth_of_courses(pop), *truth_of_response(pop), *found, truth_of_prevalence(pop)]


def _switches(mechanism: str, n: int) -> list[Estimand]:
    outcomes = draw_outcomes(SEED, n, MECHANISMS[mechanism])
    return [*truth_of_switch(outcomes, DEFAULT, mechanism), *truth_of_individuals(outcomes, mechanism)]


def _mechanisms(mechanism: str, n: int) -> list[Estimand]:
    return truth_of_mechanisms(SEED, n)


def compute_truth(n_children: int = N_CHILDREN, n_carriers: int = N_CARRIERS, *, processes: int = 1) -> Truth:
    """Count every estimand.

    Parameters
    ----------
    n_children : copies for response and survival (T1, T2, T3, T5), and patients of the mechanisms of their own (T4,
        T6 to T11, T13 to T15) where those have no closed form
    n_carriers : carriers of a matched gene for potential outcomes (T12, T13)
    processes : the result does not depend on it
    """
    jobs = [
        (_population, "default", n_children),
        (_population, "null", n_children),
        (_population, "null, high hazard", n_children),
    ]
    jobs += [(_switches, "default", n_carriers), (_switches, "no effect", n_carriers)]
    jobs += [(_mechanisms, "of their own", n_children)]
    if processes == 1:
        parts = [job(mechanism, n) for job, mechanism, n in jobs]
    else:
        with ProcessPoolExecutor(processes) as pool:
            parts = [future.result() for future in [pool.submit(job, mechanism, n) for job, mechanism, n in jobs]]
    return Truth(SEED, tuple(estimand for part in parts for estimand in part))


def main() -> None:
    """Write the truth to the file named on the command line."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "data/synthetic/truth.json")
    path.write_text(compute_truth(processes=2).to_json(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
