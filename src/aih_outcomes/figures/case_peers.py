"""The strip beside one patient's course: how far peers who did not switch lie from their own prediction."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from scipy.stats import norm

from aih_outcomes.disclosure import disclosed_policy, hidden_mark
from aih_outcomes.figures.canvas import dress, style_of
from aih_outcomes.figures.placement import points_from
from aih_outcomes.figures.style import AXIS_LINE, DARK, GroupStyle, bundled_font, ink, mix_with_white

SHARES = (0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)  # of series that the model expects nearer
PEERS = "#5A5A5A"
WIDE, NARROW = 0.34, 0.2  # half widths of the boxes: half of the peers, eight in ten of them
QUANTILES = ("10 %", "25 %", "50 %", "75 %", "90 %")
KINDS = {"jointly": ("", "calibrated"), "on average": ("on average, ", "calibrated_mean")}  # terms, the case's own
EDGE = 0.35  # normal deviates around what is drawn


def draw_peers(ax: Axes, peers: pd.DataFrame, tidy: pd.DataFrame, look: GroupStyle) -> None:
    """Draw the peers' quantiles as boxes, jointly and on average, and the case's own distances over them.

    Parameters
    ----------
    peers : as ``against_peers()`` returns them: quantiles of calibrated distances, and counts
    tidy : frame of the case; ``attrs["calibrated"]`` and ``attrs["calibrated_mean"]`` are its distances
    """
    dress(ax)
    terms = peers["term"].astype(str)
    at = dict(zip(terms, peers["estimate"].astype(float), strict=True))
    boxes = {
        place: ({name: at[f"{before}{name}"] for name in QUANTILES}, tidy.attrs.get(own))
        for place, (before, own) in enumerate(KINDS.values())
        if f"{before}50 %" in at
    }
    drawn = [value for quantiles, own in boxes.values() for value in (*quantiles.values(), own) if value is not None]
    drawn.append(float(norm.ppf(0.95)))
    ax.set_xlim(-0.5, len(boxes) - 0.5)
    ax.set_ylim(min(drawn) - EDGE, max(drawn) + EDGE)
    _dress_shares(ax)
    for place, (quantiles, own) in boxes.items():
        _draw_box(ax, place, quantiles, None if own is None else float(own), look)
    ax.set_xticks(list(boxes), list(KINDS)[: len(boxes)])
    ax.tick_params(axis="x", length=0, labelsize=style_of(ax).small)
    ax.text(0, -4 - 1.6 * style_of(ax).small, tell_of_peers(peers, tidy), transform=points_from(ax), va="top",
            color=DARK, linespacing=1.25, fontproperties=bundled_font(style_of(ax).small))  # fmt: skip


def _draw_box(ax: Axes, place: int, at: dict[str, float], own: float | None, look: GroupStyle) -> None:
    scale = style_of(ax).scale
    for low, high, half, share in (("10 %", "90 %", NARROW, 0.16), ("25 %", "75 %", WIDE, 0.36)):
        ax.fill_between([place - half, place + half], at[low], at[high], color=mix_with_white(PEERS, share),
                        linewidth=0, zorder=2)  # fmt: skip
    ax.plot([place - WIDE, place + WIDE], [at["50 %"]] * 2, color=PEERS, linewidth=1.3 * scale, zorder=3)
    if place == 0:
        _write_beside(ax, place, at["50 %"], "peers", DARK)
    if own is not None:
        ax.plot(place, own, marker=look.marker, markersize=6.5 * scale, color=look.colour, markeredgecolor="white",
                markeredgewidth=0.5, zorder=5)  # fmt: skip
        _write_beside(ax, place, own, "patient", look.colour)


def _dress_shares(ax: Axes) -> None:
    """Write, at their normal deviates, the shares of series that the model expects nearer."""
    low, high = ax.get_ylim()
    shares = [share for share in SHARES if low <= norm.ppf(share) <= high]
    ax.yaxis.set_ticks_position("right")
    ax.yaxis.set_label_position("right")
    ax.spines["left"].set_visible(False)
    ax.spines["right"].set_visible(True)
    ax.spines["right"].set_linewidth(AXIS_LINE * style_of(ax).scale)
    ax.set_yticks([float(norm.ppf(share)) for share in shares], [f"{100 * share:g} %" for share in shares])
    ax.set_ylabel("Distance of the series from its prediction,\nas share that the model expects nearer")
    ax.spines["bottom"].set_visible(False)


def tell_of_peers(peers: pd.DataFrame, tidy: pd.DataFrame) -> str:
    """Return how many peers there are, and how many lie farther: jointly, and in the mean of their differences."""
    counts = peers.set_index(peers["term"].astype(str))["n"]
    shown = {name: hidden_mark(peers) if pd.isna(n) else f"{int(n)}" for name, n in counts.items()}
    rank = "(no test)"
    if disclosed_policy(peers) in (None, "none"):
        ranks = [int(counts[name]) + 1 for name in ("farther", "farther on average")]
        rank = f"Rank {ranks[0]}, on average {ranks[1]},\nof {int(counts['50 %']) + 1} (no test)"
    own = tidy.attrs.get("standardised_mean")
    here = "" if own is None else f"\n(here {float(own):+.1f} SD)".replace("-", "−")
    return (
        f"Pseudo-switched peers: {shown['50 %']};\nfarther than this patient: {shown['farther']},\n"
        f"on the same side: {shown['farther, same side']};\n"
        f"farther on average{here}: {shown['farther on average']}.\n{rank}"
    )


def _write_beside(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    style = style_of(ax)
    ax.annotate(text, (x, y), (0, 5 * style.scale), textcoords="offset points", ha="center", va="bottom",
                color=ink(colour), zorder=6, annotation_clip=False,
                fontproperties=bundled_font(style.small),
                path_effects=[withStroke(linewidth=1.6, foreground="white")])  # fmt: skip
