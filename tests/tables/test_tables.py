"""What a table says, and how it says what is hidden."""

import csv
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.disclosure import apply_policy
from aih_outcomes.errors import OutcomeError
from aih_outcomes.tables import (
    tabulate_baseline,
    tabulate_comparison,
    tabulate_model,
    tabulate_rates,
    write_comparison,
)
from aih_outcomes.tables.numbers import FIGURE_SPACE, format_p, format_percent


@pytest.fixture
def baseline() -> pd.DataFrame:
    rows = [
        ("Responder", "ALT", None, 221, 221, 0, 17.31, 9.07, 30.2, 0.12),
        ("Not evaluable", "ALT", None, 31, 31, 0, 15.0, 8.0, 29.9, 0.12),
        ("Insufficient response", "ALT", None, 79, 79, 7, 20.04, 11.0, 120.0, 0.12),
        ("Responder", "Type", "1", 160, 210, 11, 160 / 210, np.nan, np.nan, 0.31),
        ("Not evaluable", "Type", "1", 20, 31, 0, 20 / 31, np.nan, np.nan, 0.31),
        ("Insufficient response", "Type", "1", 50, 86, 0, 50 / 86, np.nan, np.nan, 0.31),
        ("Responder", "Type", "2", 50, 210, 11, 50 / 210, np.nan, np.nan, np.nan),
        ("Not evaluable", "Type", "2", 11, 31, 0, 11 / 31, np.nan, np.nan, np.nan),
        ("Insufficient response", "Type", "2", 36, 86, 0, 36 / 86, np.nan, np.nan, np.nan),
    ]
    columns = [
        "label",
        "variable",
        "level",
        "n",
        "denominator",
        "n_missing",
        "estimate",
        "conf_low",
        "conf_high",
        "smd",
    ]
    frame = pd.DataFrame(rows, columns=columns)
    sizes = {"Responder": 221, "Not evaluable": 31, "Insufficient response": 86}
    return frame.assign(n_group=frame["label"].map(sizes), unit=np.where(frame["variable"] == "ALT", "× ULN", ""))


def test_table_one_in_full(baseline: pd.DataFrame) -> None:
    assert tabulate_baseline(baseline, caption="Table 1").to_csv_text() == (
        "group,,Responder (n = 221),Insufficient response (n = 86),Not evaluable (n = 31),SMD\n"
        ',"ALT, × ULN",17.3 [9.1–30.2],20.0 [11.0–120.0],15.0 [8.0–29.9],0.12\n'
        ',"ALT, × ULN: missing",0,7,0,\n'
        "Type,1,160/210 (76),50/86 (58),20/31 (65),0.31\n"
        "Type,2,50/210 (24),36/86 (42),11/31 (35),\n"
        "Type,Missing,11,0,0,\n"
    )


def test_table_one_says_what_is_hidden(baseline: pd.DataFrame) -> None:
    baseline.loc[8, ["n", "denominator", "n_missing", "estimate"]] = [2, 52, 34, 2 / 52]
    baseline.loc[5, ["n", "denominator", "n_missing"]] = [50, 52, 34]
    table = tabulate_baseline(apply_policy(baseline, "lt5"))
    type_2 = table.display.iloc[3]
    assert type_2.iloc[2] == "<5/50"
    assert "<5: fewer than 5 patients; other counts rounded to the nearest 5." in table.footnotes
    assert "2/52" not in table.to_html()


def test_rates_give_bounds_and_all_denominators() -> None:
    frame = pd.DataFrame(
        {"label": ["All patients"], "n_met": [214], "n_not_met": [100], "n_not_evaluable": [36],
         "estimate": [214 / 314], "conf_low": [0.628], "conf_high": [0.73], "bound_low": [214 / 350],
         "bound_high": [250 / 350], "transaminase_only": [0.74], "corrected": [0.71], "corrected_low": [0.65],
         "corrected_high": [0.766]}
    )  # fmt: skip
    table = tabulate_rates(frame)
    assert table.display.iloc[0].tolist() == [
        "All patients",
        "214",
        "100",
        "36",
        "68 (63 to 73)",
        "61 to 71",
        "74",
        "71 (65 to 77)",
    ]


def comparisons() -> pd.DataFrame:
    rows = [
        ("All", "landmark at month 6", "hazard_ratio", 307, 26, 0.27, 0.15, 0.48, False),
        ("All", "landmark at month 6", "risk_difference", 307, 26, -0.21, -0.31, -0.12, False),
        ("All", "landmark at month 6", "restricted_mean_difference", 307, 26, 0.91, 0.4, 1.42, False),
        ("Targeted", "landmark at month 6", "hazard_ratio", 31, None, None, None, None, False),
        ("All", "comparison from day 0", "hazard_ratio", 350, 44, 0.12, 0.07, 0.21, True),
    ]
    columns = ["label", "design", "measure", "n", "n_event", "estimate", "conf_low", "conf_high", "biased"]
    frame = pd.DataFrame(rows, columns=columns).assign(term="responder")
    return frame.astype({"n": "Int64", "n_event": "Int64"})


def test_comparison_has_the_absolute_beside_the_relative() -> None:
    table = tabulate_comparison(comparisons())
    assert table.display.iloc[0].tolist()[1:] == [
        "307", "26", "0.27 (0.15 to 0.48)", "−21.0 (−31.0 to −12.0)", "0.91 (0.40 to 1.42)",
    ]  # fmt: skip
    assert table.display.iloc[1, 3] == "not estimable"
    assert table.groups == ("Landmark at month 6", "Landmark at month 6", "Comparison from day 0")


def test_biased_comparisons_are_named_so() -> None:
    table = tabulate_comparison(comparisons())
    assert table.display.iloc[2, 0] == "responder (biased)"
    assert any(note.startswith("Biased:") for note in table.footnotes)


