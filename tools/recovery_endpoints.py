"""Derived endpoints against the simulated truth: sensitivity, specificity, and why they are not 1.

The truth is that of each child, without noise and looked at daily; what is derived sees printed results at visits that
were held, with IgG missing in about a third. So a shortfall is told by its cause, not by a bar; bars stand where theory
sets one: the bias of the rate among evaluable patients, and its correction, against the rate with complete data.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from proof import Proof

from aih_outcomes.endpoints.course.steroid_free import derive_steroid_free_response
from aih_outcomes.endpoints.course.withdrawal import derive_withdrawal
from aih_outcomes.endpoints.course.worsening import derive_loss
from aih_outcomes.endpoints.definition import read_definition
from aih_outcomes.endpoints.events.liver_events import derive_asc_conversion
from aih_outcomes.endpoints.response.evaluation import MET, NOT_MET
from aih_outcomes.endpoints.response.response import Response, derive_response
from aih_outcomes.simulate import reveal_truth, simulate_cohort
from aih_outcomes.simulate.exports.tables import SEED
from aih_outcomes.simulate.parameters import IggMissing
from aih_outcomes.study.rates import estimate_response_rates

ROOT = Path(__file__).resolve().parent.parent
MONTE_CARLO = 3.0  # standard errors
COHORTS = 10
BELOW = "noise takes a value at the limit below it"
RATES = {"CBR at 6 months": "status", "CBR by 6 months": "attained"}  # label, truth
MISSING: dict[IggMissing, str] = {
    "mcar": "35 % of IgG missing at random",
    "mar": "IgG missing by the ALT seen",
    "mnar": "IgG missing by the IgG itself (where the correction must fail)",
}


def compare(
    proof: Proof, name: str, status: NDArray[np.object_], truth: NDArray[np.float64], why: str, missed: str, false_: str
) -> None:
    """Tell sensitivity and specificity among evaluable children with why they are not 1, and who is not evaluable."""
    known, met = ~np.isnan(truth), status == MET
    evaluable = known & (met | (status == NOT_MET))
    true, false = evaluable & (truth == 1), evaluable & (truth == 0)
    proof.add(f"{name}: sensitivity among {int(true.sum())} (missed: {missed})", _share(met & true, true), "share")
    proof.add(f"{name}: specificity among {int(false.sum())} (else: {false_})", _share(~met & false, false), "share")
    proof.add(f"{name}: not evaluable of {int(known.sum())} ({why})", _share(known & ~evaluable, known), "share")


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else float("nan")


def by_day(day: pd.Series, until: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return 1 where something truly happened by a day, else 0."""
    return (day.to_numpy(float) <= until).astype(float)


def compare_all(proof: Proof, response: Response, truth: pd.DataFrame) -> None:
    """Compare each endpoint for which the mechanism knows the truth."""
    truth = truth.set_index("patient_id").reindex(response.patients)
    seen = truth["seen_until"].to_numpy(float)

    def flag(column: str) -> NDArray[np.float64]:
        return truth[column].astype("Float64").to_numpy(float, na_value=np.nan)

    for day in (182, 365):
        status = response.status_by(day)["status"].to_numpy(object)
        compare(proof, f"CBR by day {day}", status, flag(f"cbr_by_{day}"), "IgG or visit missing",
                "attained after the last visit (a quarter), or noise at the limit", BELOW)  # fmt: skip
    at = response.status_at(response.definition.windows.at)["status"].to_numpy(object)
    compare(proof, "CBR at 6 months", at, flag("cbr_at_182"), "IgG or visit missing in the window",
            "attained between the visit and day 182, or noise", BELOW)  # fmt: skip
    fell = response.non_response()["status"].map({MET: NOT_MET, NOT_MET: MET}).fillna("not evaluable")
    compare(proof, "50 % fall by day 28", fell.to_numpy(object), flag("fell_by_28"), "no visit on days 21 to 28",
            "half by day 28, not yet at the visit before it, or noise", BELOW)  # fmt: skip
    lost, free = derive_loss(response), derive_steroid_free_response(response)
    off, converted = derive_withdrawal(response), derive_asc_conversion(response.timelines)
    for name, found, column, why, missed, false_ in (
        ("Loss of response", lost, "cbr_lost_day", "never seen in response or looked at since",
         "small or short, between visits", "noise lifts two samples above the limit"),
        ("Steroid-free response", free, "steroid_free_cbr_day", "no IgG off steroid",
         "normal between visits that were not", BELOW),
        ("Withdrawal", off, "off_all_drugs_day", "not followed",
         "a drug for bowel disease goes on, or less than 30 days", "none"),
        ("ASC conversion", converted, "asc_conversion_day", "never imaged normal", "no cholangiogram since", "none"),
    ):  # fmt: skip
        status = found.tidy()["status"].to_numpy(object)
        compare(proof, name, status, by_day(truth[column], seen), why, missed, false_)


