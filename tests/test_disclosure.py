"""Small counts do not survive, and do not follow from what is shown."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aih_outcomes.disclosure import POLICIES, apply_policy, disclosed_policy
from aih_outcomes.errors import DisclosureError

COUNTS = st.integers(0, 40)
RULES = [name for name in POLICIES if name != "none"]


def counts_of(frame: pd.DataFrame) -> np.ndarray:
    columns = [c for c in frame if c in ("n", "denominator") or str(c).startswith("n_")]
    return frame[columns].astype("Float64").to_numpy(float, na_value=np.nan)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """A baseline table: two groups and their sum, one variable with levels and one measured."""
    levels = draw(st.integers(2, 4))
    rows = []
    for variable, level in [*(("type", f"level {i}") for i in range(levels)), ("igg", None)]:
        cells = [draw(COUNTS) for _ in range(2)]
        rows += [(group, variable, level, n) for group, n in zip(("a", "b"), cells, strict=True)]
        rows.append(("All patients", variable, level, sum(cells)))
    frame = pd.DataFrame(rows, columns=["label", "variable", "level", "n"])
    known = frame.groupby(["label", "variable"])["n"].transform("sum")
    missing = {(g, v): draw(st.integers(0, 8)) for g in ("a", "b") for v in ("type", "igg")}
    missing |= {("All patients", v): missing["a", v] + missing["b", v] for v in ("type", "igg")}
    frame["denominator"] = known
    frame["n_missing"] = [missing[key] for key in zip(frame["label"], frame["variable"], strict=True)]
    share = frame["n"] / frame["denominator"].where(frame["denominator"] > 0)
    frame["estimate"] = share.where(frame["level"].notna(), 7.3)
    return frame


@st.composite
def curves(draw: st.DrawFn) -> pd.DataFrame:
    frames = []
    for name in ("a", "b"):
        n, rng = draw(st.integers(1, 60)), np.random.default_rng(draw(st.integers(0, 999)))
        times, event = np.sort(rng.integers(1, 4000, n)), rng.random(n) < draw(st.sampled_from([0.1, 0.5, 0.9]))
        rows = pd.DataFrame({"time": times, "n_event": event.astype(int), "n_censor": (~event).astype(int)})
        rows = rows.groupby("time", as_index=False).sum()
        gone = rows["n_event"] + rows["n_censor"]
        rows["n_risk"] = n - gone.cumsum() + gone
        rows["estimate"] = (1 - rows["n_event"] / rows["n_risk"]).cumprod()
        frames.append(rows.assign(label="survival", strata=name, std_error=0.0123))
    frame = pd.concat(frames, ignore_index=True)
    frame.attrs["time_unit"] = "days"
    return frame


@pytest.mark.parametrize("rule", RULES)
@given(frame=tables())
def test_no_small_count_survives_in_a_table(rule: str, frame: pd.DataFrame) -> None:
    values = counts_of(apply_policy(frame, rule))
    assert not ((values > 0) & (values < POLICIES[rule].smallest_shown)).any()
    known = values[np.isfinite(values)]
    assert (known % POLICIES[rule].round_to == 0).all()


@pytest.mark.parametrize("rule", RULES)
@given(frame=curves())
def test_no_small_count_and_no_exact_time_survives_in_a_curve(rule: str, frame: pd.DataFrame) -> None:
    shown = apply_policy(frame, rule)
    values = counts_of(shown)
    assert not ((values > 0) & (values < POLICIES[rule].smallest_shown)).any()
    assert (values[np.isfinite(values)] % 5 == 0).all()
    assert (shown["time"] % POLICIES[rule].time_grid("days") == 0).all()
    for name, curve in shown.groupby("strata"):
        n = frame.loc[frame["strata"] == name, "n_risk"].max()
        in_fives = curve["estimate"].astype(float) * np.floor(n / 5 + 0.5)
        assert np.allclose(in_fives, in_fives.round(), atol=1e-6)
    assert shown["std_error"].isna().all()


@given(total=st.integers(20, 400), small=st.integers(1, 4))
def test_a_hidden_count_does_not_follow_by_subtraction(total: int, small: int) -> None:
    """Whatever the hidden count between 1 and 4, the shown ones could belong to another."""
    frame = pd.DataFrame({"label": ["all", "a", "b"], "n": [total, total - small, small]})
    shown = apply_policy(frame, "lt5")["n"]
    others = [other for other in (1, 2, 3, 4) if other != small]
    twins = [
        pd.DataFrame({"label": ["all", "a", "b"], "n": [t, t - o, o]})
        for o in others
        for t in range(total - 3, total + 4)
    ]
    assert shown.isna().tolist() == [False, False, True]
    assert any(apply_policy(twin, "lt5")["n"].equals(shown) for twin in twins)


def test_a_median_stays_where_few_are_missing() -> None:
    frame = pd.DataFrame(
        {"label": ["a"], "variable": ["IgG"], "level": [None], "n": [97], "denominator": [97], "n_missing": [3],
         "estimate": [18.2]}
    )  # fmt: skip
    shown = apply_policy(frame, "lt5")
    assert shown["n_missing"].isna().all()
    assert shown[["n", "denominator"]].to_numpy().tolist() == [[95, 95]]
    assert shown["estimate"].tolist() == [18.2]


def test_a_small_group_hides_its_parts_and_its_median() -> None:
    frame = pd.DataFrame({"label": ["a", "a"], "n": [3, 0], "denominator": [3, 3], "estimate": [18.2, 0.0]})
    shown = apply_policy(frame, "lt5")
    assert shown[["n", "denominator", "estimate"]].isna().all(axis=None)


def test_a_share_comes_from_rounded_counts() -> None:
    frame = pd.DataFrame({"label": ["a"], "n": [33], "denominator": [98], "estimate": [33 / 98]})
    shown = apply_policy(frame, "hes7")
    assert shown["n"].tolist() == [35]
    assert shown["estimate"].tolist() == [0.35]


def test_rates_are_lost_with_any_of_their_parts_and_rounded_otherwise() -> None:
    frame = pd.DataFrame(
        {"label": ["a", "b"], "n_met": [60, 30], "n_not_met": [3, 31], "n_not_evaluable": [20, 20],
         "estimate": [60 / 63, 30 / 61], "bound_low": [60 / 83, 30 / 81], "transaminase_only": [0.912, 0.604]}
    )  # fmt: skip
    shown = apply_policy(frame, "lt5")
    assert shown.loc[0, ["estimate", "bound_low", "transaminase_only"]].isna().all()
    steps = shown.loc[1, ["estimate", "bound_low", "transaminase_only"]].astype(float) * (80 / 5)
    assert steps.round(6).tolist() == [8, 6, 10]  # of 80 patients, in steps of 5


def test_a_hazard_ratio_from_four_events_is_not_shown() -> None:
    frame = pd.DataFrame(
        {"label": ["a", "b"], "term": ["x", "x"], "n": [90, 80], "n_event": [4, 30], "estimate": [0.5, 0.6]}
    )
    shown = apply_policy(frame, "lt5")
    assert shown["n_event"].isna().tolist() == [True, False]
    assert shown["estimate"].isna().tolist() == [True, False]


def test_a_curve_of_nine_is_left_out_and_named() -> None:
    rows = [("eleven", t, 12 - t) for t in range(1, 12)] + [("nine", t, 10 - t) for t in range(1, 10)]
    frame = pd.DataFrame(rows, columns=["strata", "time", "n_risk"]).assign(
        label="s", n_event=0, n_censor=1, estimate=1.0
    )
    shown = apply_policy(frame, "lt5", time_unit="days")
    assert set(shown["strata"]) <= {"eleven"}
    assert shown.attrs["suppressed"] == ("nine",)


def test_the_grid_of_a_curve_is_a_quarter_of_a_year() -> None:
    assert [POLICIES["lt5"].time_grid(unit) for unit in ("days", "months", "years")] == [91.0, 3.0, 0.25]


def test_a_curve_is_read_off_at_the_grid() -> None:
    frame = pd.DataFrame(
        {"label": "s", "strata": "a", "time": [50, 150, 250, 350], "n_risk": [40, 33, 21, 9], "n_event": [7, 6, 0, 1],
         "n_censor": 0, "estimate": [0.825, 0.675, 0.675, 0.6]}
    )  # fmt: skip
    shown = apply_policy(frame, "lt5", time_unit="days")
    assert shown["time"].tolist() == [0, 91, 182]
    assert shown["estimate"].tolist() == [1.0, 7 / 8, 5 / 8]  # 0.825 and 0.675 in steps of 5 of 40 patients
    assert shown["n_risk"].tolist() == [40, 35, 20]
    assert shown["n_event_to_date"].tolist() == [0, 5, 15]


def test_late_entry_is_cut_at_both_ends() -> None:
    frame = pd.DataFrame(
        {"label": "s", "strata": "a", "time": [50, 150, 250, 350, 450], "n_risk": [4, 20, 30, 12, 9], "n_event": 1,
         "n_censor": 0, "estimate": [0.75, 0.71, 0.69, 0.63, 0.56]}
    )  # fmt: skip
    shown = apply_policy(frame, "lt5", time_unit="days")
    assert shown["time"].tolist() == [91, 182, 273]
    assert shown["estimate"].round(4).tolist() == [0.6667, 0.6667, 0.6667]  # in steps of 5 of 30 patients
    assert shown["n_risk"].tolist() == [20, 30, 10]


def test_curves_without_a_unit_are_refused() -> None:
    with pytest.raises(DisclosureError, match="has no unit"):
        apply_policy(pd.DataFrame({"time": [1.0], "n_risk": [20]}), "lt5")


def test_rows_of_single_patients_are_refused() -> None:
    frame = pd.DataFrame({"patient_id": ["a"], "n": [1.0]})
    with pytest.raises(DisclosureError, match="single patients"):
        apply_policy(frame, "lt5")
    assert disclosed_policy(apply_policy(frame, "none")) == "none"


@given(frame=tables())
def test_none_changes_nothing_but_the_tag(frame: pd.DataFrame) -> None:
    shown = apply_policy(frame, "none")
    pd.testing.assert_frame_equal(shown, frame)
    assert shown.attrs == {"disclosure": "none"}
    assert frame.attrs == {}


@given(frame=tables())
def test_the_same_policy_twice_is_once(frame: pd.DataFrame) -> None:
    once = apply_policy(frame, "lt5")
    pd.testing.assert_frame_equal(apply_policy(once, "lt5"), once)
    with pytest.raises(DisclosureError, match="again"):
        apply_policy(once, "hes7")


def test_a_standardised_difference_does_not_tell_a_hidden_count() -> None:
    frame = pd.DataFrame(
        {"label": ["a", "b", "a"], "variable": ["ibd", "ibd", "age"], "n": [3, 9, 60], "denominator": [60, 60, 60],
         "estimate": [3 / 60, 9 / 60, 11.5], "smd": [0.34, 0.34, 0.12]}
    )  # fmt: skip
    assert apply_policy(frame, "lt5")["smd"].isna().tolist() == [True, True, False]


def test_medians_need_ten_patients_and_have_three_digits() -> None:
    frame = pd.DataFrame({"strata": ["a", "b"], "time": [0, 0], "n": [8, 21], "estimate": [1.968503937, 1.968503937]})
    shown = apply_policy(frame, "lt5")
    assert shown["n"].tolist() == [10, 20]
    assert np.isnan(shown["estimate"].iloc[0])
    assert shown["estimate"].iloc[1] == 1.97


def test_a_quantile_of_time_is_no_single_day() -> None:
    frame = pd.DataFrame({"strata": ["all"], "probability": [0.5], "n": [340], "estimate": [7.6386], "conf_low": [7.01],
                          "conf_high": [8.4]})  # fmt: skip
    frame.attrs["time_unit"] = "years"
    shown = apply_policy(frame, "lt5")
    assert shown[["estimate", "conf_low", "conf_high"]].to_numpy().tolist() == [[7.75, 7.0, 8.5]]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"id": ["P1"], "value": [1.0]}),
        pd.DataFrame({"days_to_transplant": [12, 300]}),
        pd.DataFrame({"n": [20], "date": pd.to_datetime(["2020-01-01"])}),
    ],
    ids=["a renamed pseudonym", "days of patients", "dates"],
)
def test_rows_without_counts_and_dates_are_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(DisclosureError, match="without a column of counts"):
        apply_policy(frame, "lt5")


def test_empty_frames_stay_empty() -> None:
    for columns in (["label", "n", "estimate"], ["label", "strata", "time", "n_risk", "n_event", "estimate"]):
        shown = apply_policy(pd.DataFrame(columns=columns), "lt5", time_unit="days")
        assert shown.empty
        assert disclosed_policy(shown) == "lt5"


def test_unknown_rules_are_named() -> None:
    with pytest.raises(DisclosureError, match="lt5, hes7"):
        apply_policy(pd.DataFrame(), "lt6")
