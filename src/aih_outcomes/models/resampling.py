"""Estimates from several copies of the data: bootstrap intervals, and Rubin's rules for imputed ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.cox.checks import require_fit
from aih_outcomes.models.survival.cox.result import FEW_EVENTS
from aih_outcomes.models.survival.designs.design import caution, name_design

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from aih_outcomes.models.survival.cox.result import CoxFit

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """Estimates of m imputed data sets, pooled by Rubin's rules; vectors are (p,).

    Attributes
    ----------
    estimate : mean of the estimates; ``std_error`` : root of the total variance
    within, between : mean of their variances, and the variance of the estimates
    df : degrees of freedom (Barnard & Rubin); ``df_large`` : the same without a limit by the sample's size (Rubin)
    riv : relative increase of the variance; ``share`` : share of it due to imputation (λ)
    fmi : fraction of missing information
    """

    m: int
    estimate: Floats
    std_error: Floats
    within: Floats
    between: Floats
    df: Floats
    df_large: Floats
    riv: Floats
    share: Floats
    fmi: Floats

    def limits(self, conf_level: float = 0.95) -> tuple[Floats, Floats]:
        """Return lower and upper limits by Student's t."""
        refuse_no_level(conf_level)
        width = student.ppf((1 + conf_level) / 2, self.df) * self.std_error
        return self.estimate - width, self.estimate + width

    @property
    def p_value(self) -> Floats:
        """(p,) two-sided p-value of no effect."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(2 * student.sf(np.abs(self.estimate / self.std_error), self.df))


@dataclass(frozen=True, slots=True, eq=False)
class PooledFits:
    """The same Cox model fitted to several imputed data sets, pooled."""

    fits: tuple[CoxFit, ...]
    pooled: Pooled
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per term.

        Returns
        -------
        frame : ``label, term, n_event, estimate`` to ``df, p_value`` on the log scale,
            ``hazard_ratio, hr_low, hr_high``, ``fmi`` (fraction of missing information), ``riv`` (relative increase of
            the variance), and the counts and the design of the first fit
        """
        first, pooled = self.fits[0], self.pooled
        low, high = pooled.limits(first.conf_level)
        kept = ["label", "term", "n", "n_event", "reference", "n_reference", "n_event_reference", "design", "biased"]
        return order_columns(first.tidy()[kept].assign(
            estimate=pooled.estimate, std_error=pooled.std_error, conf_low=low, conf_high=high,
            statistic=pooled.estimate / pooled.std_error, df=pooled.df, p_value=pooled.p_value,
            hazard_ratio=np.exp(pooled.estimate), hr_low=np.exp(low), hr_high=np.exp(high), fmi=pooled.fmi,
            riv=pooled.riv,
        ))  # fmt: skip

    def glance(self) -> dict[str, Any]:
        """Return how many data sets were pooled, and why not, if so."""
        return {
            "n_imputations": len(self.fits), "n": len(self.fits[0].frame), "n_event": self.fits[0].n_event,
            "events_per_parameter": self.fits[0].events_per_parameter,
            "design": name_design(self.fits[0].outcome.design), "conf_level": self.fits[0].conf_level,
            "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption."""
        if self.not_estimable:
            return f"Pooled Cox model not estimable: {self.not_estimable}."
        outcome = self.fits[0].outcome
        text = (
            f"Cox model of {outcome.label} pooled over {len(self.fits)} imputed data sets (Rubin's rules, degrees of "
            "freedom of Barnard and Rubin); values are assumed to be missing at random."
        )
        if self.fits[0].events_per_parameter < FEW_EVENTS:
            text += f" Fewer than {FEW_EVENTS} events per parameter: ratios tend to be too extreme."
        return f"{text} {caution(outcome.design)}".strip()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the pooled hazard ratios as a forest for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy()
        ratios = {"estimate": tidy["hazard_ratio"], "conf_low": tidy["hr_low"], "conf_high": tidy["hr_high"]}
        return draw_forest(tidy.assign(**ratios), ax=ax)


def pool_estimates(estimates: Floats, variances: Floats, *, df_complete: float = np.inf) -> Pooled:
    """Pool estimates of m imputed data sets by Rubin's rules.

    Parameters
    ----------
    estimates, variances : (m, p), or (m,) for one quantity; on a scale on which they are about normal
    df_complete : degrees of freedom if nothing were missing, above 0; infinite for a normal quantile

    Returns
    -------
    pooled : vectors (p,)

    Raises
    ------
    OutcomeError : fewer than two data sets, arrays of different shapes, a variance below 0, no degrees of freedom

    Notes
    -----
    Rubin, Multiple Imputation for Nonresponse in Surveys, 1987, 3.3; Barnard & Rubin, Biometrika 1999;86:948.

    Examples
    --------
    >>> pooled = pool_estimates(np.array([1.0, 1.2, 1.4]), np.array([0.04, 0.04, 0.04]))
    >>> round(float(pooled.estimate[0]), 3), round(float(pooled.std_error[0]), 3)
    (1.2, 0.306)
    """
    q, u = _read_sets(estimates), _read_sets(variances)
    if len(q) < 2 or q.shape != u.shape:
        raise OutcomeError(
            f"{len(q)} sets of estimates came with {len(u)} of variances",
            "Rubin's rules need two imputed data sets or more, each with its estimates and their variances",
            "Impute several times, and pass arrays of one shape",
        )
    below = int(np.sum(u < 0))
    if below or not df_complete > 0:
        raise OutcomeError(
            f"{below} variances lie below 0, df_complete={df_complete!r}",
            "A variance is 0 or more, degrees of freedom are more than 0",
            "Pass squared standard errors, and events minus terms as df_complete",
        )
    q, u = q.reshape(len(q), -1), u.reshape(len(u), -1)
    m, within, between = len(q), u.mean(axis=0), q.var(axis=0, ddof=1)
    added = (1 + 1 / m) * between
    total = within + added
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing missing: no limit on the degrees of freedom
        riv, share = added / within, added / total
        df_large = (m - 1) / share**2
        observed = (df_complete + 1) / (df_complete + 3) * df_complete * (1 - share)
        df = df_large if np.isinf(df_complete) else np.where(share > 0, 1 / (1 / df_large + 1 / observed), observed)
        fmi = (riv + 2 / (df + 3)) / (riv + 1)
    return Pooled(m, q.mean(axis=0), np.sqrt(total), within, between, np.asarray(df), df_large, riv, share, fmi)


def _read_sets(values: Floats) -> Floats:
    """Return arrays of numbers, one row per data set; rows of different lengths are none."""
    try:
        return np.atleast_1d(np.asarray(values, float))
    except ValueError:
        return np.empty(0)


def pool_fits(fits: Sequence[CoxFit], *, df_complete: float | None = None) -> PooledFits:
    """Pool one Cox model fitted to several imputed data sets.

    Parameters
    ----------
    fits : one per imputed data set, of the same terms
    df_complete : degrees of freedom if nothing were missing; None for events minus terms

    Returns
    -------
    result : NaN, with the reason, where one of the fits is not estimable

    Raises
    ------
    OutcomeError : fewer than two Cox fits, or fits of different terms, rows or events
    """
    for fit in fits:
        require_fit(fit)
    known = {(tuple(fit.design.names), len(fit.frame), fit.n_event, fit.conf_level) for fit in fits}
    if len(fits) < 2 or len(known) > 1:
        raise OutcomeError(
            f"{len(fits)} fits of {len(known)} kind(s) are to be pooled",
            "Rubin's rules pool the same model over two or more imputed copies of the same rows",
            "Fit the same terms to each imputed data set",
        )
    failed = [fit.not_estimable for fit in fits if fit.not_estimable is not None]
    reason = f"{len(failed)} of {len(fits)} fits are not ({failed[0]})" if failed else None
    estimates = np.array([fit.coefficients for fit in fits])
    free = fits[0].n_event - estimates.shape[1] if df_complete is None else df_complete
    if reason is None and not free > 0:
        reason = "no event is left over for degrees of freedom"
    if reason:
        estimates, free = np.full_like(estimates, np.nan), 1
    variances = np.array([np.diag(fit.vcov) for fit in fits])
    return PooledFits(tuple(fits), pool_estimates(estimates, variances, df_complete=free), reason)


def compute_percentile_interval(replicates: Floats, *, conf_level: float) -> tuple[Floats, Floats, Floats]:
    """Return lower limit, upper limit and standard deviation of bootstrap replicates.

    Parameters
    ----------
    replicates : (B, …) one estimate per resample; NaN where a resample gave none

    Returns
    -------
    low, high, spread : (…,) percentiles and standard deviation of those that gave one; the limits are NaN where more
        of them failed than the interval leaves out: nobody knows on which side of it they would lie

    Notes
    -----
    Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982, 10.4.
    """
    refuse_no_level(conf_level)
    if not len(replicates):
        nothing = np.full(np.shape(replicates)[1:], np.nan)
        return nothing, nothing, nothing
    known = np.isfinite(replicates)
    n_known = known.sum(axis=0)
    filled = np.sort(np.where(known, replicates, np.inf), axis=0)
    left_out = (1 - conf_level) * len(replicates) * (1 + 1e-9)
    enough = (n_known > 1) & (len(replicates) - n_known <= left_out)
    limits = [_quantile(filled, n_known, share, enough) for share in ((1 - conf_level) / 2, (1 + conf_level) / 2)]
    mean = np.where(known, replicates, 0.0).sum(axis=0) / np.maximum(n_known, 1)
    square = np.where(known, (np.where(known, replicates, 0.0) - mean) ** 2, 0.0).sum(axis=0)
    spread = np.where(n_known > 1, np.sqrt(square / np.maximum(n_known - 1, 1)), np.nan)
    return limits[0], limits[1], spread


def _quantile(ordered: Floats, n_known: NDArray[np.int64], share: float, enough: NDArray[np.bool_]) -> Floats:
    """(…,) quantile of the first ``n_known`` of sorted values (B, …), between neighbours (R's type 7)."""
    place = share * np.maximum(n_known - 1, 0)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(n_known - 1, 0))
    left, right = (np.take_along_axis(ordered, at[None], axis=0)[0] for at in (below, above))
    with np.errstate(invalid="ignore"):
        return np.where(enough, left + (place - below) * (right - left), np.nan)
