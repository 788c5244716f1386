"""MMRM: values at nominal visits, with any covariance between the visits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import refuse_unknown_choice
from aih_outcomes.models.longitudinal.covariance_choice import Method, Search
from aih_outcomes.models.longitudinal.fixed_effects import (
    TIME,
    VISIT,
    FixedEffects,
    Missing,
    Scale,
    build_fixed_effects,
    levels_of,
)
from aih_outcomes.models.longitudinal.gaussian.covariances import VisitCovariance
from aih_outcomes.models.longitudinal.gaussian.inference import Covariance, DegreesOfFreedom
from aih_outcomes.models.longitudinal.gaussian.likelihood import Fitted, Rows
from aih_outcomes.models.longitudinal.gaussian.visits import (
    describe_singular,
    fit_visits,
    own_time_parameters,
    visit_covariances,
    why_not,
)
from aih_outcomes.models.longitudinal.kept_values import add_exclusion, leave_out, refuse_no_measures, since_landmark
from aih_outcomes.models.longitudinal.mixed_model import MixedModel, fit_model
from aih_outcomes.models.longitudinal.random_effects import (
    level_of_patients,
    read_row_weights,
    refuse_unknown_choices,
)
from aih_outcomes.models.longitudinal.too_little import NOTHING_LEFT, leaves_nothing, too_few
from aih_outcomes.models.longitudinal.visit_windows import Visits, read_windows, values_at_visits
from aih_outcomes.models.result import refuse_no_level
from aih_outcomes.outcomes import Groups, RepeatedMeasures

# From the richest structure to the poorest; the first that the data carry is used, and those left are told.
LADDER: tuple[VisitCovariance, ...] = (
    "unstructured", "heterogeneous toeplitz", "heterogeneous ar1", "compound symmetry",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class VisitsCovariance:
    """A covariance between visits.

    Attributes
    ----------
    covariance : structure asked for
    covariance_by : column whose levels have covariances of their own
    weights : column; variances are divided by it
    """

    covariance: VisitCovariance
    covariance_by: str | None
    weights: str | None

    def search(self, fixed: FixedEffects, method: Method, start: Fitted | None) -> Search:
        """Fit the structure, or the first one below it on the ladder that the data carry."""
        reason = too_few(fixed)
        if reason:
            return Search(None, self.covariance, reason=reason)
        rows, visits = self._rows(fixed)
        n_visits = len(visits)
        begin = None if start is None else start.evaluation.theta
        if len(rows.response) <= rows.X.shape[1]:
            return Search(None, self.covariance, reason="no more values than terms")
        at = LADDER.index(self.covariance) if self.covariance in LADDER else len(LADDER)
        rungs = LADDER[at:] or (self.covariance,)
        tried: list[str] = []
        for rung in rungs:
            trouble, fitted = why_not(rows, rung, n_visits), None
            if trouble is None:
                fitted = fit_visits(rows, rung, n_visits=n_visits, reml=method == "REML", start=begin)
                trouble = fitted.trouble
            singular = None if trouble or fitted is None else describe_singular(fitted, visits)
            if singular and leaves_nothing(replace(rows, Z=np.ones((len(rows.response), 1)))):
                trouble = NOTHING_LEFT
            if fitted is not None and not trouble and (singular is None or rung == rungs[-1]):
                return Search(fitted, rung, tuple(tried), singular)
            tried.append(f"{rung} ({trouble or singular})")
        return Search(None, self.covariance, tuple(tried[:-1]), reason=tried[-1])

    def components(self, fitted: Fitted) -> pd.DataFrame:
        """List the standard deviation of each visit, and correlations of visits, by level of ``covariance_by``."""
        rows = []
        for level, Sigma in enumerate(visit_covariances(fitted)):
            sd = np.sqrt(np.diag(Sigma))
            suffix = "" if self.covariance_by is None else f"_{self.covariance_by}{level + 1}"
            rows += [(f"sd_visit{a + 1}{suffix}", sd[a]) for a in range(len(sd))]
            rows += [(f"correlation_visit{b + 1}_visit{a + 1}{suffix}", Sigma[a, b] / (sd[a] * sd[b]))
                     for a in range(len(sd)) for b in range(a)]  # fmt: skip
        for level, (spread, reach) in enumerate(own_time_parameters(fitted)):
            suffix = "" if self.covariance_by is None else f"_{self.covariance_by}{level + 1}"
            rows += [(f"sd{suffix}", spread), (f"range{suffix}", reach)]
        return pd.DataFrame(rows, columns=["component", "estimate"])

    def random_effects(self, fitted: Fitted) -> pd.DataFrame:
        """Nothing: patients differ by their correlated residuals only."""
        return pd.DataFrame(index=range(int(fitted.rows.patient.max()) + 1))

    def count(self, fitted: Fitted, method: Method) -> tuple[int, int]:
        """Count variances (with ML the fixed effects too), and patients: mmrm's convention."""
        k = len(fitted.evaluation.theta)
        return k + (0 if method == "REML" else len(fitted.evaluation.beta)), int(fitted.rows.patient.max()) + 1

    def describe(self) -> str:
        """Words for a caption."""
        by = "" if self.covariance_by is None else f" by {self.covariance_by}"
        return f"repeated measures at nominal visits (MMRM), {self.covariance} covariance{by}" + (
            "" if self.weights is None else f", weights {self.weights}"
        )

    def _rows(self, fixed: FixedEffects) -> tuple[Rows, tuple[str, ...]]:
        frame, n = fixed.frame, len(fixed.frame)
        visit, names = levels_of(frame, VISIT)
        stratum = np.zeros(n, np.intp) if self.covariance_by is None else level_of_patients(fixed, self.covariance_by)
        weight = np.ones(n) if self.weights is None else read_row_weights(frame, self.weights)
        return Rows(fixed.response, np.ascontiguousarray(fixed.X[:, fixed.kept]), fixed.patient,
                    frame[TIME].to_numpy(float), visit, np.empty((n, 0)), stratum, weight,
                    np.zeros(0, np.intp)), names  # fmt: skip


