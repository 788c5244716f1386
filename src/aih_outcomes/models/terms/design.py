"""Terms of a regression: what is asked for becomes columns with names, categories against a named reference."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, Outcome
from aih_outcomes.models.terms.factors import Coding, category_of, code, learn
from aih_outcomes.models.terms.formula import Terms, read_terms

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Term:
    """One column of the design matrix.

    Attributes
    ----------
    name : as shown, e.g. ``group: responder (ref. not yet)``
    variable : the term as asked for; the columns of one category, spline or interaction share it
    level, reference : levels compared; None for a number
    """

    name: str
    variable: str
    level: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """The columns of a model.

    Attributes
    ----------
    X : (n_rows, n_terms), columns contiguous
    terms : one per column
    categories : the rows' levels of every category, by variable
    asked : the terms as read; ``codings`` : what was learned of each of their factors, by name
    """

    X: Matrix
    terms: tuple[Term, ...]
    categories: dict[str, pd.Categorical]
    asked: Terms
    codings: dict[str, Coding]

    @property
    def names(self) -> list[str]:
        """Names of the terms."""
        return [term.name for term in self.terms]

    @property
    def columns(self) -> list[str]:
        """Columns of the data that the terms read."""
        factors = [factor for term in self.asked for factor in term]
        return list(dict.fromkeys(column for factor in factors for column in factor.columns.values()))


def build_design(frame: pd.DataFrame, variables: Sequence[str] | str) -> Design:
    """Build the design matrix; missing values become NaN in every column they touch.

    Parameters
    ----------
    frame : (n_rows, …) with every column that ``variables`` name
    variables : terms, or one formula

    Raises
    ------
    OutcomeError : terms that cannot be read; a logarithm or root of a number that has none
    """
    asked = read_terms(variables, frame.columns)
    return _assemble(frame, asked, {factor.name: learn(factor, frame) for term in asked for factor in term})


def restrict_design(design: Design, frame: pd.DataFrame) -> Design:
    """Build the same terms on some of the rows: levels that occur there, knots as they were (as in R)."""
    codings = {
        name: coding if coding.levels is None else learn(coding.factor, frame)
        for name, coding in design.codings.items()
    }
    return _assemble(frame, design.asked, codings)


def code_rows(design: Design, frame: pd.DataFrame) -> Matrix:
    """(n_rows, n_terms) columns of the model for other rows: levels and knots as they were learned.

    Raises
    ------
    OutcomeError : a level that the model does not know; a logarithm or root of a number that has none
    """
    return _assemble(frame, design.asked, design.codings).X


def refuse_undeclared(outcome: Outcome, variables: Sequence[str] | str) -> None:
    """Refuse terms that read what the outcome does not declare.

    Raises
    ------
    OutcomeError
    """
    read_terms(variables, [*outcome.covariates, *([GROUP] if GROUP not in outcome.covariates else [])])


def refuse_group_beside(outcome: Outcome, by: object, variables: Sequence[str]) -> None:
    """Refuse the outcome's own column ``group`` as a term beside other groups, whose place it would take.

    Raises
    ------
    OutcomeError
    """
    if by is None or by == GROUP or GROUP not in outcome.covariates:
        return
    factors = [factor for term in read_terms(variables, outcome.covariates) for factor in term]
    if any(GROUP in factor.columns.values() for factor in factors):
        raise OutcomeError(
            f"{GROUP!r} is a term beside by=, and a column of {outcome.label!r}", "by= gives its groups that name",
            f"Pass by={GROUP!r}, and the other groups as a covariate; or both as covariates",
        )  # fmt: skip


def column_of(variable: str) -> str:
    """Return the column a term reads: ``log(bilirubin)`` reads ``bilirubin``."""
    call = re.match(r"^\w+\((.+)\)$", variable)
    return call.group(1) if call else variable


def _assemble(frame: pd.DataFrame, asked: Terms, codings: dict[str, Coding]) -> Design:
    present = {frozenset[str](), *(frozenset(factor.name for factor in term) for term in asked)}
    coded = {name: code(coding, frame) for name, coding in codings.items()}
    blocks: list[Matrix] = []
    terms: list[Term] = []
    for term in asked:
        own = frozenset(factor.name for factor in term)
        block, numeric = np.ones((1, 1)), True
        labels: list[tuple[str, ...]] = [()]
        for factor in term:
            coding = codings[factor.name]
            # R's rule: a category keeps all its levels where the term without it is not in the model.
            full = coding.levels is not None and own - {factor.name} not in present
            columns = coded[factor.name].T[0 if full or coding.levels is None else 1 :]
            if labels == [()]:
                block = columns
            else:
                with np.errstate(invalid="ignore"):  # infinite × 0: a row without a value, as its factor alone
                    block = (columns[:, None] * block).reshape(len(columns) * len(block), len(frame))
            labels = [(*before, after) for after in coding.labels(full=full) for before in labels]
            numeric = numeric and coding.levels is None
        names = [(":" if numeric else " × ").join(label) for label in labels]
        variable = ":".join(factor.name for factor in term)
        levels = codings[variable].levels if len(term) == 1 else None
        terms += [
            Term(name, variable, *(() if levels is None else (levels[place + 1], levels[0])))
            for place, name in enumerate(names)
        ]
        blocks.append(block)
    X = np.concatenate(blocks).T if blocks else np.empty((len(frame), 0))
    categories = {name: category_of(own, frame) for name, own in codings.items() if own.levels is not None}
    return Design(X, tuple(terms), categories, asked, codings)
