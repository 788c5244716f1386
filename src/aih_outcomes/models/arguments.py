"""What a caller may pass besides data: choices, numbers, times and groups, read before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.outcomes import Groups, Vector


def refuse_unknown_choice(name: str, given: object, choices: Iterable[str | None]) -> None:
    """Refuse what is not among the choices of an argument.

    Raises
    ------
    OutcomeError
    """
    known = list(choices)
    if not isinstance(given, str | None) or given not in known:
        shown = repr(given) if isinstance(given, str) else f"a {type(given).__name__}"
        raise OutcomeError(f"{name}={shown} is unknown", f"Known are {', '.join(map(repr, known))}", "Name one of them")


def read_number(name: str, given: object, example: str) -> float:
    """Return a finite number given as an argument.

    Parameters
    ----------
    name : of the argument; ``example`` : how it is written

    Raises
    ------
    OutcomeError
    """
    number = isinstance(given, int | float | np.integer | np.floating) and not isinstance(given, bool)
    if not number or not math.isfinite(given):  # type: ignore[arg-type]  # a number
        raise OutcomeError(
            f"{name}={_shown(given)} is no time", "It is a finite number, in the outcome's unit", f"Write {example}"
        )
    return float(given)  # type: ignore[arg-type]  # a number


def read_numbers(name: str, given: object, example: str) -> Vector:
    """(n,) numbers given as a list; NaN and infinity may stand.

    Raises
    ------
    OutcomeError : not a list, or something in it is no number
    """
    listed = isinstance(given, Sequence | np.ndarray | pd.Series | pd.Index) and not isinstance(given, str | bytes)
    values: list[object] = list(given) if listed else [None]  # type: ignore[call-overload]  # something listed
    if not all(isinstance(value, int | float | np.integer | np.floating) for value in values):
        raise OutcomeError(
            f"{name}={_shown(given)} is no list of numbers", "One number, or several, stand in a list",
            f"Write {example}",
        )  # fmt: skip
    return np.asarray(values, float)


def require_groups(groups: object) -> None:
    """Refuse whatever is no ``Groups``.

    Raises
    ------
    OutcomeError
    """
    if not isinstance(groups, Groups):
        raise OutcomeError(
            f"{type(groups).__name__} is no Groups",
            "Membership that becomes known after time zero comes with the day on which it was known",
            "Pass Groups(frame, name, levels), with patient_id, label, onset and known_at; a fact known at entry is a "
            "covariate: by='its column'",
        )  # fmt: skip


def _shown(given: object) -> str:
    """Write what was given, if it is short; never a table, which may hold patients' values."""
    return repr(given) if isinstance(given, str | bytes | int | float | None) else f"a {type(given).__name__}"