def fit_repeated_measures(
    measures: RepeatedMeasures,
    *,
    by: Groups | str | None = None,
    covariates: Sequence[str] | str = (),
    course: str | None = VISIT,
    visits: Visits | None = None,
    covariance: VisitCovariance = "unstructured",
    covariance_by: str | None = None,
    weights: str | None = None,
    df: DegreesOfFreedom = "kenward-roger",
    vcov: Covariance = "model",
    method: Method = "REML",
    scale: Scale = "identity",
    from_day: int | None = None,
    missing: Missing = "raise",
    conf_level: float = 0.95,
) -> MixedModel:
    """Fit value ~ group × visit + covariates with correlated values of a patient (MMRM).

    Parameters
    ----------
    measures : values over time, each at a nominal visit
    by : groups (guarded), a covariate read as categories, or None; the first level is the reference
    covariates : terms or a formula beside the course
    course : how the mean runs in time: ``visit``, or a formula in ``time`` and ``years``; None for no change
    visits : windows, on the clock of the fit; per patient and visit the value nearest the nominal day is used. None:
        ``visit`` as it stands in the measures; values without a visit are left out
    covariance : between visits. If the data do not carry it, the next one of unstructured, heterogeneous Toeplitz,
        heterogeneous AR(1), compound symmetry is fitted, and ``tried`` says so
    covariance_by : column whose levels have covariances of their own (``group``, or a covariate)
    weights : column; variances are divided by it
    df : degrees of freedom; Kenward-Roger as SAS (observed information, second derivatives in SAS's parameters), or
        ``kenward-roger-linear`` without them; R's ``mmrm`` takes them in parameters of its own
        (``kenward-roger-mmrm``), whose limits are too narrow where patients are few and drop out
    vcov : of the estimates: model-based, or robust to a wrong covariance (``CR0``, ``CR2``, ``CR3``)
    method : restricted or full maximum likelihood
    scale : ``log`` for quantities that change by factors
    from_day : landmark: values from this day on, of patients whose group was known by it, time since it
    missing : rows whose covariates have no value: refuse, or exclude and count

    Returns
    -------
    fit : where the data do not determine the estimates they are NaN and ``not_estimable`` says why

    Raises
    ------
    ImmortalTimeError : values from before membership was known; the analyte decides the groups
    OutcomeError : no visits, or two values of one patient at one; unknown terms or choices, missing covariates

    Notes
    -----
    Mallinckrodt et al., Drug Inf J 2008;42:303; Kenward & Roger, Biometrics 1997;53:983. A visit is never the worst
    value of its window and never the mean. With ``method="ML"`` standard errors are SAS's and mmrm's; nlme's ``gls``
    multiplies them by √(n / (n − p)).

    Examples
    --------
    >>> import pandas as pd
    >>> values = [5, 7, 9, 6, 6, 8, 4, 8, 9, 5, 5, 7, 6, 7, 10]
    >>> frame = pd.DataFrame({"id": [i for i in range(5) for _ in range(3)], "v": [1, 2, 3] * 5, "y": values})
    >>> measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="v", visit="v", value="y")
    >>> fit = fit_repeated_measures(measures, covariance="compound symmetry")
    >>> [round(float(value), 3) for value in fit.estimate]
    [5.2, 1.4, 3.4]
    """
    refuse_no_level(conf_level)
    refuse_unknown_choice("covariance", covariance, get_args(VisitCovariance))
    refuse_unknown_choices(df, vcov, method, scale, missing)
    refuse_no_measures(measures)
    at_hand = measures if from_day is None else since_landmark(measures, by, from_day)
    # A landmark has made the groups a column.
    own = "group" if from_day is not None and isinstance(by, Groups) else by
    at_hand = at_visits(at_hand, visits)
    needed = [name for name in (covariance_by, weights) if name is not None]
    fixed = build_fixed_effects(at_hand, by=own, covariates=covariates, course=course, scale=scale, from_day=None,
                                missing=missing, needed=needed)  # fmt: skip
    if isinstance(by, Groups):
        fixed = replace(fixed, by_name=by.name)
    chosen = VisitsCovariance(covariance, covariance_by, weights)
    return fit_model(fixed, chosen, scale=scale, method=method, df=df, vcov=vcov, conf_level=conf_level)


