"""Response rates corrected for missing results (statistics, rule 8): what is completed, who is left out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.definition import Definition, read_definition
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.models.rates import ResponseRates
from aih_outcomes.study import open_study
from aih_outcomes.study.rates import estimate_response_rates
from aih_outcomes.tables import tabulate_rates
from tests.endpoints.tables import cohort, iaihg

AT, BY = "CBR at 6 months", "CBR by 6 months"
CORRECTED = ["corrected", "corrected_low", "corrected_high"]


def rates(made: Cohort, definition: Definition | None = None, *, seed: int = 1) -> ResponseRates:
    response = derive_response(made, iaihg() if definition is None else definition)
    return estimate_response_rates(response, imputations=5, rng=np.random.default_rng(seed))


def of(made: Cohort, endpoint: str = AT, definition: Definition | None = None) -> pd.Series:
    return rates(made, definition).tidy().set_index("label").loc[endpoint]


def visit(patient: str, day: int, *xuln: float | None, planned: bool = True) -> str:
    """Return one visit's ALT, AST and IgG as rows; None where missing."""
    kind = "scheduled" if planned else "unscheduled"
    results = zip(("alt", "ast", "igg"), xuln, strict=True)
    return "\n".join(f"{patient} {day} {name} {size} {kind}" for name, size in results if size is not None)


def labs(*visits: str) -> str:
    return "\n".join(["patient day analyte xuln visit", *visits])


def generated(n: int, *, lost: float, seed: int = 1) -> Cohort:
    """Return patients with visits on three days; half have a normal IgG throughout, three in four normal enzymes."""
    rng, rows = np.random.default_rng(seed), []
    for i in range(n):
        high, active = rng.random() < 0.5, rng.random() < 0.25
        for day in (30, 90, 170):
            alt, ast = ((2.5 if active else 0.5) * np.exp(0.2 * rng.standard_normal(2))).round(3)
            igg = round((1.3 if high else 0.75) * float(np.exp(0.05 * rng.standard_normal())), 3)
            rows.append(visit(f"P{i:03d}", day, alt, ast, None if rng.random() < lost else igg))
    return cohort(labs(*rows))


def test_statistics_rule_8_the_corrected_rate_is_that_of_complete_data() -> None:
    complete = of(generated(200, lost=0.0))
    found = of(generated(200, lost=0.4))  # same seed, so the same patients
    assert found["n_not_evaluable"] > 20
    assert found["estimate"] < complete["estimate"] - 0.05
    assert abs(found["corrected"] - complete["estimate"]) < 0.02
    assert found["corrected_low"] < complete["estimate"] < found["corrected_high"]


def test_where_nothing_is_missing_nothing_is_corrected() -> None:
    found = rates(generated(40, lost=0.0)).tidy().set_index("label").loc[[AT, BY]]
    assert found["corrected"].tolist() == pytest.approx(found["estimate"].tolist())
    assert found["corrected_low"].tolist() == pytest.approx(found["conf_low"].tolist())


def test_statistics_rule_8_a_missing_ast_counts_as_a_missing_igg_does() -> None:
    """ALT is normal in A to I: without the AST of E to I only A to D are evaluable, and J, abnormal."""
    seen = [visit(p, 170, 0.5, 0.5, 0.5) for p in "ABCD"] + [visit("J", 170, 3, 3, 0.5)]
    lost = [visit(p, 30, 0.5, 0.5, 0.5) + "\n" + visit(p, 170, 0.5, None, 0.5) for p in "EFGHI"]
    found = of(cohort(labs(*seen, *lost)))
    assert found["estimate"] == 0.8
    assert found["corrected"] > 0.8


def test_an_abnormal_result_decides_in_each_imputation() -> None:
    found = of(cohort(labs(visit("A", 170, 3, 3, None), visit("B", 170, 3, None, 0.5))))
    assert found[["estimate", "corrected"]].tolist() == [0, 0]


def test_the_last_visit_decides_after_it_was_completed_not_an_earlier_abnormal_one() -> None:
    """On day 155 the ALT is too high; on day 170 both are normal and IgG missing: the observed status is not met."""
    well = [visit(f"W{i}", day, 0.5, 0.5, 0.5 + i / 1000) for i in range(30) for day in (155, 170)]
    two = visit("A", 155, 1.2, 0.5, None) + "\n" + visit("A", 170, 0.5, 0.5, None)
    found = of(cohort(labs(*well, two)), AT, iaihg().choosing(same_evaluation_days=0))
    assert found["n_not_met"] == 1
    assert found["corrected"] > 30 / 31


