"""Kaplan-Meier: by hand, against R, its invariants, late entry."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.result import TIDY_COLUMNS
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_follow_up, estimate_survival
from aih_outcomes.outcomes import TimeToEvent

SPELLS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20), st.booleans()), min_size=1, max_size=30)


def outcome(exit, event, entry=None, **more):
    frame = pd.DataFrame(
        {"exit": exit, "event": np.asarray(event, int), "entry": 0 if entry is None else entry, **more}
    )
    weight = "weight" if "weight" in more else None
    covariates = [name for name in more if name not in ("weight", "patient")]
    return TimeToEvent.from_frame(
        frame, exit="exit", event="event", entry="entry", weight=weight, covariates=covariates,
        patient_id="patient" if "patient" in more else None,
    )  # fmt: skip


def spells_of(rows):
    entry, length, event = (np.array(part) for part in zip(*rows, strict=True))
    return entry, entry + length, event


def test_by_hand_with_late_entry_and_ties():
    # at risk: day 2: A B C; day 4: A B D (D enters on day 3); day 5: A D; entry on the day of an event is not at risk
    km = estimate_survival(outcome([5, 4, 2, 6, 9], [1, 1, 1, 0, 0], entry=[0, 0, 0, 3, 5]), from_day=0)
    expected = [Fraction(2, 3), Fraction(4, 9), Fraction(2, 9), Fraction(2, 9), Fraction(2, 9)]
    tidy = km.tidy()
    assert tidy["time"].tolist() == [0, 2, 3, 4, 5, 6, 9]  # the start, and day 3 when D comes
    assert tidy["n_risk"].tolist() == [3, 3, 2, 3, 2, 2, 1]
    leaving = tidy[tidy["n_event"] + tidy["n_censor"] > 0]
    assert leaving["estimate"].tolist() == pytest.approx([float(f) for f in expected], rel=1e-14)
    variance = Fraction(1, 6) + Fraction(1, 6) + Fraction(1, 2)
    assert leaving["std_error"].iloc[2] == pytest.approx(2 / 9 * float(variance) ** 0.5, rel=1e-14)


def test_censored_on_the_day_of_an_event_is_still_at_risk():
    tidy = estimate_survival(outcome([3, 3, 7], [1, 0, 1])).tidy()
    assert tidy["n_risk"].tolist() == [3, 1]
    assert tidy["n_censor"].tolist() == [1, 0]
    assert tidy["estimate"].tolist() == pytest.approx([2 / 3, 0])


def test_limits_are_missing_where_survival_is_zero_or_one():
    tidy = estimate_survival(outcome([1, 2, 3], [0, 1, 1])).tidy()
    assert tidy["conf_low"].isna().tolist() == [True, False, True]
    assert estimate_survival(outcome([1, 2], [0, 0])).tidy()["estimate"].tolist() == [1.0, 1.0]


def test_columns_follow_the_contract_and_years_are_days_over_365_25():
    km = estimate_survival(outcome([365.25, 730.5], [1, 0]))
    tidy = km.tidy(unit="years")
    assert list(tidy.columns) == [*[name for name in TIDY_COLUMNS if name in tidy], "n"]
    assert tidy["time"].tolist() == [1.0, 2.0]
    assert tidy.attrs["time_unit"] == "years"
    assert tidy["n_event"].dtype == "Int64"


def test_what_is_unknown_after_the_last_time_is_missing():
    at = estimate_survival(outcome([5, 8], [1, 0])).at([1, 6, 8, 9])
    assert at["estimate"].tolist()[:3] == [1.0, 0.5, 0.5]
    assert np.isnan(at["estimate"].iloc[3])
    assert at["n_risk"].tolist() == [2, 1, 1, 0]
    assert at[["conf_low", "conf_high"]].iloc[0].tolist() == [1.0, 1.0]


def test_at_risk_between_exits_under_late_entry_is_counted_in_two_ways():
    km = estimate_survival(outcome([5, 8, 9], [1, 0, 1], entry=[0, 0, 3]), from_day=0)
    assert km.at([2])["n_risk"].tolist() == [3]  # on day 5, when someone next leaves
    assert km.n_at_risk([2])["n_risk"].tolist() == [2]  # on day 2 itself


def test_at_risk_at_the_origin_counts_those_followed_from_it():
    risk = estimate_survival(outcome([5, 8, 9], [1, 0, 1], entry=[0, 0, 3])).n_at_risk([0, 3, 4, 5, 6])
    assert risk["n_risk"].tolist() == [2, 2, 3, 3, 2]
    assert risk["n_event"].tolist() == [0, 0, 0, 1, 1]


def test_weights_are_case_counts():
    weighted = estimate_survival(outcome([2, 3, 5], [1, 0, 1], weight=[2, 1, 3])).tidy()
    written_out = estimate_survival(outcome([2, 2, 3, 5, 5, 5], [1, 1, 0, 1, 1, 1])).tidy()
    pd.testing.assert_frame_equal(weighted, written_out)


def test_follow_up_exchanges_events_and_censorings():
    swapped = estimate_follow_up(outcome([2, 4, 6, 8], [1, 0, 1, 0]))
    assert swapped.tidy()["n_event"].tolist() == [0, 1, 0, 1]
    assert swapped.quantiles([0.5])["estimate"].tolist() == [8.0]


def test_statistics_rule_13_a_curve_says_when_it_starts_late_because_few_were_at_risk():
    entry = [0, 0, *[10] * 8]
    km = estimate_survival(outcome([5, 30, *range(20, 28)], [1, 0, *[1] * 8], entry=entry))
    assert km.alive_at == 10
    assert "event-free at about 0.25 years" in km.describe()
    assert km.glance()["alive_at"] == 10
    assert km.tidy()["n_risk"].iloc[0] == 9
    whole = estimate_survival(outcome([5, 30, *range(20, 28)], [1, 0, *[1] * 8], entry=entry), from_day=0)
    assert whole.at([5])["estimate"].iloc[0] == 0.5


def test_without_an_early_event_a_late_risk_set_changes_nothing():
    km = estimate_survival(outcome([30, 30, *range(20, 28)], [0, 0, *[1] * 8], entry=[0, 0, *[10] * 8]))
    assert km.alive_at == 0


def test_half_days_are_counted_and_said():
    km = estimate_survival(outcome([0, 5], [1, 1]))
    assert km.tidy()["time"].tolist() == [0.5, 5.0]
    assert "half a day" in km.describe()


def test_nobody_followed_is_an_error():
    with pytest.raises(OutcomeError, match="followed after 9"):
        estimate_survival(outcome([5, 8], [1, 0]), from_day=9)
    with pytest.raises(OutcomeError, match="no rows"):
        estimate_survival(outcome([], []))


def test_all_groups_are_in_one_result_in_the_order_of_their_levels():
    group = pd.Categorical(["late", "early", "early"], ["late", "early", "absent"])
    assert estimate_survival(outcome([1, 2, 3], [1, 1, 0], group=group), by="group").tidy()["strata"].tolist() == [
        "late", "early", "early",
    ]  # fmt: skip


@pytest.mark.parametrize("conf_type", ["log-log", "log", "plain"])
@pytest.mark.parametrize("arm", ["a", "b", "c"])
def test_matches_r_with_late_entry_and_two_spells(arm, conf_type, late_entry, r_figures, assert_close):
    expected = r_figures("late_entry")
    own = late_entry.with_rows(late_entry.frame[late_entry.frame["arm"] == arm])
    curves = estimate_survival(own, conf_type=conf_type, from_day=0)
    values = expected[f"curve_{arm}_{conf_type}"]
    at = curves.at(values["time"])
    columns = {"n_risk": "n_risk", "estimate": "surv", "std_error": "se", "cumulative_hazard": "cumhaz",
               "cumulative_hazard_se": "se_cumhaz", "conf_low": "lower", "conf_high": "upper"}  # fmt: skip
    for column, other in columns.items():
        assert_close(at[column], values[other], what=f"{column} {arm}")
    quantiles = curves.quantiles()
    for column, other in (("estimate", "est"), ("conf_low", "lower"), ("conf_high", "upper")):
        assert_close(quantiles[column], expected[f"quantiles_{arm}_{conf_type}"][other], what=column)


LATE = {"lt_km_age_scale_trt": 0, "lt_km_age_scale_from40": 14610}


@pytest.mark.parametrize("name", LATE)
def test_matches_r_on_the_age_scale(name, reference, data_set, assert_close):
    result = reference("pbc_left_truncation")[name]
    pbc = data_set("pbc").dropna(subset=["trt"])
    born = np.round(pbc["age"] * 365.25)
    rows = outcome(born + pbc["time"], pbc["status"] == 2, entry=born, trt=pbc["trt"])
    assert_curves(estimate_survival, rows, "trt", result, assert_close, from_day=LATE[name])


def test_matches_r_entering_at_the_second_visit(reference, data_set, assert_close):
    result = reference("pbc_left_truncation")["lt_km_second_visit_entry"]
    visits = data_set("pbcseq").sort_values(["id", "day"])
    second = visits[visits.groupby("id").cumcount() == 1]
    rows = outcome(second["futime"], second["status"] == 2, entry=second["day"], trt=second["trt"])
    values = {arm: result["values"][arm] for arm in ("0", "1")}
    assert_curves(estimate_survival, rows, "trt", {**result, "values": values}, assert_close, from_day=0)


PBC = {
    "km_death_by_trt": ("trt", 2), "km_death_all418": (None, 2), "km_nls_by_trt": ("trt", 1),
    "km_death_by_edema": ("edema", 2),
}  # fmt: skip


@pytest.mark.parametrize("name", PBC)
def test_matches_r_on_pbc(name, reference, data_set, assert_close):
    by, least = PBC[name]
    pbc = data_set("pbc").dropna(subset=[by] if by else [])
    rows = outcome(pbc["time"], pbc["status"] >= least, **({by: pbc[by]} if by else {}))
    assert_curves(estimate_survival, rows, by, reference("pbc_km_logrank_rmst")[name], assert_close)


def assert_curves(estimate, rows, by, result, assert_close, **how):
    rtol = result["rtol"]
    for conf_type in ("log-log", "log", "plain"):
        curves = estimate(rows, by=by, conf_type=conf_type, **how)
        name = conf_type.replace("-", "")
        assert list(result["values"]) == [curve.strata for curve in curves.curves]
        for strata, own in result["values"].items():
            at = curves.at(own["table"]["time"]).query("strata == @strata")
            columns = {
                "n_risk": "n_risk", "n_event": "cum_event", "estimate": "surv", "std_error": "se_greenwood",
                "cumulative_hazard": "cumhaz_nelson_aalen", "cumulative_hazard_se": "se_cumhaz",
                "conf_low": f"lower_{name}", "conf_high": f"upper_{name}",
            }  # fmt: skip
            for column, other in columns.items():
                assert_close(at[column], own["table"][other], rtol, what=f"{column} {strata} {conf_type}")
            if "quantiles" in own:
                quantiles = curves.quantiles().query("strata == @strata")
                for column, other in (("estimate", "est"), ("conf_low", "lower"), ("conf_high", "upper")):
                    assert_close(quantiles[column], own["quantiles"][name][other], rtol, what=f"{column} {strata}")


@settings(max_examples=25)
@given(SPELLS, st.randoms())
def test_row_order_and_time_unit_change_nothing(rows, random):
    entry, exit, event = spells_of(rows)
    order = list(range(len(rows)))
    random.shuffle(order)
    one = estimate_survival(outcome(exit, event, entry), from_day=0).tidy()
    other = estimate_survival(outcome(exit[order] * 4, event[order], entry[order] * 4), from_day=0).tidy()
    pd.testing.assert_frame_equal(one, other.assign(time=other["time"] / 4), check_exact=True)


@settings(max_examples=25)
@given(SPELLS, st.integers(1, 25))
def test_splitting_rows_at_a_time_changes_nothing(rows, cut):
    entry, exit, event = spells_of(rows)
    split = (entry < cut) & (cut < exit)
    entries = np.concatenate([entry, np.full(split.sum(), cut)])
    exits = np.concatenate([np.where(split, cut, exit), exit[split]])
    events = np.concatenate([np.where(split, False, event), event[split]])
    patient = np.concatenate([np.arange(len(rows)), np.flatnonzero(split)])
    whole = estimate_survival(outcome(exit, event, entry), from_day=0)
    parts = estimate_survival(outcome(exits, events, entries, patient=patient), from_day=0)
    when = np.unique(exit)
    columns = ["n_risk", "n_event", "estimate", "std_error", "cumulative_hazard"]
    pd.testing.assert_frame_equal(whole.at(when)[columns], parts.at(when)[columns], check_exact=False, rtol=1e-12)


@settings(max_examples=25)
@given(SPELLS)
def test_lifelines_agrees_without_late_entry(rows):
    from lifelines import KaplanMeierFitter

    _, exit, event = spells_of([(0, length, dead) for _, length, dead in rows])
    ours = estimate_survival(outcome(exit, event)).tidy()
    theirs = KaplanMeierFitter().fit(exit, event).survival_function_["KM_estimate"]
    assert ours["estimate"].tolist() == pytest.approx(theirs.loc[ours["time"]].tolist(), rel=1e-12, abs=1e-15)


@given(SPELLS)
def test_without_censoring_it_is_the_empirical_survival(rows):
    exit = np.array([length for _, length, _ in rows])
    tidy = estimate_survival(outcome(exit, np.ones(len(exit)))).tidy()
    assert tidy["estimate"].tolist() == pytest.approx([np.mean(exit > t) for t in tidy["time"]], abs=1e-12)
