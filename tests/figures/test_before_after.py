"""The figure of values around a switch: the window, the counts, and who may be drawn."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.errors import DisclosureError
from aih_outcomes.figures import figure_of, frames_of
from aih_outcomes.figures.before_after import NAMES, draw_before_after


def course(n=12, **attrs):
    rows = [
        {"strata": strata, "time": time, "n": n, "estimate": 4.0 - (time > 0) * drop, "conf_low": 2.0, "conf_high": 6.0}
        for strata, drop in (("switch", 3.0), ("pseudo-switch", 1.0))
        for time in (-318.5, -227.5, -136.5, -45.5, 45.5, 136.5, 227.5, 318.5)
    ]
    frame = pd.DataFrame(rows).astype({"n": "Int64"})
    frame.attrs = {"time_zero": "start of gene-matched therapy", "decision_days": 28.0, **attrs}
    return frame


def words_of(ax):
    return [text.get_text() for text in ax.texts]


def test_the_decision_window_and_the_switch_are_marked():
    ax = draw_before_after(course())
    spans = [patch for patch in ax.patches if patch.get_width() == 28]
    assert [patch.get_x() for patch in spans] == [-28]
    assert "decision window" in words_of(ax)
    assert any(np.allclose(line.get_xdata(), 0) for line in ax.lines)
    assert ax.get_xlabel() == "Months since start of gene-matched therapy"


def test_no_line_crosses_the_switch():
    ax = draw_before_after(course())
    for line in ax.lines:
        x = np.asarray(line.get_xdata(), float)
        if len(x) == 4:
            assert (x < 0).all() or (x > 0).all()


def test_both_kinds_are_named_and_counted_under_the_axis():
    words = words_of(draw_before_after(course()))
    assert set(NAMES.values()) <= set(words)
    assert words.count("12") == 16


def test_medians_of_few_are_counted_and_not_drawn():
    frame = course()
    frame.loc[frame["time"] > 300, "n"] = 3
    ax = draw_before_after(frame)
    assert "Medians of fewer than 5 series are not drawn." in words_of(ax)
    assert words_of(ax).count("3") == 2
    assert max(np.max(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) > 2) < 300


def test_single_courses_are_drawn_only_without_a_small_number_rule():
    alone = pd.DataFrame({"patient_id": ["a", "a"], "strata": "switch", "time": [-50, 50], "value": [4.0, 1.0]})
    ax = draw_before_after(course(), individuals=alone)
    assert len(frames_of(figure_of(ax))) == 2
    with pytest.raises(DisclosureError, match="single courses"):
        draw_before_after(apply_policy(course(), "lt5"), individuals=alone)


def test_a_disclosed_frame_says_what_it_hides():
    frame = course(n=3)
    ax = draw_before_after(apply_policy(frame, "lt5"))
    assert any("fewer than 10 patients" in words or "nothing to show" in words for words in words_of(ax))


def test_a_linear_axis_and_the_upper_limit_of_normal():
    ax = draw_before_after(course(), log=False, y_label="g/L")
    assert ax.get_yscale() == "linear"
    assert "ULN" not in words_of(ax)
    assert "ULN" in words_of(draw_before_after(course()))


def test_one_kind_alone_and_nothing_at_all():
    one = draw_before_after(course()[course()["strata"] == "switch"])
    assert "Matched, not switched" not in words_of(one)
    nothing = draw_before_after(course().iloc[:0])
    assert any("nothing to show" in words for words in words_of(nothing))
