"""Two judgements of the same patients: the whole table, and kappa over those evaluable by both."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.agreement import CELLS, KAPPA, OBSERVED, PATIENTS, compute_kappa, estimate_agreement

MET, NOT, OPEN = "met", "not met", "not evaluable"
ORDER = (MET, NOT, OPEN)


def judged(counts: list[list[int]]) -> tuple[pd.Series, pd.Series]:
    """Return the two statuses of each patient of a 3 by 3 table."""
    pairs = [(a, b) for a, row in zip(ORDER, counts, strict=True) for b, n in zip(ORDER, row, strict=True)
             for _ in range(n)]  # fmt: skip
    frame = pd.DataFrame(pairs, columns=["first", "second"], dtype="string")
    frame.index = pd.Index([f"p{i}" for i in range(len(frame))])
    return frame["first"], frame["second"]


def agree(*counts: list[int]):
    return estimate_agreement(*judged(list(counts)), labels=("IAIHG", "ALT only"))


# Fleiss, Statistical methods for rates and proportions, 2nd ed. 1981, table 13.1: psychosis, neurosis, organic.
FLEISS = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])


def test_published_example_psychiatric_diagnoses() -> None:
    kappa, std_error = compute_kappa(FLEISS)
    assert round(kappa, 2) == 0.68
    assert kappa == pytest.approx(0.23 / 0.34)  # (0.89 - 0.66) / (1 - 0.66)
    assert round(std_error, 3) == 0.088


@pytest.mark.parametrize(
    ("counts", "kappa", "std_error"),
    [  # R 4, base arithmetic on the formula of Fleiss, Cohen & Everitt 1969
        ([[75, 1, 4], [5, 4, 1], [0, 0, 10]], 0.676470588235, 0.087702953475),
        ([[60, 3], [7, 30]], 0.780605528741, 0.065433071619),
        ([[40, 9], [6, 45]], 0.699519230769, 0.071393602700),
        ([[118, 5], [2, 25]], 0.848484848485, 0.055585245543),
    ],
)
def test_kappa_and_its_standard_error_match_r(counts: list[list[int]], kappa: float, std_error: float) -> None:
    assert compute_kappa(np.array(counts)) == pytest.approx((kappa, std_error), rel=1e-10)


@given(st.lists(st.integers(1, 60), min_size=4, max_size=4))
def test_kappa_matches_statsmodels(cells: list[int]) -> None:
    counts = np.array(cells).reshape(2, 2)
    theirs = cohens_kappa(counts)
    assert compute_kappa(counts) == pytest.approx((theirs.kappa, theirs.std_kappa), rel=1e-8, abs=1e-9)


@given(st.lists(st.integers(0, 20), min_size=9, max_size=9))
def test_exchanging_the_two_changes_nothing_but_the_sides(cells: list[int]) -> None:
    first, second = judged(np.array(cells).reshape(3, 3).tolist())
    one, other = estimate_agreement(first, second), estimate_agreement(second, first)
    assert (one.counts == other.counts.T).all()
    assert one.not_estimable == other.not_estimable
    assert (one.kappa, one.std_error) == pytest.approx((other.kappa, other.std_error), nan_ok=True, abs=1e-12)


def test_the_order_of_the_patients_changes_nothing() -> None:
    first, second = judged([[20, 3, 1], [6, 15, 2], [0, 4, 5]])
    assert (estimate_agreement(first, second[::-1]).counts == [[20, 3, 1], [6, 15, 2], [0, 4, 5]]).all()


def test_who_is_not_evaluable_by_one_is_counted_and_left_out_of_kappa() -> None:
    whole, both = agree([40, 9, 5], [6, 45, 0], [7, 1, 12]), agree([40, 9, 0], [6, 45, 0], [0, 0, 0])
    assert whole.kappa == both.kappa == pytest.approx(0.699519230769)
    facts = whole.glance()
    assert (facts["n"], facts["n_evaluable"], facts["n_missing"]) == (125, 100, 25)
    assert (facts["n_first_only"], facts["n_second_only"]) == (9, 6)
    assert facts["observed"] == pytest.approx(0.85)


def test_the_interval_is_the_estimate_and_1_96_standard_errors_and_ends_at_one() -> None:
    row = agree([40, 9, 0], [6, 45, 0], [0, 0, 0]).tidy().iloc[-1]
    assert (row["conf_low"], row["conf_high"]) == pytest.approx((0.5595903407506923, 0.8394481207877692))
    assert agree([30, 1, 0], [0, 4, 0], [0, 0, 0]).limits[1] == 1.0


def test_tidy_holds_nine_cells_then_agreement_then_kappa() -> None:
    tidy = agree([40, 9, 5], [6, 45, 0], [7, 1, 12]).tidy()
    assert tidy["measure"].tolist() == [PATIENTS] * 9 + [OBSERVED, KAPPA]
    cells = tidy[tidy["measure"] == PATIENTS]
    assert cells[["strata", "state", "n"]].to_numpy().tolist() == [
        [MET, MET, 40], [MET, NOT, 9], [MET, OPEN, 5], [NOT, MET, 6], [NOT, NOT, 45], [NOT, OPEN, 0],
        [OPEN, MET, 7], [OPEN, NOT, 1], [OPEN, OPEN, 12],
    ]  # fmt: skip
    assert tidy["denominator"].tolist() == [125] * 9 + [100, 100]
    assert tidy["label"].unique().tolist() == ["IAIHG against ALT only"]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([[5, 1, 0], [1, 2, 0], [0, 0, 9]], "fewer than 10 patients"),
        ([[20, 0, 3], [0, 0, 0], [0, 0, 0]], "both give every patient the same status"),
        ([[0, 0, 0], [0, 0, 0], [0, 0, 8]], "fewer than 10 patients"),
    ],
)
def test_kappa_that_is_undefined_or_of_few_says_why(counts: list[list[int]], words: str) -> None:
    result = agree(*counts)
    assert math.isnan(result.kappa)
    assert words in str(result.not_estimable)
    assert words in result.describe()
    assert result.tidy()["estimate"].isna().iloc[-1]


@pytest.mark.parametrize(
    ("counts", "kappa"),
    [([[12, 0, 0], [0, 8, 0], [0, 0, 0]], 1.0), ([[12, 8, 0], [0, 0, 0], [0, 0, 0]], 0.0)],
)
def test_perfect_agreement_and_a_judge_who_never_changes_have_no_interval(
    counts: list[list[int]], kappa: float
) -> None:
    result = agree(*counts)
    assert result.kappa == pytest.approx(kappa)
    assert np.isnan(result.limits).all()
    assert "no interval" in str(result.not_estimable)


def test_nobody_at_all() -> None:
    empty = pd.Series(dtype="string")
    result = estimate_agreement(empty, empty)
    assert result.counts.sum() == 0
    assert math.isnan(result.observed)
    assert len(result.tidy()) == 11


def test_other_patients_repeated_ones_and_unknown_statuses_are_refused() -> None:
    first, second = judged([[3, 0, 0], [0, 3, 0], [0, 0, 0]])
    with pytest.raises(OutcomeError, match="1 patients are judged by only one"):
        estimate_agreement(first, second.iloc[1:])
    with pytest.raises(OutcomeError, match="2 rows repeat"):
        estimate_agreement(first, pd.concat([second, second.iloc[:2]]))
    with pytest.raises(OutcomeError, match="1 of 12 statuses"):
        estimate_agreement(first, second.replace({MET: "MET"}, limit=None).where(second.index != "p1", MET).mask(
            second.index == "p0", "yes").replace("MET", MET))  # fmt: skip
    with pytest.raises(OutcomeError, match="tabulate_agreement"):
        estimate_agreement(first, second).plot()


def shown(counts: list[list[int]], rule: str = "lt5") -> pd.DataFrame:
    return apply_policy(agree(*counts).tidy(), rule)


def test_statistics_rule_23_a_small_cell_hides_the_agreement_that_would_tell_it() -> None:
    """227 of 230 agree: 98.7 % would say that 3 do not."""
    frame = shown([[150, 3, 0], [0, 77, 0], [0, 0, 40]])
    assert frame["n"].isna().tolist() == [False, True] + [False] * 9
    agreement, kappa = frame.iloc[-2], frame.iloc[-1]
    assert kappa[["estimate", "std_error", "conf_low", "conf_high"]].isna().all()
    assert pd.isna(agreement["estimate"]) or agreement["estimate"] == agreement["n"] / agreement["denominator"]
    assert frame[list(CELLS)].iloc[-1].isna().tolist() == [False, True, False, False]


def test_few_left_out_do_not_hide_kappa() -> None:
    frame = shown([[150, 13, 0], [9, 77, 0], [0, 0, 3]])
    assert frame["n_missing"].iloc[-1] is pd.NA
    assert frame["estimate"].iloc[-1] == pytest.approx(0.807, abs=5e-4)


def behind(count: object) -> range:
    """Return the counts that may stand behind a shown one under lt5; behind a hidden one 1 to 4."""
    if pd.isna(count):
        return range(1, 5)
    number = int(count)  # type: ignore[call-overload]  # a count
    return range(max(number - 2, 5), number + 3) if number else range(1)


def sums_of(counts: pd.Series) -> range:
    """Return what the sum of shown counts may be: every number between the least and the greatest."""
    ranges = [behind(count) for count in counts]
    return range(sum(r[0] for r in ranges), sum(r[-1] for r in ranges) + 1)


@given(cells=st.lists(st.integers(0, 40), min_size=9, max_size=9), small=st.integers(0, 8), count=st.integers(1, 4))
def test_statistics_rule_23_a_hidden_cell_does_not_follow_from_what_is_shown(
    cells: list[int], small: int, count: int
) -> None:
    """All patients, those evaluable by both and the others: several hidden counts fit all three and the other cells."""
    table = np.array(cells)
    table[small] = count
    frame = shown(table.reshape(3, 3).tolist())
    n, last = frame["n"].iloc[:9], frame.iloc[-1]
    if pd.isna(frame["denominator"].iloc[0]):
        assert n.isna().all()  # fewer than five patients in all: nothing is shown
        return
    by_both = np.array([0, 1, 3, 4])
    inside = small in by_both
    own = n.iloc[[i for i in by_both if i != small]]
    other = n.iloc[[i for i in range(9) if i not in by_both and i != small]]
    total, both, left_out = behind(frame["denominator"].iloc[0]), behind(last["denominator"]), behind(last["n_missing"])
    fits = {
        hidden
        for hidden in range(1, 5)
        for a in (x + hidden * inside for x in sums_of(own))
        for b in (x + hidden * (not inside) for x in sums_of(other))
        if a in both and b in left_out and a + b in total
    }
    assert count in fits
    assert len(fits) > 1
