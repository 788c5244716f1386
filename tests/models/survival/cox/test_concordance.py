"""Concordance by counting dominance against counting every pair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aih_outcomes.models.survival.cox.concordance import compute_concordance

ROWS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(1, 8), st.booleans(), st.integers(0, 4), st.integers(1, 3)),
    min_size=2, max_size=25,
)  # fmt: skip


def by_pairs(score, entry, exit, event, weight):
    concordant = discordant = tied = time = both = 0.0
    for i in np.flatnonzero(event):
        for j in range(len(score)):
            w = weight[i] * weight[j]
            if entry[j] < exit[i] and (exit[j] > exit[i] or (exit[j] == exit[i] and not event[j])):
                concordant += w * (score[i] > score[j])
                discordant += w * (score[i] < score[j])
                tied += w * (score[i] == score[j])
            if event[j] and j > i and exit[i] == exit[j]:
                time += w * (score[i] != score[j])
                both += w * (score[i] == score[j])
    return concordant, discordant, tied, time, both


@given(ROWS)
def test_counts_every_pair(rows):
    entry, length, event, score, weight = (np.array(part) for part in zip(*rows, strict=True))
    zero = np.zeros(len(rows), np.int64)
    c = compute_concordance(
        score * 1.0, entry * 1.0, entry + length * 1.0, event, weight * 1.0, zero, np.arange(len(rows))
    )
    expected = by_pairs(score, entry, entry + length, event, weight)
    assert (c.concordant, c.discordant, c.tied_score, c.tied_time, c.tied_both) == pytest.approx(expected)
    pairs = sum(expected[:3])
    if pairs:
        assert c.c == pytest.approx((expected[0] + expected[2] / 2) / pairs)
    else:
        assert np.isnan(c.c)


@pytest.mark.parametrize("n_scores", [3, 17, 300])
def test_counts_every_pair_of_many_scores_within_strata(n_scores):
    random = np.random.default_rng(n_scores)
    n = 300
    score = random.integers(0, n_scores, n) * 1.0
    entry = random.integers(-5, 20, n) * 1.0
    exit, event = entry + random.integers(1, 30, n), random.random(n) < 0.6
    weight, strata = random.integers(1, 4, n) * 1.0, random.integers(0, 3, n)
    c = compute_concordance(score, entry, exit, event, weight, strata, np.arange(n))
    parts = [by_pairs(*(column[strata == one] for column in (score, entry, exit, event, weight))) for one in range(3)]
    expected = np.sum(parts, axis=0).tolist()
    assert [c.concordant, c.discordant, c.tied_score, c.tied_time, c.tied_both] == expected


def test_no_pair_is_no_concordance():
    one, none = np.ones(3), np.zeros(3, np.int64)
    c = compute_concordance(one, none * 1.0, one, np.zeros(3, bool), one, none, np.arange(3))
    assert np.isnan(c.c)
    assert np.isnan(c.std_error)
