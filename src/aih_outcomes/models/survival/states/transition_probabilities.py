"""From every state to every other: P(s, t), with Greenwood's or Aalen's variance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_number, read_numbers, refuse_unknown_choice
from aih_outcomes.models.guard import require_state_history
from aih_outcomes.models.result import order_columns, refuse_no_level
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.models.survival.designs.design import caution, name_design, refuse_reversible
from aih_outcomes.models.survival.states.aalen_johansen import TransitionVariance, cumulate_hazards
from aih_outcomes.models.survival.states.products import Matrices, backward_sums
from aih_outcomes.models.survival.states.spells import Codes
from aih_outcomes.models.survival.states.state_curves import ConfType, limits_of, refuse_no_conf_type
from aih_outcomes.models.survival.states.state_occupation import read_groups
from aih_outcomes.models.survival.states.transition_matrix import TransitionMatrix, estimate_matrix
from aih_outcomes.outcomes import DAYS_PER_UNIT, Groups, StateHistory, TimeUnit, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, eq=False)
class TransitionProbabilities:
    """Probabilities P(s, t) of being in a state at t for who is in a given state at s; per group.

    Attributes
    ----------
    history : what was followed
    matrices : (n_groups,) in the order of the levels
    from_day : s, in the outcome's unit
    by_name : what the groups speak of; empty for everyone together
    variance, conf_level, conf_type : of the pointwise intervals
    """

    history: StateHistory
    matrices: tuple[TransitionMatrix, ...]
    from_day: float
    by_name: str
    variance: TransitionVariance
    conf_level: float
    conf_type: ConfType

    def tidy(self, *, unit: TimeUnit | None = None) -> pd.DataFrame:
        """One row per group, state at s (``term``), state at t (``state``) and distinct time of a transition.

        Parameters
        ----------
        unit : unit of ``time``; None for the outcome's own

        Returns
        -------
        frame : ``label, strata, term, state, time, n_risk, n_event, estimate, std_error, conf_low, conf_high``;
            ``n_risk`` patients in ``term`` just before ``time``, ``n_event`` of them who move to ``state``; ``n``
            patients behind the estimate. States in which nobody is followed have no rows: nothing happens in them.
        """
        frames = []
        for own in self.matrices:
            frame = self._frame(own, own.steps.time, np.arange(1, len(own.steps.time) + 1))
            risk = np.concatenate([np.repeat(own.n_risk[:, [k]], own.n_risk.shape[1], axis=1) for k in own.followed], 1)
            moved = np.concatenate([own.n_moved[:, k] for k in own.followed], axis=1)
            frames.append(frame.assign(n_risk=risk.ravel("F"), n_event=moved.ravel("F"), n=own.n))
        whole = pd.concat(frames, ignore_index=True)
        refuse_unknown_choice("unit", unit, (None, *DAYS_PER_UNIT))
        whole["time"] *= DAYS_PER_UNIT[self.history.time_unit] / DAYS_PER_UNIT[unit or self.history.time_unit]
        whole.attrs = {"time_unit": unit or self.history.time_unit, "time_zero": self.history.time_zero}
        return order_columns(whole)

    def at(self, times: Sequence[float]) -> pd.DataFrame:
        """Return P(s, t) at given times t: ``label`` to ``conf_high`` as in ``tidy``, without numbers.

        Estimates are NaN before s, and after the last time at which someone is followed.
        """
        when = read_numbers("times", times, "at([365, 1826])")
        frames = []
        for own in self.matrices:
            frame = self._frame(own, when, np.searchsorted(own.steps.time, when, side="right").astype(np.int64))
            unknown = (frame["time"] < self.from_day) | (frame["time"] > own.last_time)
            frame.loc[unknown, ["estimate", "std_error", "conf_low", "conf_high"]] = np.nan
            frames.append(frame)
        return order_columns(pd.concat(frames, ignore_index=True))

    def time_in_state(self, horizon: float) -> pd.DataFrame:
        """Return the mean time spent in each state between s and a horizon, by the state at s; in the outcome's unit.

        Returns
        -------
        frame : ``label, strata, term, state, time`` (the horizon)``, estimate``; NaN where nobody is followed so long

        Raises
        ------
        OutcomeError : the horizon does not lie after s
        """
        if not read_number("horizon", horizon, "time_in_state(1826)") > self.from_day:
            raise OutcomeError(
                f"horizon={horizon:g} does not lie after from_day={self.from_day:g}",
                "Time is spent in a state from then on", "Choose a later horizon",
            )  # fmt: skip
        frames = []
        for own in self.matrices:
            edges = np.concatenate([[self.from_day], own.steps.time, [np.inf]])
            mean = backward_sums(own.steps.matrix, np.diff(np.clip(edges, self.from_day, horizon)))[0]
            mean = mean if horizon <= own.last_time else np.full_like(mean, np.nan)
            frames.append(self._keys(own, np.array([float(horizon)])).assign(estimate=mean[own.followed].ravel()))
        return order_columns(pd.concat(frames, ignore_index=True))

    def cumulative_hazards(self) -> pd.DataFrame:
        """Return the Nelson-Aalen cumulative hazard of each transition that occurs, from s on.

        Returns
        -------
        frame : ``label, strata, term`` (from)``, state`` (to)``, time, n_risk, n_event, estimate, std_error``, ``n``;
            one row per distinct time of that transition; standard error by Aalen's Σ dN / Y²
        """
        frames = [self._hazard_frame(own, *cumulate_hazards(own.steps)) for own in self.matrices]
        return order_columns(pd.concat(frames, ignore_index=True))

    def glance(self) -> dict[str, Any]:
        """Facts about the whole estimate."""
        return {
            "n": sum(own.n for own in self.matrices),
            "n_event": sum(int(own.n_moved.sum()) for own in self.matrices),
            "states": self.history.states,
            "from_day": self.from_day,
            "by": self.by_name,
            "design": name_design(self.history.design),
            "time_zero": self.history.time_zero,
            "time_unit": self.history.time_unit,
            "variance": self.variance,
            "conf_level": self.conf_level,
            "conf_type": self.conf_type,
            "not_estimable": None,
        }

    def describe(self) -> str:
        """Sentences for a caption."""
        parts = [
            f"{self.history.label}: Aalen-Johansen transition probabilities from {self.from_day:g} "
            f"{self.history.time_unit} since {self.history.time_zero}, pointwise {self.conf_level:.0%} limits "
            f"({self.conf_type} scale, {self.variance.capitalize()}'s variance). That the future depends on the state "
            "at the start alone, not on what came before, is assumed (Markov).",
        ]
        if self.by_name:
            parts += [f"Groups: {self.by_name} ({name_design(self.history.design)}).", caution(self.history.design)]
        return " ".join(part for part in parts if part)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw, for one group and one state at s, the states over time as areas for the analyst's screen.

        Raises
        ------
        OutcomeError : several groups, or several states from which patients move
        """
        tidy = self.tidy(unit="years" if self.history.time_unit == "days" else None)
        if len(tidy[["strata", "term"]].drop_duplicates()) > 1:
            raise OutcomeError(
                "Several groups, or several states at the start, are asked of one figure of areas",
                "Areas show where the patients of one group go from one state",
                "Draw the rows of tidy() of one strata and term with draw_occupation(...)",
            )
        from aih_outcomes.figures import draw_occupation

        return draw_occupation(tidy, ax=ax, unit_label=str(tidy.attrs["time_unit"]))

    def _keys(self, own: TransitionMatrix, times: Vector) -> pd.DataFrame:
        names = np.array(self.history.states, dtype=object)
        block = len(names) * len(times)
        return pd.DataFrame({
            "label": self.history.label, "strata": own.strata, "term": np.repeat(names[own.followed], block),
            "state": np.tile(np.repeat(names, len(times)), len(own.followed)),
            "time": np.tile(times, len(names) * len(own.followed)),
        })  # fmt: skip

    def _frame(self, own: TransitionMatrix, times: Vector, slots: Codes) -> pd.DataFrame:
        flat, error = (
            np.concatenate([part[slots, k] for k in own.followed], axis=1).ravel("F")
            for part in (own.probability, own.std_error)
        )
        low, high = limits_of(flat, error, self.conf_level, self.conf_type)
        return self._keys(own, times).assign(estimate=flat, std_error=error, conf_low=low, conf_high=high)

    def _hazard_frame(self, own: TransitionMatrix, hazard: Matrices, variance: Matrices) -> pd.DataFrame:
        names = np.array(self.history.states, dtype=object)
        origin, target, step = np.nonzero(own.n_moved.transpose(1, 2, 0))
        return pd.DataFrame({
            "label": self.history.label, "strata": own.strata, "term": names[origin], "state": names[target],
            "time": own.steps.time[step], "n_risk": own.n_risk[step, origin],
            "n_event": own.n_moved[step, origin, target], "n": own.n,
            "estimate": hazard[step + 1, origin, target], "std_error": np.sqrt(variance[step + 1, origin, target]),
        })  # fmt: skip


