"""How membership was made a fact known at entry, and the words that must stand beside it."""

from __future__ import annotations

from collections.abc import Iterable

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP

LANDMARK = "landmark"
TIME_VARYING = "status changing with time"
REVERSIBLE = "may change back"
BIASED = "comparison from day 0 (biased)"
BASELINE = "groups known at time zero"
MULTI_STATE = "multi-state"
SUPER_MODEL = "landmarks together"

PROGNOSTIC = "prognostic association, not a treatment effect"
SEVERITY = "confounded by severity"


def name_design(design: str) -> str:
    """Return the design in words; an outcome without post-baseline groups has groups known at time zero."""
    return design or BASELINE


def caution(design: str) -> str:
    """Return the sentence that goes with a comparison of this design (rule 21), or an empty text.

    Who changes group over time, and when, is decided by how ill the patient is: such a ratio says so too.
    """
    if design.startswith(BIASED):
        return (
            f"{BIASED[:1].upper()}{BIASED[1:]}: patients had to survive until their status was known; do not interpret."
        )
    if design.startswith((TIME_VARYING, MULTI_STATE)):
        return f"{PROGNOSTIC.capitalize()}; {SEVERITY}."
    if design.startswith((LANDMARK, SUPER_MODEL)):
        return f"{PROGNOSTIC.capitalize()}."
    return ""


def name_curve(design: str, by_name: str) -> str:
    """Return the name of a product-limit curve: Simon and Makuch's where patients come into a group over time."""
    return "Simon-Makuch" if _changes_with_time(design, by_name) else "Kaplan-Meier"


def name_test(design: str, by_name: str) -> str:
    """Return the name of the log-rank test: Mantel and Byar's where patients come into a group over time."""
    return "Mantel-Byar" if _changes_with_time(design, by_name) else "log-rank"


def in_a_list(names: Iterable[object]) -> str:
    """Return names as one phrase: ``28, 182 and 365``."""
    *others, last = [str(name) for name in names]
    return f"{', '.join(others)} and {last}" if others else last


def _changes_with_time(design: str, by_name: str) -> bool:
    return design.startswith(TIME_VARYING) and by_name == GROUP


def refuse_reversible(design: str, by: object) -> None:
    """Refuse curves and tests of groups that may change back: Simon-Makuch and Mantel-Byar take irreversible ones.

    Raises
    ------
    OutcomeError
    """
    if by is not None and REVERSIBLE in design:
        raise OutcomeError(
            "A curve or test is asked of groups that may change back",
            "Simon-Makuch curves and the Mantel-Byar test take groups that stay, once known",
            "Fit a Cox model with fit_cox(...), or use a state that stays, such as 'ever in response'",
        )