def test_a_result_of_the_same_evaluation_is_used_and_not_imputed() -> None:
    """IgG of day 160 belongs to the evaluation of day 170 (14 days): nothing is left to impute."""
    made = [visit(p, 160, None, None, igg) + "\n" + visit(p, 170, 0.5, 0.5, None) for p, igg in (("A", 0.5), ("B", 2))]
    found = of(cohort(labs(*made)))
    assert found[["estimate", "corrected"]].tolist() == [0.5, 0.5]


def test_statistics_rule_15_patients_seen_only_at_unplanned_visits_are_left_out() -> None:
    """B comes because something is wrong, C does not come: neither says how many of all respond."""
    made = labs(
        visit("A", 170, 0.5, 0.5, 0.5), visit("B", 170, 3, 3, 0.5, planned=False), visit("C", 90, 0.5, 0.5, 0.5)
    )
    found = of(cohort(made))
    assert found[["n_met", "n_not_met", "n_not_evaluable"]].tolist() == [1, 1, 1]
    assert found["corrected"] == 1


def test_attained_early_without_a_planned_visit_later_is_left_out_as_not_attained_is() -> None:
    """B attained it by day 90 and is met; D did not and is not evaluable: both lack a visit from day 121 on."""
    made = labs(
        visit("A", 170, 0.5, 0.5, 0.5), visit("B", 90, 0.5, 0.5, 0.5),
        visit("C", 170, 3, 3, 0.5), visit("D", 90, 3, 3, 0.5),
    )  # fmt: skip
    found = of(cohort(made), BY)
    assert found[["n_met", "n_not_met", "n_not_evaluable"]].tolist() == [2, 1, 1]
    assert found["corrected"] == 0.5


def test_statistics_rule_5_transplant_or_death_is_not_met_in_the_corrected_rate_too() -> None:
    made = labs(visit("A", 170, 0.5, 0.5, 0.5), visit("B", 90, 0.5, 0.5, 0.5))
    dead = cohort(made, events="patient day kind\nB 150 death")
    assert of(dead)["corrected"] == 0.5
    left_out = iaihg().choosing(transplant_or_death="not_evaluable")
    assert of(dead, AT, left_out)["corrected"] == 1


def test_clinic_rule_10_an_igg_under_immunoglobulin_is_imputed() -> None:
    """IgG of 3 × ULN after immunoglobulin says nothing: with transaminases normal the patient may be in response."""
    well = [visit(f"W{i}", 170, 0.5, 0.5, 0.5 + i / 1000) for i in range(30)]
    given = "patient drug start stop\nA immunoglobulin 160 165"
    found = of(cohort(labs(*well, visit("A", 170, 0.5, 0.5, 3)), treatments=given))
    assert found["n_not_evaluable"] == 1
    assert found["corrected"] > 30 / 31


def test_the_fall_by_four_weeks_is_not_corrected() -> None:
    made = cohort(labs(*(visit("A", day, 0.5, 0.5, 0.5) for day in (0, 28, 170, 360))))
    found = rates(made).tidy()
    assert found.loc[found["corrected"].isna(), "label"].tolist() == ["≥ 50 % fall by 4 weeks"]


def test_criteria_with_titres_are_not_corrected() -> None:
    found = rates(generated(10, lost=0.4), read_definition("espghan-2018"))
    assert found.tidy()[CORRECTED].isna().all(axis=None)


def test_igg_that_was_never_measured_is_not_guessed() -> None:
    found = rates(generated(10, lost=1.1))
    assert found.tidy()[CORRECTED].isna().all(axis=None)
    assert "imputations" not in found.describe()


@pytest.mark.parametrize("patients", ["", "patient sex\nA female"])
def test_without_any_result_nothing_is_corrected(patients: str) -> None:
    found = rates(cohort("", patients=patients, steroid=bool(patients)))
    assert found.tidy()[CORRECTED].isna().all(axis=None)


def test_one_patient_suffices() -> None:
    made = cohort(labs(visit("A", 90, 0.5, 0.5, 0.5), visit("A", 170, 0.5, 0.5, None)))
    assert 0 <= of(made)["corrected"] <= 1


def test_the_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    made = generated(30, lost=0.4)
    shuffled = replace(made, labs=made.labs.sample(frac=1, random_state=1).reset_index(drop=True))
    found = rates(made).tidy()
    pd.testing.assert_frame_equal(found, rates(made).tidy())
    pd.testing.assert_frame_equal(found, rates(shuffled).tidy())
    assert not found.equals(rates(made, seed=2).tidy())


def test_a_study_has_rates_that_pass_the_door_and_are_the_same_again(plan_file: Path) -> None:
    study = open_study(plan_file)
    found = study.rates()
    pd.testing.assert_frame_equal(found.tidy(), study.rates().tidy())
    assert found.tidy()["corrected"].notna().sum() == 5
    assert "20 imputations" in found.describe()
    assert tabulate_rates(study.disclose(found)).display.shape == (6, 8)
