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
