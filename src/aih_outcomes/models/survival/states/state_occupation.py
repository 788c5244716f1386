"""How probable each state is over time: the Aalen-Johansen estimate of state occupation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.arguments import read_number, read_numbers, refuse_unknown_choice
from aih_outcomes.models.guard import GROUP, declared_column, label_rows, require_state_history
from aih_outcomes.models.result import refuse_no_level
from aih_outcomes.models.survival.curves.kaplan_meier import name_groups
from aih_outcomes.models.survival.designs.design import refuse_reversible
from aih_outcomes.models.survival.states.spells import STAYS, Codes, Spells, arrange, find_common_start
from aih_outcomes.models.survival.states.state_curve import estimate_state_curve
from aih_outcomes.models.survival.states.state_curves import ConfType, StateCurves, refuse_no_conf_type
from aih_outcomes.outcomes import CENSORED, Groups, StateHistory, TimeUnit, Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

StartVariance = Literal["given", "estimated"]
NEARLY = 1e-8  # from 1, within which shares at the start may sum


@dataclass(frozen=True, slots=True, eq=False)
class StateOccupation(StateCurves):
    """Probabilities of being in each state, one set of curves per group; at each time they sum to 1.

    Attributes
    ----------
    history : what was followed
    start : probabilities at the beginning, if given; None for those of the patients then at risk
    start_variance : whether the error of the distribution at the beginning counts

    Further attributes and methods: see ``StateCurves``.
    """

    history: StateHistory
    start: Mapping[str, float] | None
    start_variance: StartVariance

    def glance(self) -> dict[str, Any]:
        """Facts about the whole estimate."""
        beginning = "given" if self.start is not None else "those at risk at the first transition"
        return StateCurves.glance(self) | {"start": beginning, "start_variance": self.start_variance}

    def describe(self) -> str:
        """Sentences for a caption."""
        error = "its error included" if self.start_variance == "estimated" else "taken as given in the errors"
        parts = [
            f"{self.label}: Aalen-Johansen estimate of state occupation, pointwise {self.conf_level:.0%} limits "
            f"({self.conf_type} scale, infinitesimal jackknife); time since {self.time_zero}.",
            f"Distribution at the start {error}." if self._starts_apart() else "",
            *self._words_for_start("those of patients followed"),
            *self._words_for_groups(),
        ]
        return " ".join(part for part in parts if part)

    def _starts_apart(self) -> bool:
        """Return whether not all of a group start in one state."""
        return any(curve.occupied[0].max() < 1 for curve in self.curves)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the states of one group as areas for the analyst's screen.

        Raises
        ------
        OutcomeError : several groups
        """
        if len(self.curves) > 1:
            raise OutcomeError(
                f"{len(self.curves)} groups are asked of one figure of areas", "Areas show the states of one group",
                "Draw each group's rows of tidy() with draw_occupation(...)",
            )  # fmt: skip
        from aih_outcomes.figures import draw_occupation

        unit: TimeUnit = "years" if self.time_unit == "days" else self.time_unit
        return draw_occupation(self.tidy(unit=unit), ax=ax, unit_label=unit)


def estimate_state_occupation(
    history: StateHistory,
    *,
    by: Groups | str | None = None,
    from_day: float | None = None,
    start: Mapping[str, float] | None = None,
    start_variance: StartVariance = "given",
    conf_level: float = 0.95,
    conf_type: ConfType = "log",
    cluster: str | None = None,
) -> StateOccupation:
    """Estimate how probable each state is over time, whatever the transitions: reversible ones, late entry, ties.

    At risk at t in a state are spells with entry < t <= exit. The estimate needs no Markov assumption when nobody
    enters late and censoring is independent (Datta & Satten, Stat Probab Lett 2001;55:403).

    Parameters
    ----------
    history : spells (entry, exit] in one state each
    by : groups known at entry (guarded), a covariate, or None
    from_day : where the curves begin, in the outcome's unit; transitions on that day or before do not count. None: 0,
        except where entry is late and a transition falls where fewer than 5 were at risk early; then the first time
        from which 5 are at risk in every group, stated in ``glance()`` and ``describe()``
    start : probability of each state at the beginning, the same in every group; None for the states of the patients at
        risk at the first transition
    start_variance : ``given``: standard errors given the distribution at the beginning, as R's survfit prints them;
        ``estimated``: that distribution is a sample too, and its error counts (R's survfit with ``influence = TRUE``)
    cluster : covariate that names what belongs together in the variance; None for the patient

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : no StateHistory, no rows, nobody followed after ``from_day``; a start that is no distribution, or
        lies in states that nobody leaves

    Notes
    -----
    Aalen & Johansen, Scand J Stat 1978;5:141. Variance: infinitesimal jackknife (Therneau & Atkinson, survival,
    vignette "methods"). Weights weigh patients; numbers at risk count them.

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
    >>> estimate_state_occupation(history).at([3])["estimate"].round(4).tolist()
    [0.6667, 0.3333, 0.0]
    """
    require_state_history(history)
    refuse_no_level(conf_level)
    refuse_no_conf_type(conf_type)
    refuse_no_start_variance(start_variance)
    refuse_reversible(history.design, by)
    shares = None if start is None else read_start(start, history.states)
    parts = read_groups(history, by, cluster)
    begins = (
        find_common_start(parts.values()) if from_day is None else read_number("from_day", from_day, "from_day=365")
    )
    curves = tuple(
        estimate_state_curve(
            strata, spells.begun_at(begins), len(history.states), begins, shares,
            start_estimated=start_variance == "estimated" and shares is None,
        )
        for strata, spells in parts.items()
    )  # fmt: skip
    return StateOccupation(
        history.label, history.time_zero, history.time_unit, history.design, history.states, curves, name_groups(by),
        conf_level, conf_type, begins, from_day is None and begins > 0, history, start, start_variance,
    )  # fmt: skip


