"""Permutation tests: by hand, against writing every arrangement out, their level, and what is refused (rule 18)."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.survival.curves.arrangements import count_arrangements, draw_labels, enumerate_labels
from aih_outcomes.models.survival.curves.arrays import read_rows
from aih_outcomes.models.survival.curves.curve import estimate_curve
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.curves.log_rank import compare_survival
from aih_outcomes.models.survival.curves.permutation import compare_by_permutation, compute_log_rank_scores
from aih_outcomes.models.survival.curves.restricted_mean import restricted_mean
from aih_outcomes.outcomes import Groups, TimeToEvent


def rng():
    return np.random.default_rng(18)


def grouped(exit, event, arm, **more):
    frame = pd.DataFrame({"exit": exit, "event": event, "arm": list(arm), **more})
    entry = "entry" if "entry" in more else None
    names = [name for name in ("arm", "site", "age") if name in frame]
    return TimeToEvent.from_frame(frame, exit="exit", event="event", entry=entry, covariates=names)


def test_three_against_three_by_hand():
    # all of a die before all of b: the most extreme of 20 arrangements, and its mirror
    found = compare_by_permutation(grouped([1, 2, 3, 4, 5, 6], [1] * 6, "aaabbb"), by="arm", rng=rng())
    assert found.exact
    assert found.n_arrangements == 20
    assert found.p_value == pytest.approx(2 / 20)
    assert found.tidy()["std_error"].tolist() == [0.0]


def written_out(rows, arm, measure):
    """Share of all arrangements with a difference at least as large, each found by the package's own estimator."""
    seen, found = abs(measure(rows, arm)), []
    for first in combinations(range(len(arm)), arm.count("a")):
        found.append(abs(measure(rows, ["a" if place in first else "b" for place in range(len(arm))])))
    return np.mean(np.array(found) >= seen * (1 - 1e-9))


def events_beyond_expected(rows, arm):
    test = compare_survival(grouped(*rows, arm), by="arm")
    return (test.observed - test.expected)[0]


def difference_of_means(rows, arm):
    exit, event, labels = np.array(rows[0], float), np.array(rows[1], bool), np.array(arm)
    a, b = (restricted_mean(estimate_curve(one, np.zeros(len(exit))[labels == one], exit[labels == one],
                                           event[labels == one], None), 4.0)[0] for one in "ab")  # fmt: skip
    return b - a


def test_exact_log_rank_is_that_of_every_arrangement_written_out():
    rows, arm = ([2, 2, 3, 5, 5, 7], [1, 0, 1, 1, 0, 1]), list("aababb")
    found = compare_by_permutation(grouped(*rows, arm), by="arm", rng=rng())
    assert found.p_value == pytest.approx(written_out(rows, arm, events_beyond_expected))


def test_exact_restricted_mean_is_that_of_every_arrangement_written_out():
    rows = ([2, 4, 6, 7, 8, 9, 3, 5, 6, 8, 8, 9], [1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1])
    arm = ["a"] * 6 + ["b"] * 6
    found = compare_by_permutation(
        grouped(*rows, arm), by="arm", statistic="restricted mean difference", horizon=4.0, rng=rng()
    )
    assert found.exact
    assert found.p_value == pytest.approx(written_out(rows, arm, difference_of_means))
    late = compare_by_permutation(
        grouped(*rows, arm), by="arm", statistic="restricted mean difference", horizon=6.5, rng=rng()
    )
    assert "at risk" in late.not_estimable


def test_scores_sum_to_observed_less_expected(curve_rows):
    outcome = curve_rows(late=True)
    rows = read_rows(outcome, "arm")
    scores = compute_log_rank_scores(rows, np.zeros(len(rows.exit), np.int64))
    test = compare_survival(outcome, by="arm")
    sums = np.bincount(rows.group, scores)
    assert sums.tolist() == pytest.approx((test.observed - test.expected).tolist(), abs=1e-12)


def test_strata_keep_their_labels():
    # in each stratum the one of a dies first: 3 · 3 arrangements, one as extreme on this side, none on the other
    rows = grouped([1, 5, 6, 2, 7, 8], [1, 0, 0, 1, 0, 0], "abbabb", site=list("xxxyyy"))
    found = compare_by_permutation(rows, by="arm", strata="site", rng=rng())
    assert found.n_arrangements == 9
    assert found.p_value == pytest.approx(1 / 9)
    both = compare_by_permutation(rows, by="arm", strata=["site", "arm"], rng=rng())
    assert both.n_arrangements == 1
    assert both.p_value == 1


def test_a_draw_approaches_the_exact_p_value():
    random = np.random.default_rng(7)
    exit, arm = random.permutation(np.arange(1, 21)), np.array(list("ab") * 10)
    rows = grouped(exit + 3 * (arm == "b"), [1] * 20, arm)  # 184,756 arrangements
    drawn = compare_by_permutation(rows, by="arm", rng=rng(), n_permutations=4_000)
    assert not drawn.exact
    assert drawn.n_counted == 4_000
    more = compare_by_permutation(rows, by="arm", rng=np.random.default_rng(99), n_permutations=20_000)
    assert abs(drawn.p_value - more.p_value) < 4 * drawn.tidy()["std_error"].iloc[0]
    assert (drawn.p_value * 4_001) == pytest.approx(round(drawn.p_value * 4_001))  # (b + 1) / (B + 1)


