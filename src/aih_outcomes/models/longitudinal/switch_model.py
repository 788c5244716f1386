"""The change in each series around a switch, alone or less that of the matched pseudo-switches, by a mixed model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aih_outcomes.models.longitudinal.fixed_effects import Scale
from aih_outcomes.models.longitudinal.gaussian.inference import Covariance, DegreesOfFreedom
from aih_outcomes.models.longitudinal.gaussian.structure import Serial
from aih_outcomes.models.longitudinal.mixed_model import MixedModel, tidy_contrasts
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.models.longitudinal.switch_series import (
    AFTER,
    KIND,
    KINDS,
    PSEUDO,
    SERIES,
    STRETCH,
    SWITCH,
    find_stretches,
)
from aih_outcomes.outcomes import RepeatedMeasures

ALONE = "switchers only, no control series (biased: therapy is switched when values are at their worst)"
DIFFERENCE = "difference in differences against matched pseudo-switches"
LEAST_SERIES = 3
STRETCH_DAYS = 91.0  # [P] of the figure, and of the course that both kinds of series share
NUMBERS = ("estimate", "std_error", "conf_low", "conf_high", "statistic", "df", "p_value")
RATIOS = ("ratio", "ratio_low", "ratio_high")


@dataclass(frozen=True, slots=True, eq=False)
class SwitchRow:
    """One answer to one question.

    Attributes
    ----------
    label : what was followed; ``term, design`` : the answer's name, and how it was found
    fit : the mixed model; None where there was none to fit
    n, n_reference : series of switches and of pseudo-switches; ``n_values``
    not_estimable : the reason, or None
    """

    label: str
    term: str
    design: str
    scale: Scale
    fit: MixedModel | None
    n: int
    n_reference: int
    n_values: int
    not_estimable: str | None

    def tidy(self) -> pd.DataFrame:
        """One row: the change after the switch, less that of the pseudo-switches where there are any."""
        if self.fit is None or self.not_estimable:
            names = (*NUMBERS, *(RATIOS if self.scale == "log" else ()))
            frame = pd.DataFrame({name: [np.nan] for name in names})
        else:
            compared = self.design == DIFFERENCE
            cells = self.fit.frame.iloc[[0, 0, 0, 0]].assign(**{AFTER: [1.0, 0.0, 1.0, 0.0]})
            if compared:
                cells["group"] = pd.Categorical([SWITCH, SWITCH, PSEUDO, PSEUDO], categories=list(KINDS))
            coded = self.fit.code(cells)
            change = coded[0] - coded[1] - (coded[2] - coded[3] if compared else 0.0)
            frame = tidy_contrasts(self.fit, [self.term], *self.fit.contrast(change[None, :]))
        return frame.assign(
            label=self.label, term=self.term, n=self.n, n_reference=self.n_reference, n_values=self.n_values,
            design=self.design, biased=self.design == ALONE, not_estimable=self.not_estimable,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class SwitchModel:
    """How changes are estimated: ``scale``, ``serial``, ``df``, ``vcov`` as in ``fit_random_effects``."""

    measures: RepeatedMeasures
    scale: Scale
    serial: Serial
    df: DegreesOfFreedom
    vcov: Covariance
    conf_level: float

    def fit(self, term: str, design: str, rows: pd.DataFrame, covariates: Sequence[str] = ()) -> SwitchRow:
        """Fit level and change of each kind of series; those compared share their course by stretches of time.

        Parameters
        ----------
        rows : values of series that have some on both sides
        covariates : columns modelled along
        """
        compared = design == DIFFERENCE
        if count_series(rows)[0] < LEAST_SERIES:  # of matched sets, each with a pseudo-switch of its own
            few = f"fewer than {LEAST_SERIES} {'matched ' if compared else ''}switches with values on both sides"
            return self.refuse(term, design, rows, few)
        m, own = self.measures, [*([STRETCH] if compared else []), *covariates]
        stretch = find_stretches(rows["day"].to_numpy(float), STRETCH_DAYS).astype(str)
        outcome = RepeatedMeasures.from_frame(
            rows.assign(**{STRETCH: stretch}), patient_id=SERIES, time="day", value="value",
            covariates=[KIND, AFTER, *own], label=m.label, analyte=m.analyte, unit=m.unit, time_zero="the switch",
        )  # fmt: skip
        fit = fit_random_effects(
            outcome, by=KIND if compared else None, course=AFTER, covariates=own, random=_random_part(rows),
            serial=self.serial, df=self.df, vcov=self.vcov, scale=self.scale, conf_level=self.conf_level,
        )  # fmt: skip
        return SwitchRow(m.label, term, design, self.scale, fit, *count_series(rows), fit.not_estimable)

    def refuse(self, term: str, design: str, rows: pd.DataFrame, reason: str) -> SwitchRow:
        """Return a row without numbers, and the reason."""
        return SwitchRow(self.measures.label, term, design, self.scale, None, *count_series(rows), reason)


def count_series(rows: pd.DataFrame) -> tuple[int, int, int]:
    """Count series of switches, series of pseudo-switches, and values."""
    of_kind = rows.drop_duplicates(SERIES)[KIND].value_counts()
    return int(of_kind.get(SWITCH, 0)), int(of_kind.get(PSEUDO, 0)), len(rows)


def _random_part(rows: pd.DataFrame) -> str:
    """Give each series a change of its own where it can be told from noise: two values on one side, three in all."""
    sides = rows.groupby([SERIES, AFTER]).size()
    return f"1 + {AFTER}" if bool((sides > 1).any()) else "1"
