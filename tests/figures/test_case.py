"""One patient against the cohort, drawn: what is shown, what is hidden, and what is said where nothing is predicted."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from aih_outcomes.disclosure import apply_policy, pass_with_consent
from aih_outcomes.figures import frames_of, open_figure
from aih_outcomes.figures.canvas import figure_of
from aih_outcomes.figures.case import draw_case, draw_case_values
from aih_outcomes.figures.case_peers import QUANTILES


@pytest.fixture
def tidy() -> pd.DataFrame:
    since = np.array([-400.0, -320, -250, -120, -40, 0, 14, 40, 90, 180, 300, 420])
    after = since > 0
    middle = np.where(after, 3 * np.exp(-since.clip(0) / 300) + 1, 2.5)
    frame = pd.DataFrame({
        "label": "ALT", "term": np.where(after, "after", "before"), "time": since + 561, "estimate": middle,
        "std_error": np.where(after, 0.5, np.nan), "conf_low": np.where(after, middle / 3, np.nan),
        "conf_high": np.where(after, middle * 3, np.nan), "df": 300.0, "patient_id": "AIH-0000", "since": since,
        "observed": np.where(after, 8 * np.exp(-since.clip(0) / 60) + 0.6, 3 + 2 * np.sin(since)),
        "inner_low": np.where(after, middle / 1.4, np.nan), "inner_high": np.where(after, middle * 1.4, np.nan),
        "distance": np.where(after, 2.0, np.nan), "limit": 3.0, "steroid": np.linspace(1.4, 0, len(since)),
    })  # fmt: skip
    frame.attrs = {"unit": "× ULN", "switch": "start of gene-matched therapy", "from_day": 561.0, "scale": "log",
                   "time_zero": "first dose of induction steroid", "conf_level": 0.95, "not_estimable": None,
                   "calibrated": 2.1, "calibrated_mean": 2.6, "standardised_mean": -2.8}  # fmt: skip
    return frame


@pytest.fixture
def peers() -> pd.DataFrame:
    frame = pd.DataFrame({
        "label": "ALT", "term": [*QUANTILES, *(f"on average, {name}" for name in QUANTILES), "farther",
                              "farther, same side", "farther on average"],
        "estimate": [-1.2, -0.6, 0.1, 0.8, 1.4] * 2 + [3 / 62, 0.0, 6 / 62], "n": [62] * 10 + [3, 0, 6],
        "denominator": 62,
    })  # fmt: skip
    return frame.astype(dict.fromkeys(("n", "denominator"), "Int64"))


def words(figure) -> str:
    figure.draw_without_rendering()
    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())


def test_values_dose_and_peers_have_axes_of_their_own(tidy, peers):
    axes = draw_case(tidy, peers)
    assert len(axes) == 3
    shown = words(figure_of(axes[0]))
    for said in ("Start of gene-matched therapy", "ULN", "Observed", "Predicted", "mg/kg/day", "of 63 (no test)",
                 "Rank 4, on average 7,", "(here −2.8 SD): 6.", "jointly", "on average",
                 "Research software: not for guiding the treatment of a patient"):  # fmt: skip
        assert said in shown
    assert "AIH-0000" not in shown


def test_a_figure_one_column_wide_tells_of_the_peers_in_words(tidy, peers):
    axes = draw_case(tidy, peers, figure=open_figure(width="single", height_mm=100))
    assert len(axes) == 2
    shown = words(figure_of(axes[0]))
    assert "Pseudo-switched peers: 62; farther" in shown
    assert "\n" in axes[-1].get_xlabel()
    left, right = 0.0, figure_of(axes[0]).bbox.width
    for text in figure_of(axes[0]).findobj(Text):
        if text.get_text() and text.get_visible():
            box = text.get_window_extent()
            assert left <= box.x0
            assert box.x1 <= right


def test_under_a_small_number_rule_small_counts_and_the_rank_are_hidden(tidy, peers):
    axes = draw_case(pass_with_consent(tidy, "lt5"), apply_policy(peers, "lt5"))
    shown = words(figure_of(axes[0]))
    assert "farther than this patient: <5" in shown
    assert "Rank" not in shown
    assert "Pseudo-switched peers: 60" in shown


def test_saving_can_ask_for_both_frames(tidy, peers):
    figure = figure_of(draw_case(pass_with_consent(tidy, "lt5"), apply_policy(peers, "lt5"))[0])
    assert [frame.attrs["disclosure"] for frame in frames_of(figure)] == ["lt5", "lt5"]
    assert all("patient_id" not in frame for frame in frames_of(figure))


def test_without_dose_or_peers_only_the_values_are_drawn(tidy, peers):
    assert len(draw_case(tidy.assign(steroid=np.nan))) == 1
    assert len(draw_case(tidy)) == 2
    assert len(draw_case(tidy, peers.assign(estimate=np.nan))) == 2


def test_the_fan_opens_at_the_last_value_before_the_switch(tidy):
    ax = draw_case(tidy)[0]
    bands = [band.get_paths()[0].vertices for band in ax.collections]
    assert len(bands) == 2
    for corners in bands:
        at_switch = corners[corners[:, 0] == 0.0][:, 1]
        assert np.ptp(at_switch) == 0


def test_what_is_not_predicted_is_said(tidy):
    nothing = ["estimate", "conf_low", "conf_high", "inner_low", "inner_high"]
    blank = tidy.assign(**dict.fromkeys(nothing, np.nan))
    blank.attrs["not_estimable"] = "fewer than 3 values before the switch"
    ax = draw_case(blank)[0]
    assert "Not predicted: fewer than 3 values before the switch" in words(figure_of(ax))
    assert not ax.collections


def test_a_quantity_without_logarithm_has_a_linear_axis(tidy, peers):
    linear = tidy.copy()
    linear.attrs = {**tidy.attrs, "scale": "identity", "unit": "g/L"}
    ax = draw_case(linear, peers)[0]
    assert ax.get_yscale() == "linear"
    assert "ULN" not in words(figure_of(ax))


def test_no_values_at_all(tidy):
    ax = open_figure().add_subplot()
    assert "nothing to show" in words(figure_of(draw_case_values(ax, tidy.iloc[:0])))


@pytest.mark.parametrize("journal", ["jhep", "nejm", "slide"])
def test_words_stay_on_the_page(tidy, peers, journal):
    height = 140 if journal == "slide" else 95
    figure = figure_of(draw_case(tidy, peers, figure=open_figure(journal=journal, width="double", height_mm=height))[0])
    figure.draw_without_rendering()
    page = figure.bbox
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text():
            box = text.get_window_extent()
            assert page.x0 - 1 <= box.x0, text.get_text()
            assert box.x1 <= page.x1 + 1, text.get_text()
            assert page.y0 - 1 <= box.y0, text.get_text()
            assert box.y1 <= page.y1 + 1, text.get_text()