def test_a_draw_is_never_zero_and_the_same_for_the_same_generator():
    rows = grouped(np.arange(1, 41), [1] * 40, ["a"] * 20 + ["b"] * 20)
    one, other = (compare_by_permutation(rows, by="arm", rng=rng(), n_permutations=200) for _ in range(2))
    assert one.p_value == other.p_value == 1 / 201
    assert "p = 0.00498" in one.describe()


def test_three_groups_in_large_samples_agree_with_the_log_rank_test():
    random = np.random.default_rng(5)
    arm = np.repeat(list("abc"), 60)
    exit = np.ceil(random.exponential(np.where(arm == "a", 50, 70)) + 1)
    rows = grouped(np.minimum(exit, 90), exit < 90, arm)
    found = compare_by_permutation(rows, by="arm", rng=rng(), n_permutations=3_000)
    assert found.p_value == pytest.approx(compare_survival(rows, by="arm").p_value, abs=0.03)


def test_under_no_difference_the_level_is_kept():
    random, small = np.random.default_rng(3), 0
    for _ in range(200):
        rows = grouped(random.integers(1, 30, 12), [1] * 12, "aaaabbbbbbbb")
        small += compare_by_permutation(rows, by="arm", rng=rng()).p_value <= 0.05
    assert small / 200 <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5


def test_restricted_means_of_larger_groups(curve_rows):
    two = curve_rows()
    two = two.with_rows(two.frame[two.frame["arm"] != "c"])
    found = compare_by_permutation(
        two, by="arm", statistic="restricted mean difference", horizon=10, rng=rng(), n_permutations=2_000
    )
    curves = estimate_survival(two, by="arm").curves
    means = [restricted_mean(curve, 10.0) for curve in curves]
    assert found.observed == pytest.approx(means[1][0] - means[0][0])
    assert found.tidy()["time"].tolist() == [10]
    z = found.observed / np.hypot(means[0][1], means[1][1])
    assert found.p_value == pytest.approx(2 * norm.sf(abs(z)), abs=0.06)


def test_the_means_of_three_groups_are_refused(curve_rows):
    with pytest.raises(OutcomeError, match="has two"):
        compare_by_permutation(curve_rows(), by="arm", statistic="restricted mean difference", rng=rng())


def test_follow_up_that_differs_is_refused():
    exit = [*[3] * 10, *[30] * 10, *range(4, 24)]
    event = [0] * 20 + [1] * 20
    arm = ["a"] * 10 + ["b"] * 10 + ["a", "b"] * 10
    with pytest.raises(OutcomeError, match="Censoring differs between the groups"):
        compare_by_permutation(grouped(exit, event, arm), by="arm", rng=rng())
    entry = [0] * 10 + [9] * 10
    with pytest.raises(OutcomeError, match="Entry differs between the groups"):
        compare_by_permutation(
            grouped(range(20, 40), [1] * 20, ["a"] * 10 + ["b"] * 10, entry=entry), by="arm", rng=rng()
        )


def test_the_checks_are_in_the_glance():
    facts = compare_by_permutation(grouped([1, 2, 3, 4, 5, 6], [1, 0, 0, 1, 1, 1], "abaabb"), by="arm", rng=rng())
    assert 0.05 <= facts.glance()["follow_up_p_value"] <= 1
    assert np.isnan(facts.glance()["entry_p_value"])


@pytest.mark.parametrize(("event", "arm", "reason"), [([0] * 4, "abab", "no events"), ([1] * 4, "aaaa", "one group")])
def test_what_cannot_be_tested_says_why(event, arm, reason):
    found = compare_by_permutation(grouped([1, 2, 3, 4], event, arm), by="arm", rng=rng())
    assert reason in found.glance()["not_estimable"]
    assert np.isnan(found.p_value)
    assert reason in found.describe()


def test_one_label_per_patient():
    frame = pd.DataFrame(
        {"id": [1, 1, 2], "entry": [0, 3, 0], "exit": [3, 5, 4], "event": [0, 1, 1], "arm": list("abb")}
    )
    rows = TimeToEvent.from_frame(frame, exit="exit", event="event", entry="entry", patient_id="id", covariates=["arm"])
    with pytest.raises(OutcomeError, match="1 rows are of a patient seen before"):
        compare_by_permutation(rows, by="arm", rng=rng())


def test_groups_known_later_are_guarded():
    late = Groups(pd.DataFrame({"patient_id": ["0", "1"], "label": list("ab"), "onset": 2, "known_at": 2}),
                  "response", ("a", "b"))  # fmt: skip
    with pytest.raises(ImmortalTimeError):
        compare_by_permutation(grouped([5, 6], [1, 1], "ab"), by=late, rng=rng())


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=7))
def test_every_arrangement_appears_once(rows):
    groups, stratum = (np.array(part) for part in zip(*rows, strict=True))
    found = np.vstack(list(enumerate_labels(groups, stratum)))
    assert len(found) == count_arrangements(groups, stratum)
    assert len({tuple(row) for row in found.tolist()}) == len(found)
    drawn = np.vstack(list(draw_labels(groups, stratum, 5, rng())))
    for block in (found, drawn):
        for value in np.unique(stratum):
            own = np.sort(block[:, stratum == value], axis=1)
            assert (own == np.sort(groups[stratum == value])).all()
