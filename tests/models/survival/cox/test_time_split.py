"""Follow-up split at stated times: against R's survSplit; splitting by itself changes nothing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.time_split import fit_by_period, split_follow_up
from aih_outcomes.outcomes import TimeToEvent

ROWS = st.lists(
    st.tuples(st.integers(0, 10), st.integers(1, 15), st.booleans(), st.integers(-5, 5)), min_size=12, max_size=40
)  # fmt: skip


@pytest.fixture
def drug(shared):
    from pathlib import Path

    frame = pd.read_csv(Path(__file__).parents[3] / "reference" / "cox_extras.csv")
    arm = np.where(frame["treated"] == 1, "treated", "control")
    return TimeToEvent.from_frame(frame.assign(arm=arm), entry="entry", exit="day", event="dead", patient_id="id",
                                  covariates=["arm", "age"], label="death")  # fmt: skip


def test_matches_r_survsplit(drug, r_figures, assert_close):
    figures = r_figures("cox_extras")["split"]
    split = split_follow_up(drug, at=[300, 700])
    assert len(split.frame) == figures["n"][0]
    counted = split.frame.groupby("period", observed=False)
    assert counted.size().tolist() == figures["rows"]
    assert counted["event"].apply(lambda event: (event != "censored").sum()).tolist() == figures["events"]


def test_ratios_by_period_match_r(drug, r_figures, assert_close):
    figures = r_figures("cox_extras")["split"]
    result = fit_by_period(drug, at=[300, 700], by="arm", covariates=["age"])
    se = np.sqrt(np.diag(np.reshape(figures["vcov"], (4, 4))))
    tidy = result.tidy()
    assert tidy["period"].tolist() == ["0 to 300 days", "300 to 700 days", "over 700 days"]
    assert_close(tidy["estimate"], figures["coef"][1:], 1e-7, se=se[1:], what="coef by period")
    assert_close(tidy["std_error"], se[1:], 1e-7, what="se by period")
    assert_close(result.glance()["loglik"], figures["loglik"][1], 1e-7, what="loglik by period")
    assert (tidy["n_event"] + tidy["n_event_reference"]).tolist() == figures["events"]
    constant = r_figures("cox_extras")["split_constant"]["loglik"][1]
    assert_close(result.glance()["lr_constant"], 2 * (figures["loglik"][1] - constant), 1e-6, what="test of one ratio")
    assert result.glance()["lr_constant_df"] == 2


@settings(max_examples=15)
@given(ROWS, st.sets(st.integers(1, 25), min_size=1, max_size=4))
def test_splitting_changes_no_fit_and_loses_no_time(rows, cuts):
    frame = pd.DataFrame(rows, columns=["entry", "length", "event", "x"]).astype(int)
    whole = TimeToEvent.from_frame(frame.assign(exit=frame["entry"] + frame["length"]), entry="entry", exit="exit",
                                   event="event", covariates=["x"])  # fmt: skip
    parts = split_follow_up(whole, at=sorted(cuts))
    assert (parts.exit - parts.entry).sum() == (whole.exit - whole.entry).sum()
    assert (parts.exit > parts.entry).all()
    assert parts.event.sum() == whole.event.sum()
    edges = [0, *sorted(cuts), np.inf]
    code = parts.frame["period"].cat.codes.to_numpy()
    assert all(edges[k] <= a and b <= edges[k + 1] for k, a, b in zip(code, parts.entry, parts.exit, strict=True))
    one, other = fit_cox(whole, covariates=["x"]), fit_cox(parts, covariates=["x"])
    assume(one.not_estimable is None)
    np.testing.assert_allclose(one.coefficients, other.coefficients, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(one.vcov, other.vcov, rtol=1e-6)


def test_an_event_on_the_day_of_the_cut_belongs_to_the_earlier_period():
    frame = pd.DataFrame({"entry": [0, 0, 10, 3], "exit": [10, 11, 12, 10], "event": 1})
    split = split_follow_up(TimeToEvent.from_frame(frame, entry="entry", exit="exit", event="event"), at=[10])
    ends = split.frame[split.event]
    assert ends["period"].tolist() == ["0 to 10 days", "over 10 days", "over 10 days", "0 to 10 days"]
    assert len(split.frame) == 5


def test_weights_competing_events_and_covariates_are_carried_along():
    frame = pd.DataFrame({"exit": [5, 15], "event": ["transplant", "death"], "w": [2.0, 3.0], "x": [1, 2]})
    rows = TimeToEvent.from_frame(frame, exit="exit", event="event", weight="w", covariates=["x"],
                                  competing=["transplant"])  # fmt: skip
    split = split_follow_up(rows, at=[10])
    assert split.competing == ("transplant",)
    assert split.frame[["weight", "x", "event"]].to_numpy().tolist() == [
        [2.0, 1, "transplant"],
        [3.0, 2, "censored"],
        [3.0, 2, "death"],
    ]
    assert split.covariates == ("x", "period")


def test_a_period_without_events_is_missing_and_the_others_are_not(drug):
    whole = fit_by_period(drug, at=[300], by="arm").tidy()
    tidy = fit_by_period(drug, at=[300, 5000], by="arm").tidy()
    assert tidy["n_event"].tolist()[-1] == 0
    assert np.isnan(tidy["estimate"].iloc[-1])
    np.testing.assert_allclose(tidy["estimate"].iloc[:2], whole["estimate"], rtol=1e-8)


def test_a_group_without_events_in_a_period_says_so():
    frame = pd.DataFrame({"exit": range(1, 13), "event": [1] * 10 + [0, 0], "arm": list("ababababaaab")})
    rows = TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["arm"])
    result = fit_by_period(rows, at=[8], by="arm")
    assert "over 8 days" in result.not_estimable
    assert result.tidy()["estimate"].isna().all()
    assert "not estimable" in result.describe()


@pytest.mark.parametrize(("event", "arm", "reason"), [(0, "ab", "no events"), (1, "aa", "only one group")])
def test_without_events_or_without_a_second_group_there_is_no_ratio(event, arm, reason):
    frame = pd.DataFrame({"exit": [5, 9], "event": event, "arm": list(arm)})
    rows = TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["arm"])
    result = fit_by_period(rows, at=[6], by="arm")
    assert reason in result.not_estimable
    assert result.tidy()["estimate"].isna().all()
    assert np.isnan(result.glance()["lr_constant_p_value"])


def test_firths_penalty_is_finite_where_a_group_has_no_events_in_a_period():
    frame = pd.DataFrame({"exit": range(1, 13), "event": [1] * 10 + [0, 0], "arm": list("ababababaaab")})
    rows = TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["arm"])
    result = fit_by_period(rows, at=[8], by="arm", penalty="firth")
    assert np.isfinite(result.tidy()["estimate"]).all()
    assert np.isnan(result.glance()["lr_constant"])


def test_the_guard_stands_before_the_split(pbcseq, ever_responded, responded_by):
    with pytest.raises(ImmortalTimeError):
        fit_by_period(pbcseq, at=[365], by=responded_by(182))


@pytest.mark.parametrize("at", [[], [0], [10, 10], [np.nan], [-5, 10]])
def test_times_that_split_nothing_are_refused(at, drug):
    with pytest.raises(OutcomeError, match="Way out"):
        split_follow_up(drug, at=at)


def test_follow_up_is_split_once(drug):
    with pytest.raises(OutcomeError, match="already"):
        split_follow_up(split_follow_up(drug, at=[300]), at=[700])


def test_it_draws_and_says_who_is_compared_later(drug):
    import matplotlib.pyplot as plt

    result = fit_by_period(drug, at=[300], by="arm")
    figure, ax = plt.subplots(figsize=(6, 5))
    assert result.plot(ax=ax) is ax
    plt.close(figure)
    assert "came so far without the event" in result.describe()
