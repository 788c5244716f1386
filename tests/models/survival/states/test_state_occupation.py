"""State occupation: by hand, against R, its invariants, what it refuses."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import ImmortalTimeError, OutcomeError
from aih_outcomes.models.result import TIDY_COLUMNS
from aih_outcomes.models.survival.states.state_occupation import estimate_state_occupation
from aih_outcomes.outcomes import Groups, StateHistory

STATES = ("well", "ill", "gone", "dead")
CONF_TYPES = {"log": "log", "log-log": "log-log", "plain": "plain", "arcsine": "arcsin"}
R_NAMES = {"n_risk": "n_risk", "estimate": "pstate", "std_error": "se", "conf_low": "lower", "conf_high": "upper"}
WEIGHTS = [0.5, 1.0, 1.75]


def history(rows, states=STATES, **more):
    """Rows are (id, entry, exit, from, to)."""
    frame = pd.DataFrame(rows, columns=["id", "entry", "exit", "at", "to"]).assign(**more)
    return StateHistory.from_frame(
        frame, patient_id="id", entry="entry", exit="exit", from_state="at", to_state="to", states=states,
        weight="weight" if "weight" in more else None, covariates=[name for name in more if name != "weight"],
    )  # fmt: skip


FIVE = [
    (1, 0, 2, "well", "ill"), (1, 2, 6, "ill", "well"), (1, 6, 9, "well", "censored"), (2, 0, 2, "well", "dead"),
    (3, 0, 4, "ill", "dead"), (4, 1, 5, "well", "censored"), (5, 0, 6, "well", "ill"), (5, 6, 8, "ill", "dead"),
]  # fmt: skip


@st.composite
def histories(draw):
    """Histories of up to seven patients on few days, with late entry, reversible states and a weight per patient."""
    rows, weight = [], []
    for patient in range(draw(st.integers(2, 7))):
        day, state = draw(st.integers(0, 3)), draw(st.sampled_from(["well", "ill"]))
        own = draw(st.sampled_from(WEIGHTS))
        for _ in range(draw(st.integers(1, 4))):
            last = day + draw(st.integers(1, 4))
            to = draw(st.sampled_from(["well", "ill", "dead", "censored"]))
            rows.append((patient, day, last, state, "censored" if to == state else to))
            weight.append(own)
            if rows[-1][-1] in ("censored", "dead"):
                break
            day, state = last, to
    return rows, weight


def values(occupation, times=(0, 1, 2, 3, 4, 6, 8)):
    return occupation.at(times)[["estimate", "std_error"]].to_numpy()


def test_five_patients_by_hand():
    # at risk on day 2 in well: 1, 2, 4, 5 (4 entered on day 1): one falls ill, one dies; in ill: 3
    # day 4: ill 1, 3; one dies. Day 6: ill: 1, who gets well; well: 5, who falls ill. Day 8: ill: 5, who dies
    at = estimate_state_occupation(history(FIVE)).at([0, 2, 4, 6, 8]).set_index(["time", "state"])["estimate"].unstack()
    expected = {  # those at risk at the first transition: four well, one ill
        0: [4 / 5, 1 / 5, 0], 2: [2 / 5, 2 / 5, 1 / 5], 4: [2 / 5, 1 / 5, 2 / 5], 6: [1 / 5, 2 / 5, 2 / 5],
        8: [1 / 5, 0, 4 / 5],
    }  # fmt: skip
    for day, row in expected.items():
        assert at.loc[day, ["well", "ill", "dead"]].tolist() == pytest.approx(row, abs=1e-15)


def test_numbers_by_hand():
    occupation = estimate_state_occupation(history(FIVE))
    tidy = occupation.tidy()
    well = tidy[tidy["state"] == "well"]
    assert well["time"].tolist() == [0, 1, 2, 4, 5, 6, 8, 9]  # on day 1 patient 4 comes
    assert well["n_risk"].tolist() == [3, 3, 4, 2, 2, 1, 1, 1]
    assert well["n_event"].tolist() == [0, 0, 0, 0, 0, 1, 0, 0]
    assert well["n_censor"].tolist() == [0, 0, 0, 0, 1, 0, 0, 1]
    assert well["n_followed"].tolist() == [4, 4, 5, 4, 3, 2, 2, 1]
    assert set(tidy["n"]) == {5}
    risk = occupation.n_at_risk([0, 1, 2, 3]).query("state == 'well'")
    assert risk["n_risk"].tolist() == [3, 3, 4, 2]
    moves = occupation.transitions().set_index(["term", "state"])["n"].to_dict()
    assert moves == {
        ("well", "ill"): 2, ("well", "dead"): 1, ("well", "censored"): 2, ("ill", "well"): 1, ("ill", "dead"): 2,
    }  # fmt: skip


def test_columns_follow_the_contract_and_years_are_days_over_365_25():
    tidy = estimate_state_occupation(history([(1, 0, 365.25, "well", "dead"), (2, 0, 400, "well", "censored")])).tidy(
        unit="years"
    )
    assert list(tidy.columns) == [*[name for name in TIDY_COLUMNS if name in tidy], "n_followed", "n"]
    assert tidy["time"].iloc[:2].tolist() == [0.0, 1.0]
    assert tidy.attrs["time_unit"] == "years"


def invented(frame, **more):
    covariates = ["arm", "centre"]
    return StateHistory.from_frame(
        frame, patient_id="id", entry="entry", exit="exit", from_state="from", to_state="to",
        states=["a", "b", "c", "d"], covariates=covariates, **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def reversible() -> pd.DataFrame:
    from pathlib import Path

    return pd.read_csv(Path(__file__).parents[3] / "reference" / "aalen_johansen.csv")


def assert_r(at, figures, assert_close, what, columns=tuple(R_NAMES)):
    for column in columns:
        assert_close(at[column], figures[R_NAMES[column]], 1e-9, what=f"{what} {column}")


@pytest.mark.parametrize("conf_type", CONF_TYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_matches_r_with_reversible_states_ties_late_entry_and_weights(
    conf_type, weighted, reversible, r_figures, assert_close
):
    name = f"{'weighted' if weighted else 'all'}_{CONF_TYPES[conf_type]}"
    figures = r_figures("aalen_johansen")[name]
    how = {"weight": "w"} if weighted else {}
    occupation = estimate_state_occupation(invented(reversible, **how), conf_type=conf_type, from_day=0)
    assert_r(occupation.at(figures["times"]), figures, assert_close, name)


def test_matches_r_by_arm(reversible, r_figures, assert_close):
    figures = r_figures("aalen_johansen")
    occupation = estimate_state_occupation(invented(reversible), by="arm", from_day=0)
    for arm in ("x", "y"):
        own = figures[f"arm_{arm}"]
        assert_r(occupation.at(own["times"]).query("strata == @arm"), own, assert_close, f"arm {arm}")


def test_matches_r_where_the_error_of_the_start_counts(reversible, r_figures, assert_close):
    figures = r_figures("aalen_johansen")["start_estimated"]
    occupation = estimate_state_occupation(invented(reversible), start_variance="estimated", from_day=0)
    assert_r(occupation.at(figures["times"]), figures, assert_close, "start estimated")
    mean = occupation.time_in_state(14)
    assert_close(mean["estimate"], figures["mean"], 1e-9, what="mean time in state")
    assert_close(mean["std_error"], figures["mean_se"], 1e-9, what="its standard error")


@pytest.mark.parametrize("weighted", [False, True])
def test_matches_r_influences_summed_by_centre(weighted, reversible, r_figures, assert_close):
    figures = r_figures("aalen_johansen")
    how = {"weight": "w"} if weighted else {}
    at = estimate_state_occupation(
        invented(reversible, **how), cluster="centre", start_variance="estimated", from_day=0
    ).at(figures["start_estimated"]["times"])
    expected = figures["by_centre_weighted" if weighted else "by_centre"]
    assert_close(at["std_error"], expected, 1e-9, what="std_error by centre")


def test_matches_r_from_a_day_and_a_distribution(reversible, r_figures, assert_close):
    figures = r_figures("aalen_johansen")["from_day"]
    start = {"a": 0.5, "b": 0.3, "c": 0.2}
    occupation = estimate_state_occupation(invented(reversible), from_day=4.5, start=start)
    assert_r(occupation.at(figures["times"]), figures, assert_close, "from day 4.5")


SEQ_STATES = ["comp", "decomp", "transplant", "death"]


@pytest.fixture(scope="module")
def pbcseq(data_set) -> pd.DataFrame:
    frame = data_set("derived_pbcseq_multistate")
    names = dict(enumerate(["censored", *SEQ_STATES[1:]]))
    return frame.assign(to=frame["event"].map(names), birth=np.round(frame["age"] * 365.25))


def seq_history(frame, entry="tstart", exit="tstop"):
    return StateHistory.from_frame(
        frame, patient_id="id", entry=entry, exit=exit, from_state="istate", to_state="to", states=SEQ_STATES,
        covariates=["trt"],
    )  # fmt: skip


def on_age_scale(frame):
    frame = frame.assign(born_entry=frame["birth"] + frame["tstart"], born_exit=frame["birth"] + frame["tstop"])
    return seq_history(frame, "born_entry", "born_exit")


def assert_reference(estimate, own, rtol, horizon, assert_close, strata="all"):
    """Every figure of a group: pstate, errors, limits of three scales, numbers at risk, transitions, mean times."""
    for conf_type, suffix in (("log", "log"), ("log-log", "loglog"), ("plain", "plain")):
        occupation = estimate(conf_type)
        at = occupation.at(own["states"]["comp"]["time"]).query("strata == @strata")
        for state, values in own["states"].items():
            columns = {"n_risk": "n_risk", "estimate": "pstate", "std_error": "se_ij",
                       "conf_low": f"lower_{suffix}", "conf_high": f"upper_{suffix}"}  # fmt: skip
            for column, other in columns.items():
                what = f"{column} {state} {strata} {conf_type}"
                assert_close(at.query("state == @state")[column], values[other], rtol, what=what)
    mean = occupation.time_in_state(horizon).query("strata == @strata")
    expected = np.array(own["restricted_mean_time"]["values"])
    assert_close(mean["estimate"], expected[:, 2], rtol, what=f"mean time {strata}")


def assert_transitions(occupation, own, assert_close, strata="all"):
    counts = occupation.transitions().query("strata == @strata").set_index(["term", "state"])["n"]
    table = own["transitions"]
    for state, row in zip(table["rownames"], table["values"], strict=True):
        names = ["censored" if name == "(censored)" else name for name in table["colnames"]]
        ours = [counts.get((state, name), 0) for name in names]
        assert_close(ours, row, what=f"transitions from {state} {strata}")


def test_matches_r_survfit_on_pbcseq(pbcseq, reference, assert_close):
    result = reference("pbcseq_multistate")["state_occupation"]
    own = result["values"]["all"]
    told = seq_history(pbcseq)
    assert_reference(
        lambda scale: estimate_state_occupation(told, conf_type=scale), own, result["rtol"], 3650, assert_close
    )
    assert_transitions(estimate_state_occupation(told), own, assert_close)


def test_matches_r_survfit_on_pbcseq_by_treatment(pbcseq, reference, assert_close):
    result = reference("pbcseq_multistate")["state_occupation_by_trt"]
    told = seq_history(pbcseq)
    for arm, own in result["values"].items():
        assert_reference(
            lambda scale: estimate_state_occupation(told, by="trt", conf_type=scale), own, result["rtol"], 3650,
            assert_close, strata=arm,
        )  # fmt: skip
        assert_transitions(estimate_state_occupation(told, by="trt"), own, assert_close, strata=arm)


def test_matches_r_survfit_on_pbcseq_where_all_start_compensated(pbcseq, reference, assert_close):
    result = reference("pbcseq_multistate")["state_occupation_start_comp_only"]
    ascites = pbcseq.loc[(pbcseq["tstart"] == 0) & (pbcseq["istate"] == "decomp"), "id"]
    told = seq_history(pbcseq[~pbcseq["id"].isin(ascites)])
    own = result["values"]["all"] if "all" in result["values"] else result["values"]
    assert_reference(
        lambda scale: estimate_state_occupation(told, conf_type=scale), own, result["rtol"], 3650, assert_close
    )


def test_matches_r_survfit_on_the_age_scale_from_40_years(pbcseq, reference, assert_close):
    result = reference("pbcseq_multistate")["left_truncation_age_scale_survfit"]
    told = on_age_scale(pbcseq)
    assert_reference(
        lambda scale: estimate_state_occupation(told, from_day=14610, start={"comp": 1.0}, conf_type=scale),
        result["values"]["all"], result["rtol"], 25567.5, assert_close,
    )  # fmt: skip


@settings(max_examples=8)
@given(histories())
def test_errors_equal_what_small_changes_of_each_patients_weight_do(drawn):
    rows, weight = drawn
    small, patient, times = 1e-5, np.array([row[0] for row in rows]), (1, 2, 3, 5, 8)

    def moved(who, by, **how):
        changed = np.where(patient == who, np.array(weight) * (1 + by), weight)
        return estimate_state_occupation(history(rows, weight=changed), from_day=0, **how).at(times)["estimate"]

    first = estimate_state_occupation(history(rows, weight=weight), from_day=0)
    given_start = first.at([0])["estimate"].tolist()
    for how in ({"start": dict(zip(STATES, given_start, strict=True))}, {"start_variance": "estimated"}):
        if np.isnan(given_start).any():
            return
        slopes = [(moved(who, small, **how) - moved(who, -small, **how)) / (2 * small) for who in set(patient)]
        occupation = estimate_state_occupation(history(rows, weight=weight), from_day=0, **how)
        np.testing.assert_allclose(occupation.at(times)["std_error"] ** 2, np.sum(np.square(slopes), axis=0), atol=1e-8)


@settings(max_examples=40)
@given(histories())
def test_probabilities_sum_to_1_and_stay_between_0_and_1(drawn):
    rows, weight = drawn
    tidy = estimate_state_occupation(history(rows, weight=weight), from_day=0).tidy()
    assert tidy.groupby("time")["estimate"].sum().to_numpy() == pytest.approx(1, abs=1e-12)
    assert tidy["estimate"].between(0, 1 + 1e-12).all()
    assert (tidy["std_error"] >= 0).all()


@settings(max_examples=30)
@given(histories(), st.randoms())
def test_row_order_names_of_patients_and_time_unit_change_nothing(drawn, random):
    rows, weight = drawn
    order = list(range(len(rows)))
    random.shuffle(order)
    other = [(f"p{100 - rows[i][0]}", rows[i][1] * 4, rows[i][2] * 4, *rows[i][3:]) for i in order]
    one = estimate_state_occupation(history(rows, weight=weight), from_day=0).tidy()
    two = estimate_state_occupation(history(other, weight=np.array(weight)[order]), from_day=0).tidy()
    pd.testing.assert_frame_equal(one, two.assign(time=two["time"] / 4), rtol=1e-11, atol=1e-13)


@settings(max_examples=30)
@given(histories(), st.integers(1, 8))
def test_splitting_spells_at_a_time_changes_nothing(drawn, cut):
    rows, weight = drawn
    split = [
        piece for (who, entry, exit, state, to), w in zip(rows, weight, strict=True)
        for piece in (
            [(who, entry, cut, state, "censored", w), (who, cut, exit, state, to, w)] if entry < cut < exit
            else [(who, entry, exit, state, to, w)]
        )
    ]  # fmt: skip
    whole = estimate_state_occupation(history(rows, weight=weight), from_day=0).tidy()
    pieces = history([row[:5] for row in split], weight=[row[5] for row in split])
    pd.testing.assert_frame_equal(whole, estimate_state_occupation(pieces, from_day=0).tidy(), rtol=1e-12, atol=1e-14)


@settings(max_examples=30)
@given(histories())
def test_weights_that_are_all_doubled_change_nothing(drawn):
    rows, weight = drawn
    one = estimate_state_occupation(history(rows, weight=weight), from_day=0)
    two = estimate_state_occupation(history(rows, weight=np.array(weight) * 2), from_day=0)
    pd.testing.assert_frame_equal(one.tidy(), two.tidy(), rtol=1e-12, atol=1e-14)


def test_100_repeated_runs_with_ties_give_the_same_bytes(reversible):
    told = invented(reversible, weight="w")
    first = estimate_state_occupation(told, by="arm").tidy()
    numbers = first.select_dtypes("number").to_numpy(float).tobytes()
    for _ in range(99):
        again = estimate_state_occupation(told, by="arm").tidy()
        assert again.select_dtypes("number").to_numpy(float).tobytes() == numbers


def test_time_in_state_sums_to_the_horizon_and_by_hand():
    occupation = estimate_state_occupation(history(FIVE))
    mean = occupation.time_in_state(8).set_index("state")["estimate"]
    assert mean.sum() == pytest.approx(8)
    assert mean["well"] == pytest.approx(2 * 4 / 5 + 2 * 2 / 5 + 2 * 2 / 5 + 2 * 1 / 5)
    assert np.isnan(occupation.time_in_state(10)["estimate"]).all()
    with pytest.raises(OutcomeError, match="horizon=0"):
        occupation.time_in_state(0)


def test_quantiles_of_a_state_that_is_never_left_and_r_midpoint_of_a_flat_step():
    rows = [
        (1, 0, 2, "well", "dead"),
        (2, 0, 4, "well", "dead"),
        (3, 0, 8, "well", "ill"),
        (4, 0, 9, "well", "censored"),
    ]
    occupation = estimate_state_occupation(history(rows))
    found = occupation.quantiles([0.25, 0.5, 0.6], state="dead")["estimate"].tolist()
    assert found[:2] == [
        3.0,
        6.5,
    ]  # 1/4 is reached on day 2 and passed on day 4; 1/2 on day 4, never passed: last day 9
    assert np.isnan(found[2])
    assert occupation.quantiles([0.5], state="well")["estimate"].tolist() == [6.0]
    with pytest.raises(OutcomeError, match="no quantiles"):
        estimate_state_occupation(history(FIVE)).quantiles(state="well")


def test_nobody_moves():
    rows = [(1, 0, 5, "well", "censored"), (2, 0, 7, "ill", "censored")]
    tidy = estimate_state_occupation(history(rows)).tidy().set_index(["state", "time"])
    assert tidy.loc["well", "estimate"].tolist() == [0.5, 0.5, 0.5]
    assert tidy.loc["well", "std_error"].tolist() == [0.0, 0.0, 0.0]
    estimated = estimate_state_occupation(history(rows), start_variance="estimated").tidy()
    assert estimated["std_error"].iloc[0] == pytest.approx((0.5 * 0.5 / 2) ** 0.5)


def test_one_patient():
    rows = [(1, 0, 5, "well", "ill"), (1, 5, 8, "ill", "dead")]
    at = estimate_state_occupation(history(rows)).at([4, 5, 8, 99]).set_index(["time", "state"])
    assert at.loc[5, "estimate"].tolist() == [0, 1, 0, 0]
    assert at.loc[99, "estimate"].tolist() == [0, 0, 0, 1]  # nothing is left that could change
    assert (at["std_error"] == 0).all()


def test_a_state_that_nobody_visits_is_0_without_error():
    gone = estimate_state_occupation(history(FIVE)).tidy().query("state == 'gone'")
    assert (gone["estimate"] == 0).all()
    assert (gone["std_error"] == 0).all()
    assert gone["conf_low"].isna().all()


def test_weights_of_0_leave_patients_out():
    weight = [1, 1, 1, 1, 0, 1, 1, 1]
    kept = estimate_state_occupation(history([row for row in FIVE if row[0] != 3]))
    pd.testing.assert_frame_equal(estimate_state_occupation(history(FIVE, weight=weight)).tidy(), kept.tidy())


def test_an_empty_group_has_no_curves_and_nobody_followed_is_refused():
    arm = pd.Categorical(["x"] * len(FIVE), ["x", "y"])
    assert [curve.strata for curve in estimate_state_occupation(history(FIVE, arm=arm), by="arm").curves] == ["x"]
    with pytest.raises(OutcomeError, match="followed after 9"):
        estimate_state_occupation(history(FIVE), from_day=9)
    with pytest.raises(OutcomeError, match="no rows"):
        estimate_state_occupation(history(FIVE, weight=0))


def test_everyone_starting_dead_is_refused():
    with pytest.raises(OutcomeError, match="such as death"):
        estimate_state_occupation(history(FIVE), start={"dead": 1.0})


@pytest.mark.parametrize("start", [{"well": 0.5}, {"unknown": 1.0}, {"well": 1.5, "ill": -0.5}])
def test_a_start_that_is_no_distribution_is_refused(start):
    with pytest.raises(OutcomeError, match="start="):
        estimate_state_occupation(history(FIVE), start=start)


def test_what_is_no_history_or_no_choice_is_refused():
    with pytest.raises(OutcomeError, match="no StateHistory"):
        estimate_state_occupation(pd.DataFrame())
    for how in ({"conf_level": 95}, {"conf_type": "logit"}, {"start_variance": "none"}, {"cluster": "centre"}):
        with pytest.raises(OutcomeError):
            estimate_state_occupation(history(FIVE), **how)
    with pytest.raises(OutcomeError, match="1 of 8 rows"):
        estimate_state_occupation(history(FIVE, centre=[None, *"abcdefg"]), cluster="centre")


def test_groups_known_later_are_refused():
    frame = pd.DataFrame({"patient_id": ["1", "2", "3", "4", "5"], "label": "x", "onset": 3, "known_at": 3})
    with pytest.raises(ImmortalTimeError):
        estimate_state_occupation(history(FIVE), by=Groups(frame, "response", ("x",)))


def test_statistics_rule_13_curves_begin_where_5_are_at_risk():
    early = [(1, 0, 5, "well", "ill"), (1, 5, 30, "ill", "censored")]
    late = [(n, 10, 20 + n, "well", "dead") for n in range(2, 10)]
    occupation = estimate_state_occupation(history([*early, *late]))
    assert occupation.from_day == 10
    assert occupation.glance()["is_conditional"]
    assert "fewer than 5 were at risk early" in occupation.describe()
    assert np.isnan(occupation.at([9])["estimate"]).all()
    assert estimate_state_occupation(history([*early, *late]), from_day=0).at([6])["estimate"].tolist()[1] == 1.0


def test_the_caption_says_how_the_start_is_treated_only_where_patients_start_apart():
    assert "taken as given" in estimate_state_occupation(history(FIVE)).describe()
    assert "error included" in estimate_state_occupation(history(FIVE), start_variance="estimated").describe()
    together = [row for row in FIVE if row[0] != 3]
    assert "start" not in estimate_state_occupation(history(together)).describe()


def test_disclosed_curves_still_sum_to_1(pbcseq):
    from aih_outcomes.disclosure import POLICIES, apply_policy

    shown = apply_policy(estimate_state_occupation(seq_history(pbcseq)).tidy(unit="years"), next(iter(POLICIES)))
    assert shown.dropna(subset=["estimate"]).groupby("time")["estimate"].sum().to_numpy() == pytest.approx(1)


def test_plot_draws_one_group(pbcseq):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6, 5))
    assert estimate_state_occupation(seq_history(pbcseq)).plot(ax=ax) is ax
    plt.close(figure)
    with pytest.raises(OutcomeError, match="2 groups"):
        estimate_state_occupation(seq_history(pbcseq), by="trt").plot()


@pytest.mark.parametrize(
    "how", [{"from_day": "late"}, {"start": [1.0]}, {"start_variance": "none"}, {"conf_type": "logit"}]
)
def test_what_cannot_be_asked_of_the_curves_is_refused(how):
    with pytest.raises(OutcomeError):
        estimate_state_occupation(history(FIVE), **how)


@pytest.mark.parametrize("read", [lambda c: c.at(5), lambda c: c.time_in_state("late"), lambda c: c.tidy(unit="weeks"),
                                  lambda c: c.quantiles(0.5), lambda c: c.n_at_risk([[1, 2]])])  # fmt: skip
def test_what_cannot_be_read_off_the_curves_is_refused(read):
    with pytest.raises(OutcomeError):
        read(estimate_state_occupation(history(FIVE)))


def test_a_very_long_horizon_is_no_overflow():
    ended = [row for row in FIVE if row[4] != "censored"]
    means = estimate_state_occupation(history(ended)).time_in_state(1e200)
    assert np.isfinite(means["estimate"].dropna()).all()