class Scopes(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.scopes: list[str | None] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag == "th":
            self.scopes.append(dict(attrs).get("scope"))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_well_formed_and_every_heading_has_a_scope(baseline: pd.DataFrame) -> None:
    html = tabulate_baseline(baseline).to_html()
    parser = Scopes()
    parser.feed(html)
    assert parser.open == []
    assert set(parser.scopes) == {"col", "row", "rowgroup"}
    assert "<caption>" in html
    assert FIGURE_SPACE in html


def test_words_from_the_data_are_escaped(baseline: pd.DataFrame) -> None:
    baseline["variable"] = baseline["variable"].replace("Type", "<script>alert(1)</script>")
    html = tabulate_baseline(baseline, caption="a < b & c").to_html()
    assert "<script>" not in html
    assert "a &lt; b &amp; c" in html


def test_csv_reads_back(baseline: pd.DataFrame) -> None:
    table = tabulate_baseline(baseline)
    rows = list(csv.reader(io.StringIO(table.to_csv_text())))
    assert [row[1:] for row in rows[1:]] == table.display.to_numpy().tolist()


@pytest.mark.parametrize("tabulate", [tabulate_baseline, tabulate_comparison, tabulate_rates])
def test_empty_frames_say_so(tabulate: type, baseline: pd.DataFrame) -> None:
    frame = {tabulate_baseline: baseline, tabulate_comparison: comparisons()}.get(
        tabulate, pd.DataFrame(columns=["label", "n_met", "n_not_met", "n_not_evaluable", "estimate"])
    )
    assert "nothing to show" in tabulate(apply_policy(frame.iloc[:0], "lt5")).to_html()


def test_missing_columns_are_named() -> None:
    with pytest.raises(OutcomeError, match="n_not_evaluable"):
        tabulate_rates(pd.DataFrame({"label": [], "n_met": [], "n_not_met": [], "estimate": []}))


def test_p_is_never_nought_and_a_share_never_all_by_rounding() -> None:
    assert [format_p(p) for p in (0.0, 1e-9, 0.00099)] == ["< 0.001"] * 3
    assert [format_percent(p) for p in (0.0, 0.004, 0.996, 1.0)] == ["0", "<1", ">99", "100"]


def contrast(**changes: object) -> pd.DataFrame:
    rows = [
        ("Responder", "hazard_ratio", 0.7366, 0.2951, 1.8388),
        ("Responder", "risk_difference", 0.00638, -0.0413, 0.0541),
        ("Not evaluable", "hazard_ratio", 0.7552, 0.2918, 1.9546),
    ]
    frame = pd.DataFrame(rows, columns=["strata", "measure", "estimate", "conf_low", "conf_high"])
    frame = frame.assign(reference="Insufficient response", **changes)
    frame.attrs = {"horizon": 5.0, "time_unit": "years"}
    return frame


def test_a_comparison_in_one_line_has_the_absolute_beside_the_relative_and_no_p() -> None:
    assert write_comparison(contrast(p_value=0.51)) == (
        "Responder vs Insufficient response: hazard ratio 0.74 (95 % CI 0.30 to 1.84), "
        "risk difference at 5 years 0.6 % (−4.1 to 5.4)"
    )


def test_a_biased_comparison_in_one_line_says_so() -> None:
    assert write_comparison(contrast(biased=True)).startswith("Responder vs Insufficient response (biased): ")


def test_what_cannot_be_estimated_is_said_in_the_line() -> None:
    only_ratio = contrast()[lambda frame: frame["measure"] == "hazard_ratio"]
    assert write_comparison(only_ratio).endswith("risk difference at 5 years not estimable")
    nothing = contrast(estimate=np.nan)
    assert "hazard ratio not estimable, risk difference at 5 years not estimable" in write_comparison(nothing)
    assert write_comparison(contrast(strata="Not evaluable")) == ""


def test_a_small_coefficient_keeps_its_digits() -> None:
    columns = ["label", "term", "estimate", "std_error", "conf_low", "conf_high", "p_value"]
    rows = [
        ("Platelets", "intercept", 5.4462, 0.0238, 5.4, 5.493, 0.0),
        ("Platelets", "years", -0.0004, 0.0035, -0.0073, 0.0065, 0.91),
    ]
    table = tabulate_model(pd.DataFrame(rows, columns=columns))
    assert table.display.iloc[0].tolist() == ["Intercept", "5.446 (5.400 to 5.493)", "0.024", "< 0.001"]
    assert table.display.iloc[1].tolist() == ["Years", "−0.0004 (−0.0073 to 0.0065)", "0.0035", "0.91"]
    assert any("scale of the model" in note for note in table.footnotes)


def test_levels_stand_in_from_their_heading_and_only_headings_are_bold(baseline: pd.DataFrame) -> None:
    html = tabulate_baseline(baseline).to_html()
    (level,) = re.findall(r'<th scope="row" style="([^"]*)">1</th>', html)
    (alone,) = re.findall(r'<th scope="row" style="([^"]*)">ALT, × ULN</th>', html)
    (heading,) = re.findall(r'<th scope="rowgroup"[^>]*style="([^"]*)">Type</th>', html)
    assert "padding-left" in level
    assert "padding-left" not in alone
    assert "font-weight: normal" in level
    assert "font-weight: normal" not in heading


def test_a_notebook_keeps_what_is_shown_and_not_the_numbers_behind_it(baseline: pd.DataFrame) -> None:
    table = tabulate_baseline(baseline)
    assert repr(table).startswith("Characteristics")
    assert "data=" not in repr(table)
    assert table._repr_html_() == table.to_html()
