"""Cumulative incidence: by hand, against survfit, cmprsk and etm, its invariants, late entry, what it refuses."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.result import TIDY_COLUMNS
from aih_outcomes.models.survival.competing.cumulative_incidence import EVENT_FREE, estimate_cumulative_incidence
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.designs.time_varying import time_varying
from aih_outcomes.outcomes import Groups, TimeToEvent

SPELLS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(1, 9), st.sampled_from(["censored", "death", "transplant"])),
    min_size=1, max_size=25,
)  # fmt: skip
R_NAMES = {"n_risk": "n_risk", "estimate": "pstate", "std_error": "se", "conf_low": "lower", "conf_high": "upper"}
CONF_TYPES = {"log": "log", "log-log": "log-log", "plain": "plain", "arcsine": "arcsin"}
SUFFIXES = {"log": "log", "log-log": "loglog", "plain": "plain"}


def outcome(exit, event, entry=0, **more):
    frame = pd.DataFrame({"exit": exit, "event": event}).assign(entry=entry, **more)
    return TimeToEvent.from_frame(
        frame, exit="exit", event="event", entry="entry", competing=["transplant"], label="death",
        weight="weight" if "weight" in more else None, patient_id="patient" if "patient" in more else None,
        covariates=[name for name in more if name not in ("weight", "patient")],
    )  # fmt: skip


def spells_of(rows):
    entry, length, event = zip(*rows, strict=True)
    return np.array(entry), np.array(entry) + np.array(length), list(event)


@pytest.fixture(scope="module")
def pbc(data_set) -> pd.DataFrame:
    frame = data_set("pbc")
    return frame.assign(end=frame["status"].map({0: "censored", 1: "transplant", 2: "death"}))


def read_pbc(frame, *covariates):
    return TimeToEvent.from_frame(
        frame, exit="time", event="end", patient_id="id", covariates=covariates, competing=["transplant"], label="death"
    )


def assert_cmprsk(ours, theirs, rtol, assert_close, what):
    """Compare what cmprsk has: it leaves out a cause that nobody in a group has had, and times after the last one."""
    known = [value is not None for value in theirs]
    assert_close(ours[known] if theirs else [], [value for value in theirs if value is not None], rtol, what=what)


PBC = {"cif_all418": None, "cif_by_trt": "trt", "cif_by_edema": "edema"}


@pytest.mark.parametrize("name", PBC)
def test_matches_r_on_pbc(name, pbc, reference, assert_close):
    result, by = reference("pbc_competing_risks")[name], PBC[name]
    told = read_pbc(pbc.dropna(subset=[by] if by else []), *([by] if by else []))
    rtol = result["rtol"]
    for conf_type, suffix in SUFFIXES.items():
        incidence = estimate_cumulative_incidence(told, by=by, conf_type=conf_type)
        assert [curve.strata for curve in incidence.curves] == list(result["values"])
        for strata, own in result["values"].items():
            at = incidence.at(own["death"]["time"]).query("strata == @strata")
            for cause in ("transplant", "death"):
                columns = {"estimate": "cif", "std_error": "se_ij", "conf_low": f"lower_{suffix}",
                           "conf_high": f"upper_{suffix}"}  # fmt: skip
                one = at.query("state == @cause")
                for column, other in columns.items():  # an error of 0 is 2e-17 in R
                    what = f"{column} {cause} {strata} {conf_type}"
                    assert_close(one[column], own[cause][other], rtol, se=1e-8, what=what)
                assert_cmprsk(one["estimate"], own[cause]["cif_cmprsk"], rtol, assert_close, f"{cause} {strata}")
                assert_close(one["estimate"], own[cause]["cif_etm"], rtol, what=f"cif_etm {cause} {strata}")
                assert_close(one["std_error"], own[cause]["se_greenwood_etm"], rtol, what=f"se_etm {cause} {strata}")
            free = at.query("state == @EVENT_FREE")
            assert_close(free["estimate"], own["event_free"]["p"], rtol, what=f"event-free {strata}")
            assert_close(free["std_error"], own["event_free"]["se_ij"], rtol, what=f"event-free se {strata}")


@pytest.mark.parametrize("name", PBC)
def test_matches_cmprsk_delta_method_on_pbc(name, pbc, reference, assert_close):
    result, by = reference("pbc_competing_risks")[name], PBC[name]
    told = read_pbc(pbc.dropna(subset=[by] if by else []), *([by] if by else []))
    incidence = estimate_cumulative_incidence(told, by=by, variance="aalen")
    for strata, own in result["values"].items():
        at = incidence.at(own["death"]["time"]).query("strata == @strata")
        for cause in ("transplant", "death"):
            error = at.query("state == @cause")["std_error"]
            assert_cmprsk(error, own[cause]["se_aalen_cmprsk"], result["rtol"], assert_close, f"se {cause} {strata}")


def test_one_minus_kaplan_meier_matches_r_and_is_more_than_the_risk(pbc, reference, assert_close):
    result = reference("pbc_competing_risks")["one_minus_km_contrast"]
    told, times = read_pbc(pbc), [365, 730, 1095, 1825, 2555, 3650]
    risks = estimate_cumulative_incidence(told).at(times)
    for cause in ("death", "transplant"):
        alone = TimeToEvent.from_frame(pbc.assign(own=pbc["end"] == cause), exit="time", event="own")
        wrong = 1 - estimate_survival(alone).at(times)["estimate"].to_numpy()
        assert_close(wrong, result["values"][cause], 1e-10, what=f"1 - KM {cause}")
        assert (risks.query("state == @cause")["estimate"].to_numpy() <= wrong + 1e-12).all()


@pytest.fixture(scope="module")
def risks() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).parents[3] / "reference" / "aalen_johansen_risks.csv")


def read_risks(frame, entry=None, weight=None):
    return TimeToEvent.from_frame(
        frame, exit="time", event="cause", entry=entry, weight=weight, patient_id="id", covariates=["arm"],
        competing=["q", "r"], label="p",
    )  # fmt: skip


def assert_r(at, figures, assert_close, what):
    for column, other in R_NAMES.items():
        expected = np.reshape(np.array(figures[other], float), (4, -1))
        states = [EVENT_FREE, "p", "q", "r"]
        for state, row in zip(states[:1] if column == "n_risk" else states, expected, strict=False):
            assert_close(at.query("state == @state")[column], row, 1e-9, what=f"{what} {column} {state}")


@pytest.mark.parametrize("conf_type", CONF_TYPES)
def test_matches_r_with_ties(conf_type, risks, r_figures, assert_close):
    figures = r_figures("aalen_johansen")[f"risks_{CONF_TYPES[conf_type]}"]
    at = estimate_cumulative_incidence(read_risks(risks), conf_type=conf_type).at(figures["times"])
    assert_r(at, figures, assert_close, conf_type)


@pytest.mark.parametrize("conf_type", CONF_TYPES)
def test_matches_r_with_late_entry_and_fractional_weights(conf_type, risks, r_figures, assert_close):
    figures = r_figures("aalen_johansen")[f"risks_late_weighted_{CONF_TYPES[conf_type]}"]
    told = read_risks(risks, "start", "w")
    at = estimate_cumulative_incidence(told, conf_type=conf_type, from_day=0).at(figures["times"])
    assert_r(at, figures, assert_close, f"late, weighted, {conf_type}")


@pytest.mark.parametrize("arm", ["x", "y"])
def test_matches_r_by_arm_and_time_lost(arm, risks, r_figures, assert_close):
    figures = r_figures("aalen_johansen")[f"risks_arm_{arm}"]
    incidence = estimate_cumulative_incidence(read_risks(risks, "start"), by="arm", from_day=0)
    assert_r(incidence.at(figures["times"]).query("strata == @arm"), figures, assert_close, arm)
    mean = incidence.time_in_state(15).query("strata == @arm")
    assert_close(mean["estimate"], figures["mean"], 1e-9, what=f"mean time {arm}")
    assert_close(mean["std_error"], figures["mean_se"], 1e-9, what=f"its standard error {arm}")
    lost = incidence.restricted_time_lost(15).query("strata == @arm")
    assert lost["state"].tolist() == ["p", "q", "r"]
    assert lost["estimate"].tolist() == mean["estimate"].tolist()[1:]


def test_matches_cmprsk_with_ties(risks, r_figures, assert_close):
    figures = r_figures("aalen_johansen")["cuminc"]
    incidence = estimate_cumulative_incidence(read_risks(risks), by="arm", variance="aalen")
    at = incidence.at(figures["times"])
    for arm in ("x", "y"):
        for cause in ("p", "q", "r"):
            one, own = at.query("strata == @arm and state == @cause"), figures[f"{arm} {cause}"]
            assert_close(one["estimate"], own["est"], 1e-10, what=f"cuminc {arm} {cause}")
            assert_close(one["std_error"], own["se"], 1e-10, what=f"cuminc se {arm} {cause}")


def test_five_patients_by_hand():
    # day 2: 5 at risk, one dies; day 3: 4 at risk, one transplant, one censored; day 5: 2 at risk, one dies
    incidence = estimate_cumulative_incidence(
        outcome([2, 3, 3, 5, 7], ["death", "transplant", "censored", "death", "censored"])
    )
    at = incidence.at([2, 3, 5]).set_index(["state", "time"])["estimate"]
    assert at["death"].tolist() == pytest.approx([1 / 5, 1 / 5, 1 / 5 + 4 / 5 * 3 / 4 / 2])
    assert at["transplant"].tolist() == pytest.approx([0, 1 / 5, 1 / 5])
    assert at[EVENT_FREE].tolist() == pytest.approx([4 / 5, 3 / 5, 3 / 10])
    tidy = incidence.tidy().set_index(["state", "time"])
    assert tidy.loc["transplant", "n_risk"].tolist() == [5, 5, 4, 2, 1]
    assert tidy.loc[EVENT_FREE, "n_event"].tolist() == [0, 1, 1, 1, 0]
    assert tidy.loc["death", "n_censor"].tolist() == [0, 0, 1, 0, 1]
    assert incidence.n_at_risk([0, 3]).query("state == 'death'")["n_risk"].tolist() == [5, 4]


def test_columns_follow_the_contract():
    tidy = estimate_cumulative_incidence(outcome([2, 3], ["death", "transplant"])).tidy()
    assert list(tidy.columns) == [*[name for name in TIDY_COLUMNS if name in tidy], "n_followed", "n"]
    assert tidy["state"].unique().tolist() == [EVENT_FREE, "death", "transplant"]


@settings(max_examples=30)
@given(SPELLS)
def test_kaplan_meier_is_its_simplest_case(rows):
    entry, exit, event = spells_of(rows)
    any_event = outcome(exit, np.where(np.array(event) == "censored", "censored", "death"), entry)
    km = estimate_survival(any_event, from_day=0).tidy().query("time > 0")
    for how in ("infinitesimal jackknife", "aalen"):
        free = estimate_cumulative_incidence(any_event, from_day=0, variance=how).tidy().query("state == @EVENT_FREE")
        assert free.iloc[0][["time", "estimate", "std_error", "n_event"]].tolist() == [0, 1, 0, 0]
        free = free.iloc[1:]
        assert free["time"].tolist() == km["time"].tolist()
        np.testing.assert_allclose(free["estimate"], km["estimate"], rtol=1e-12, atol=1e-15)
        for column in ("n_risk", "n_event", "n_censor"):
            assert free[column].tolist() == km[column].tolist()
        if how == "aalen":
            known = km["std_error"].notna().to_numpy()
            np.testing.assert_allclose(free["std_error"][known], km["std_error"][known], rtol=1e-9, atol=1e-12)


@settings(max_examples=30)
@given(SPELLS)
def test_causes_and_event_free_sum_to_1(rows):
    entry, exit, event = spells_of(rows)
    incidence = estimate_cumulative_incidence(outcome(exit, event, entry), from_day=0)
    assert incidence.tidy().groupby("time")["estimate"].sum().to_numpy() == pytest.approx(1, abs=1e-12)
    horizon = float(exit.max())
    assert incidence.time_in_state(horizon)["estimate"].sum() == pytest.approx(horizon)


@settings(max_examples=25)
@given(SPELLS, st.integers(1, 12))
def test_splitting_rows_at_a_time_changes_nothing(rows, cut):
    entry, exit, event = spells_of(rows)
    split = (entry < cut) & (cut < exit)
    entries = np.concatenate([entry, np.full(split.sum(), cut)])
    exits = np.concatenate([np.where(split, cut, exit), exit[split]])
    ends = np.concatenate([np.where(split, "censored", event), np.array(event)[split]])
    patient = np.concatenate([np.arange(len(rows)), np.flatnonzero(split)])
    whole = estimate_cumulative_incidence(outcome(exit, event, entry), from_day=0).tidy()
    parts = estimate_cumulative_incidence(outcome(exits, ends, entries, patient=patient), from_day=0).tidy()
    pd.testing.assert_frame_equal(whole, parts, rtol=1e-11, atol=1e-13)


def test_100_repeated_runs_with_ties_give_the_same_bytes(risks):
    told = read_risks(risks, "start", "w")

    def run():
        return estimate_cumulative_incidence(told, by="arm").tidy().select_dtypes("number").to_numpy(float).tobytes()

    first = run()
    assert all(run() == first for _ in range(99))


def test_quantiles_are_those_of_kaplan_meier_for_the_event_free(pbc):
    incidence = estimate_cumulative_incidence(read_pbc(pbc), conf_type="plain")
    alone = TimeToEvent.from_frame(pbc.assign(any=pbc["status"] > 0), exit="time", event="any")
    expected = estimate_survival(alone, conf_type="plain").quantiles()
    found = incidence.quantiles(state=EVENT_FREE)
    for column in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(found[column], expected[column], err_msg=column)
    assert incidence.quantiles([0.9], state="transplant")["estimate"].isna().all()


def test_statistics_rule_13_risks_are_conditional_where_few_were_at_risk_early():
    entry = [0, 0, *[10] * 8]
    event = ["death", "censored", *["transplant"] * 8]
    incidence = estimate_cumulative_incidence(outcome([5, 30, *range(20, 28)], event, entry))
    assert incidence.glance()["alive_at"] == 10
    assert "conditional on being event-free at about 0.25 years" in incidence.describe()
    whole = estimate_cumulative_incidence(outcome([5, 30, *range(20, 28)], event, entry), from_day=0)
    assert whole.at([6]).query("state == 'death'")["estimate"].tolist() == [0.5]


def responders(irreversible):
    frame = pd.DataFrame({"patient_id": ["0", "1"], "label": "responder", "onset": 2, "known_at": 2})
    return Groups(frame, "response", ("responder",), irreversible=irreversible)


def test_groups_that_change_with_time_enter_late_and_only_if_they_stay():
    told = outcome([5, 7, 4, 9], ["death", "censored", "transplant", "death"])
    incidence = estimate_cumulative_incidence(time_varying(told, responders(True)), by="group", from_day=0)
    at = incidence.n_at_risk([1, 3]).query("state == 'death'").set_index("strata")["n_risk"]
    assert at["responder"].tolist() == [0, 2]
    assert at["undetermined"].tolist() == [4, 2]
    assert "confounded by severity" in incidence.describe()
    with pytest.raises(OutcomeError, match="change back"):
        estimate_cumulative_incidence(time_varying(told, responders(False)), by="group")
    with pytest.raises(ImmortalTimeError):
        estimate_cumulative_incidence(told, by=responders(True))


def test_no_event_and_a_group_without_one():
    none = estimate_cumulative_incidence(outcome([3, 4], ["censored", "censored"]))
    assert none.tidy()["estimate"].tolist() == [1.0, 1.0, 1.0]
    assert none.glance()["n_event_by_cause"] == {}
    told = outcome([3, 4, 5], ["death", "censored", "censored"], arm=["a", "b", "b"])
    without = estimate_cumulative_incidence(told, by="arm").tidy().query("strata == 'b' and state == 'death'")
    assert without["estimate"].tolist() == [0.0, 0.0, 0.0]
    assert without["std_error"].tolist() == [0.0, 0.0, 0.0]


def test_one_patient_who_dies():
    at = estimate_cumulative_incidence(outcome([3], ["death"])).at([1, 3, 9]).set_index(["state", "time"])["estimate"]
    assert at["death"].tolist() == [0, 1, 1]


@pytest.mark.parametrize("how", ["infinitesimal jackknife", "aalen"])
def test_weights_of_0_leave_rows_out(how):
    event = ["death", "transplant", "death", "censored"]
    weighted = estimate_cumulative_incidence(outcome([2, 3, 4, 5], event, weight=[1, 0, 1, 1]), variance=how)
    fewer = estimate_cumulative_incidence(outcome([2, 4, 5], ["death", "death", "censored"]), variance=how)
    columns = ["estimate", "std_error", "n_risk"]
    ours = weighted.tidy().query("state == 'death'")[columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, fewer.tidy().query("state == 'death'")[columns].reset_index(drop=True))


def test_what_cannot_be_estimated_is_refused():
    good = outcome([2, 3], ["death", "censored"])
    for told, how, words in (
        (good, {"variance": "robust"}, "variance"),
        (good, {"from_day": 3}, "followed after 3"),
        (good, {"variance": "aalen", "cluster": "centre"}, "independent"),
        (outcome([2, 3], ["death", "censored"], weight=[0.5, 1]), {"variance": "aalen"}, "case counts"),
        (outcome([2, 3], ["death", "censored"], weight=[0, 0]), {}, "no rows"),
        (outcome([2, 5], ["death", "censored"], [0, 2], patient=[1, 1]), {}, "followed on"),
        (outcome([2, 3], ["death", "death"], arm=["a", None]), {"by": "arm"}, "no group"),
    ):
        with pytest.raises(OutcomeError, match=words):
            estimate_cumulative_incidence(told, **how)


def test_plot_draws_the_causes_and_the_outcomes_own_event_by_group(pbc):
    import matplotlib.pyplot as plt

    told = read_pbc(pbc.dropna(subset=["trt"]), "trt")
    for by in (None, "trt"):
        figure, ax = plt.subplots(figsize=(6, 5))
        assert estimate_cumulative_incidence(told, by=by).plot(ax=ax) is ax
        plt.close(figure)
