"""A fitted Cox model: coefficients, tests, sizes, and the words that go with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from aih_outcomes.models.guard import GROUP, counts_by_level
from aih_outcomes.models.result import order_columns
from aih_outcomes.models.survival.cox.concordance import Concordance, compute_concordance
from aih_outcomes.models.survival.cox.firth import Profile, profile_firth
from aih_outcomes.models.survival.cox.kernel import Optimum, RiskSets, linear_predictor
from aih_outcomes.models.survival.cox.penalty import FIRTH, Penalty, name_penalty
from aih_outcomes.models.survival.designs.design import BIASED, caution, name_design
from aih_outcomes.models.terms.design import Design, Term
from aih_outcomes.outcomes import CENSORED, TimeToEvent, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Ties = Literal["efron", "breslow", "exact"]
Missing = Literal["raise", "exclude"]
Matrix = NDArray[np.float64]

FEW_EVENTS = 5  # per parameter
COUNTS = ["n", "n_event", "reference", "n_reference", "n_event_reference"]


LIKELIHOOD = [
    "loglik_null", "loglik", "aic", "penalised_loglik_null", "penalised_loglik", "scaled_gradient", "effective_df",
    "lr_test", "lr_p_value", "wald_test", "wald_p_value", "score_test", "score_p_value",
]  # fmt: skip


@dataclass(slots=True)
class _Memory:
    """What is computed when it is first asked for."""

    concordance: Concordance | None = None
    profile: Profile | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CoxFit:
    """A fitted Cox model; p terms.

    Attributes
    ----------
    outcome : what was followed; ``frame`` the rows used, ``design`` their terms
    sets, optimum : the fit itself; None where not estimable
    coefficients : (p,) log hazard ratios; NaN where not estimable
    vcov : (p, p) variance used for intervals and tests: robust where ``cluster`` is given
    vcov_model : (p, p) inverse of the information
    offset : covariate whose coefficient is known to be 1
    penalty : ``firth``, a ``Ridge``, or None
    not_estimable : the reason, or None
    """

    outcome: TimeToEvent
    by_name: str
    frame: pd.DataFrame
    design: Design
    sets: RiskSets | None
    optimum: Optimum | None
    coefficients: Vector
    vcov: Matrix
    vcov_model: Matrix
    ties: Ties
    cluster: str | None
    strata: str | None
    n_missing: int
    conf_level: float
    not_estimable: str | None
    offset: str | None = None
    penalty: Penalty | None = None
    _memory: _Memory = field(default_factory=_Memory, init=False, repr=False)

    def tidy(self) -> pd.DataFrame:
        """One row per term.

        Returns
        -------
        frame : ``label, term, n_event, estimate, std_error, conf_low, conf_high, statistic, p_value`` on the log scale
            (Wald), then ``hazard_ratio, hr_low, hr_high``; ``n`` patients and ``n_event`` events of the level, with
            ``reference, n_reference, n_event_reference``; ``std_error_model`` beside a robust standard error;
            ``design``, ``biased``. Counts are missing for numbers, estimates where the model is not estimable.
            Under Firth's penalty interval and test are those of the profile penalised likelihood (``statistic`` is
            χ² on ``df`` 1), with ``conf_low_wald, conf_high_wald, p_value_wald`` beside them.
        """
        z = norm.ppf((1 + self.conf_level) / 2)
        b, se = self.coefficients, np.sqrt(np.diag(self.vcov))
        wald = {
            "conf_low": b - z * se, "conf_high": b + z * se, "statistic": b / se,
            "p_value": 2 * norm.sf(np.abs(b / se)),
        }  # fmt: skip
        tests: dict[str, Any] = wald
        if self.penalty == FIRTH:
            tests = self._by_profile() | {f"{name}_wald": wald[name] for name in ("conf_low", "conf_high", "p_value")}
        frame = pd.DataFrame({
            "label": self.outcome.label, "term": self.design.names, "estimate": b, "std_error": se, **tests,
            "hazard_ratio": np.exp(b), "hr_low": np.exp(tests["conf_low"]), "hr_high": np.exp(tests["conf_high"]),
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
            "events_per_parameter": self.events_per_parameter,
            "n_missing_excluded": self.n_missing,
            "by": self.by_name,
            "design": name_design(self.outcome.design),
            "ties": self.ties,
            "cluster": self.cluster,
            "strata": self.strata,
            "offset": self.offset,
            "penalty": name_penalty(self.penalty),
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
            self.describe_penalty(),
            "Patients with missing covariates were left out." if self.n_missing else "",
            f"Not estimable: {self.not_estimable}." if self.not_estimable else self.describe_size(),
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

    @property
    def events_per_parameter(self) -> float:
        """Events for each coefficient."""
        return self.n_event / max(len(self.design.terms), 1)

    @property
    def concordance(self) -> Concordance | None:
        """Harrell's c of the linear predictor, computed when first asked for; None where not estimable."""
        if self.sets is None or self.optimum is None:
            return None
        if self._memory.concordance is None:
            rows = self.frame
            entry, exit = (rows[name].to_numpy(float) for name in ("entry", "exit"))
            event = (rows["event"] != CENSORED).to_numpy(bool)
            strata = number_levels(rows[self.strata]) if self.strata else np.zeros(len(rows), np.int64)
            cluster = number_levels(rows[self.cluster]) if self.cluster else np.arange(len(rows))
            score = linear_predictor(self.design.X, self.optimum.beta, self.sets.offset)
            self._memory.concordance = compute_concordance(score, entry, exit, event, self.sets.weight, strata, cluster)
        return self._memory.concordance

    @property
    def profile(self) -> Profile | None:
        """Profile penalised likelihood of a fit with Firth's penalty, computed when first asked for; else None."""
        if self.penalty != FIRTH or self.sets is None or self.optimum is None:
            return None
        if self._memory.profile is None:
            self._memory.profile = profile_firth(self.design.X, self.sets, self.optimum, self.conf_level)
        return self._memory.profile

    def _by_profile(self) -> dict[str, Any]:
        missing = np.full(len(self.coefficients), np.nan)
        profile = self.profile or Profile(missing, missing, missing, missing)
        return {
            "conf_low": profile.low, "conf_high": profile.high, "statistic": profile.statistic, "df": 1,
            "p_value": profile.p_value,
        }  # fmt: skip

    def describe_penalty(self) -> str:
        """Return the sentence that names the penalty, or an empty text."""
        if self.penalty is None:
            return ""
        if self.penalty == FIRTH:
            return "Firth's penalty; intervals and tests by profile penalised likelihood."
        return f"Penalty: {name_penalty(self.penalty)}; estimates are drawn towards no association."

    def describe_size(self) -> str:
        """Return the sentence that says that there are few events for so many parameters, or an empty text."""
        if self.events_per_parameter >= FEW_EVENTS:
            return ""
        way_out = "" if self.penalty or self.cluster else ': ratios tend to be too extreme; penalty="firth" lessens it'
        return f"Fewer than {FEW_EVENTS} events per parameter{way_out}."

    def _counts(self, term: Term) -> dict[str, object]:
        if term.level is None:
            return {"n": pd.NA, "n_event": pd.NA, "reference": pd.NA, "n_reference": pd.NA, "n_event_reference": pd.NA}
        rows = self.frame[["patient_id", "event"]].assign(**{GROUP: self.design.categories[term.variable]})
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
        if self.optimum is None:
            return dict.fromkeys(LIKELIHOOD, float("nan"))
        best, firth, df = self.optimum, self.penalty == FIRTH, self._effective_df()
        values = [best.loglik_null, best.loglik, float("nan") if firth else 2 * df - 2 * best.loglik]
        values += [best.penalised_null, best.penalised, best.scaled_gradient, df]
        rise = best.penalised - best.penalised_null if firth else best.loglik - best.loglik_null
        wald = float(self.coefficients @ np.linalg.solve(self.vcov, self.coefficients))
        for test in (2 * rise, wald, best.score_test if self.penalty is None else float("nan")):
            values += [test, float(chi2.sf(test, df))]
        return dict(zip(LIKELIHOOD, values, strict=True))

    def _effective_df(self) -> float:
        """Trace of information × variance: the number of terms, less what a ridge takes away (Gray, JASA 1992;87)."""
        best = self.optimum
        if best is None or best.unpenalised is None:
            return float(len(self.coefficients))
        return float(np.trace(np.linalg.solve(best.information, best.unpenalised)))

    def _concordance(self) -> dict[str, Any]:
        c = self.concordance
        if c is None:
            return {"concordance": float("nan"), "concordance_se": float("nan")}
        return {
            "concordance": c.c, "concordance_se": c.std_error, "pairs_concordant": c.concordant,
            "pairs_discordant": c.discordant, "pairs_tied_score": c.tied_score,
            "pairs_tied_time": c.tied_time, "pairs_tied_both": c.tied_both,
        }  # fmt: skip


def number_levels(values: pd.Series) -> NDArray[np.int64]:
    """(n_rows,) number of each row's level, in the order in which they occur."""
    return np.asarray(pd.factorize(values)[0], np.int64)
