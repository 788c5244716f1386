"""The five centres' laboratories: units, upper limits, and how many decimals they print. All invented."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.units import compute_factor

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Assay:
    """How one laboratory reports one analyte: unit as printed, decimals, upper limit in that unit."""

    unit: str
    decimals: int
    limit: float


@dataclass(frozen=True, slots=True)
class Centre:
    """One centre: its assays, and whether a registry follows its patients after transfer to adult care."""

    name: str
    linked: bool
    assays: dict[str, Assay]


def _centre(name: str, *, linked: bool, **assays: tuple[str, int, float]) -> Centre:
    return Centre(name, linked, {analyte: Assay(*assay) for analyte, assay in assays.items()})


# IgG's limit follows the child's age (catalogue, table uk-pru): its entry here is not used.
CENTRES: tuple[Centre, ...] = (
    _centre("Centre A", linked=True, alt=("U/L", 0, 40), ast=("U/L", 0, 42), igg=("g/L", 1, 16), ggt=("U/L", 0, 40),
            bilirubin=("umol/L", 0, 21), albumin=("g/L", 0, 50), inr=("1", 1, 1.2), platelets=("10*9/L", 0, 400),
            creatinine=("umol/L", 0, 80), sodium=("mmol/L", 0, 145), cd19=("10*6/L", 0, 600)),
    _centre("Centre B", linked=True, alt=("IU/L", 0, 45), ast=("IU/L", 0, 45), igg=("mg/dL", 0, 1600),
            ggt=("IU/L", 0, 45), bilirubin=("mg/dL", 1, 1.2), albumin=("g/dL", 1, 5.0), inr=("INR", 2, 1.2),
            platelets=("K/uL", 0, 450),
            creatinine=("mg/dL", 2, 0.9), sodium=("mEq/L", 0, 145), cd19=("/uL", 0, 550)),
    _centre("Centre C", linked=True, alt=("ukat/L", 2, 0.70), ast=("ukat/L", 2, 0.70), igg=("g/L", 1, 16),
            ggt=("ukat/L", 2, 0.65), bilirubin=("umol/L", 0, 22), albumin=("g/L", 0, 48), inr=("1", 1, 1.2),
            platelets=("10*9/L", 0, 400),
            creatinine=("umol/L", 0, 77), sodium=("mmol/L", 0, 145), cd19=("10*9/L", 2, 0.6)),
    _centre("Centre D", linked=False, alt=("U/L", 0, 35), ast=("U/L", 0, 40), igg=("g/L", 2, 16), ggt=("U/L", 0, 35),
            bilirubin=("mg/dL", 1, 1.0), albumin=("g/dL", 1, 5.2), inr=("INR", 2, 1.2), platelets=("K/uL", 0, 400),
            creatinine=("mg/dL", 2, 1.0), sodium=("mEq/L", 0, 146), cd19=("10*9/L", 2, 0.55)),
    _centre("Centre E", linked=False, alt=("UI/L", 0, 50), ast=("UI/L", 0, 50), igg=("mg/dL", 0, 1600),
            ggt=("UI/L", 0, 50), bilirubin=("umol/L", 0, 20), albumin=("g/L", 1, 50), inr=("1", 2, 1.2),
            platelets=("10*9/L", 0, 420),
            creatinine=("umol/L", 0, 84), sodium=("mmol/L", 0, 146), cd19=("/uL", 0, 600)),
)  # fmt: skip
_POWERS = np.array([1.0, 10.0, 100.0])  # exact, where a computed power may not be
LINKED = np.array([centre.linked for centre in CENTRES])


def factors_of(analyte: str) -> Floats:
    """Return canonical units per printed unit at each centre, shape (5,)."""
    return np.array([compute_factor(analyte, centre.assays[analyte].unit) for centre in CENTRES])


def limits_of(analyte: str) -> Floats:
    """Return the upper limit at each centre in the canonical unit, shape (5,)."""
    return np.array([centre.assays[analyte].limit for centre in CENTRES]) * factors_of(analyte)


def decimals_of(analyte: str) -> Ints:
    """Return the number of decimals that each centre prints, shape (5,)."""
    return np.array([centre.assays[analyte].decimals for centre in CENTRES], dtype=np.int64)


def as_printed(value: Floats, analyte: str, centre: Ints) -> tuple[Ints, Ints]:
    """Return what the laboratory prints, as a whole number of its last digit, and the number of decimals.

    Parameters
    ----------
    value : canonical unit, any shape that broadcasts with ``centre``
    centre : index of the centre
    """
    decimals = np.broadcast_to(decimals_of(analyte)[centre], value.shape)
    scale = _POWERS[decimals] / factors_of(analyte)[centre]
    return np.maximum(np.rint(value * scale), 1).astype(np.int64), decimals


def read_back(digits: Ints, decimals: Ints, analyte: str, centre: Ints) -> Floats:
    """Return the canonical value of a printed result: the decimal number, times the catalogue's factor."""
    return np.asarray(digits / _POWERS[decimals] * factors_of(analyte)[centre])


def write_digits(digits: Ints, decimals: Ints) -> NDArray[np.str_]:
    """Return the printed text of each result, e.g. 123 with 2 decimals → ``1.23``."""
    pairs = zip(digits.tolist(), decimals.tolist(), strict=True)
    return np.array([f"{n / 10**places:.{places}f}" if places else str(n) for n, places in pairs], dtype=np.str_)
