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
EDGE = 0.35  # normal deviates around what is drawn


def draw_peers(ax: Axes, peers: pd.DataFrame, tidy: pd.DataFrame, look: GroupStyle) -> None:
    """Draw the peers' quantiles as a box, and the case's own distance over it.

    Parameters
    ----------
    peers : as ``against_peers()`` returns them: quantiles of the calibrated distance, and counts
    tidy : frame of the case; ``attrs["calibrated"]`` is its distance
    """
    dress(ax)
    scale = style_of(ax).scale
    boxes = peers[peers["term"].astype(str).str.endswith("%")]
    at = dict(zip(boxes["term"].astype(str), boxes["estimate"].astype(float), strict=True))
    own = tidy.attrs.get("calibrated")
    drawn = [*at.values(), *([] if own is None else [float(own)]), float(norm.ppf(0.95))]
    ax.set_xlim(-0.5, 0.5)
    ax.set_ylim(min(drawn) - EDGE, max(drawn) + EDGE)
    for low, high, half, share in (("10 %", "90 %", NARROW, 0.16), ("25 %", "75 %", WIDE, 0.36)):
        ax.fill_between([-half, half], at[low], at[high], color=mix_with_white(PEERS, share), linewidth=0, zorder=2)
    ax.plot([-WIDE, WIDE], [at["50 %"]] * 2, color=PEERS, linewidth=1.3 * scale, zorder=3)
    if own is not None:
        ax.plot(0, float(own), marker=look.marker, markersize=6.5 * scale, color=look.colour, markeredgecolor="white",
                markeredgewidth=0.5, zorder=5)  # fmt: skip
    _dress_shares(ax)
    _write_words(ax, peers, at["50 %"], own, look)


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
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)


def _write_words(ax: Axes, peers: pd.DataFrame, middle: float, own: float | None, look: GroupStyle) -> None:
    _write_beside(ax, middle, "peers", DARK)
    if own is not None:
        _write_beside(ax, float(own), "this patient", look.colour)
    counts = peers.set_index(peers["term"].astype(str))["n"]
    shown = {name: hidden_mark(peers) if pd.isna(n) else f"{int(n)}" for name, n in counts.items()}
    rank = "(no test)"
    if disclosed_policy(peers) in (None, "none"):
        rank = f"Rank {int(counts['farther']) + 1} of {int(counts['50 %']) + 1} (no test)"
    words = (
        f"Pseudo-switched peers: {shown['50 %']}\nfarther than this patient: {shown['farther']},\n"
        f"on the same side: {shown['farther, same side']};\nfarther on average: {shown['farther on average']}\n{rank}"
    )
    ax.text(0, -4, words, transform=points_from(ax), va="top", color=DARK, linespacing=1.25,
            fontproperties=bundled_font(style_of(ax).small))  # fmt: skip


def _write_beside(ax: Axes, y: float, text: str, colour: str) -> None:
    style = style_of(ax)
    ax.annotate(text, (0, y), (0, 5 * style.scale), textcoords="offset points", ha="center", va="bottom",
                color=ink(colour), zorder=6, annotation_clip=False,
                fontproperties=bundled_font(style.small),
                path_effects=[withStroke(linewidth=1.6, foreground="white")])  # fmt: skip
