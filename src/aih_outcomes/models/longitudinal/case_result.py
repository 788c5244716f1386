"""What one patient's values after a switch say beside those that the others let expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aih_outcomes.models.longitudinal.fixed_effects import Codes
from aih_outcomes.models.longitudinal.gaussian.prediction import calibrate_distance, limit_of_distance
from aih_outcomes.models.longitudinal.left_out import Expected
from aih_outcomes.models.longitudinal.mixed_model import MixedModel
from aih_outcomes.models.longitudinal.random_effects import RandomEffects
from aih_outcomes.models.result import order_columns
from aih_outcomes.outcomes import Switches, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEFORE, AFTER = "before", "after"
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
FARTHER, SAME_SIDE, ON_AVERAGE = "farther", "farther, same side", "farther on average"
MANY = 50  # peers from which on a tenth of them is no small number
INNER = 0.5  # level of the inner band
QUIET = -1.2815515655446004  # calibrated distance below which one series in ten lies where the model holds
ASSUMPTION = "That the earlier course would have continued without the switch is an assumption."
RESEARCH = "Research software: not for guiding the treatment of a patient."


@dataclass(frozen=True, slots=True, eq=False)
class CaseAgainstCohort:
    """Observed against predicted, and how far; n values of the case, k of them before the switch.

    Attributes
    ----------
    fit : the model as given; the case, and everybody's time after a switch of their own, are left out when predicting
    switches : what the switch is, and the pseudo-switches of the others
    patient_id, from_day : the case, and the day of the switch: values of that day count as before it
    rows : (n,) places of the case's values in ``fit.frame``; ``n_before`` k
    expected : what the others' model expects of the case, or None
    peers : ``n_values, distance, calibrated, mean_difference, standardised_mean``, one row per pseudo-switched peer
    left_out : ``reason, n`` patients with a pseudo-switch that could not be used
    steroid : covariate that holds the dose
    no_attribution : why a difference may not be put down to the switch, beyond all that is always unknown; or None
    """

    fit: MixedModel
    switches: Switches
    patient_id: str
    from_day: float
    rows: Codes
    n_before: int
    expected: Expected | None
    peers: pd.DataFrame
    left_out: pd.DataFrame
    steroid: str | None
    no_attribution: str | None
    not_estimable: str | None

    @property
    def has_serial(self) -> bool:
        """Whether the model lets values near in time be alike beyond the patient's own course."""
        return isinstance(self.fit.chosen, RandomEffects) and self.fit.chosen.serial != "independent"

    @property
    def moment(self) -> str:
        """What happened on ``from_day``, in words."""
        at = self.switches.day_of_switch().get(self.patient_id)
        if at is None:
            return f"no {self.switches.label}: a moment to compare with"
        before = float(at) - self.from_day
        return f"{before:g} days before the {self.switches.label}" if before else self.switches.label

    @property
    def n_farther(self) -> int:
        """Peers whose joint distance, calibrated for the number of values, is greater than the case's."""
        own = np.inf if self.expected is None else self.expected.calibrated
        return int((self.peers["calibrated"] > own).sum())

    @property
    def n_farther_on_average(self) -> int:
        """Peers whose mean difference, in its own standard deviations, is farther from 0 than the case's."""
        own = np.inf if self.expected is None else abs(self.expected.standardised_mean)
        return int((self.peers["standardised_mean"].abs() > own).sum())

    def tidy(self) -> pd.DataFrame:
        """One row per value of the case; with ``patient_id``, so that it is written with consent only.

        Returns
        -------
        frame : ``label, term`` (before, after), ``time`` (days since time zero), ``estimate`` (what the others' model
            expects: after the switch given all values before it, before it given the case's other values before it;
            the median on the log scale), ``std_error`` (on the scale of the model), ``conf_low, conf_high, df``; then
            ``patient_id, since`` (days since the switch), ``observed``, ``inner_low, inner_high`` (50 % band),
            ``distance`` (joint, of the values up to this one), ``limit`` (within which 95 % of such distances lie where
            the model holds), ``steroid`` (dose)
        """
        frame = self.fit.frame.iloc[self.rows]
        k, nothing = self.n_before, np.full(len(frame), np.nan)
        names = ("estimate", "std_error", "conf_low", "conf_high", "df", "inner_low", "inner_high", "distance", "limit")
        columns = {name: nothing.copy() for name in names}
        if self.expected is not None:
            columns["estimate"][:k] = self.expected.course
            for name, value in self._after(self.expected).items():
                columns[name][k:] = value
        if self.fit.scale == "log":
            for name in ("estimate", "conf_low", "conf_high", "inner_low", "inner_high"):
                columns[name] = np.exp(columns[name])
        time = frame["time"].to_numpy(float)
        dose = nothing if self.steroid is None else frame[self.steroid].to_numpy(float, na_value=np.nan)
        tidy = pd.DataFrame({
            "label": self.fit.measures.label, "term": np.where(np.arange(len(frame)) < k, BEFORE, AFTER), "time": time,
            **columns, "patient_id": self.patient_id, "since": time - self.from_day,
            "observed": frame["value"].to_numpy(float), "steroid": dose,
        })  # fmt: skip
        kept = ["patient_id", "since", "observed", "inner_low", "inner_high", "distance", "limit", "steroid"]
        tidy = order_columns(tidy[[*(name for name in tidy if name not in kept), *kept]])
        tidy.attrs = {
            "unit": self.fit.measures.unit, "switch": self.moment, "from_day": self.from_day,
            "time_zero": self.fit.measures.time_zero, "scale": self.fit.scale, "conf_level": self.fit.conf_level,
            "not_estimable": self.not_estimable, "no_attribution": self.no_attribution,
            "calibrated": None if self.expected is None else self.expected.calibrated,
            "standardised_mean": None if self.expected is None else self.expected.standardised_mean,
            "calibrated_mean": None if self.expected is None else calibrate_distance(abs(
                self.expected.standardised_mean), 1),
        }  # fmt: skip
        return tidy

    def against_peers(self) -> pd.DataFrame:
        """Quantiles of the peers' distances, and how many lie farther than the case; no peer is named.

        Returns
        -------
        frame : ``label, term, estimate, n, denominator``. Terms ``10 %`` … ``90 %``: the calibrated distance, a normal
            deviate (1.64 is passed by one series in 20 where the model holds). Terms ``farther`` and ``farther, same
            side``: share and number of peers that lie farther from their prediction than the case, and those of them
            whose values lie on the same side of it. The same of the mean difference in its own standard deviations,
            whatever its sign: ``on average, 10 %`` … ``90 %`` and ``farther on average``
        """
        own = np.nan if self.expected is None else self.expected.mean_difference
        farther = self.peers["calibrated"] > (np.inf if self.expected is None else self.expected.calibrated)
        same = farther & (np.sign(self.peers["mean_difference"]) == np.sign(own))
        n, rows = len(self.peers), []
        for share in QUANTILES:
            jointly, mean = (
                float(np.quantile(values.to_numpy(float), share)) if n else float("nan")
                for values in (self.peers["calibrated"], self.peers["standardised_mean"].abs())
            )
            name = f"{share:.0%}".replace("%", " %")
            rows += [(name, jointly, n), (f"on average, {name}", calibrate_distance(mean, 1), n)]
        counted = [(FARTHER, int(farther.sum())), (SAME_SIDE, int(same.sum())), (ON_AVERAGE, self.n_farther_on_average)]
        rows += [(name, count / n if n else float("nan"), count) for name, count in counted]
        frame = pd.DataFrame(rows, columns=["term", "estimate", "n"])
        return order_columns(frame.assign(label=self.fit.measures.label, denominator=n)).astype(
            {"denominator": "Int64"}
        )

    def glance(self) -> dict[str, Any]:
        """Return the joint distance, the ranks among the peers, and what they rest on; no p-value."""
        one = self.expected
        m = 0 if one is None else len(one.distance)
        far = float("nan")
        mean = far if one is None else one.mean_difference
        return {
            "n_before": self.n_before, "n_after": len(self.rows) - self.n_before, "from_day": self.from_day,
            "distance": far if one is None else float(one.distance[-1]),
            "limit": limit_of_distance(m, self.fit.conf_level) if m else far,
            "calibrated": far if one is None else one.calibrated,
            "mean_difference": mean, "standardised_mean": far if one is None else one.standardised_mean,
            "rank": None if one is None else self.n_farther + 1,
            "rank_on_average": None if one is None else self.n_farther_on_average + 1, "n_ranked": len(self.peers) + 1,
            "n_left_out": int(self.left_out["n"].sum()),
            "covariance": self.fit.covariance, "serial": self.has_serial,
            "no_attribution": self.no_attribution, "not_estimable": self.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption, with what must be said beside such a figure; no counts of other patients."""
        m, one = self.fit.measures, self.expected
        after = len(self.rows) - self.n_before
        parts = [
            f"{m.label} of one patient, day {self.from_day:g} since {m.time_zero} ({self.moment}): {after} "
            f"value(s) after it against those predicted from all {self.n_before} before it.",
            f"Model: {self.fit.covariance}; fitted without this patient and without anybody's time after their own "
            "switch.",
        ]
        parts += [f"Not estimable: {self.not_estimable}."] if one is None else self._words(one)
        if not self.has_serial:
            parts.append("The model has no serial correlation: the bands are too narrow.")
        if self.no_attribution:
            parts.append(f"No difference is attributed to the switch: {self.no_attribution}.")
        elif one is not None:
            parts.append("Predicted at the steroid doses that were given.")
        return " ".join([*parts, ASSUMPTION, RESEARCH])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the figure for the analyst's screen; on axes given, the values without dose and peers."""
        from aih_outcomes.figures.case import draw_case, draw_case_values

        if ax is None:
            return draw_case(self.tidy(), self.against_peers())[0]
        return draw_case_values(ax, self.tidy())

    def _after(self, one: Expected) -> dict[str, Vector]:
        low, high = one.prediction.limits(self.fit.conf_level)
        inner_low, inner_high = one.prediction.limits(INNER)
        limits = [limit_of_distance(place, self.fit.conf_level) for place in range(1, len(low) + 1)]
        return {
            "estimate": one.prediction.mean, "std_error": np.sqrt(np.diag(one.prediction.covariance)),
            "conf_low": low, "conf_high": high, "df": one.prediction.df, "inner_low": inner_low,
            "inner_high": inner_high, "distance": one.distance, "limit": np.array(limits),
        }  # fmt: skip

    def _words(self, one: Expected) -> list[str]:
        facts, level = self.glance(), f"{self.fit.conf_level:.0%}".replace("%", " %")
        mean = facts["mean_difference"]
        if self.fit.scale == "log":
            average = f"Observed over predicted, on average (geometric): {np.exp(mean):.2g}"
        else:
            average = f"Observed less predicted, on average: {mean:.2g} {self.fit.measures.unit}".rstrip()
        words = [
            "Dotted: each earlier value as expected from the patient's other earlier ones. Bands: one value each, with "
            "random effects, residual and the error of all parameters; t with Satterthwaite's degrees of freedom "
            f"({one.prediction.df.min():.0f} or more).",
            f"Joint distance of the series from its prediction {facts['distance']:.1f} (Mahalanobis); where the model "
            f"holds, {level} of such series lie within {facts['limit']:.1f} (χ²). {average}, "
            f"{abs(facts['standardised_mean']):.1f} standard deviations of such an average from no difference.",
        ]
        if one.calibrated < QUIET:
            words.append(
                "The values vary less from one to the next than the model supposes; a joint distance counts "
                "that as near, and a lasting difference in level weighs less in it than in the mean difference."
            )
        if len(self.peers):
            words.append(
                f"Of the peers at a comparable moment without a switch, each predicted in the same way, "
                f"{_in_parts(self.n_farther, len(self.peers))} lie farther from their prediction jointly, and "
                f"{_in_parts(self.n_farther_on_average, len(self.peers))} on average: a description, no test. Boxes: "
                "the middle half and the middle 8 in 10 of the peers."
            )
        else:
            words.append("No peer with a comparable moment could be laid beside it.")
        return words


def _in_parts(part: int, whole: int) -> str:
    """Say a share without giving counts away: in quarters, of many in tenths."""
    if whole < MANY:
        quarters = ("fewer than a quarter", "a quarter to a half", "a half to three quarters", "three quarters or more")
        return quarters[min(int(4 * part / whole), 3)]
    tenths = int(10 * part / whole + 0.5)
    if part == 0 or part == whole:
        return "none" if part == 0 else "all"
    return "fewer than 1 in 10" if tenths == 0 else f"about {min(tenths, 9)} in 10"
