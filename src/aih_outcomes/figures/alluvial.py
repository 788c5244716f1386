"""Draw how patients move between states from visit to visit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.patheffects import AbstractPathEffect, withStroke

from aih_outcomes.disclosure import explain_hidden, hidden_mark
from aih_outcomes.figures.canvas import (
    open_axes,
    remember_frame,
    say_nothing,
    settle,
    style_of,
    width_of,
    wrap_to,
)
from aih_outcomes.figures.style import (
    DARK,
    FLOW_ALPHA,
    POINTS_PER_INCH,
    GroupStyle,
    bundled_font,
    ink,
    is_light,
    luminance,
    styles_of,
)

LAST_STATES = ("undetermined", "not evaluable")  # at the bottom, whatever the order
BAR = 0.2  # width of a node, in steps between visits
GAP = 3.4  # between nodes, mm of a panel 90 mm high: room for one number
NAME_WIDTH = 92.0  # points for a name beside the last nodes
PALE, PALE_MORE = 0.6, 0.25  # flows from states paler than this luminance are drawn so much denser
LIFT = 1.5  # points between a thin node and its number


GROUND = {
    "boxstyle": "round,pad=0.12",
    "facecolor": "white",
    "edgecolor": "none",
    "alpha": 0.85,
}  # under words on flows


@dataclass(frozen=True, slots=True)
class _Node:
    """A state at a visit: where it lies (patients from the bottom), and how many; None where that is hidden."""

    bottom: float
    n: int | None

    @property
    def height(self) -> int:
        """Patients drawn."""
        return self.n or 0


def draw_alluvial(flows: pd.DataFrame, *, ax: Axes | None = None, order: Sequence[str] = ()) -> Axes:
    """Draw nodes (states at each visit, with their counts) and flows between them, coloured by origin.

    Parameters
    ----------
    flows : ``time, state, next_time, next_state, n``, and ``n_state, n_next_state`` (all who are in that state then);
        times are categories or in order of appearance; a missing count is under the threshold and not drawn
    ax : axes of final size; default a figure of two columns
    order : states from good to bad; default the categories of ``state`` or their order of appearance; undetermined and
        not evaluable lie at the bottom always
    """
    ax = open_axes(ax, width="double", height_mm=90)
    remember_frame(ax, flows)
    shown = flows[flows["n"].notna() & (flows["n"] > 0)]
    if shown.empty:
        return say_nothing(ax)
    times = _times(flows)
    states = _states(flows, order)
    nodes = _nodes(flows, times, states, share_of_gap=GAP / 90)
    styles = styles_of(states)
    _draw_flows(ax, shown, times, states, nodes, styles)
    _draw_nodes(ax, times, nodes, styles)
    highest = max(node.bottom + node.height for node in nodes.values())
    ax.set(xlim=(-BAR, len(times) - 1 + BAR), ylim=(0, highest), yticks=[])
    ax.set_xticks(range(len(times)), times)
    ax.tick_params(axis="x", length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    _write_states(ax, times, nodes, styles)
    _write_below(ax, flows)
    settle(ax)
    _write_counts(ax, times, nodes, styles, hidden_mark(flows))
    return ax


def _write_below(ax: Axes, flows: pd.DataFrame) -> None:
    """Say under the axes what is not drawn, and how hidden counts are written."""
    size = style_of(ax).small
    not_drawn = "Flows of too few patients to be shown are not drawn." if flows["n"].isna().any() else ""
    ax.annotate(
        " ".join(filter(None, (not_drawn, explain_hidden(flows)))),
        (0, 0),
        (0, -2.6 * size),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        color=DARK,
        annotation_clip=False,
        fontproperties=bundled_font(size),
    )


def _times(flows: pd.DataFrame) -> list[str]:
    """Return the visits in order: categories, else each before the one that follows it."""
    both = [flows["time"], flows["next_time"]]
    present = list(dict.fromkeys(str(t) for column in both for t in column))
    if isinstance(flows["time"].dtype, pd.CategoricalDtype):
        listed = [str(t) for t in flows["time"].cat.categories]
        return [t for t in [*listed, *[p for p in present if p not in listed]] if t in present]
    pairs = list(dict.fromkeys(zip(flows["time"].astype(str), flows["next_time"].astype(str), strict=True)))
    follows = dict(pairs)
    begin = [t for t in follows if t not in set(follows.values())] or present[:1]
    ordered = [begin[0]]
    while ordered[-1] in follows and follows[ordered[-1]] not in ordered:
        ordered.append(follows[ordered[-1]])
    return [*ordered, *[t for t in present if t not in ordered]]


def _states(flows: pd.DataFrame, order: Sequence[str]) -> list[str]:
    """Return the states from top to bottom."""
    listed = list(order)
    for column in ("state", "next_state"):
        if isinstance(flows[column].dtype, pd.CategoricalDtype):
            listed += [str(state) for state in flows[column].cat.categories]
    found = list(dict.fromkeys([*flows["state"].astype(str), *flows["next_state"].astype(str)]))
    states = [state for state in dict.fromkeys([*listed, *found]) if state in found]
    rank = {name: place for place, name in enumerate(LAST_STATES, start=1)}
    return sorted(states, key=lambda state: rank.get(state.casefold(), 0))


def _nodes(
    flows: pd.DataFrame, times: list[str], states: list[str], *, share_of_gap: float
) -> dict[tuple[str, str], _Node]:
    """Return nodes by (time, state), stacked from the bottom; a hidden count has no height."""
    sizes: dict[tuple[str, str], int | None] = {}
    for when, what, count in (("next_time", "next_state", "n_next_state"), ("time", "state", "n_state")):
        for time, state, n in zip(flows[when].astype(str), flows[what].astype(str), flows[count], strict=True):
            sizes[time, state] = None if pd.isna(n) else int(n)
    gap = share_of_gap * max(sum(n or 0 for (t, _), n in sizes.items() if t == time) for time in times)
    nodes: dict[tuple[str, str], _Node] = {}
    for time in times:
        bottom = 0.0
        for state in [state for state in reversed(states) if (time, state) in sizes]:
            nodes[time, state] = _Node(bottom, sizes[time, state])
            bottom += nodes[time, state].height + gap
    return nodes


def _draw_flows(
    ax: Axes,
    shown: pd.DataFrame,
    times: list[str],
    states: list[str],
    nodes: dict[tuple[str, str], _Node],
    styles: dict[str, GroupStyle],
) -> None:
    place = {state: i for i, state in enumerate(states)}
    rows = sorted(
        zip(
            shown["time"].astype(str),
            shown["state"].astype(str),
            shown["next_time"].astype(str),
            shown["next_state"].astype(str),
            shown["n"].astype(int),
            strict=True,
        ),
        key=lambda row: (times.index(row[0]), place[row[1]], place[row[3]]),
    )
    leave = {key: node.bottom + node.height for key, node in nodes.items()}
    arrive = dict(leave)
    tops_in: dict[tuple[str, str, str], float] = {}
    for time, state, next_time, next_state, n in sorted(rows, key=lambda row: (place[row[3]], place[row[1]])):
        tops_in[time, state, next_state] = arrive[next_time, next_state]
        arrive[next_time, next_state] -= n
    for time, state, next_time, next_state, n in rows:
        x0, x1 = times.index(time) + BAR / 2, times.index(next_time) - BAR / 2
        top0, top1 = leave[time, state], tops_in[time, state, next_state]
        leave[time, state] -= n
        ax.add_patch(
            PathPatch(
                _ribbon(x0, x1, top0, top1, n),
                facecolor=styles[state].colour,
                alpha=FLOW_ALPHA + PALE_MORE * (luminance(styles[state].colour) > PALE),
                edgecolor="none",
                zorder=2,
            )
        )


def _ribbon(x0: float, x1: float, top0: float, top1: float, n: float) -> Path:
    """Return a band of height ``n`` from one node's side to another's."""
    middle = (x0 + x1) / 2
    corners = np.array(
        [
            (x0, top0),
            (middle, top0),
            (middle, top1),
            (x1, top1),
            (x1, top1 - n),
            (middle, top1 - n),
            (middle, top0 - n),
            (x0, top0 - n),
            (x0, top0),
        ]
    )
    curve, line = Path.CURVE4, Path.LINETO
    return Path(corners, [Path.MOVETO, curve, curve, curve, line, curve, curve, curve, Path.CLOSEPOLY])


def _draw_nodes(ax: Axes, times: list[str], nodes: dict[tuple[str, str], _Node], styles: dict[str, GroupStyle]) -> None:
    for (time, state), node in nodes.items():
        look = styles[state]
        corner = (times.index(time) - BAR / 2, node.bottom)
        ax.add_patch(
            Rectangle(
                corner, BAR, node.height, facecolor=look.colour, edgecolor=look.edge, linewidth=0.5, zorder=3,
                visible=node.height > 0,
            )
        )  # fmt: skip


def _write_counts(
    ax: Axes, times: list[str], nodes: dict[tuple[str, str], _Node], styles: dict[str, GroupStyle], mark: str
) -> None:
    """Write how many are in each node: inside it, or in the gap above it where it is too thin."""
    size = style_of(ax).small
    unit = ax.get_window_extent().height / ax.figure.dpi * POINTS_PER_INCH / ax.get_ylim()[1]
    for (time, state), node in nodes.items():
        colour = styles[state].colour
        is_inside = node.height * unit >= 1.1 * size
        on_bar = DARK if is_light(colour) else "white"
        y, lift = (node.height / 2, 0.0) if is_inside else (node.height, LIFT if node.height else -size / 2)
        ax.annotate(
            mark if node.n is None else f"{node.n}",
            (times.index(time), node.bottom + y),
            (0, lift),
            textcoords="offset points",
            ha="center",
            va="center" if is_inside else "baseline",
            zorder=5,
            annotation_clip=False,
            color=on_bar if is_inside else ink(colour),
            fontproperties=bundled_font(size, bold=True),
        )


def _outline(colour: str) -> AbstractPathEffect:
    return withStroke(linewidth=1.8, foreground=colour)


def _write_states(
    ax: Axes, times: list[str], nodes: dict[tuple[str, str], _Node], styles: dict[str, GroupStyle]
) -> None:
    """Name each state beside its last node on the right; those of the first visit on the left."""
    size = style_of(ax).small
    between = width_of(ax) / (len(times) - 1 + 2 * BAR) * (1 - BAR) - 2 * size if len(times) > 1 else NAME_WIDTH
    last = {state: time for time in times for (t, state) in nodes if t == time}
    named = [(times[0], state, "right") for (t, state) in nodes if t == times[0] and len(times) > 1]
    named += [(time, state, "left") for state, time in last.items() if (time, state, "right") not in named]
    for time, state, align in named:
        node = nodes[time, state]
        room = {times[0]: 42.0, times[-1]: NAME_WIDTH}.get(time, min(between, 62.0)) * size / 7
        x = times.index(time) + (BAR / 2 if align == "left" else -BAR / 2)
        is_over_flows = time not in (times[0], times[-1])
        ax.annotate(
            wrap_to(state, room, size, bold=True),
            (x, node.bottom + node.height / 2),
            (4 if align == "left" else -4, 0),
            textcoords="offset points",
            ha=align,
            va="center",
            color=ink(styles[state].colour),
            annotation_clip=False,
            zorder=6,
            multialignment=align,
            fontproperties=bundled_font(size, bold=True),
            bbox=GROUND if is_over_flows else None,
            path_effects=[_outline("white")],
        )
