"""Terms of a regression: columns by name, a few transformations, categories against a named reference.

A term is a column, or ``log(column)``, ``log2(column)``, ``sqrt(column)``. Nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, as_category
from aih_outcomes.outcomes import TimeToEvent, Vector

TRANSFORMS: dict[str, Callable[[Vector], Vector]] = {"log": np.log, "log2": np.log2, "sqrt": np.sqrt}
_CALL = re.compile(r"^(log2|log|sqrt)\((.+)\)$")


@dataclass(frozen=True, slots=True)
class Term:
    """One column of the design matrix.

    Attributes
    ----------
    name : as shown, e.g. ``group: responder (ref. not yet)``
    variable : the term as asked for; dummy columns of one category share it
    level, reference : levels compared; None for a number
    """

    name: str
    variable: str
    level: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """``X`` (n_rows, n_terms); ``terms`` one per column; ``categories`` the categorical columns by variable."""

    X: NDArray[np.float64]
    terms: tuple[Term, ...]
    categories: dict[str, pd.Categorical]

    @property
    def names(self) -> list[str]:
        """Names of the terms."""
        return [term.name for term in self.terms]


def build_design(frame: pd.DataFrame, variables: Sequence[str]) -> Design:
    """Build the design matrix; missing values become NaN in every column they touch.

    Parameters
    ----------
    frame : (n_rows, …) with every column that ``variables`` name
    variables : terms

    Raises
    ------
    OutcomeError : a logarithm or root of a number that has none
    """
    blocks: list[NDArray[np.float64]] = []
    terms: list[Term] = []
    categories: dict[str, pd.Categorical] = {}
    for variable in variables:
        column = column_of(variable)
        values = frame[column]
        if column == variable and not _is_number(values):
            categories[variable] = category = as_category(values).remove_unused_categories()
            blocks.append(_dummies(category))
            terms += _category_terms(variable, category)
        else:
            blocks.append(_transform(values, variable)[:, None])
            terms.append(Term(variable, variable))
    X = np.hstack(blocks) if blocks else np.empty((len(frame), 0))
    return Design(X, tuple(terms), categories)


def column_of(variable: str) -> str:
    """Return the column a term reads: ``log(bilirubin)`` reads ``bilirubin``."""
    call = _CALL.match(variable)
    return call.group(2) if call else variable


def refuse_undeclared(outcome: TimeToEvent, variables: Sequence[str]) -> None:
    """Refuse terms whose column the outcome does not declare.

    Raises
    ------
    OutcomeError
    """
    unknown = [variable for variable in variables if column_of(variable) not in (*outcome.covariates, GROUP)]
    if unknown:
        raise OutcomeError(
            f"{len(unknown)} term(s) are unknown: {', '.join(unknown)}",
            f"A term is a covariate of the outcome ({', '.join(outcome.covariates) or 'none declared'}) "
            f"or {', '.join(f'{name}(covariate)' for name in TRANSFORMS)}",
            "Declare the column with from_frame(..., covariates=[...])",
        )


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype)


def _dummies(category: pd.Categorical) -> NDArray[np.float64]:
    codes = np.asarray(category.codes)[:, None]
    columns: NDArray[np.float64] = (codes == np.arange(1, len(category.categories))[None, :]).astype(float)
    columns[codes[:, 0] < 0] = np.nan
    return columns


def _category_terms(variable: str, category: pd.Categorical) -> list[Term]:
    levels = [str(level) for level in category.categories]
    return [Term(f"{variable}: {level} (ref. {levels[0]})", variable, level, levels[0]) for level in levels[1:]]


def _transform(values: pd.Series, variable: str) -> Vector:
    numbers = values.to_numpy(float, na_value=np.nan)
    call = _CALL.match(variable)
    if call is None:
        return numbers
    name = call.group(1)
    impossible = int(np.sum(numbers < 0 if name == "sqrt" else numbers <= 0))
    if impossible:
        raise OutcomeError(
            f"{impossible} of {len(numbers)} values have no {name} in {variable!r}", f"{name} needs positive numbers",
            "Correct these values, or enter the covariate untransformed",
        )  # fmt: skip
    return np.asarray(TRANSFORMS[name](numbers), float)
