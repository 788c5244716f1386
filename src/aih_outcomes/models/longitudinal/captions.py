"""Sentences about the rows of a mixed model: who is compared, and what was left out."""

from __future__ import annotations

from aih_outcomes.models.guard import GROUP
from aih_outcomes.models.longitudinal.fixed_effects import FixedEffects
from aih_outcomes.models.survival.designs.design import PROGNOSTIC
from aih_outcomes.outcomes import RepeatedMeasures


def capital(words: str) -> str:
    """Begin a sentence."""
    return f"{words[:1].upper()}{words[1:]}"


def tell_prognostic(fixed: FixedEffects) -> str:
    """Say it of groups that became known before every value compared: they are no treatment arms either (rule 21)."""
    return f"{PROGNOSTIC.capitalize()}." if fixed.by == GROUP and fixed.by_name != GROUP else ""


def tell_left_out(measures: RepeatedMeasures, n_missing: int) -> str:
    """Say how many values are not used, and why."""
    counts = dict(zip(measures.exclusions["reason"], measures.exclusions["n"], strict=True))
    counts |= {"without a covariate": n_missing} if n_missing else {}
    told = "; ".join(f"{count} {reason}" for reason, count in counts.items())
    return f"Values left out: {told}." if told else ""


def tell_groups(fixed: FixedEffects) -> str:
    """Name the groups, and say where there is only one."""
    levels = fixed.frame[GROUP].unique()
    only = f"; only one of them occurs: {levels[0]}" if len(levels) == 1 else ""
    return f"Groups: {fixed.by_name}{only}." if fixed.by_name else ""