def estimate_transitions(
    history: StateHistory,
    *,
    from_day: float,
    by: Groups | str | None = None,
    variance: TransitionVariance = "greenwood",
    conf_level: float = 0.95,
    conf_type: ConfType = "log",
) -> TransitionProbabilities:
    """Estimate P(s, t): how probable each state is at t for who is in a given state at s = ``from_day``.

    Transitions at s or before do not count, as in etm and mstate (R's survfit keeps those at s).

    Parameters
    ----------
    history : spells (entry, exit] in one state each
    from_day : s, in the outcome's unit
    by : groups known at entry (guarded), a covariate, or None
    variance : ``greenwood`` (multinomial moves: etm, mstate) or ``aalen`` (mstate's other one)

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : no StateHistory, no rows, nobody followed after ``from_day``, weights that are not case counts, an
        unknown variance

    Notes
    -----
    Andersen, Borgan, Gill & Keiding 1993, IV.4. These variances count transitions as independent pieces of information
    and take the process for Markov; standard errors that hold for any process come with ``estimate_state_occupation``.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"id": ["a", "a", "b", "c"], "entry": [0, 2, 0, 0], "exit": [2, 5, 4, 3]})
    >>> frame = frame.assign(state=["well", "ill", "well", "well"], to=["ill", "dead", "dead", "censored"])
    >>> history = StateHistory.from_frame(
    ...     frame,
    ...     patient_id="id",
    ...     entry="entry",
    ...     exit="exit",
    ...     from_state="state",
    ...     to_state="to",
    ...     states=["well", "ill", "dead"],
    ... )
    >>> found = estimate_transitions(history, from_day=2).at([4])
    >>> found[found["term"] == "well"]["estimate"].tolist()
    [0.0, 0.0, 1.0]
    """
    require_state_history(history)
    refuse_no_level(conf_level)
    refuse_no_conf_type(conf_type)
    refuse_reversible(history.design, by)
    _refuse_unusable(history, variance)
    begins = read_number("from_day", from_day, "from_day=365")
    matrices = tuple(
        estimate_matrix(strata, spells.begun_at(begins), len(history.states), begins, variance)
        for strata, spells in read_groups(history, by).items()
    )
    return TransitionProbabilities(
        history, matrices, begins, name_groups(by), variance, conf_level, conf_type
    )  # fmt: skip


def _refuse_unusable(history: StateHistory, variance: object) -> None:
    refuse_unknown_choice("variance", variance, ("greenwood", "aalen"))
    broken = int(np.sum(history.weight != np.round(history.weight)))
    if broken:
        raise OutcomeError(
            f"{broken} of {len(history.frame)} weights are not whole numbers",
            "These variances take weights for case counts",
            "Use estimate_state_occupation(...): its variance holds for any weights",
        )
