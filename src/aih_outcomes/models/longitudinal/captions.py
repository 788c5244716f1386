"""Sentences about the rows of a mixed model: who is compared, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence

from aih_outcomes.models.guard import GROUP
from aih_outcomes.models.longitudinal.fixed_effects import FixedEffects
from aih_outcomes.models.survival.designs.design import PROGNOSTIC


def capital(words: str) -> str:
    """Begin a sentence."""
    return f"{words[:1].upper()}{words[1:]}"


def tell_prognostic(fixed: FixedEffects) -> str:
    """Say it of groups that became known before every value compared: they are no treatment arms either (rule 21)."""
    return f"{PROGNOSTIC.capitalize()}." if fixed.by == GROUP and fixed.by_name != GROUP else ""


def tell_left_out(fixed: FixedEffects) -> str:
    """Say why values are not used."""
    reasons = list(_left_out(fixed))
    return f"Values left out: {'; '.join(reasons)}." if reasons else ""


def count_left_out(fixed: FixedEffects) -> str:
    """Say how many values are not used, and why; for the analyst."""
    return "; ".join(f"{count} {reason}" for reason, count in _left_out(fixed).items())


def name_tried(tried: Sequence[str]) -> str:
    """Name structures that were left, without the reasons, which count patients."""
    return ", ".join(text.split(" (")[0] for text in tried)


def _left_out(fixed: FixedEffects) -> dict[str, int]:
    exclusions = fixed.measures.exclusions
    counts = dict(zip(exclusions["reason"], exclusions["n"], strict=True))
    return counts | ({"without a covariate": fixed.n_missing} if fixed.n_missing else {})


def tell_groups(fixed: FixedEffects) -> str:
    """Name the groups, and say where there is only one."""
    levels = fixed.frame[GROUP].unique()
    only = f"; only one of them occurs: {levels[0]}" if len(levels) == 1 else ""
    return f"Groups: {fixed.by_name}{only}." if fixed.by_name else ""
