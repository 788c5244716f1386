"""What curves, and the models that follow them, refuse before they compute: choices, numbers, sources of randomness."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from aih_outcomes.errors import OutcomeError


def refuse_unknown_choice(name: str, given: object, choices: Iterable[str | None]) -> None:
    """Refuse what is not among the choices of an argument.

    Raises
    ------
    OutcomeError
    """
    known = list(choices)
    if given not in known:
        raise OutcomeError(
            f"{name}={given!r} is unknown", f"Known are {', '.join(map(repr, known))}", "Name one of them"
        )


def refuse_no_power(**given: object) -> None:
    """Refuse weights of a test that are no finite numbers from 0 upwards.

    Raises
    ------
    OutcomeError
    """
    for name, value in given.items():
        if isinstance(value, bool) or not (isinstance(value, int | float) and np.isfinite(value) and value >= 0):
            raise OutcomeError(
                f"{name}={value!r} is no weight of the test", "It is a finite number, 0 or more",
                f"Write {name}=0 for the usual test",
            )  # fmt: skip


def refuse_no_draws(name: str, n: object, rng: object) -> None:
    """Refuse a number of draws that is none, or a source of randomness that is none.

    Raises
    ------
    OutcomeError
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise OutcomeError(f"{name}={n!r} is no number of draws", "It is a whole number, 1 or more", f"Write {name}=1000")
    if not isinstance(rng, np.random.Generator):
        raise OutcomeError(
            f"rng is a {type(rng).__name__}", "Randomness comes in as a numpy Generator, whose seed is the caller's",
            "Write rng=np.random.default_rng(20240101)",
        )  # fmt: skip
