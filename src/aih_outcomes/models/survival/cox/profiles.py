"""Patients described by their covariates, read into the columns of a fitted Cox model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import GROUP, as_category
from aih_outcomes.models.survival.cox.result import CoxFit
from aih_outcomes.models.terms.design import Matrix, build_design, code_rows, column_of
from aih_outcomes.outcomes import Vector


def refuse_no_profiles(frame: object) -> None:
    """Refuse what describes nobody, or two patients by one name.

    Raises
    ------
    OutcomeError
    """
    if not isinstance(frame, pd.DataFrame) or not len(frame):
        given = "0 rows are given" if isinstance(frame, pd.DataFrame) else f"A {type(frame).__name__} is given"
        raise OutcomeError(given, "Each row of a DataFrame describes a patient", "Give at least one row")
    repeated = int(frame.index.astype(str).duplicated().sum())
    if repeated:
        raise OutcomeError(
            f"{repeated} of {len(frame)} rows have a name that another row has", "The index names the curves",
            "Name the rows, or write frame.reset_index(drop=True)",
        )  # fmt: skip


def read_profiles(fit: CoxFit, frame: pd.DataFrame) -> Matrix:
    """(n_rows, p) columns of the model for each row of ``frame``.

    Raises
    ------
    OutcomeError : a covariate is not in the frame, is missing for a row, or has a level that the fit does not know
    """
    needed = fit.design.columns
    if GROUP in needed and GROUP not in frame and fit.by_name in frame:
        frame = frame.rename(columns={fit.by_name: GROUP})
    absent = [name for name in needed if name not in frame]
    if absent:
        raise OutcomeError(
            f"{len(absent)} covariate(s) of the model are not given: {', '.join(absent)}",
            f"The model reads {', '.join(needed)}", "Give a value for each of them",
        )  # fmt: skip
    X = code_rows(fit.design, frame)
    _refuse_missing(int(np.sum(~np.isfinite(X).all(axis=1))), len(X))
    return X


def read_offset(fit: CoxFit, frame: pd.DataFrame) -> Vector:
    """(n_rows,) the offset of each row; 0 where the fit has none.

    Raises
    ------
    OutcomeError : the covariate is not in the frame, or is missing for a row
    """
    if fit.offset is None:
        return np.zeros(len(frame))
    column = column_of(fit.offset)
    if column not in frame:
        raise OutcomeError(
            f"The offset {column!r} is not given", "It is part of everyone's linear predictor",
            f"Add the column {column!r}",
        )  # fmt: skip
    offset = build_design(frame, [fit.offset]).X[:, 0]
    _refuse_missing(int(np.sum(~np.isfinite(offset))), len(offset))
    return offset


def read_strata(fit: CoxFit, frame: pd.DataFrame) -> list[str]:
    """Return the stratum of each row.

    Raises
    ------
    OutcomeError : the column is not there, or a row has a stratum that the fit does not know
    """
    assert fit.strata is not None
    if fit.strata not in frame:
        raise OutcomeError(
            f"The stratum {fit.strata!r} is not given", "Each stratum has a baseline hazard of its own",
            f"Add the column {fit.strata!r}",
        )  # fmt: skip
    known = {str(level) for level in as_category(fit.frame[fit.strata]).remove_unused_categories().categories}
    levels = [str(level) for level in as_category(frame[fit.strata])]
    strange = sum(level not in known for level in levels)
    if strange:
        raise OutcomeError(
            f"{strange} of {len(levels)} rows have a level of {fit.strata!r} that the model does not know",
            f"It was fitted on {', '.join(sorted(known))}", "Name one of these levels, or leave these rows out",
        )  # fmt: skip
    return levels


def _refuse_missing(count: int, total: int) -> None:
    if count:
        raise OutcomeError(
            f"{count} of {total} rows lack a covariate of the model", "A missing value is never a normal one",
            "Complete these rows, or leave them out",
        )  # fmt: skip