def read_groups(history: StateHistory, by: Groups | str | None, cluster: str | None = None) -> dict[str, Spells]:
    """Return the arranged spells of each group that has any, in the order of the levels, checked by the guard.

    Raises
    ------
    ImmortalTimeError : groups became known after entry
    OutcomeError : no rows, rows without a group or a cluster
    """
    if not len(history.frame) or not history.weight.any():
        raise OutcomeError(f"{history.label!r} has no rows", "A curve needs someone at risk", "Check the exclusions")
    group = label_rows(history, by)[GROUP].cat
    spells, codes = read_spells(history, cluster), group.codes.to_numpy()
    found = {
        str(level): arrange(spells.select(codes == code) if len(group.categories) > 1 else spells)
        for code, level in enumerate(group.categories)
    }
    return {level: own for level, own in found.items() if len(own.exit)}


def read_spells(history: StateHistory, cluster: str | None = None) -> Spells:
    """Read a history as arrays, in the order of its rows."""
    frame = history.frame
    target = _codes_of(frame["to_state"], (*history.states, CENSORED))
    patient = pd.factorize(frame["patient_id"])[0].astype(np.int64)
    return Spells(
        frame["entry"].to_numpy(float), frame["exit"].to_numpy(float), _codes_of(frame["from_state"], history.states),
        np.where(target == len(history.states), STAYS, target), history.weight, patient,
        patient if cluster is None else read_cluster(declared_column(history, cluster), cluster, history.label),
    )  # fmt: skip


def read_cluster(column: pd.Series, name: str, label: str) -> Codes:
    """Return (n_rows,) codes of what belongs together.

    Raises
    ------
    OutcomeError : rows without a value
    """
    codes = np.asarray(pd.factorize(column)[0], np.int64)
    missing = int(np.sum(codes < 0))
    if missing:
        raise OutcomeError(
            f"{missing} of {len(codes)} rows of {label!r} have no value in {name!r}",
            "A clustered variance needs to know who belongs together",
            "Exclude these rows by name, or give them a level of their own",
        )
    return codes


def read_start(start: Mapping[str, float], states: tuple[str, ...]) -> Vector:
    """Return (K,) the probabilities of the states at the beginning; 0 for those not named.

    Raises
    ------
    OutcomeError : a name that is no state, or shares that are no distribution
    """
    of_states: object = start
    given = dict(of_states) if isinstance(of_states, Mapping) else {}
    unknown = [name for name in given if name not in states]
    shares = read_numbers("start", [given.get(name, 0.0) for name in states], "start={'well': 1.0}")
    if unknown or not (shares >= 0).all() or not abs(shares.sum() - 1) < NEARLY:
        raise OutcomeError(
            f"start= names {len(unknown)} unknown state(s) and sums to {shares.sum():g}",
            f"It gives the states {', '.join(states)} probabilities of 0 or more that sum to 1",
            "Write start={'name of a state': 1.0}, or None for the states of those at risk",
        )
    return np.asarray(shares / shares.sum(), float)


def refuse_no_start_variance(start_variance: object) -> None:
    """Refuse a way to treat the beginning that is none.

    Raises
    ------
    OutcomeError
    """
    refuse_unknown_choice("start_variance", start_variance, ("given", "estimated"))


def _codes_of(names: pd.Series, levels: tuple[str, ...]) -> Codes:
    return np.asarray(pd.Categorical(names, categories=list(levels)).codes, np.int64)
