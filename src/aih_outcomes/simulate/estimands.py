"""What a true value is: an estimand with its definition in words, its value, and how sure we are of it."""

import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Number = tuple[float, float]  # value, Monte-Carlo error


@dataclass(frozen=True, slots=True)
class Estimand:
    """One true quantity.

    Attributes
    ----------
    id : number of ``statistics.md``'s list, e.g. ``T5``
    name : short name, unique together with ``mechanism``
    definition : in words, with its clock and unit
    mechanism : ``default``, ``null`` (response has no effect), ``null, high hazard``, or ``no
        effect`` (of the matched drug)
    value, monte_carlo_error : by key; the error is 0 where the value is exact
    n : children counted; 0 where the value has a closed form
    method : ``counted in N uncensored copies`` or ``closed form``
    """

    id: str
    name: str
    definition: str
    mechanism: str
    value: dict[str, float]
    monte_carlo_error: dict[str, float]
    n: int
    method: str


@dataclass(frozen=True, slots=True)
class Truth:
    """All estimands of the mechanism behind the synthetic cohort; it grows with the estimators it is held against."""

    seed: int
    estimands: tuple[Estimand, ...]

    def find(self, name: str, mechanism: str = "default") -> Estimand:
        """Return the estimand of this name under this mechanism."""
        return next(e for e in self.estimands if (e.name, e.mechanism) == (name, mechanism))

    def to_json(self) -> str:
        """Return the file's text: numbers with six significant digits, so that its bytes repeat."""
        content = {"schema_version": "1.0", "seed": self.seed, "estimands": [asdict(e) for e in self.estimands]}
        return json.dumps(_rounded(content), indent=1, ensure_ascii=False) + "\n"


def _rounded(item: object) -> object:
    if isinstance(item, dict):
        return {key: _rounded(value) for key, value in item.items()}
    if isinstance(item, (list, tuple)):
        return [_rounded(value) for value in item]
    return float(f"{item:.6g}") if isinstance(item, float) else item


def counted(
    id: str, name: str, definition: str, numbers: dict[str, Number], *, n: int, mechanism: str = "default"
) -> Estimand:
    """Return an estimand that was counted in ``n`` uncensored copies."""
    value = {key: float(number[0]) for key, number in numbers.items()}
    error = {key: float(number[1]) for key, number in numbers.items()}
    return Estimand(id, name, definition, mechanism, value, error, n, f"counted in {n:,} uncensored copies")


def closed(id: str, name: str, definition: str, value: dict[str, float], *, mechanism: str = "default") -> Estimand:
    """Return an estimand with a closed form."""
    return Estimand(id, name, definition, mechanism, value, dict.fromkeys(value, 0.0), 0, "closed form")


def share(which: Flags) -> Number:
    """Return a proportion and its standard error."""
    p = float(which.mean())
    return p, (max(p * (1 - p), 0.0) / len(which)) ** 0.5


def mean(values: Floats) -> Number:
    """Return a mean and its standard error."""
    return float(values.mean(dtype=float)), float(values.std(dtype=float)) / len(values) ** 0.5


def difference(first: Number, second: Number) -> Number:
    """Return first − second of two independent samples."""
    return first[0] - second[0], (first[1] ** 2 + second[1] ** 2) ** 0.5


def median(values: Floats) -> Number:
    """Return a median and the error of it: half the width of the order statistics at ± one standard error."""
    ordered, n = np.sort(values), len(values)
    low, high = (ordered[int(np.clip(n / 2 + z * n**0.5 / 2, 0, n - 1))] for z in (-1, 1))
    return float(ordered[n // 2]), float(high - low) / 2
