"""What curves, and the models that follow them, refuse before they compute: exponents, draws, sources of randomness."""

from __future__ import annotations

import numpy as np

from aih_outcomes.errors import OutcomeError


def refuse_no_weights(*, rho: object, gamma: object = 0.0) -> None:
    """Refuse exponents of a test's weights that are no finite numbers, or leave the first event an infinite weight.

    Raises
    ------
    OutcomeError
    """
    for name, value, least in (("rho", rho, -np.inf), ("gamma", gamma, 0.0)):
        number = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
        if not (number and float(value) >= least):  # type: ignore[arg-type]  # a number
            raise OutcomeError(
                f"{name}={value!r} gives the test no weights",
                "rho and gamma are finite numbers, gamma 0 or more", f"Write {name}=0 for the usual test",
            )  # fmt: skip


def refuse_no_draws(name: str, n: object, rng: object) -> None:
    """Refuse a number of draws that is none, or a source of randomness that is none.

    Raises
    ------
    OutcomeError
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        what = f"{name}={n!r} is no number of draws"
        raise OutcomeError(what, "It is a whole number, 1 or more", f"Write {name}=1000")
    if not isinstance(rng, np.random.Generator):
        raise OutcomeError(
            f"rng is a {type(rng).__name__}", "Randomness comes in as a numpy Generator, whose seed is the caller's",
            "Write rng=np.random.default_rng(20240101)",
        )  # fmt: skip
