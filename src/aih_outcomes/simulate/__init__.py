"""Cohorts with known truth: the same seed gives the same bytes."""

from aih_outcomes.simulate.exports.tables import SEED, write_synthetic
from aih_outcomes.simulate.synthetic import COMPOSITE_CHILD, simulate_cohort
from aih_outcomes.simulate.truth_children import RevealedTruth, reveal_truth

__all__ = ["COMPOSITE_CHILD", "SEED", "RevealedTruth", "reveal_truth", "simulate_cohort", "write_synthetic"]