def at_visits(measures: RepeatedMeasures, visits: Visits | None) -> RepeatedMeasures:
    """Keep one value per patient and visit; values at no visit are left out.

    Raises
    ------
    OutcomeError : no value has a visit; two values of one patient at one visit
    """
    if visits is not None:
        nearest = values_at_visits(measures.frame, read_windows(visits))
        count = len(measures.frame) - len(nearest)
        left = add_exclusion(measures.exclusions, count, "at no visit, or not the nearest to its nominal day")
        return replace(measures, frame=nearest, exclusions=left if count else measures.exclusions)
    at_hand = leave_out(measures, measures.frame[VISIT].notna().to_numpy(bool), "at no visit")
    frame = at_hand.frame
    if len(frame) == 0 and len(measures.frame):
        raise OutcomeError(
            f"None of {len(measures.frame)} values of {measures.label!r} names a visit",
            "Repeated measures stand at nominal visits",
            "Give visits=[28, 91, 182], or windows by name; or visit= in from_frame(...)",
        )
    twice = int(frame.duplicated(["patient_id", VISIT]).sum())
    if twice:
        raise OutcomeError(
            f"{twice} of {len(frame)} values are a second one of their patient and visit",
            "A visit has one value: the one nearest its nominal day",
            "Give visits= with windows, and the nearest is picked",
        )
    return replace(at_hand, frame=frame.reset_index(drop=True))
