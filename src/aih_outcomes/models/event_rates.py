"""Rates of events per patient-year with exact Poisson limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.result import DAYS_PER_YEAR, order_columns, refuse_no_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEEDED = ("label", "n", "n_event", "person_days")


@dataclass(frozen=True, slots=True, eq=False)
class EventRates:
    """Rates of several kinds of event; ``table`` has one row per stratum and kind."""

    table: pd.DataFrame
    conf_level: float

    def tidy(self) -> pd.DataFrame:
        """One row per kind of event and stratum.

        Columns ``label``, ``strata`` (if given), ``n, n_event, estimate, conf_low, conf_high`` (per patient-year),
        ``per_10_years, person_years``, and further counts as they were given. NaN without person-time.
        """
        return self.table.copy()

    def glance(self) -> dict[str, Any]:
        """Return the number of patients, of rows, and the level of the limits."""
        n = int(self.table["n"].max()) if len(self.table) else 0
        return {"n": n, "n_rows": len(self.table), "conf_level": self.conf_level}

    def describe(self) -> str:
        """Say for a caption what the rates are."""
        return (
            f"Events per patient-year with exact {100 * self.conf_level:g} % Poisson limits (Garwood). Each recorded "
            "event counts; where one patient has many of them the limits are too narrow."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Refuse politely: rates of rare events are read as a table.

        Raises
        ------
        OutcomeError
        """
        raise OutcomeError("Rates per patient-year have no figure", "They are read as a table", "Use .tidy()")


def compute_poisson_limits(
    n_event: NDArray[np.int64], *, conf_level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return exact limits of the expected number of events (Garwood, Biometrika 1936;28:437).

    Examples
    --------
    >>> low, high = compute_poisson_limits(np.array([0, 10]))
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 4.795], [3.689, 18.39])
    """
    from scipy.special import chdtri  # the upper quantile of chi-squared

    tail = (1 - conf_level) / 2
    none = n_event == 0
    low = np.where(none, 0.0, chdtri(2 * np.where(none, 1, n_event), 1 - tail) / 2)
    return low, chdtri(2 * n_event + 2, tail) / 2


def estimate_event_rates(counts: pd.DataFrame, *, conf_level: float = 0.95) -> EventRates:
    """Estimate the rate of each kind of event.

    Parameters
    ----------
    counts : ``label, n`` (patients), ``n_event, person_days``, optional ``strata`` and further counts; one row per rate

    Raises
    ------
    OutcomeError : a column is missing, a count is not a whole number of 0 or more, person-time is negative or missing,
        or ``conf_level`` does not lie between 0 and 1
    """
    refuse_no_level(conf_level)
    missing = [name for name in NEEDED if name not in counts]
    wrong = [] if missing else [f"{name} in {n} of {len(counts)} rows" for name, n in _count_wrong(counts).items() if n]
    if missing or wrong:
        raise OutcomeError(
            f"Counts lack {', '.join(missing)}" if missing else f"What cannot be a count: {', '.join(wrong)}",
            f"A rate needs {', '.join(NEEDED)}: whole numbers, and finite days, of 0 or more",
            "Derive them with derive_adverse_events(...)",
        )
    n_event = counts["n_event"].to_numpy(np.int64)
    years = counts["person_days"].to_numpy(float) / DAYS_PER_YEAR
    known = np.where(years > 0, years, np.nan)
    low, high = compute_poisson_limits(n_event, conf_level=conf_level)
    table = counts.drop(columns="person_days").assign(
        estimate=n_event / known, conf_low=low / known, conf_high=high / known, per_10_years=10 * n_event / known,
        person_years=years,
    )  # fmt: skip
    return EventRates(order_columns(table).reset_index(drop=True), conf_level)


def _count_wrong(counts: pd.DataFrame) -> dict[str, int]:
    """Return in how many rows each number cannot be what it is called."""
    found = {}
    for name in ("n", "n_event", "person_days"):
        number = counts[name].to_numpy(float, na_value=np.nan)
        sound = np.isfinite(number) & (number >= 0)
        if name != "person_days":
            sound &= number == np.floor(number)
        found[name] = int(np.sum(~sound))
    return found