def compare_rates(proof: Proof, n: int) -> None:
    """Hold the rates at and by six months against the rates with complete data (truth T2)."""
    with (ROOT / "data" / "synthetic" / "truth.json").open(encoding="utf-8") as file:
        known = {(e["id"], e["name"]): e["value"] for e in json.load(file)["estimands"]}
    expected = known["T2", "CBR status, day 182, mcar"]["met_of_evaluable"]
    for how, words in MISSING.items():
        found = estimate_cohorts(n, how)
        for label, kind in RATES.items():
            complete = known["T2", f"CBR {kind}, day 182, full"]["met"]
            if how == "mcar":
                proof.add(f"{label}, complete data (truth)", complete, "share")
            proof.add(f"{label} among evaluable, {words}, {COHORTS} cohorts of {n // COHORTS}",
                      found.loc[label, "estimate"].mean(), "share")  # fmt: skip
            if how == "mcar" and kind == "status":
                proof.add("expected (truth)", expected, "share")
                proof.add("its distance from what is expected", *_apart(found.loc[label, "estimate"], expected))
            hold(proof, found.loc[label], complete, barred=how == "mcar")


def estimate_cohorts(n: int, how: IggMissing) -> pd.DataFrame:
    """Return the rates of the cohorts of which ``n`` children make ``COHORTS``; index ``label``."""
    rule = read_definition("iaihg-2022").choosing(same_evaluation_days=0, transplant_or_death="not_evaluable")
    found = []
    for repeat in range(COHORTS):
        cohort = simulate_cohort(SEED + repeat, n // COHORTS, composite_child="left out", igg_missing=how)
        rates = estimate_response_rates(derive_response(cohort, rule), rng=np.random.default_rng(SEED + repeat))
        found.append(rates.tidy().set_index("label").astype(float))
    return pd.concat(found)


def _apart(found: pd.Series, truth: float) -> tuple[float, str, str]:
    """Return how far a mean over cohorts lies from the truth, and what its standard error allows."""
    return abs(found.mean() - truth), "share", f"<= {MONTE_CARLO * found.std() / np.sqrt(len(found)):.4f}"


def hold(proof: Proof, found: pd.DataFrame, truth: float, *, barred: bool) -> None:
    """Tell one rate's bias before and after correction; with bars where the correction's assumption holds."""
    apart, unit, bar = _apart(found["corrected"], truth)
    held = (found["corrected_low"] <= truth) & (truth <= found["corrected_high"])
    limit = MONTE_CARLO * found["estimate"].std() / np.sqrt(len(found))
    proof.add(
        "bias of the rate among evaluable",
        found["estimate"].mean() - truth,
        "share",
        f"< {-limit:.4f}" if barred else "",
    )
    proof.add("corrected for missing results", found["corrected"].mean(), "share")
    proof.add("bias of the corrected rate", found["corrected"].mean() - truth, "share")
    proof.add("its distance from the truth", apart, unit, bar if barred else "")
    proof.add("cohorts whose 95 % limits hold the truth", held.mean(), "share")
    for words, name, sign in (
        ("lower bound, all not evaluable not met", "bound_low", "<="),
        ("upper bound, all not evaluable met", "bound_high", ">="),
    ):
        proof.add(words, found[name].mean(), "share", f"{sign} {truth:.4f}" if barred else "")


def main(n: int, n_rates: int) -> int:
    """Compare and record."""
    proof = Proof("recovery-endpoints")
    cohort = simulate_cohort(SEED, n, composite_child="left out")
    response = derive_response(cohort, read_definition("iaihg-2022"))
    compare_all(proof, response, reveal_truth(SEED, n).children)
    compare_rates(proof, n_rates)
    return proof.finish()


if __name__ == "__main__":
    sizes = [int(size) for size in sys.argv[1:]]
    sys.exit(main(*(sizes or [3000, 20_000])))
