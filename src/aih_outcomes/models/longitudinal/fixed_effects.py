"""From repeated values to the rows of a mixed model: guard, landmark, scale, terms; what the data cannot tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.guard import (
    GROUP,
    as_category,
    declared_column,
    join_groups,
)
from aih_outcomes.models.longitudinal.kept_values import refuse_no_measures, since_landmark
from aih_outcomes.models.result import DAYS_PER_YEAR
from aih_outcomes.models.terms.design import Design, build_design, code_rows, restrict_design
from aih_outcomes.models.terms.formula import list_terms, read_terms
from aih_outcomes.outcomes import Groups, RepeatedMeasures, Vector
from aih_outcomes.outcomes.checks import DAYS_PER_UNIT

Scale = Literal["identity", "log"]
Missing = Literal["raise", "exclude"]
Matrix = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]

INTERCEPT, TIME, YEARS, VISIT = "intercept", "time", "years", "visit"
WELL_APART = 1e-8  # smallest eigenvalue of columns' cosines: each leaves 1e-4 of its length at least
LARGEST = 1e100  # of what can be squared and summed
ALIASED = 1e-7  # share of a column's length left after the columns before it, below which it is none of its own


@dataclass(frozen=True, slots=True, eq=False)
class FixedEffects:
    """The rows of a model, patients together and in the order of time.

    Attributes
    ----------
    measures : the values used, on the clock of the fit
    frame : ``measures.frame`` with ``group``, ``years``, ``visit`` as a category; ``patient`` (n,) their codes
    response : (n,) values, or their logarithms
    design : the terms; ``X`` (n, p_all) with the intercept first, ``names`` (p_all,)
    kept : (p_all,) False for columns that the ones before them make up already
    by : groups by name, as a column of ``measures``
    n_missing : rows left out for a covariate without a value
    random : terms of the random effects, learned on the same rows; None where a patient has none
    """

    measures: RepeatedMeasures
    frame: pd.DataFrame
    patient: Codes
    response: Vector
    design: Design
    X: Matrix
    names: tuple[str, ...]
    kept: Flags
    by: str | None
    by_name: str
    n_missing: int
    random: Design | None = None


def build_fixed_effects(
    measures: RepeatedMeasures,
    *,
    by: Groups | str | None,
    covariates: Sequence[str] | str,
    course: str | None,
    scale: Scale,
    from_day: int | None,
    missing: Missing = "raise",
    needed: Sequence[str] = (),
    random: str | None = None,
) -> FixedEffects:
    """Build the rows and terms ``group * course + covariates``.

    Parameters
    ----------
    measures : values over time
    by : groups (guarded), a covariate read as categories, or None
    covariates : terms or a formula beside the course
    course : how the mean runs in time, crossed with the groups; None for a mean that does not
    scale : ``log`` for quantities that change by factors
    from_day : landmark: values from this day on, of patients whose group was known by it, time since it
    missing : rows whose covariates have no value: refuse, or exclude and count
    needed : further columns that the covariance reads
    random : terms whose effects differ between patients

    Raises
    ------
    ImmortalTimeError : values from before membership was known; the analyte decides the groups
    OutcomeError : unknown terms, missing covariates, a value without a logarithm, different clocks
    """
    refuse_no_measures(measures)
    _refuse_own_names(measures, by, covariates)
    at_hand = measures if from_day is None else since_landmark(measures, by, from_day)
    fixed = GROUP if from_day is not None and isinstance(by, Groups) else by
    frame, patient = sort_rows(add_clocks(join_groups(at_hand, fixed), at_hand))
    refuse_no_columns(at_hand, needed)
    variables = _terms(by, course, covariates)
    asked = [variables, *([] if random is None else [list_terms(random)])]
    for terms in asked:
        _refuse_undeclared(at_hand, terms)
    designs = [build_design(frame, terms) for terms in asked]
    used: Flags = np.logical_and.reduce([np.isfinite(design.X).all(axis=1) for design in designs])
    for name in needed:
        used &= frame[name].notna().to_numpy(bool)
    n_missing = int(np.sum(~used))
    if n_missing:
        _answer_for_missing(n_missing, len(used), missing)
        frame, patient = frame.loc[used].reset_index(drop=True), patient[used]
        designs = [restrict_design(design, frame) for design in designs]
    name = by.name if isinstance(by, Groups) else (by or "")
    column = None if by is None else fixed if isinstance(fixed, str) else GROUP
    return _assemble(at_hand, frame, patient, designs, scale, column, name, n_missing)


def rebuild_fixed_effects(model: FixedEffects, measures: RepeatedMeasures, scale: Scale) -> FixedEffects:
    """Build the same terms on other rows of the same kind: levels, knots and clock as they were."""
    frame, patient = sort_rows(add_clocks(join_groups(measures, model.by), measures))
    if VISIT in model.frame and isinstance(model.frame[VISIT].dtype, pd.CategoricalDtype):
        frame[VISIT] = pd.Categorical(frame[VISIT].astype(object), categories=model.frame[VISIT].cat.categories)
    known = [model.design, *([] if model.random is None else [model.random])]
    designs = [replace(design, X=code_rows(design, frame)) for design in known]
    used: Flags = np.logical_and.reduce([np.isfinite(design.X).all(axis=1) for design in designs])
    if not used.all():
        frame, patient = frame.loc[used].reset_index(drop=True), patient[used]
        designs = [replace(design, X=design.X[used]) for design in designs]
    return _assemble(measures, frame, patient, designs, scale, model.by, model.by_name, int(np.sum(~used)))


def with_intercept(X: Matrix) -> Matrix:
    """(n, p + 1) with ones before."""
    return np.concatenate([np.ones((len(X), 1)), X], axis=1)


def add_clocks(frame: pd.DataFrame, measures: RepeatedMeasures) -> pd.DataFrame:
    """Add ``years`` since time zero, and order the visits by their time."""
    frame = frame.copy(deep=False)
    if YEARS not in frame:
        frame[YEARS] = frame[TIME].to_numpy(float) * (DAYS_PER_UNIT[measures.time_unit] / DAYS_PER_YEAR)
    if not isinstance(frame[VISIT].dtype, pd.CategoricalDtype) and frame[VISIT].notna().any():
        middle = frame.groupby(VISIT, sort=True)[TIME].median().sort_values(kind="stable")
        frame[VISIT] = pd.Categorical(frame[VISIT].astype(object), categories=middle.index.astype(object))
    return frame


def sort_rows(frame: pd.DataFrame) -> tuple[pd.DataFrame, Codes]:
    """Put each patient's rows together, in the order of time; patients stay in theirs. With their (n,) codes."""
    patient, time = pd.factorize(frame["patient_id"])[0], frame[TIME].to_numpy(float)
    step = np.diff(patient)
    if not np.all((step > 0) | ((step == 0) & (np.diff(time) >= 0))):
        order = np.lexsort((time, patient))
        frame, patient = frame.iloc[order], patient[order]
    frame = frame.copy(deep=False)
    frame.index = pd.RangeIndex(len(frame))
    return frame, patient


