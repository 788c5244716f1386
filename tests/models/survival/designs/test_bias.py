"""By how much the comparison from day 0 is wrong."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.survival.designs.bias import quantify_bias
from aih_outcomes.models.survival.designs.comparison import compare_groups
from aih_outcomes.models.survival.designs.naive import naive_comparison
from aih_outcomes.models.survival.designs.time_varying import time_varying
from aih_outcomes.outcomes import Groups, TimeToEvent

# patient, followed from, until, event, known on day
FOUR = [("a", 0, 100, 1, 40), ("b", 20, 200, 0, 80), ("c", 50, 90, 1, 10), ("d", 0, 60, 1, np.nan)]


def told(rows):
    frame = pd.DataFrame(rows, columns=["id", "entry", "exit", "event", "known"])
    outcome = TimeToEvent.from_frame(frame, entry="entry", exit="exit", event="event", patient_id="id", label="death")
    known = frame.dropna(subset=["known"]).rename(columns={"id": "patient_id"})
    known = known.assign(label="yes", onset=known["known"], known_at=known["known"])
    return outcome, Groups(known[["patient_id", "label", "onset", "known_at"]], "response", ("yes",), irreversible=True)


def test_four_patients_by_hand():
    """a had 40 of 100 days before it was known, b 60 of 180, c none: it was known before c was first seen."""
    own = quantify_bias(*told(FOUR), never="no").immortal.loc["yes"]
    assert own.tolist() == [3, 2, 100 + 180 + 40, 40 + 60]


def test_of_a_group_that_never_became_known_no_time_is_immortal():
    assert quantify_bias(*told(FOUR), never="no").immortal.index.tolist() == ["yes"]


@pytest.fixture(scope="module")
def found(pbcseq, ever_responded):
    return quantify_bias(pbcseq, ever_responded, never="never")


def test_immortal_time_of_pbcseq_is_the_sum_of_days_to_response(found, ever_responded, responders):
    own = found.tidy().set_index("measure")["estimate"]
    days = ever_responded.frame["known_at"]
    assert own["immortal_time"] == days.sum()
    assert own["immortal_time_per_patient"] == pytest.approx(days.mean())
    credited = responders.loc[responders["tresp"].notna(), "futime"].sum()
    assert own["immortal_time_share"] == pytest.approx(days.sum() / credited)


def test_the_hazard_ratios_are_those_of_r(found, reference, assert_close):
    results = reference("pbcseq_landmark_immortal")
    row = found.tidy().set_index("measure").loc["hazard_ratio"]
    for side, name in (("naive", "naive_ever_responder"), ("right", "time_dependent_responder")):
        hr = results[name]["values"]["cox"]["coefficients"]["hr"]
        assert_close([row[side]], hr, results[name]["rtol"], what=f"bias, {side} hazard ratio")
    assert row["estimate"] == pytest.approx(row["naive"] / row["right"])
    assert row["estimate"] < 1


def test_absolute_differences_are_at_one_horizon(found, pbcseq, ever_responded):
    right = compare_groups(time_varying(pbcseq, ever_responded), by="group")
    naive = naive_comparison(pbcseq, ever_responded, never="never", horizon=right.risk.horizon)
    own = found.tidy().set_index("measure")
    for measure in ("risk_difference", "restricted_mean_difference"):
        sides = [side.tidy().set_index("measure").loc[measure, "estimate"] for side in (naive, right)]
        assert own.loc[measure, ["naive", "right"]].tolist() == pytest.approx(sides)
        assert own.loc[measure, "estimate"] == pytest.approx(sides[0] - sides[1])
        assert own.loc[measure, "time"] == right.risk.horizon


def test_a_landmark_may_be_what_is_right(pbcseq, responded_by):
    own = quantify_bias(pbcseq, responded_by(365), never="not yet", day=365).tidy().set_index("measure")
    early = responded_by(365).frame.query("label == 'responder'")["known_at"]
    assert own.loc["immortal_time", "estimate"] == early.sum()
    assert own["design"].str.startswith("landmark at day 365").all()
    assert own.loc["hazard_ratio", "estimate"] < 1


def test_a_change_of_unit_changes_times_alone(found):
    days, years = found.tidy(), found.tidy(unit="years")
    in_time = days["measure"].isin(["immortal_time", "immortal_time_per_patient", "restricted_mean_difference"])
    assert years["estimate"].tolist() == pytest.approx((days["estimate"] / np.where(in_time, 365.25, 1)).tolist())
    assert years.attrs["time_unit"] == "years"


def test_says_how_much_and_that_it_is_biased(found):
    said = found.describe()
    assert said.startswith("Comparison from day 0 (biased) against status changing with time")
    assert "of the time credited to responder was lived before that was known" in said
    assert "Prognostic association, not a treatment effect; confounded by severity." in said
    assert found.tidy()["biased"].all()
    assert found.glance()["immortal_time_share"] > 0


def test_a_response_without_effect_looks_protective_from_day_0_and_not_otherwise():
    """Death comes at a constant rate whatever the response, which is known at a random day if still alive."""
    rng = np.random.default_rng(11)
    n = 3000
    death, known = rng.exponential(1000, n), rng.exponential(800, n)
    frame = pd.DataFrame({"id": np.arange(n), "exit": np.ceil(np.minimum(death, 3000)), "event": death <= 3000})
    frame["known"] = np.where(known < frame["exit"], np.floor(known), np.nan)
    rows = frame.assign(entry=0, event=frame["event"].astype(int))[["id", "entry", "exit", "event", "known"]]
    own = quantify_bias(*told(rows.to_numpy().tolist()), never="no").tidy().set_index("measure").loc["hazard_ratio"]
    assert own["naive"] < 0.6
    assert own["right"] == pytest.approx(1, abs=0.15)


def test_groups_that_may_change_back_have_no_absolute_difference():
    outcome, groups = told(FOUR * 1)
    back = Groups(groups.frame, groups.name, groups.levels)
    own = quantify_bias(outcome, back, never="no")
    assert set(own.tidy()["measure"]) == {
        "immortal_time", "immortal_time_per_patient", "immortal_time_share", "hazard_ratio",
    }  # fmt: skip


def test_competing_events_are_carried_through():
    rows = [(str(i), 0, 40 + 7 * i, "death" if i % 3 else "transplant", 10 + i if i % 2 else np.nan) for i in range(40)]
    frame = pd.DataFrame(rows, columns=["id", "entry", "exit", "event", "known"])
    outcome = TimeToEvent.from_frame(
        frame, exit="exit", event="event", patient_id="id", label="death", competing=["transplant"]
    )
    own = quantify_bias(outcome, told(frame.assign(event=1).to_numpy().tolist())[1], never="no").tidy()
    assert "time_lost_difference" in set(own["measure"])
