"""Multiple imputation of repeated measurements: what was known comes back, and nothing depends on the order of rows."""

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.imputation import compute_imputations

Floats = NDArray[np.float64]

TIMES = np.array([0.0, 1.0, 2.0, 3.0])
# Mean at each time, spread between patients and at one look: of the second value −0.3 ± √(0.2 + 0.05) at time 3.
MEAN = np.array([[2.0, 1.0], [1.0, 0.4], [0.3, -0.1], [-0.2, -0.3]])
BETWEEN = np.array([[0.30, 0.10], [0.10, 0.20]])
ERROR = np.array([[0.10, 0.03], [0.03, 0.05]])


def generate(n: int, rng: Generator) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Return patient, time and complete values (4n, 2) of patients whose departures do not change with time."""
    own = rng.multivariate_normal(np.zeros(2), BETWEEN, n)[:, None, :]
    values = MEAN + own + rng.multivariate_normal(np.zeros(2), ERROR, (n, 4))
    return np.repeat(np.arange(n), 4), np.tile(TIMES, n), values.reshape(-1, 2)


def lose(values: Floats, rng: Generator) -> Floats:
    """Lose the second value more often where the first is low: at random given what is measured."""
    lost = rng.random(len(values)) < 1 / (1 + np.exp(2 * values[:, 0]))
    return np.where(np.stack([np.zeros_like(lost), lost], axis=1), np.nan, values)


def impute(values: Floats, patient: NDArray[np.int64], time: Floats, *, draws: int = 5, seed: int = 1) -> Floats:
    return compute_imputations(
        values, patient=patient, time=time, knots=TIMES, patient_knots=TIMES[[0, -1]], draws=draws,
        rng=np.random.default_rng(seed),
    )  # fmt: skip


def test_a_share_below_a_limit_comes_back_where_values_are_missing_at_random() -> None:
    truth = float(ndtr(0.3 / np.sqrt(0.25)))  # of the second value at time 3 at most 0
    found, known = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        patient, time, complete = generate(150, rng)
        values = lose(complete, rng)
        last = time == 3
        found.append((impute(values, patient, time)[:, last, 1] <= 0).mean())
        known.append(np.nanmean(np.where(np.isnan(values[last, 1]), np.nan, values[last, 1] <= 0)))
    error = np.std(found, ddof=1) / np.sqrt(10)
    assert abs(np.mean(found) - truth) <= 3 * error
    assert abs(np.mean(known) - truth) > 3 * error


def test_looks_of_one_patient_stay_alike() -> None:
    """Below the limit at time 2 or 3: too many, were each look imputed as if it were another patient's."""
    found, known = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        patient, time, complete = generate(150, rng)
        drawn = impute(lose(complete, rng), patient, time)
        for values, shares in ((drawn, found), (complete[None], known)):
            low = (values[:, :, 1] <= 0).reshape(-1, 150, 4)
            shares.append(low[:, :, 2:].any(axis=2).mean())
    apart = np.subtract(found, known)
    assert abs(apart.mean()) <= 3 * apart.std(ddof=1) / np.sqrt(10)


def test_what_was_measured_stays_and_what_was_missing_differs_between_draws() -> None:
    rng = np.random.default_rng(3)
    patient, time, complete = generate(30, rng)
    values = lose(complete, rng)
    drawn, missing = impute(values, patient, time), np.isnan(values)
    assert not np.isnan(drawn).any()
    assert (drawn[:, ~missing] == values[~missing]).all()
    assert (drawn[:, missing].std(axis=0) > 0).all()


def test_nothing_missing_is_returned_as_it_is_and_draws_nothing() -> None:
    patient, time, complete = generate(5, np.random.default_rng(1))
    rng = np.random.default_rng(9)
    drawn = compute_imputations(
        complete, patient=patient, time=time, knots=TIMES, patient_knots=TIMES, draws=2, rng=rng
    )
    assert (drawn == complete).all()
    assert rng.random() == np.random.default_rng(9).random()


def test_the_same_seed_gives_the_same_draws_whatever_the_order_of_rows() -> None:
    rng = np.random.default_rng(4)
    patient, time, complete = generate(20, rng)
    values = lose(complete, rng)
    order = rng.permutation(len(values))
    drawn = impute(values, patient, time)
    assert (impute(values, patient, time) == drawn).all()
    assert (impute(values[order], patient[order], time[order]) == drawn[:, order]).all()
    assert (impute(values, patient, time, seed=2) != drawn).any()


def test_a_value_that_was_never_measured_is_not_guessed() -> None:
    patient, time, complete = generate(10, np.random.default_rng(1))
    complete[:, 1] = np.nan
    complete[3, 0] = np.nan
    drawn = impute(complete, patient, time)
    assert np.isnan(drawn[:, :, 1]).all()
    assert not np.isnan(drawn[:, :, 0]).any()


@pytest.mark.parametrize("rows", [[[1.0, np.nan]], [[1.0, np.nan], [np.nan, 2.0]], [[1.0, 1.0], [1.0, np.nan]]])
def test_one_patient_and_constant_values_suffice(rows: list[list[float]]) -> None:
    values = np.array(rows)
    drawn = impute(values, np.zeros(len(rows), dtype=np.int64), np.arange(len(rows), dtype=float))
    assert (np.isnan(drawn) == np.isnan(values).all(axis=0)).all()


def test_looks_at_which_nothing_was_measured_are_filled_from_the_others() -> None:
    patient, time, complete = generate(30, np.random.default_rng(1))
    complete[5] = np.nan
    assert not np.isnan(impute(complete, patient, time)).any()


def test_no_looks_no_imputations() -> None:
    drawn = impute(np.empty((0, 2)), np.empty(0, dtype=np.int64), np.empty(0))
    assert drawn.shape == (5, 0, 2)


def test_a_look_without_a_time_is_refused() -> None:
    with pytest.raises(OutcomeError, match="one patient and one time"):
        impute(np.ones((2, 1)), np.zeros(2, dtype=np.int64), np.array([0.0, np.nan]))