def refuse_no_columns(measures: RepeatedMeasures, names: Sequence[str]) -> None:
    """Refuse columns that the measures do not declare; their groups, visits and times are their own.

    Raises
    ------
    OutcomeError
    """
    for name in names:
        if name not in (GROUP, VISIT, TIME, YEARS):
            declared_column(measures, name)


def find_aliased(X: Matrix) -> Flags:
    """(p,) False for each column that those before it make up already, as R's ``lm`` leaves them out."""
    kept = np.ones(X.shape[1], bool)
    if len(X) and _well_apart(X):
        return kept
    while True:
        places = np.flatnonzero(kept)
        size = np.linalg.norm(X[:, places], axis=0)
        R = np.linalg.qr(X[:, places] / np.where(size > 0, size, 1.0), mode="r")
        own = np.abs(np.diag(R))
        own = np.concatenate([own, np.zeros(len(places) - len(own))])
        doubtful = np.flatnonzero((own < ALIASED) | (size == 0))
        if len(doubtful) == 0:
            return kept
        kept[places[doubtful[0]]] = False


def _well_apart(X: Matrix) -> bool:
    """Are columns so far apart that their sums of products, with half the digits of a decomposition, show it."""
    length = np.sqrt(np.einsum("ij,ij->j", X, X))
    if not length.all():
        return False
    return bool(np.linalg.eigvalsh(X.T @ X / np.outer(length, length))[0] > WELL_APART)


