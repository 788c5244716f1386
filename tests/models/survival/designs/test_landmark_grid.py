"""The comparison at every declared landmark, side by side and in one model."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.designs.comparison import compare_groups
from aih_outcomes.models.survival.designs.landmark import landmark
from aih_outcomes.models.survival.designs.landmark_grid import compare_landmarks
from aih_outcomes.models.survival.designs.landmark_model import fit_landmark_model
from aih_outcomes.outcomes import Groups, TimeToEvent

GRID = (365, 730, 1095)


@pytest.fixture(scope="module")
def groups_by_day(responded_by):
    return {day: responded_by(day) for day in GRID}


@pytest.fixture(scope="module")
def grid(pbcseq, groups_by_day):
    return compare_landmarks(pbcseq, groups_by_day)


def test_each_row_names_its_landmark_and_who_was_left_out(grid, pbcseq):
    tidy = grid.tidy()
    assert tidy["landmark"].tolist() == np.repeat(GRID, 3).tolist()
    assert all(f"day {row.landmark}" in row.design for row in tidy.itertuples())
    left = tidy.groupby("landmark")["n_excluded"].first()
    n_followed = tidy.groupby("landmark")[["n", "n_reference"]].first().sum(axis=1)
    assert (left + n_followed == pbcseq.n_patients).all()
    assert (tidy["n_event_excluded"] <= tidy["n_excluded"]).all()
    table = grid.exclusions()
    assert table.columns.tolist() == ["landmark", "reason", "n", "n_event"]
    assert table.groupby("landmark")["n"].sum().tolist() == left.tolist()


def test_is_the_comparison_at_each_landmark(grid, pbcseq, responded_by):
    alone = compare_groups(landmark(pbcseq, responded_by(730), day=730), by="group").tidy()
    together = grid.tidy().query("landmark == 730").reset_index(drop=True)
    pd.testing.assert_frame_equal(together[alone.columns], alone)


def test_matches_r_at_each_landmark(grid, reference, assert_close):
    result = reference("pbcseq_landmark_immortal")
    for day in (730, 1095):
        values = result["landmark_2y_3y"]["values"][f"lm{day}"]["coefficients"]
        ratio = grid.tidy().query("landmark == @day and measure == 'hazard_ratio'")["estimate"]
        assert_close(ratio, values["hr"], result["landmark_2y_3y"]["rtol"], what=f"grid, landmark {day}, hr")


def test_statistics_rule_20_each_landmark_has_its_test_and_its_absolute_differences(grid):
    facts = grid.glance()
    assert facts["landmarks"] == GRID
    assert all(np.isfinite(list(facts["proportional_hazards_p_value"].values())))
    assert all(n > 0 for n in facts["events_per_parameter"].values())
    assert set(grid.tidy()["measure"]) == {"hazard_ratio", "risk_difference", "restricted_mean_difference"}


def test_statistics_rule_21_the_words_stand_beside_every_landmark(grid):
    assert grid.describe().count("Prognostic association, not a treatment effect.") == len(GRID)
    assert grid.describe().startswith("Landmarks at days 365, 730 and 1095, all of them shown")


def test_the_order_in_which_landmarks_are_given_changes_nothing(grid, pbcseq, groups_by_day):
    backwards = compare_landmarks(pbcseq, dict(reversed(groups_by_day.items())))
    pd.testing.assert_frame_equal(backwards.tidy(), grid.tidy())


def test_no_landmark_is_refused(pbcseq):
    with pytest.raises(OutcomeError, match="No landmark is given"):
        compare_landmarks(pbcseq, {})


def test_one_model_has_one_hazard_ratio_between_those_of_its_landmarks(grid, pbcseq, groups_by_day):
    model = fit_landmark_model(pbcseq, groups_by_day)
    single = grid.tidy().query("measure == 'hazard_ratio'")["estimate"]
    ratio = model.tidy()["hazard_ratio"].item()
    assert single.min() < ratio < single.max()
    assert model.at_landmarks()["estimate"].tolist() == pytest.approx([ratio] * 3)
    assert model.glance()["n_patients"] < model.glance()["n"]
    assert "robust standard errors by patient" in model.describe()


def test_an_event_after_three_landmarks_is_one_event_per_parameter(pbcseq, groups_by_day):
    facts = fit_landmark_model(pbcseq, groups_by_day, effect="linear").glance()
    assert facts["events_per_parameter"] == facts["n_event"] / 2
    assert facts["n_event"] < facts["n_event_stacked"]


def test_statistics_rule_3_groups_that_differ_between_landmarks_are_not_put_into_one_model(pbcseq, responded_by):
    early = responded_by(365)
    other = Groups(
        early.frame.assign(label=early.frame["label"].replace("not yet", "insufficient")), "response at a year",
        ("insufficient", "responder"), landmark=365,
    )  # fmt: skip
    with pytest.raises(OutcomeError, match="2 different sets of groups"):
        fit_landmark_model(pbcseq, {365: other, 730: responded_by(730)})
    assert set(compare_landmarks(pbcseq, {365: other, 730: responded_by(730)}).tidy()["reference"]) == {
        "insufficient", "not yet",
    }  # fmt: skip
    with pytest.raises(OutcomeError, match="1 landmark"):
        fit_landmark_model(pbcseq, {730: responded_by(730)})


def test_three_groups_have_a_slope_each():
    rng = np.random.default_rng(3)
    n = 240
    frame = pd.DataFrame({"id": range(n), "t": rng.integers(60, 900, n), "e": rng.integers(0, 2, n)})
    outcome = TimeToEvent.from_frame(frame, exit="t", event="e", patient_id="id")
    labels = np.array(["none", "some", "full"])[rng.integers(0, 3, n)]

    def fixed(day):
        known = pd.DataFrame({"patient_id": range(n), "label": labels, "onset": 0.0, "known_at": float(day)})
        return Groups(known, "response", ("none", "some", "full"), landmark=day)

    model = fit_landmark_model(outcome, {30: fixed(30), 300: fixed(300)}, effect="linear")
    assert model.tidy()["term"].tolist()[2:] == ["per_year_of_landmark_1", "per_year_of_landmark_2"]
    table = model.at_landmarks()
    assert table["strata"].tolist() == ["some", "some", "full", "full"]
    assert table["estimate"].tolist()[::2] == pytest.approx(model.tidy()["hazard_ratio"][:2].tolist())
