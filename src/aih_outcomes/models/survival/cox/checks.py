"""What follows a Cox fit takes a Cox fit."""

from __future__ import annotations

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.result import CoxFit


def require_fit(fit: object) -> None:
    """Refuse whatever is no Cox fit.

    Raises
    ------
    OutcomeError
    """
    if not isinstance(fit, CoxFit):
        raise OutcomeError(
            f"{type(fit).__name__} is no Cox fit", "What follows a Cox model begins with its fit",
            "Pass what fit_cox(outcome, ...) returned",
        )  # fmt: skip
