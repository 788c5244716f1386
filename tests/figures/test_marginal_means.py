"""The figure of means and differences over time."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.figures.canvas import frames_of
from aih_outcomes.figures.marginal_means import draw_marginal_means


def means_of(times, *, visits=False, contrast=False, log=False):
    rows = []
    for place, name in enumerate(["Responder", "Non-responder"]):
        for k, time in enumerate(times):
            value = 2.0 + place + 0.2 * k
            rows.append({"label": "bilirubin", "strata": name, "term": f"visit {k}" if visits else "", "time": time,
                         "estimate": value, "std_error": 0.3, "conf_low": value - 0.6, "conf_high": value + 0.6,
                         "df": 30.0, "n": 40 - k})  # fmt: skip
    frame = pd.DataFrame(rows).astype({"n": "Int64"})
    if contrast:
        frame["contrast"] = "a − b"
    if log:
        names = ("ratio", "ratio_low", "ratio_high") if contrast else (
            "geometric_mean", "geometric_low", "geometric_high")  # fmt: skip
        for name, column in zip(names, ("estimate", "conf_low", "conf_high"), strict=True):
            frame[name] = np.exp(frame[column] / 10)
    frame.attrs = {"time_unit": "days", "time_zero": "month 6", "unit": "mg/dL", "at_visits": visits}
    return frame


@pytest.fixture
def close_all():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.mark.usefixtures("close_all")
class TestDrawing:
    def test_many_times_are_a_band(self):
        ax = draw_marginal_means(means_of(np.linspace(0, 2000, 30)))
        assert len(ax.collections) == 2
        assert ax.get_xlabel() == "Years since month 6"
        assert ax.get_ylabel() == "Bilirubin (mg/dL)"

    def test_everyone_together_is_one_black_line_of_all_patients(self):
        tidy = means_of(np.linspace(0, 2000, 30)).query("strata == 'Responder'").assign(strata="all")
        tidy.attrs = means_of([1]).attrs
        ax = draw_marginal_means(tidy)
        words = [text.get_text() for text in ax.texts]
        assert "All patients" in words
        assert "all" not in words
        assert len(ax.collections) == 1

    def test_visits_are_points_with_their_names(self):
        ax = draw_marginal_means(means_of([28, 182, 365], visits=True))
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["visit 0", "visit 1", "visit 2"]
        assert {line.get_marker() for line in ax.lines if len(line.get_xdata()) == 3 and line.axes is ax} >= {"o", "s"}

    def test_ratios_have_a_logarithmic_axis_and_a_line_at_one(self):
        ax = draw_marginal_means(means_of([28, 182], contrast=True, log=True))
        assert ax.get_yscale() == "log"
        assert any(list(line.get_ydata()) == [1, 1] for line in ax.lines)

    def test_differences_have_a_line_at_zero(self):
        ax = draw_marginal_means(means_of([28, 182], contrast=True))
        low, high = ax.get_ylim()
        assert low < 0 < high
        assert any(list(line.get_ydata()) == [0, 0] for line in ax.lines)

    def test_what_is_not_estimable_breaks_the_line(self):
        frame = means_of([28, 182, 365], visits=True)
        frame.loc[1, ["estimate", "conf_low", "conf_high"]] = np.nan
        ax = draw_marginal_means(frame)
        assert any(np.isnan(np.asarray(line.get_ydata(), float)).sum() == 1 for line in ax.lines)

    def test_nothing_estimable_says_so(self):
        frame = means_of([28, 182])
        frame[["estimate", "conf_low", "conf_high"]] = np.nan
        assert draw_marginal_means(frame).texts

    def test_numbers_under_the_axis_are_those_of_the_frame(self):
        ax = draw_marginal_means(means_of([28, 182, 365], visits=True))
        words = [text.get_text() for text in ax.texts]
        assert [words.count(n) for n in ("40", "39", "38")] == [2, 2, 2]

    def test_the_frame_is_remembered_for_disclosure(self):
        frame = means_of([28, 182])
        assert frames_of(draw_marginal_means(frame).figure)[0] is frame

    def test_cells_without_a_time_stand_side_by_side(self):
        frame = means_of([28, 182], visits=True).assign(time=np.nan)
        ax = draw_marginal_means(frame)
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["visit 0", "visit 1"]