def _assemble(measures: RepeatedMeasures, frame: pd.DataFrame, patient: Codes, designs: Sequence[Design],
              scale: Scale, by: str | None, by_name: str, n_missing: int) -> FixedEffects:  # fmt: skip
    design, *random = designs
    own = frame[[column for column in measures.frame.columns if column in frame]]
    used = replace(measures, frame=own)
    X = with_intercept(design.X)
    return FixedEffects(
        used, frame, np.cumsum(np.diff(patient, prepend=patient[:1]) > 0, dtype=np.intp),
        _response(frame["value"].to_numpy(float), measures, scale), design, X, (INTERCEPT, *design.names),
        find_aliased(X) if len(X) else np.zeros(X.shape[1], bool), by, by_name, n_missing,
        random[0] if random else None,
    )  # fmt: skip


def _terms(by: Groups | str | None, course: str | None, covariates: Sequence[str] | str) -> list[str]:
    """List groups crossed with the course, then the covariates; the column of the groups stands once."""
    beside = [name for name in list_terms(covariates) if name not in (by, GROUP)]
    if by is None:
        return [*([] if course is None else [course]), *beside]
    return [GROUP if course is None else f"{GROUP} * ({course})", *beside]


def _refuse_own_names(measures: RepeatedMeasures, by: object, covariates: Sequence[str] | str) -> None:
    """Refuse columns that the model's own would silently replace: the years since time zero, the groups compared."""
    if YEARS in measures.covariates:
        raise OutcomeError(
            f"{measures.label!r} has a covariate {YEARS!r}", "A mixed model calls its time in years so",
            "Rename the covariate in your frame, such as age_years",
        )  # fmt: skip
    if by is not None and by != GROUP and GROUP in measures.covariates and GROUP in list_terms(covariates):
        raise OutcomeError(
            f"{GROUP!r} is a term beside by=, and a column of {measures.label!r}", "by= gives its groups that name",
            f"Pass by={GROUP!r}, and the other groups as a covariate; or both as covariates",
        )  # fmt: skip


def _refuse_undeclared(measures: RepeatedMeasures, variables: Sequence[str]) -> None:
    own = [GROUP, TIME, YEARS, VISIT]
    read_terms(variables, [*measures.covariates, *(name for name in own if name not in measures.covariates)])


def _answer_for_missing(count: int, n: int, missing: Missing) -> None:
    if missing == "raise":
        raise OutcomeError(
            f"{count} of {n} rows lack a covariate", "A missing value is never a normal one",
            'Leave them out by name with missing="exclude", or impute them',
        )  # fmt: skip


def _response(values: Vector, measures: RepeatedMeasures, scale: Scale) -> Vector:
    impossible = int(np.sum(values <= 0)) if scale == "log" else 0
    if impossible:
        raise OutcomeError(
            f"{impossible} of {len(values)} values of {measures.label!r} have no logarithm",
            "The log scale needs positive values",
            "Use scale='identity', or say what stands for a value below detection",
        )  # fmt: skip
    largest = float(np.abs(values).max(initial=0.0))
    if largest and not 1 / LARGEST < largest < LARGEST:
        raise OutcomeError(
            f"The largest value of {measures.label!r} is beyond what can be squared", f"Values lie below {LARGEST:g}, "
            f"and not all of them below {1 / LARGEST:g}", "Give them in another unit",
        )  # fmt: skip
    return np.log(values) if scale == "log" else values


def levels_of(frame: pd.DataFrame, column: str) -> tuple[Codes, tuple[str, ...]]:
    """(n,) codes of a column's levels that occur, and their names."""
    category = as_category(frame[column]).remove_unused_categories()
    return category.codes.astype(np.intp), tuple(str(level) for level in category.categories)
