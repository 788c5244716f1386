"""A fitted Cox model: coefficients, tests, sizes, and the words that go with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from aih_outcomes.models.guard import GROUP, counts_by_level
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.cox.concordance import Concordance
from aih_outcomes.models.survival.cox.kernel import Optimum, RiskSets
from aih_outcomes.models.survival.cox.terms import Design, Term
from aih_outcomes.models.survival.designs.design import BIASED, caution, name_design
from aih_outcomes.outcomes import CENSORED, TimeToEvent, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Ties = Literal["efron", "breslow"]
Missing = Literal["raise", "exclude"]
Matrix = NDArray[np.float64]

COUNTS = ["n", "n_event", "reference", "n_reference", "n_event_reference"]


@dataclass(frozen=True, slots=True, eq=False)
class CoxFit:
    """A fitted Cox model; p terms.

    Attributes
    ----------
    outcome : what was followed; ``frame`` the rows used, ``design`` their terms
    coefficients : (p,) log hazard ratios; NaN where not estimable
    vcov : (p, p) variance used for intervals and tests: robust where ``cluster`` is given
    vcov_model : (p, p) inverse of the information
    sets, optimum, concordance : the fit itself; None where not estimable
    not_estimable : the reason, or None
    """

    outcome: TimeToEvent
    by_name: str
    frame: pd.DataFrame
    design: Design
    sets: RiskSets | None
    optimum: Optimum | None
    concordance: Concordance | None
    coefficients: Vector
    vcov: Matrix
    vcov_model: Matrix
    ties: Ties
    cluster: str | None
    strata: str | None
    n_missing: int
    conf_level: float
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row per term.

        Returns
        -------
        frame : ``label, term, n_event, estimate, std_error, conf_low, conf_high, statistic, p_value`` on the log scale
            (Wald), then ``hazard_ratio, hr_low, hr_high``; ``n`` patients and ``n_event`` events of the level, with
            ``reference, n_reference, n_event_reference``; ``std_error_model`` beside a robust standard error;
            ``design``, ``biased``. Counts are missing for numbers, estimates where the model is not estimable.
        """
        z = norm.ppf((1 + self.conf_level) / 2)
        b, se = self.coefficients, np.sqrt(np.diag(self.vcov))
        frame = pd.DataFrame({
            "label": self.outcome.label, "term": self.design.names, "estimate": b, "std_error": se,
            "conf_low": b - z * se, "conf_high": b + z * se, "statistic": b / se,
            "p_value": 2 * norm.sf(np.abs(b / se)), "hazard_ratio": np.exp(b),
            "hr_low": np.exp(b - z * se), "hr_high": np.exp(b + z * se),
        })  # fmt: skip
        counts = pd.DataFrame([self._counts(term) for term in self.design.terms], index=frame.index, columns=COUNTS)
        frame = pd.concat([frame, counts], axis=1).astype({"n_reference": "Int64", "n_event_reference": "Int64"})
        if self.cluster:
            frame["std_error_model"] = np.sqrt(np.diag(self.vcov_model))
        design = self.outcome.design
        return order_columns(frame.assign(design=name_design(design), biased=design.startswith(BIASED)))

    def glance(self) -> dict[str, Any]:
        """Facts about the whole fit: sizes, likelihoods, tests, concordance, and why it is not estimable, if so."""
        facts = {
            "n": len(self.frame),
            "n_patients": int(self.frame["patient_id"].nunique()),
            "n_event": self.n_event,
            "n_parameters": len(self.design.terms),
            "events_per_parameter": self.n_event / max(len(self.design.terms), 1),
            "n_missing_excluded": self.n_missing,
            "by": self.by_name,
            "design": name_design(self.outcome.design),
            "ties": self.ties,
            "cluster": self.cluster,
            "strata": self.strata,
            "conf_level": self.conf_level,
        }
        return facts | self._likelihood() | self._concordance() | {"not_estimable": self.not_estimable}

    def describe(self) -> str:
        """Sentences for a caption."""
        variance = f", robust standard errors by {self.cluster}" if self.cluster else ""
        parts = [
            f"Cox model of {self.outcome.label} ({self.ties.capitalize()} ties{variance}); "
            f"{len(self.design.terms)} parameter(s); time since {self.outcome.time_zero}.",
            f"Groups: {self.by_name} ({name_design(self.outcome.design)})." if self.by_name else "",
            "Patients with missing covariates were left out." if self.n_missing else "",
            f"Not estimable: {self.not_estimable}." if self.not_estimable else "",
            caution(self.outcome.design),
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the hazard ratios as a forest for the analyst's screen."""
        from aih_outcomes.figures.forest import draw_forest

        tidy = self.tidy()
        ratios = {"estimate": tidy["hazard_ratio"], "conf_low": tidy["hr_low"], "conf_high": tidy["hr_high"]}
        return draw_forest(tidy.assign(**ratios), ax=ax)

    @property
    def n_event(self) -> int:
        """Number of events among the rows used."""
        return int((self.frame["event"] != CENSORED).sum())

    def _counts(self, term: Term) -> dict[str, object]:
        if term.level is None:
            return {"n": pd.NA, "n_event": pd.NA, "reference": pd.NA, "n_reference": pd.NA, "n_event_reference": pd.NA}
        rows = self.frame.assign(**{GROUP: self.design.categories[term.variable]})
        counts = counts_by_level(rows, [str(term.level), str(term.reference)])
        (n, n_event), (n_reference, n_event_reference) = counts.to_numpy().tolist()
        return {
            "n": n,
            "n_event": n_event,
            "reference": term.reference,
            "n_reference": n_reference,
            "n_event_reference": n_event_reference,
        }

    def _likelihood(self) -> dict[str, Any]:
        names = [
            "loglik_null",
            "loglik",
            "aic",
            "scaled_gradient",
            "lr_test",
            "lr_p_value",
            "wald_test",
            "wald_p_value",
            "score_test",
            "score_p_value",
        ]
        if self.optimum is None:
            return dict.fromkeys(names, float("nan"))
        p, best = len(self.coefficients), self.optimum
        tests = [
            2 * (best.loglik - best.loglik_null),
            float(self.coefficients @ np.linalg.solve(self.vcov, self.coefficients)),
            best.score_test,
        ]
        values = [best.loglik_null, best.loglik, 2 * p - 2 * best.loglik, best.scaled_gradient]
        for test in tests:
            values += [test, float(chi2.sf(test, p))]
        return dict(zip(names, values, strict=True))

    def _concordance(self) -> dict[str, Any]:
        c = self.concordance
        if c is None:
            return {"concordance": float("nan"), "concordance_se": float("nan")}
        return {
            "concordance": c.c, "concordance_se": c.std_error, "pairs_concordant": c.concordant,
            "pairs_discordant": c.discordant, "pairs_tied_score": c.tied_score,
            "pairs_tied_time": c.tied_time, "pairs_tied_both": c.tied_both,
        }  # fmt: skip
