"""T3 and T5: transplant and death, and what response has to do with them, counted."""

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.simulate.copies import MET
from aih_outcomes.simulate.course import NEVER
from aih_outcomes.simulate.estimands import Estimand, Number, closed, counted, difference, mean, share
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR, Parameters
from aih_outcomes.simulate.scores import count_days, solve_ratio
from aih_outcomes.simulate.survival import baseline_hazard
from aih_outcomes.simulate.truth_population import LAST, MECHANISMS, Population

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LANDMARKS = (28, 182, 365)


def truth_of_survival(pop: Population, mechanism: str) -> list[Estimand]:
    """T3: cumulative incidence, survival and restricted means since diagnosis."""
    lag = pop["lag"]
    transplant, death, first = pop["transplant"] + lag, pop["death"] + lag, pop["first"] + lag
    found = []
    for years in (1, 5, 10, 15):
        day = int(years * DAYS_PER_YEAR)
        numbers = {
            "cif_transplant": share(transplant <= day),
            "cif_death": share((death <= day) & (death < transplant)),
            "native_liver_survival": share(first > day),
            "overall_survival": share(death > day),
        }
        text = f"By day {day} since diagnosis; death as first event; overall survival counts death after transplant"
        found.append(counted("T3", f"survival, {years} years", text, numbers, n=pop.n, mechanism=mechanism))
    end = int(10 * DAYS_PER_YEAR)
    numbers = {
        "native_liver": mean(np.minimum(first, end) / DAYS_PER_YEAR),
        "overall": mean(np.minimum(death, end) / DAYS_PER_YEAR),
    }
    text = f"Mean years until transplant or death, and until death, since diagnosis, cut at day {end}"
    return [*found, counted("T3", "restricted mean, 10 years", text, numbers, n=pop.n, mechanism=mechanism)]


def _groups(pop: Population, landmark: int) -> dict[str, Flags]:
    """Return who counts as a responder at a landmark: by the noise-free course, and as recorded (MCAR)."""
    if landmark == 28:
        return {"latent": pop["fell"] == 1}
    groups = {"latent": pop["cbr"] <= landmark}
    recorded = f"attained_mcar_{landmark}"
    return groups | ({"recorded": pop[recorded] == MET} if recorded in pop.columns else {})


def truth_of_landmarks(pop: Population, mechanism: str) -> list[Estimand]:
    """T5: at each landmark, responders against the others, among those alive with their native liver."""
    found = []
    for landmark in LANDMARKS:
        alive = pop["first"] > landmark
        for basis, responder in _groups(pop, landmark).items():
            since = pop["first"] - landmark
            five = int(5 * DAYS_PER_YEAR)
            one, other = alive & responder, alive & ~responder
            numbers = {
                "survival_responder": share(since[one] > five),
                "survival_other": share(since[other] > five),
                "survival_difference": difference(share(since[one] > five), share(since[other] > five)),
                "restricted_mean_difference": difference(
                    *(mean(np.minimum(since[g], five) / DAYS_PER_YEAR) for g in (one, other))
                ),
                "share_responder": share(responder[alive]),
            }
            numbers |= _ratios(pop, np.where(responder, 0.0, NEVER), float(landmark))
            what = "ALT and AST fallen by half" if landmark == 28 else "CBR attained"
            text = (
                f"{what} by day {landmark} ({basis}) against not, among those at risk then: native-liver survival "
                f"{five} days later, its difference, that of restricted means (years), least-false log hazard ratio "
                "uncensored to 15 years and under the cohort's entry and censoring"
            )
            found.append(counted("T5", f"landmark {landmark}, {basis}", text, numbers, n=pop.n, mechanism=mechanism))
    return found


def _ratios(pop: Population, since: Floats, start: float) -> dict[str, Number]:
    """Return least-false log hazard ratios, uncensored to 15 years and as the cohort would see it."""
    entry = np.full(pop.n, start)
    leave = np.minimum(pop["first"], LAST)
    whole = solve_ratio(count_days(entry, leave, pop["first"] <= LAST, since))
    end = np.minimum(pop["first"], np.minimum(pop["end"], LAST))
    end = np.where(pop["recorded"] == 1, end, 0.0)
    seen = solve_ratio(count_days(np.maximum(pop["entry"], start), end, pop["first"] <= end, since))
    return {"log_hazard_ratio": (whole.log_ratio, whole.error), "log_hazard_ratio_cohort": (seen.log_ratio, seen.error)}


def truth_of_designs(pop: Population, mechanism: str) -> list[Estimand]:
    """T5: status changing with time, and the biased comparisons from day 0."""
    attained = pop["cbr"] < pop["first"]
    designs = {
        "time-varying": (pop["cbr"], "status turns to responder on the first day of CBR and stays so (the right way)"),
        "naive, attained by day 182": (
            np.where(attained & (pop["cbr"] <= 182), 0.0, NEVER),
            "responders by day 182, from day 0: biased",
        ),
        "naive, attained by day 365": (
            np.where(attained & (pop["cbr"] <= 365), 0.0, NEVER),
            "responders by day 365, from day 0: biased",
        ),
        "naive, ever attained": (np.where(attained, 0.0, NEVER), "responders at any time, from day 0: biased"),
    }
    return [
        counted(
            "T5",
            f"hazard ratio, {name}",
            f"Least-false log hazard ratio of transplant or death; noise-free CBR; {text}",
            _ratios(pop, since, 0.0),
            n=pop.n,
            mechanism=mechanism,
        )
        for name, (since, text) in designs.items()
    ]


def truth_of_hazards(p: Parameters, mechanism: str) -> Estimand:
    """T3: the cause-specific hazards themselves."""
    null = MECHANISMS[mechanism].response_effect == "none"
    bands = zip(p.hazard_knots, baseline_hazard(p, MECHANISMS[mechanism]), strict=False)
    value = {f"transplant_per_year_from_day_{day:g}": hazard for day, hazard in bands}
    by_response = {
        "ratio_relapsed": p.ratio_relapsed,
        "ratio_not_in_response": p.ratio_no_response,
        "ratio_late_response": p.ratio_late_response,
        "ratio_non_responder": p.ratio_non_responder,
    }
    value |= dict.fromkeys(by_response, 1.0) if null else by_response
    value |= {
        "ratio_all": p.high_hazard if MECHANISMS[mechanism].hazard == "high" else 1.0,
        "liver_death_per_transplant": p.liver_death_share,
        "other_death_per_year": p.other_death,
        "ratio_asc": p.ratio_asc,
        "ratio_persistent_inr": p.ratio_inr,
        "ratio_referred": p.ratio_referred,
        "liver_failure_transplanted_early": p.failure_transplant,
        "liver_failure_dead_early": p.failure_death,
    }
    text = (
        "Cause-specific hazards of the lowest-risk child, the ratios that multiply transplant and liver death, and the "
        f"early risk of acute liver failure (uniform over {p.failure_days:g} days)"
    )
    return closed("T3", "cause-specific hazards", text, value, mechanism=mechanism)


def truth_of_null(mechanism: str) -> Estimand:
    """T5 under the null: what independence of response and survival implies."""
    value = {
        "landmark_survival_difference": 0.0,
        "landmark_log_hazard_ratio": 0.0,
        "time_varying_log_hazard_ratio": 0.0,
    }
    text = "Response and all that bears on it are independent of transplant and death: every right comparison is null"
    return closed("T5", "null by construction", text, value, mechanism=mechanism)
