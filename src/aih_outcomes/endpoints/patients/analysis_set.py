"""One row per patient, with what each column means: what a colleague opens in SPSS, Stata, R or Excel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.endpoints.response.evaluation import MET, NOT_EVALUABLE, NOT_MET
from aih_outcomes.errors import OutcomeError

VariableType = Literal["text", "coded", "number", "date"]
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")  # Stata's 32 characters; SPSS takes 64
LONGEST_TITLE = 80  # characters of a variable label in Stata; SPSS takes 256 bytes
LONGEST_WORDS = 120  # bytes of a value label in SPSS
MOST_MISSING = 3  # user-missing values of a variable in SPSS
# Words that SPSS or Stata keep for themselves [m].
RESERVED = frozenset(
    {
        "all", "and", "by", "eq", "ge", "gt", "le", "lt", "ne", "not", "or", "to", "with",
        "byte", "double", "float", "if", "in", "int", "long", "str", "strl", "using",
    }
)  # fmt: skip
STATUS_LEVELS: Mapping[int, str] = {0: NOT_MET, 1: MET, 9: NOT_EVALUABLE}
STATUS_MISSING = (NOT_EVALUABLE,)
YES_NO_LEVELS: Mapping[int, str] = {0: "no", 1: "yes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One column of an analysis set.

    Attributes
    ----------
    name : the same in every file: a letter, then letters, digits, underscores, at most 32
    label : what it is, in a clinician's words; with the unit at most 80 characters
    unit : as printed behind the label; empty where there is none
    levels : code → words of a coded variable; the column holds the words, or True and False for the codes 1 and 0
    missing : words of ``levels`` that are no answer, such as *not evaluable*: labelled, and never averaged in
    """

    name: str
    label: str
    unit: str = ""
    levels: Mapping[int, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def problem(self) -> str:
        """What keeps this variable out of SPSS or Stata; empty where nothing does."""
        words = list(self.levels.values())
        checks = {
            "its name is not a letter followed by at most 31 letters, digits or underscores": not NAME.fullmatch(
                self.name
            ),
            "its name is a word that SPSS or Stata keep for themselves": self.name.lower() in RESERVED,
            f"its label has more than {LONGEST_TITLE} characters, or none": not 0 < len(self.title) <= LONGEST_TITLE,
            "two of its codes have the same words": len(set(words)) < len(words),
            f"words of a code have more than {LONGEST_WORDS} bytes": any(
                len(w.encode()) > LONGEST_WORDS for w in words
            ),
            "its missing words are not among its levels": not set(self.missing) <= set(words),
            f"it has more than {MOST_MISSING} missing words": len(self.missing) > MOST_MISSING,
        }
        return next((said for said, broken in checks.items() if broken), "")


@dataclass(frozen=True, slots=True, eq=False)
class AnalysisSet:
    """One row per patient and the meaning of each column, checked at birth. Line-level: for internal use.

    Attributes
    ----------
    frame : one row per patient, ``patient_id`` first; texts, words of levels, numbers, dates
    variables : one per column, in order
    label : what the data are, e.g. ``synthetic cohort``

    Raises
    ------
    OutcomeError : columns and variables differ, a name cannot be used in SPSS or Stata, patients repeat, or a column
        holds what its levels do not name
    """

    frame: pd.DataFrame
    variables: tuple[Variable, ...]
    label: str = ""

    def __post_init__(self) -> None:
        """Refuse what could not be written, or would be read wrongly."""
        names = [variable.name for variable in self.variables]
        if names != list(self.frame.columns) or names[:1] != ["patient_id"]:
            raise OutcomeError(
                f"The analysis set has {self.frame.shape[1]} columns and {len(names)} variables that do not match",
                "Each column has one variable, in the same order; the first is patient_id",
                "Build frame and variables from one list",
            )
        _check_names(self.variables)
        ids = self.frame["patient_id"]
        repeated = int((ids.isna() | ids.duplicated(keep=False)).sum())
        if repeated:
            raise OutcomeError(
                f"{repeated} of {len(ids)} rows of the analysis set have no patient of their own",
                "An analysis set has one row per patient",
                "Bring each patient's endpoints into one row first",
            )
        for variable in self.variables:
            _check_column(variable, self.frame[variable.name])

    def type_of(self, variable: Variable) -> VariableType:
        """Return what a column holds: coded, date, number or text."""
        values = self.frame[variable.name]
        if variable.levels:
            return "coded"
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            return "date"
        return "number" if pd.api.types.is_numeric_dtype(values.dtype) else "text"

    def words(self, variable: Variable) -> pd.Series:
        """Return a coded column as words; True and False become the words of the codes 1 and 0."""
        return _in_words(variable, self.frame[variable.name])

    def codes(self, variable: Variable) -> pd.Series:
        """Return a coded column as codes (float64), NaN where nothing is known."""
        codes = {words: code for code, words in variable.levels.items()}
        return self.words(variable).map(codes).astype("float64")


def _check_names(variables: tuple[Variable, ...]) -> None:
    problems = [(variable.name, variable.problem) for variable in variables if variable.problem]
    lower = [variable.name.lower() for variable in variables]
    if len(set(lower)) < len(lower):
        again = next(name for name in lower if lower.count(name) > 1)
        problems.append((again, "its name stands twice; SPSS does not tell capitals from small letters"))
    if problems:
        raise OutcomeError(
            f"{len(problems)} variable(s) of the analysis set cannot be written; {problems[0][0]!r}: {problems[0][1]}",
            "A variable has one name and one label that SPSS, Stata and Excel all take",
            "Rename it, or shorten its label",
        )


def _check_column(variable: Variable, values: pd.Series) -> None:
    """Refuse what a level does not name, truth values without words, and numbers that are not finite."""
    if variable.levels:
        bad = _in_words(variable, values).notna() & ~_in_words(variable, values).isin(variable.levels.values())
        rule = f"is one of {', '.join(variable.levels.values())}"
    elif pd.api.types.is_bool_dtype(values.dtype):
        bad, rule = values.notna(), "of truth values has the levels 0 and 1"
    elif pd.api.types.is_numeric_dtype(values.dtype):
        bad, rule = pd.Series(np.isinf(values.to_numpy(float, na_value=np.nan))), "of numbers is finite"
    elif pd.api.types.is_datetime64_any_dtype(values.dtype):
        bad, rule = values.notna() & (values != values.dt.normalize()), "of dates has no time of day"
    else:
        bad, rule = values.notna() & ~values.map(lambda cell: isinstance(cell, str)).astype(bool), "of text is text"
    if bad.any():
        raise OutcomeError(
            f"{int(bad.sum())} of {len(values)} values of {variable.name!r} do not fit the variable",
            f"A value of a column {rule}",
            "Give the variable the levels that occur, or mend the column",
        )


def as_objects(values: pd.Series) -> NDArray[np.object_]:
    """Return a column as Python objects, missing as None."""
    cells = np.array(values.to_numpy(object), dtype=object)
    cells[values.isna().to_numpy(bool)] = None
    return cells


def _in_words(variable: Variable, values: pd.Series) -> pd.Series:
    if pd.api.types.is_bool_dtype(values.dtype):
        return values.map({True: variable.levels.get(1), False: variable.levels.get(0)}).astype(object)
    return pd.Series(as_objects(values), index=values.index, dtype=object)
