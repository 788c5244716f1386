"""What one factor of a formula needs to be known before rows can be coded: levels, knots; and the coding itself."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import as_category
from aih_outcomes.models.terms.formula import CATEGORY, SPLINE, Factor
from aih_outcomes.models.terms.splines import natural_spline, spline_knots
from aih_outcomes.outcomes import Vector

Matrix = NDArray[np.float64]

FUNCTIONS: dict[str, Callable[[Vector], Vector]] = {
    "log": np.log, "log2": np.log2, "log10": np.log10, "sqrt": np.sqrt, "exp": np.exp, "I": np.asarray,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], Callable[[Vector, Vector], Vector]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide, ast.Pow: np.power,
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
    """How a factor becomes columns: ``levels`` of a category, the reference first; ``knots`` of a spline; else one."""

    factor: Factor
    levels: tuple[str, ...] | None = None
    knots: Vector | None = None

    def labels(self, *, full: bool) -> list[str]:
        """Names of the columns; of a category without its reference, unless ``full``."""
        name = self.factor.name
        if self.levels is not None:
            name = next(iter(self.factor.columns.values()))
            reference = "" if full or not self.levels else f" (ref. {self.levels[0]})"
            return [f"{name}: {level}{reference}" for level in self.levels[0 if full else 1 :]]
        return [name] if self.knots is None else [f"{name}{place + 1}" for place in range(len(self.knots) - 1)]


def learn(factor: Factor, frame: pd.DataFrame) -> Coding:
    """Read levels or knots off the rows given.

    Raises
    ------
    OutcomeError : a reference that is no level; a spline of a column without values
    """
    called = _called(factor)
    if called == SPLINE:
        return Coding(factor, knots=spline_knots(_argument(factor, frame), _option(factor, "df")))
    if called != CATEGORY and not _is_category(factor, frame):
        return Coding(factor)
    values = as_category(frame[next(iter(factor.columns.values()))])
    levels = [str(level) for level in values.remove_unused_categories().categories]
    reference = _option(factor, "reference") if called == CATEGORY else None
    if reference is None:
        return Coding(factor, tuple(levels))
    first = reference if isinstance(reference, str) else f"{reference:.12g}"
    if first not in levels:
        raise OutcomeError(
            f"{first!r} in {factor.name} is none of the {len(levels)} levels found",
            "The reference is a level that occurs",
            f"Name one of {', '.join(levels)}",
        )
    return Coding(factor, (first, *(level for level in levels if level != first)))


def code(coding: Coding, frame: pd.DataFrame) -> Matrix:
    """(n_rows, …) columns of a factor; of a category one for every level, NaN where it is missing.

    Raises
    ------
    OutcomeError : a level that was not learned; a number that has no logarithm, root or quotient
    """
    if coding.levels is not None:
        codes = category_of(coding, frame).codes[:, None]
        columns: Matrix = (codes == np.arange(len(coding.levels))[None, :]).astype(float)
        columns[codes[:, 0] < 0] = np.nan
        return columns
    values = _argument(coding.factor, frame)
    return values[:, None] if coding.knots is None else natural_spline(values, coding.knots)


def category_of(coding: Coding, frame: pd.DataFrame) -> pd.Categorical:
    """Return the rows' levels, the reference first.

    Raises
    ------
    OutcomeError : a level that was not learned
    """
    levels = list(coding.levels or ())
    given = as_category(frame[next(iter(coding.factor.columns.values()))])
    place = pd.Index(levels).get_indexer(pd.Index(given.categories.astype(str)))
    codes = np.append(place, -1)[given.codes]
    strange = int(np.sum((codes < 0) & (given.codes >= 0)))
    if strange:
        raise OutcomeError(
            f"{strange} of {len(codes)} rows have a level of {coding.factor.name!r} that the model does not know",
            f"It was fitted on {', '.join(levels)}",
            "Name one of these levels, or leave these rows out",
        )
    return pd.Categorical.from_codes(codes, categories=pd.Index(levels))


def _called(factor: Factor) -> str:
    tree = factor.tree
    return tree.func.id if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) else ""


def _option(factor: Factor, name: str) -> object:
    assert isinstance(factor.tree, ast.Call)
    return next((ast.literal_eval(option.value) for option in factor.tree.keywords if option.arg == name), None)


def _is_category(factor: Factor, frame: pd.DataFrame) -> bool:
    """Is it a column by itself that holds no numbers."""
    if not isinstance(factor.tree, ast.Name | ast.Attribute):
        return False
    return not _is_number(frame[next(iter(factor.columns.values()))])


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype)


def _argument(factor: Factor, frame: pd.DataFrame) -> Vector:
    """(n_rows,) numbers of a factor, or of what stands inside its spline."""
    tree = factor.tree
    if _called(factor) == SPLINE:
        assert isinstance(tree, ast.Call)
        tree = tree.args[0]
    columns = {written: _numbers(frame[name], factor) for written, name in factor.columns.items()}
    with np.errstate(all="ignore"):
        values = np.asarray(_evaluate(tree, columns), float)
    if isinstance(tree, ast.Name | ast.Attribute):
        return values
    impossible = ~np.isfinite(values)
    if impossible.any():
        for column in columns.values():
            impossible &= np.isfinite(column)
    count = int(np.sum(impossible))
    if count:
        raise OutcomeError(
            f"{count} of {len(values)} values have no finite number in {factor.name!r}",
            "A logarithm needs positive numbers, a root none below 0, a quotient a divisor other than 0",
            "Correct these values, or enter the covariate untransformed",
        )
    return values


def _numbers(values: pd.Series, factor: Factor) -> Vector:
    if not _is_number(values):
        raise OutcomeError(
            f"{str(values.name)!r} holds names, and {factor.name!r} computes with it",
            "Functions and arithmetic take numbers",
            "Enter the covariate by itself, or as C(x, reference='level')",
        )
    return values.to_numpy(float) if isinstance(values.dtype, np.dtype) else values.to_numpy(float, na_value=np.nan)


def _evaluate(node: ast.expr, columns: dict[str, Vector]) -> Vector:
    """Compute what ``formula`` has let through: columns, numbers, arithmetic, functions of the list."""
    if isinstance(node, ast.Name | ast.Attribute):
        return columns[ast.unparse(node)]
    if isinstance(node, ast.Constant):
        return np.asarray(node.value, float)
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](_evaluate(node.left, columns), _evaluate(node.right, columns))
    if isinstance(node, ast.UnaryOp):
        value = _evaluate(node.operand, columns)
        return -value if isinstance(node.op, ast.USub) else value
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    return FUNCTIONS[node.func.id](_evaluate(node.args[0], columns))
