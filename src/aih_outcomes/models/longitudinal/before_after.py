"""Before and after a switch of therapy: the naive answer, and differences in differences against pseudo-switches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_number
from aih_outcomes.models.longitudinal.fixed_effects import Scale
from aih_outcomes.models.longitudinal.gaussian.inference import Covariance, DegreesOfFreedom
from aih_outcomes.models.longitudinal.gaussian.structure import Serial
from aih_outcomes.models.longitudinal.pseudo_switches import Matching, match_pseudo_switches
from aih_outcomes.models.longitudinal.switch_model import ALONE, DIFFERENCE, STRETCH_DAYS, SwitchModel, SwitchRow
from aih_outcomes.models.longitudinal.switch_series import (
    KIND,
    NO_SET,
    OWN,
    PSEUDO,
    SERIES,
    cut_window,
    keep_pairs,
    lay_beside,
    mark_after,
    tabulate_cells,
    tabulate_course,
)
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.designs.design import PROGNOSTIC, SEVERITY, in_a_list
from aih_outcomes.outcomes import RepeatedMeasures, Switches
from aih_outcomes.outcomes.checks import list_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAIVE, WITHOUT_WINDOW, UNADJUSTED = "every value (naive)", "decision window left out", "as observed"
TAKEN = (*OWN, "set", "day", "group")


@dataclass(frozen=True, slots=True, eq=False)
class BeforeAfter:
    """What changed with a switch of therapy, by four designs.

    Attributes
    ----------
    measures, matching : what was followed; switches and their pseudo-switches
    scale, decision_days, before_days, after_days, adjust : as asked
    rows : naive, without the decision window, difference in differences (the primary one), the same adjusted
    series : values around the moments of the matched sets and of every switch, decision window included
    n_one_sided : switches without a value on both sides, which tell nothing of a change
    """

    measures: RepeatedMeasures
    matching: Matching
    scale: Scale
    decision_days: float
    before_days: float
    after_days: float
    adjust: tuple[str, ...]
    rows: tuple[SwitchRow, ...]
    series: pd.DataFrame
    n_one_sided: int

    @property
    def primary(self) -> SwitchRow:
        """Difference in differences as observed."""
        return self.rows[2]

    @property
    def not_estimable(self) -> str | None:
        """Why the primary answer cannot be given."""
        return self.primary.not_estimable

    def tidy(self) -> pd.DataFrame:
        """One row per design.

        Returns
        -------
        frame : ``label, term, estimate`` to ``p_value``, ``n`` switches, ``n_reference`` pseudo-switches, ``n_values,
            design, biased, not_estimable``; on the log scale also ``ratio, ratio_low, ratio_high``
        """
        frame = pd.concat([row.tidy() for row in self.rows], ignore_index=True)
        return order_columns(frame.astype({"n_reference": "Int64", "n_values": "Int64"}))

    def ratios(self) -> pd.DataFrame:
        """Return the rows as ratios, ready for a forest.

        Raises
        ------
        OutcomeError : the fit is on the identity scale, whose effects have no common axis
        """
        frame = self.tidy()
        if self.scale != "log":
            raise OutcomeError(
                "Effects on the identity scale have no common axis", "A forest shows ratios",
                "Fit with scale='log', or draw plot()",
            )  # fmt: skip
        ratios = {"estimate": frame["ratio"], "conf_low": frame["ratio_low"], "conf_high": frame["ratio_high"]}
        return frame.assign(**ratios).drop(columns=["std_error", "ratio", "ratio_low", "ratio_high"])

    def cells(self) -> pd.DataFrame:
        """Describe each kind of series before and after, decision window left out; also where nothing is estimable.

        Returns
        -------
        frame : ``label, strata, term, estimate`` (median over series of their medians), ``conf_low, conf_high``
            (quartiles), ``n`` series, ``n_values``
        """
        table = tabulate_cells(cut_window(self.series, self.decision_days))
        return order_columns(table.assign(label=self.measures.label).astype({"n_values": "Int64"}))

    def course(self, *, every_days: float = STRETCH_DAYS) -> pd.DataFrame:
        """Describe both kinds of series by stretches of time, the decision window included: what the figure shows.

        Switches are those of matched sets; all of them where none is matched.

        Returns
        -------
        frame : ``label, strata, time`` (middle of a stretch, days since the switch), ``estimate, conf_low, conf_high``
            (median and quartiles over series), ``n``
        """
        matched = self.series[self.series["set"] != NO_SET]
        shown = matched if len(matched) else self.series
        frame = order_columns(tabulate_course(shown, every_days).assign(label=self.measures.label))
        frame.attrs = {
            "time_unit": "days", "time_zero": self.matching.switches.label, "unit": self.measures.unit,
            "decision_days": self.decision_days,
        }  # fmt: skip
        return frame

    def glance(self) -> dict[str, Any]:
        """Facts about the whole comparison."""
        row, facts = self.primary, self.matching.glance()
        fit = row.fit
        return {
            "n_switches": facts["n_switches"], "n_matched": facts["n_matched"], "n_unmatched": facts["n_unmatched"],
            "n_one_sided": self.n_one_sided, "n": row.n, "n_reference": row.n_reference, "n_values": row.n_values,
            "largest_difference": facts["largest_difference"], "decision_days": self.decision_days,
            "before_days": self.before_days, "after_days": self.after_days, "scale": self.scale,
            "adjust": ", ".join(self.adjust), "covariance": "" if fit is None else fit.covariance,
            "df_method": "" if fit is None else fit.df_method, "singular": None if fit is None else fit.singular,
            "not_estimable": row.not_estimable,
        }  # fmt: skip

    def describe(self) -> str:
        """Sentences for a caption; no counts, which ``tidy`` and ``glance`` hold."""
        m, row = self.measures, self.primary
        parts = [
            f"{m.label}{f' ({m.unit})' if m.unit else ''} up to {self.before_days:g} days before and "
            f"{self.after_days:g} days after {self.matching.switches.label}, the decision window [−"
            f"{self.decision_days:g}, 0] days left out except in the naive row; change within each series by a linear "
            f"mixed model{' of logarithms' if self.scale == 'log' else ''}.",
            self.matching.describe(),
            "Switches without a value on both sides say nothing of a change." if self.n_one_sided else "",
            "Difference in differences: switches against their pseudo-switches, with a course by stretches of "
            f"{STRETCH_DAYS:g} days that both share; it assumes that without the switch the course would have changed "
            "as it did in the matched patients, who were treated as was thought best then, and whose series end with a "
            "switch of their own.",
            "" if row.fit is None or row.fit.inference is None else f"{row.fit.inference.convention}.",
            f"With {in_a_list(self.adjust)} modelled it asks what changed beside the change of "
            f"{in_a_list(self.adjust)}, which the switch itself may cause."
            if self.adjust
            else "",
            *[f"Not estimable, {one.term}: {one.not_estimable}." for one in self.rows if one.not_estimable],
            f"{PROGNOSTIC.capitalize()}; {SEVERITY}.",
        ]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the medians of both kinds of series around the switch for the analyst's screen."""
        from aih_outcomes.figures.before_after import draw_before_after

        return draw_before_after(self.course(), ax=ax, y_label=self.measures.unit or self.measures.label,
                                 log=self.scale == "log")  # fmt: skip


