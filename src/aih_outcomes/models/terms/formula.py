"""Read the right-hand side of a formula. Formulaic says which terms it has; nothing of it is evaluated as code.

Each factor is taken apart and every part of it looked up: a covariate, a number, arithmetic, or a function of the list
below. Whatever else a text can hold (attributes, imports, names of the caller) is refused before anything is computed.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from aih_outcomes.errors import OutcomeError

TRANSFORMS = ("log", "log2", "log10", "sqrt", "exp", "I")
CATEGORY, SPLINE = "C", "ns"
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
MOST_CROSSED, MOST_TERMS = 12, 10_000  # × in one formula; terms that it could have
SIGNS = (ast.UAdd, ast.USub)

_CALL = re.compile(rf"^({'|'.join(TRANSFORMS)})\((.+)\)$")
_POWER = re.compile(r"(?:\*\*|\^)\s*(\d+)")
_QUOTED = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """One factor of a term.

    Attributes
    ----------
    name : as shown, e.g. ``log(bilirubin)``
    tree : its parts, all of them allowed
    columns : how a column is written in the tree → the column
    """

    name: str
    tree: ast.expr
    columns: dict[str, str]


Terms = tuple[tuple[Factor, ...], ...]


def read_terms(variables: Sequence[str] | str, columns: Iterable[str]) -> Terms:
    """Read a list of terms, or one formula, over the columns named.

    Parameters
    ----------
    variables : columns, functions of them such as ``log(bilirubin)``, or formulas such as ``sex * log(bilirubin)``
    columns : what may be named

    Returns
    -------
    terms : each a tuple of factors; what is asked for twice stands once

    Raises
    ------
    OutcomeError : a text is no formula, or names what is no column and no function of the list
    """
    known = [str(column) for column in columns]
    texts = list_terms(variables)
    read: dict[frozenset[str], tuple[Factor, ...]] = {}
    unknown: list[str] = []
    for text in texts:
        for expressions in _split(text, known):
            factors = {expression: _read_factor(expression, known) for expression in expressions}
            unknown += [expression for expression, factor in factors.items() if factor is None]
            term = tuple(factor for factor in factors.values() if factor is not None)
            read.setdefault(frozenset(factor.name for factor in term), term)
    if unknown:
        _refuse_unknown(list(dict.fromkeys(unknown)), known)
    return tuple(sorted(read.values(), key=len))  # main effects before interactions, as in R


def list_terms(variables: Sequence[str] | str) -> list[str]:
    """Return the terms asked for as a list; one formula is one text.

    Raises
    ------
    OutcomeError : something is no text
    """
    asked: object = variables
    given = list(asked) if isinstance(asked, Sequence) and not isinstance(asked, str) else [asked]
    strange = [type(text).__name__ for text in given if not isinstance(text, str)]
    if strange:
        raise OutcomeError(
            f"{len(strange)} term(s) are no text but {', '.join(dict.fromkeys(strange))}",
            "Terms are the names of covariates, or a formula", "Write covariates=['age', 'log(bilirubin)']",
        )  # fmt: skip
    return [str(text) for text in given]


def _split(text: str, known: list[str]) -> list[list[str]]:
    """Return the factors of every term; a column, or a function of one, needs no formula."""
    call = _CALL.match(text)
    if text in known or (call is not None and call.group(2) in known):
        return [[text]]
    _refuse_explosion(text)
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    try:
        formula = Formula(text)
    except (FormulaicError, SyntaxError, ValueError, AttributeError, TypeError, RecursionError, MemoryError):
        return [[text]] if _is_call(text) else _refuse_text(text)
    if not all(hasattr(term, "factors") for term in formula):  # two sides, or several parts
        _refuse_text(text)
    # The intercept is the baseline hazard: never a term.
    return [[factor.expr for factor in term.factors] for term in formula if str(term) != "1"]


def _refuse_explosion(text: str) -> None:
    """Refuse a formula that would be multiplied out into more terms than a model could have.

    Raises
    ------
    OutcomeError
    """
    outside = _outside_calls(text)
    powers = [int(power) if len(power) == 1 else math.inf for power in _POWER.findall(outside)]
    words, crossed = len(re.findall(r"\w+", outside)), outside.count("*") - 2 * outside.count("**")
    many = bool(powers) and math.log(max(words, 2)) * math.prod(powers) > math.log(MOST_TERMS)
    if crossed > MOST_CROSSED or many:
        raise OutcomeError(
            f"A formula of {len(text)} characters has {crossed} times * and {len(powers)} powers of terms",
            f"Multiplied out it could have more than {MOST_TERMS} terms",
            "Pass a list of terms, each a*b or a:b by itself; I(x**2) is a power of a number",
        )


def _outside_calls(text: str) -> str:
    """Return a formula without what stands inside functions, where * and ** are arithmetic."""
    kept, calls, before = [], [False], ""
    for sign in text:
        if sign == "(":
            calls.append(calls[-1] or before.isalnum() or before == "_")
        if not calls[-1]:
            kept.append(sign)
        if sign == ")" and len(calls) > 1:
            calls.pop()
        before = sign
    return "".join(kept)


def _is_call(text: str) -> bool:
    """Is it a call: one that formulaic cannot read names what is unknown, and is refused as such."""
    return bool(re.match(r"^\w+\(.*\)", text))


def _read_factor(expression: str, known: list[str]) -> Factor | None:
    """Take a factor apart; None where it holds more than columns, numbers, arithmetic and functions of the list."""
    call = _CALL.match(expression)
    names = {name: name for name in known}
    if expression in known:
        plain, names = "x", {"x": expression}
    elif call is not None and call.group(2) in known:
        plain, names = f"{call.group(1)}(x)", {"x": call.group(2)}
    else:
        plain = expression
        for place, name in enumerate(dict.fromkeys(_QUOTED.findall(expression))):
            plain = plain.replace(f"`{name}`", f"quoted_{place}_")
            if name in known:
                names[f"quoted_{place}_"] = name
    try:
        tree = ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    columns: dict[str, str] = {}
    allowed = _is_allowed(_inside(tree), names, columns) and bool(columns)
    return Factor(_QUOTED.sub(r"\1", expression), tree, columns) if allowed else None


def _inside(tree: ast.expr) -> ast.expr:
    """Return the argument of ``C(x, reference="level")`` or ``ns(x, df=3)``, which stand outermost, else the tree."""
    if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and len(tree.args) == 1):
        return tree
    options = {option.arg: getattr(option.value, "value", None) for option in tree.keywords}
    if tree.func.id == CATEGORY and set(options) <= {"reference"} and _is_column(tree.args[0]):
        right = isinstance(options.get("reference", ""), str | int | float)
    elif tree.func.id == SPLINE and set(options) == {"df"}:
        right = type(options["df"]) is int and options["df"] > 0
    else:
        right = False
    return tree.args[0] if right else tree


def _is_column(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Attribute)


def _is_allowed(node: ast.expr, names: dict[str, str], columns: dict[str, str]) -> bool:
    """Walk the whole tree; the columns met are noted."""
    if _is_column(node):  # a dotted name is a column, or nothing
        written = ast.unparse(node)
        if written in names:
            columns[written] = names[written]
        return written in names
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    if isinstance(node, ast.BinOp):
        parts, known = [node.left, node.right], isinstance(node.op, ARITHMETIC)
    elif isinstance(node, ast.UnaryOp):
        parts, known = [node.operand], isinstance(node.op, SIGNS)
    elif isinstance(node, ast.Call):
        parts = list(node.args)
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        known = called in TRANSFORMS and len(parts) == 1 and not node.keywords
    else:
        return False
    return known and all(_is_allowed(part, names, columns) for part in parts)


def _refuse_text(text: str) -> NoReturn:
    raise OutcomeError(
        f"1 formula cannot be read: {text!r}",
        "A formula is a right-hand side: terms joined by +, with a * b or a:b for interactions",
        "Write for example covariates='group * log(bilirubin) + age', or pass a list of terms",
    )


def _refuse_unknown(unknown: list[str], known: list[str]) -> NoReturn:
    raise OutcomeError(
        f"{len(unknown)} term(s) are unknown: {', '.join(unknown)}",
        f"A term is made of covariates of the outcome ({', '.join(known) or 'none declared'}), numbers, + - * / **, "
        f"{', '.join(TRANSFORMS)}, and outermost C(x, reference='level') or ns(x, df=3)",
        "Declare the column with from_frame(..., covariates=[...]); a name with blanks or signs stands in `backticks`",
    )
