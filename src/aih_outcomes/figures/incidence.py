"""Draw how many have had an event: cumulative incidence of competing events, mean number of recurrent ones."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from aih_outcomes.errors import OutcomeError
from aih_outcomes.figures.curves import PER_CENT, draw_steps, strata_of

EVENT_FREE = "event-free"
NICE = (0.2, 0.4, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 20.0, 40.0)  # events per patient at which an axis may end


def draw_cumulative_incidence(
    tidy: pd.DataFrame,
    *,
    state: str | None = None,
    ax: Axes | None = None,
    unit_label: str = "years",
    y_label: str = "",
    note: str = "",
) -> Axes:
    """Draw one step curve per event, or per group for one event, from 0 %, with bands and the risk table.

    Parameters
    ----------
    tidy : ``label, strata, state, time, n_risk, n_event, estimate, conf_low, conf_high``; the event-free are not drawn
    state : the event to draw; None for all of them, where there is one group
    ax : axes of final size; default a figure of one column
    unit_label, y_label, note : as in ``draw_survival``

    Raises
    ------
    OutcomeError : no such event, or several groups and several events in one figure
    """
    states = tidy["state"].astype(str)
    events = [name for name in states.unique() if name != EVENT_FREE]
    if state is not None and state not in events:
        raise OutcomeError(
            f"There is no event {state!r} to draw", f"Events are {', '.join(events) or 'none'}", "Name one of them"
        )
    shown = tidy[states.isin(events if state is None else [state])]
    strata, n_events = strata_of(shown), len(events) if state is None else 1
    if n_events > 1 and strata.nunique() > 1:
        raise OutcomeError(
            f"{strata.nunique()} groups and {n_events} events are asked of one figure",
            "A reader tells apart groups, or events, by colour",
            "Draw one figure per event: state=...",
        )
    by = shown["state"].astype(str) if n_events > 1 else strata
    curves = {str(name): shown[by == name] for name in by.unique()}
    words = y_label or (state or (events[0] if n_events == 1 else "Had the event"))
    return draw_steps(tidy, curves, ax=ax, start=0.0, unit_label=unit_label, y_label=words, note=note)


def draw_mean_cumulative(
    tidy: pd.DataFrame, *, ax: Axes | None = None, unit_label: str = "years", y_label: str = "", note: str = ""
) -> Axes:
    """Draw the mean number of recurrent events per 100 patients, one step curve per group, with the risk table.

    Parameters
    ----------
    tidy : ``label, strata, time, n_risk, n_event, estimate, conf_low, conf_high``; ``estimate`` per patient
    ax, unit_label, y_label, note : as in ``draw_survival``
    """
    strata = strata_of(tidy)
    curves = {str(name): tidy[strata == name] for name in strata.unique()}
    highest = float(tidy[["estimate", "conf_high"]].max().max()) if len(tidy) else 0.0
    top = next((nice for nice in NICE if nice >= highest), highest) * PER_CENT
    return draw_steps(tidy, curves, ax=ax, start=0.0, unit_label=unit_label, y_label=y_label, note=note, top=top)
