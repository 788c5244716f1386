"""The truth: the null is null, the no-effect drug has no effect, and a small recount agrees with the committed file."""

import json
from pathlib import Path

import numpy as np
import pytest

from aih_outcomes.simulate.calibration import calibrate
from aih_outcomes.simulate.children import draw_children
from aih_outcomes.simulate.estimands import Truth
from aih_outcomes.simulate.parameters import DEFAULT, Mechanism
from aih_outcomes.simulate.scores import count_days, solve_ratio
from aih_outcomes.simulate.steps import draw_course
from aih_outcomes.simulate.survival import hazard_ratios
from aih_outcomes.simulate.truth import compute_truth
from aih_outcomes.simulate.truth_switch import draw_outcomes

FILE = Path(__file__).resolve().parents[2] / "data" / "synthetic" / "truth.json"


@pytest.fixture(scope="module")
def committed() -> dict[tuple[str, str], dict]:
    return {(e["name"], e["mechanism"]): e for e in json.loads(FILE.read_text(encoding="utf-8"))["estimands"]}


@pytest.fixture(scope="module")
def recount() -> Truth:
    return compute_truth(3_000, 3_000)


def test_a_small_recount_agrees_within_four_monte_carlo_errors(committed: dict, recount: Truth) -> None:
    off = []
    for estimand in recount.estimands:
        wanted = committed[estimand.name, estimand.mechanism]
        for key, value in estimand.value.items():
            error = np.hypot(estimand.monte_carlo_error[key], wanted["monte_carlo_error"][key])
            rare = 3.0 / max(estimand.n, 1)  # a share of 0 in the small recount has no error of its own
            if abs(value - wanted["value"][key]) > 4 * error + rare + 1e-5 * abs(value):
                off.append((estimand.name, estimand.mechanism, key, value, wanted["value"][key]))
    assert not off


def test_the_file_holds_every_estimand_with_definition_and_error(committed: dict) -> None:
    assert {e["id"] for e in committed.values()} == {f"T{number}" for number in range(1, 16)}
    for estimand in committed.values():
        assert estimand["definition"]
        assert estimand["value"].keys() == estimand["monte_carlo_error"].keys()
        assert (estimand["n"] == 0) == (estimand["method"] == "closed form")


def test_hazards_of_the_null_cohort_do_not_depend_on_response() -> None:
    children = draw_children(4, 2_000, DEFAULT)
    course = draw_course(4, children, DEFAULT, Mechanism(), horizon=4_000.0)
    ratio = hazard_ratios(course, children, DEFAULT, Mechanism(response_effect="none"))
    alike = {}
    for key, row in zip(zip(children.asc, children.persistent_inr, children.referred, strict=True), ratio, strict=True):
        alike.setdefault(key, set()).update(row)
    assert all(len(values) == 1 for values in alike.values())
    assert len(alike) == 8


def test_null_landmark_and_time_varying_ratios_are_one_and_the_naive_one_is_not(committed: dict) -> None:
    for mechanism in ("null", "null, high hazard"):
        for name in ("landmark 182, latent", "landmark 365, latent", "hazard ratio, time-varying"):
            found = committed[name, mechanism]
            for key in ("log_hazard_ratio", "log_hazard_ratio_cohort"):
                assert abs(found["value"][key]) < 4 * found["monte_carlo_error"][key]
        for name in ("naive, attained by day 182", "naive, ever attained"):
            assert committed[f"hazard ratio, {name}", mechanism]["value"]["log_hazard_ratio"] < -0.15


def test_default_responders_do_better(committed: dict) -> None:
    found = committed["landmark 182, latent", "default"]
    assert found["value"]["survival_difference"] > 10 * found["monte_carlo_error"]["survival_difference"]


def test_without_effect_every_child_has_the_same_future_with_and_without_the_drug() -> None:
    outcomes = draw_outcomes(6, 3_000, Mechanism(targeted_effect="none"))
    assert len(outcomes.switched) > 100
    for day in (90.0, 182.0):
        np.testing.assert_array_equal(outcomes.log_alt["matched", day], outcomes.log_alt["usual", day])
    np.testing.assert_array_equal(outcomes.survives["matched"], outcomes.survives["usual"])


def test_confounding_shows_in_the_no_effect_cohort(committed: dict) -> None:
    found = committed["effect on log ALT, 182 days", "no effect"]
    assert found["value"]["ate"] == 0
    assert found["value"]["confounded_difference"] > 4 * found["monte_carlo_error"]["confounded_difference"]


def test_score_solver_by_hand() -> None:
    # Day 1: both at risk in pairs (2 with, 2 without), one event with. Day 2: 1 with, 2 without, one event without.
    # Score 1 − 2e/(2 + 2e) − e/(2 + e) = 0 gives e² = 2, so the log ratio is log(2)/2.
    counts = count_days(
        np.zeros(4),
        np.array([1.0, 3.0, 2.0, 3.0]),
        np.array([True, False, True, False]),
        np.array([0.0, 0.0, 9e9, 9e9]),
    )
    assert solve_ratio(counts).log_ratio == pytest.approx(np.log(2) / 2, abs=1e-9)


def test_main_calibration_targets_hold() -> None:
    table = calibrate(4_000).set_index("target")["achieved"].astype(float)
    assert table["native-liver survival at 10 years, %"] == pytest.approx(88, abs=2.5)
    assert table["CBR at 6 months, %"] == pytest.approx(47.5, abs=5)
    assert table["non-response at 4 weeks, %"] == pytest.approx(10, abs=3)