def fit_before_after(
    measures: RepeatedMeasures,
    switches: Switches | Matching,
    *,
    decision_days: float = 28,
    before_days: float = 365,
    after_days: float = 365,
    adjust: Sequence[str] = ("steroid",),
    scale: Scale = "identity",
    serial: Serial = "independent",
    df: DegreesOfFreedom = "satterthwaite",
    vcov: Covariance = "CR2",
    conf_level: float = 0.95,
) -> BeforeAfter:
    """Compare values before and after a switch of therapy with those around matched pseudo-switches.

    Therapy is switched when values are at their worst, so that they fall afterwards whatever is given. Four rows are
    fitted: every value of the switchers (naive); without the decision window; the *difference in differences* against
    patients at a matched moment who did not switch, the primary one; and that with ``adjust`` modelled.

    Parameters
    ----------
    measures : values on the clock of the switches, with the columns of ``adjust`` as covariates; a value on the day of
        the switch was measured before the first dose
    switches : real and possible switches, matched here by every covariate they declare; or a matching of them
    decision_days : days up to the switch in which values led to it
    before_days, after_days : how far a series reaches
    adjust : covariates of the day that change along, such as the steroid dose; values without one are left out of that
        row
    scale : ``log`` for quantities that change by factors: estimates are then ratios
    serial : how residuals of one series follow each other
    df, vcov : degrees of freedom and covariance of the estimates, as in ``fit_random_effects``; a drug works more in
        one child than in another, so that the changes of switches vary more than those of pseudo-switches, which only
        a robust covariance takes in. Kenward-Roger needs ``vcov="model"``

    Returns
    -------
    result : with fewer than 3 switches (in differences: matched ones) that have values on both sides a row is not
        estimable

    Raises
    ------
    OutcomeError : different clocks; days that are none; a value without a logarithm

    Notes
    -----
    Every series has its own level and, where some has two values on one side, its own change (random effects), so that
    standard errors come from differences between series. Both kinds of series share a course by stretches of 91 days:
    without it the fall that follows any flare would be taken for the work of the steroid given at it. The window keeps
    the noisy peak that triggered the switch out of the level before it, which would else fall to the mean (Barnett, van
    der Pols & Dobson, Int J Epidemiol 2005;34:215).

    Examples
    --------
    >>> days, rows = [20, 80, 140, 195, 230, 290, 350], []
    >>> for k in range(8):
    ...     rows += [(k, day, 2 + k / 10 + (day + k) % 7 / 100 + (day == 195) - (k < 4 and day > 200)) for day in days]
    >>> values = pd.DataFrame(rows, columns=["id", "day", "alt"])
    >>> moments = pd.DataFrame({"id": range(8), "day": 200, "switched": [1] * 4 + [0] * 4, "peak": [1, 2, 3, 4] * 2})
    >>> measures = RepeatedMeasures.from_frame(values, patient_id="id", time="day", value="alt")
    >>> switches = Switches.from_frame(moments, patient_id="id", time="day", switched="switched", covariates=["peak"])
    >>> fit_before_after(measures, switches, adjust=[]).tidy()["estimate"].round(2).tolist()
    [-1.25, -1.0, -1.0]
    """
    refuse_no_level(conf_level)
    reach = {name: _read_days(name, given) for name, given in (
        ("decision_days", decision_days), ("before_days", before_days), ("after_days", after_days))}  # fmt: skip
    named = _read_adjust(adjust)
    matching = switches if isinstance(switches, Matching) else match_pseudo_switches(switches)
    found = matching.switches
    span = {"before_days": reach["before_days"], "after_days": reach["after_days"]}
    alone = mark_after(lay_beside(measures, found, found.frame[found.switched], **span))
    matched = mark_after(lay_beside(measures, found, matching.moments, **span))
    window = reach["decision_days"]

    model = SwitchModel(measures, scale, serial, df, vcov, conf_level)
    kept, pairs = keep_pairs(cut_window(alone, window)), keep_pairs(cut_window(matched, window))
    rows = [
        model.fit(NAIVE, ALONE, keep_pairs(alone)), model.fit(WITHOUT_WINDOW, ALONE, kept),
        model.fit(UNADJUSTED, DIFFERENCE, pairs),
    ]  # fmt: skip
    if named:
        missing, term = [name for name in named if name not in measures.covariates], f"{in_a_list(named)} modelled"
        rows.append(
            model.refuse(term, DIFFERENCE, pairs, f"{measures.label!r} declares no covariate {in_a_list(missing)}")
            if missing
            else model.fit(term, DIFFERENCE, keep_pairs(cut_window(matched, window), named), named)
        )
    pseudo = matched[matched[KIND] == PSEUDO]
    own_set = matching.moments[matching.moments["switched"]].set_index("patient_id")["set"]
    alone = alone.assign(set=alone["patient_id"].map(own_set).fillna(NO_SET).astype(int))
    series = pd.concat([alone, pseudo.assign(**{SERIES: pseudo[SERIES] + found.n_switches})], ignore_index=True)
    return BeforeAfter(
        measures, matching, scale, window, span["before_days"], span["after_days"], named, tuple(rows), series,
        found.n_switches - int(kept[SERIES].nunique()),
    )  # fmt: skip


def _read_days(name: str, given: object) -> float:
    days = read_number(name, given, f"{name}=28")
    if days < 0 or (days == 0 and name != "decision_days"):
        raise OutcomeError(f"{name}={days:g} is no stretch of time", "It is a number of days", f"Write {name}=28")
    return days


def _read_adjust(given: Sequence[str]) -> tuple[str, ...]:
    adjust = tuple(dict.fromkeys(list_names("adjust", given, "adjust=['steroid']")))
    strange = sum(not isinstance(name, str) for name in adjust)
    if strange:
        raise OutcomeError(
            f"{strange} of {len(adjust)} names in adjust= are no text", "Covariates are named by text",
            "Write adjust=['steroid']",
        )  # fmt: skip
    own = [name for name in adjust if name in TAKEN]
    if own:
        raise OutcomeError(
            f"{len(own)} covariate(s) have the name of a column of the comparison's own: {', '.join(own)}",
            f"Its own columns are {', '.join(TAKEN)}", "Rename the covariate in your frame",
        )  # fmt: skip
    return adjust
