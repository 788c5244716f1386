"""Rates per patient-year with exact limits."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.agreement import estimate_agreement
from aih_outcomes.models.event_rates import compute_poisson_limits, estimate_event_rates
from aih_outcomes.models.rates import estimate_rates
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.outcomes import TimeToEvent


def rates(n_event: int, years: float, conf_level: float = 0.95) -> pd.Series:
    counts = pd.DataFrame({"label": ["x"], "n": [9], "n_event": [n_event], "person_days": [years * 365.25]})
    return estimate_event_rates(counts, conf_level=conf_level).tidy().iloc[0]


@pytest.mark.parametrize(
    ("n_event", "years", "low", "high"),
    [  # R 4.2.2: poisson.test(n_event, years)$conf.int
        (0, 10, 0.0, 0.3688879454),
        (1, 10, 0.002531780798, 0.557164339094),
        (10, 10, 0.4795388696, 1.8390356042),
        (3, 7.5, 0.08248961639, 1.16896974263),
    ],
)
def test_matches_r_poisson_test(n_event: int, years: float, low: float, high: float) -> None:
    row = rates(n_event, years)
    assert row["estimate"] == pytest.approx(n_event / years, rel=1e-12)
    assert row["per_10_years"] == pytest.approx(10 * n_event / years, rel=1e-12)
    np.testing.assert_allclose([row["conf_low"], row["conf_high"]], [low, high], rtol=1e-9)


def test_matches_garwoods_table_for_ten_events() -> None:
    # Garwood, Biometrika 1936;28:437, as printed in tables of exact Poisson limits: 4.80 and 18.39
    low, high = compute_poisson_limits(np.array([10]))
    assert [round(float(low[0]), 2), round(float(high[0]), 2)] == [4.8, 18.39]


def test_a_wider_level_gives_a_wider_interval() -> None:
    assert rates(5, 10, 0.99)["conf_high"] > rates(5, 10, 0.95)["conf_high"]


def test_without_person_time_there_is_no_rate() -> None:
    row = rates(0, 0.0)
    assert np.isnan([row["estimate"], row["conf_low"], row["conf_high"]]).all()


def test_further_counts_are_kept_and_columns_stand_in_order() -> None:
    counts = pd.DataFrame(
        {"strata": ["s"], "label": ["x"], "n": [9], "n_event": [2], "n_with_event": [1], "person_days": [365.25]}
    )
    found = estimate_event_rates(counts)
    assert found.tidy().columns.tolist() == [
        "label", "strata", "n_event", "estimate", "conf_low", "conf_high", "n", "n_with_event", "per_10_years",
        "person_years",
    ]  # fmt: skip
    assert found.glance() == {"n": 9, "n_rows": 1, "conf_level": 0.95}
    assert "Garwood" in found.describe()


def test_what_cannot_be_a_rate_is_refused() -> None:
    with pytest.raises(OutcomeError, match="person_days"):
        estimate_event_rates(pd.DataFrame({"label": ["x"], "n": [1], "n_event": [1]}))
    with pytest.raises(OutcomeError, match="person_days in 1 of 1 rows"):
        rates(1, -1.0)
    with pytest.raises(OutcomeError, match="tidy"):
        estimate_event_rates(pd.DataFrame(columns=["label", "n", "n_event", "person_days"])).plot()


@pytest.mark.parametrize("conf_level", [0, 1, 95, -0.5, float("nan"), "0.95"])
def test_a_level_lies_between_0_and_1(conf_level: float) -> None:
    with pytest.raises(OutcomeError, match=r"conf_level=0\.95 for 95 %"):
        rates(5, 10, conf_level)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("n_event", -1, "n_event in 1 of 1 rows"),
        ("n_event", float("nan"), "n_event in 1 of 1 rows"),
        ("n_event", 1.5, "n_event in 1 of 1 rows"),
        ("n", -9, "n in 1 of 1 rows"),
        ("person_days", float("nan"), "person_days in 1 of 1 rows"),
        ("person_days", float("inf"), "person_days in 1 of 1 rows"),
    ],
)
def test_counts_that_cannot_be_are_refused(column: str, value: float, said: str) -> None:
    counts = pd.DataFrame({"label": ["x"], "n": [9], "n_event": [2], "person_days": [365.25]}).assign(**{column: value})
    with pytest.raises(OutcomeError, match=said) as caught:
        estimate_event_rates(counts)
    assert caught.value.way_out


OUTCOME = TimeToEvent.from_frame(
    pd.DataFrame({"t": [1, 2, 3, 4], "dead": [1, 1, 1, 0], "x": [1.0, 0.0, 1.0, 0.0]}),
    exit="t", event="dead", covariates=["x"],
)  # fmt: skip
STATUSES = pd.DataFrame({"endpoint": "CBR", "patient_id": ["A"], "status": "met", "status_transaminases": "met"})
ESTIMATORS = {
    "rates": lambda level: estimate_rates(STATUSES, conf_level=level),
    "agreement": lambda level: estimate_agreement(STATUSES["status"], STATUSES["status"], conf_level=level),
    "survival": lambda level: estimate_survival(OUTCOME, conf_level=level),
    "Cox": lambda level: fit_cox(OUTCOME, covariates=["x"], conf_level=level),
}


@pytest.mark.parametrize("estimate", ESTIMATORS.values(), ids=ESTIMATORS)
def test_each_estimator_asks_for_a_level_between_0_and_1(estimate: Callable[[float], object]) -> None:
    assert estimate(0.9) is not None
    with pytest.raises(OutcomeError, match=r"conf_level=0\.95 for 95 %"):
        estimate(95)
