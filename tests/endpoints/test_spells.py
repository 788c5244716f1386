"""Periods of days: by hand, and against a count of single days."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.endpoints.spells import add_doses, between, join
from aih_outcomes.endpoints.timelines import NEVER, Treatments

PERIODS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-20, 40), st.integers(0, 15), st.integers(0, 4)), max_size=8
)


def arrays(periods: list[tuple[int, int, int, int]]) -> tuple[np.ndarray, ...]:
    table = np.array(periods, dtype=np.int64).reshape(-1, 4)
    return table[:, 0], table[:, 1], table[:, 1] + table[:, 2], table[:, 3]


def rows(patient: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Treatments:
    order = np.lexsort((start, patient))
    patient, start, stop = patient[order], start[order], stop[order]
    flags, numbers = np.ones(len(patient), dtype=bool), np.ones(len(patient))
    drug = np.zeros(len(patient), dtype=np.int16)
    return Treatments(patient, start, stop, drug, numbers, numbers, flags, flags, flags, np.arange(len(patient)))


def test_a_pause_of_no_more_than_the_gap_is_bridged() -> None:
    patient, start, stop = np.array([0, 0, 0]), np.array([0, 41, 100]), np.array([10, 60, 110])
    assert join(patient, start, stop, gap=30).stop.tolist() == [60, 110]  # days 11 to 40 are 30 free days
    assert join(patient, start, stop, gap=29).start.tolist() == [0, 41, 100]


def test_a_period_that_goes_on_swallows_what_follows_and_no_other_patient() -> None:
    joined = join(np.array([0, 0, 1]), np.array([0, 50, 5]), np.array([NEVER, 60, 9]))
    assert joined.start.tolist() == [0, 5]
    assert joined.stop.tolist() == [NEVER, 9]


def test_a_period_that_ends_before_it_starts_covers_no_day() -> None:
    assert len(join(np.array([0]), np.array([10]), np.array([5])).start) == 0


@settings(derandomize=True, deadline=None, max_examples=50)
@given(PERIODS)
def test_joined_periods_cover_the_same_days(periods: list[tuple[int, int, int, int]]) -> None:
    patient, start, stop, _ = arrays(periods)
    days = {(p, d) for p, a, b in zip(patient, start, stop, strict=True) for d in range(a, b + 1)}
    joined = join(patient, start, stop)
    grid = [(p, d) for p in range(3) for d in range(-25, 60)]
    asked = np.array(grid, dtype=np.int64)
    assert joined.covers(asked[:, 0], asked[:, 1]).tolist() == [cell in days for cell in grid]
    free = between(joined, np.full(3, -10), np.full(3, 30))
    inside = (asked[:, 1] >= -10) & (asked[:, 1] <= 30)
    expected = [bool(ok) and cell not in days for cell, ok in zip(grid, inside, strict=True)]
    assert free.covers(asked[:, 0], asked[:, 1]).tolist() == expected


@settings(derandomize=True, deadline=None, max_examples=50)
@given(PERIODS)
def test_doses_of_the_same_day_add_up(periods: list[tuple[int, int, int, int]]) -> None:
    patient, start, stop, dose = arrays(periods)
    order = np.lexsort((start, patient))
    steps = add_doses(rows(patient, start, stop), dose[order] * 1.1)
    grid = [(p, d) for p in range(3) for d in range(-25, 60)]
    asked = np.array(grid, dtype=np.int64)
    expected = [sum(q * 1.1 for p, a, b, q in zip(patient, start, stop, dose, strict=True) if p == i and a <= d <= b)
                for i, d in grid]  # fmt: skip
    np.testing.assert_allclose(steps.at(asked[:, 0], asked[:, 1]), expected, atol=1e-9)


def test_a_dose_that_is_not_known_makes_the_sum_unknown_while_it_runs() -> None:
    steps = add_doses(rows(np.array([0, 0]), np.array([0, 10]), np.array([NEVER, 19])), np.array([5.0, np.nan]))
    at = steps.at(np.zeros(3, dtype=np.int64), np.array([9, 15, 20]))
    assert at[0] == 5.0
    assert np.isnan(at[1])
    assert at[2] == 5.0
    assert steps.until().tolist() == [9, 19, NEVER]
