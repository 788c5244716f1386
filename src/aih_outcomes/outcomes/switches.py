"""Moments at which therapy was switched, and comparable moments at which it could have been and was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.outcomes.checks import (
    TimeUnit,
    Vector,
    list_covariates,
    no_exclusions,
    read_flags,
    read_ids,
    read_times,
    refuse,
    refuse_no_unit,
    require,
)

OWN = ("patient_id", "time", "switched")
OF_MATCHING = ("set", "distance")  # columns that a matching adds


@dataclass(frozen=True, slots=True, eq=False)
class Switches:
    """Switches of therapy and pseudo-switches: ``patient_id, time, switched``, then what was known at that time.

    A *switch* is the first dose of the therapy, at most one per patient. A *pseudo-switch* is a comparable moment, such
    as a flare, of somebody who had not switched by then; whoever switches later lends pseudo-switches until that day.

    Attributes
    ----------
    frame : one row per moment; ``switched`` is True for a switch
    label : words for the switch, e.g. ``start of gene-matched therapy``
    covariates : columns of ``frame`` known at that time, by which switches and pseudo-switches are matched
    exclusions : ``reason, n, n_event``: moments left out on the way here, and how many of them were switches
    """

    frame: pd.DataFrame
    label: str
    time_zero: str = "time zero"
    time_unit: TimeUnit = "days"
    covariates: tuple[str, ...] = ()
    exclusions: pd.DataFrame = field(default_factory=no_exclusions)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        patient_id: str,
        time: str,
        switched: str,
        covariates: Sequence[str] = (),
        label: str = "switch",
        time_zero: str = "time zero",
        time_unit: TimeUnit = "days",
    ) -> Switches:
        """Read switches from any table: name its columns.

        Parameters
        ----------
        frame : (n_moments, …) one row per switch or pseudo-switch
        time : column of the moment, on the clock of the measures it is laid beside
        switched : column of 0/1 or booleans
        covariates : columns known at that time; missing values are kept and answered for where they are used

        Raises
        ------
        OutcomeError : a column or a time is missing, ``switched`` is neither 0 nor 1, a patient switches twice, a
            pseudo-switch on or after the patient's own switch, two moments of a patient on one day

        Examples
        --------
        >>> frame = pd.DataFrame({"id": ["a", "a", "b"], "day": [90, 400, 200], "first_dose": [0, 1, 0]})
        >>> found = Switches.from_frame(frame, patient_id="id", time="day", switched="first_dose")
        >>> found.n_switches, found.n_pseudo_switches
        (1, 2)
        """
        names = tuple(dict.fromkeys(list_covariates(covariates, (*OWN, *OF_MATCHING), label)))
        require(frame, [patient_id, time, switched, *names], label)
        refuse_no_unit(time_unit)
        rows = pd.DataFrame(
            {
                "patient_id": read_ids(frame, patient_id, label),
                "time": read_times(frame[time], label),
                "switched": read_flags(frame[switched], label),
            }
        )
        for column in names:
            rows[column] = frame[column].array
        return cls(rows, label, time_zero, time_unit, names)

    def __post_init__(self) -> None:
        """Refuse what would make a patient a control of their own treated time, or count a moment twice."""
        require(self.frame, [*OWN, *self.covariates], self.label)
        real = self.frame[self.switched]
        refuse(
            real["patient_id"].duplicated().to_numpy(bool), self.label, "switch a second time",
            "A switch is the first dose: one per patient at most", "Keep the first row of each patient that switched",
        )  # fmt: skip
        at = self.frame["patient_id"].map(real.set_index("patient_id")["time"]).to_numpy(float, na_value=np.nan)
        refuse(
            ~self.switched & (self.time >= at), self.label, "are pseudo-switches on or after the patient's own switch",
            "A pseudo-switch belongs to somebody who had not switched by then", "Leave these rows out",
        )  # fmt: skip
        refuse(
            self.frame.duplicated(["patient_id", "time"]).to_numpy(bool), self.label, "repeat a patient and time",
            "A moment counts once", "Keep one row per patient and time",
        )  # fmt: skip

    @property
    def time(self) -> Vector:
        """(n_moments,) when, since time zero."""
        return self.frame["time"].to_numpy(float)

    @property
    def switched(self) -> NDArray[np.bool_]:
        """(n_moments,) True for a switch, False for a pseudo-switch."""
        return self.frame["switched"].to_numpy(bool)

    @property
    def n_switches(self) -> int:
        """Number of switches, one per patient."""
        return int(self.switched.sum())

    @property
    def n_pseudo_switches(self) -> int:
        """Number of pseudo-switches; a patient may have several."""
        return int((~self.switched).sum())

    def day_of_switch(self) -> pd.Series:
        """Return when each patient who switched did so (index ``patient_id``)."""
        return self.frame[self.switched].set_index("patient_id")["time"]
