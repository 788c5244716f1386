"""The main hazard ratio for every combination of choices: it is the plan's own, and no combination vanishes."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import aih_outcomes as aih
from aih_outcomes.cohort import Cohort
from aih_outcomes.disclosure import apply_policy
from aih_outcomes.endpoints.definition import Definition
from aih_outcomes.errors import OutcomeError, PlanError
from aih_outcomes.figures.specification import draw_specification
from aih_outcomes.models.survival.designs.comparison import compare_groups
from aih_outcomes.study.choices import NO_EVENTS, NOBODY, ONE_VISIT, TOO_EARLY, derive_specifications

COVARIATES = ("age", "log(bilirubin)")


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return aih.simulate_cohort(3, 400, hazard="high", composite_child="left out")


@pytest.fixture(scope="module")
def criteria() -> list[Definition]:
    full = aih.read_definition("iaihg-2022")
    return [full, full.without("igg")]


@pytest.fixture(scope="module")
def frame(cohort: Cohort, criteria: list[Definition]) -> pd.DataFrame:
    return derive_specifications(
        cohort, criteria, upper_limits=("as_recorded", "caliper"), landmark_days=(182, 365, 90), covariates=COVARIATES,
        rescue=("ignored", "failure"),
    )  # fmt: skip


def only(frame: pd.DataFrame, **chosen: object) -> pd.Series:
    """Return the one row with these choices; what is not named is as declared."""
    declared = {"definition": "IAIHG 2022", "upper_limits": "as recorded", "rescue": "ignored", "landmark": 182,
                "adjustment": ", ".join(COVARIATES)}  # fmt: skip
    mask = np.ones(len(frame), dtype=bool)
    for column, value in (declared | chosen).items():
        mask &= (frame[column].isna() if value is None else frame[column] == value).to_numpy(bool)
    (place,) = np.flatnonzero(mask)
    return frame.iloc[place]


def test_every_combination_has_one_row(frame: pd.DataFrame) -> None:
    assert len(frame) == 2 * 2 * 2 * 4 * 2  # criteria, limits, rescue, three landmarks and over time, adjustment
    choices = ["definition", "upper_limits", "rescue", "landmark", "design", "adjustment"]
    assert not frame.duplicated(choices).any()


def test_the_declared_analysis_is_the_first_of_each_choice_and_the_plans_own_result(
    frame: pd.DataFrame, cohort: Cohort, criteria: list[Definition]
) -> None:
    """What ``Study.landmarks`` does at the plan's first landmark."""
    assert frame["main"].tolist() == [True] + [False] * (len(frame) - 1)
    response = aih.derive_response(cohort, criteria[0])
    start = aih.derive_baseline(response)[["age", "bilirubin"]]
    outcome = aih.derive_time_to_event(
        cohort, aih.read_endpoint("native-liver-survival"), time_zero="induction", covariates=start
    )
    started = aih.landmark(outcome, aih.attained_or_insufficient(response, 182), day=182)
    whole = compare_groups(started, by="group", covariates=COVARIATES, missing="exclude").tidy()
    plan = whole[(whole["measure"] == "hazard_ratio") & (whole["strata"] == "Responder")].iloc[0]
    numbers = ["estimate", "std_error", "conf_low", "conf_high"]
    assert frame.iloc[0][numbers].astype(float).to_numpy() == pytest.approx(plan[numbers].astype(float).to_numpy())
    words = ["label", "term", "reference", "n", "n_event", "n_reference", "n_event_reference"]
    assert frame.iloc[0][words].tolist() == plan[words].tolist()


def test_another_choice_is_what_that_choice_alone_gives(
    frame: pd.DataFrame, cohort: Cohort, criteria: list[Definition]
) -> None:
    alone = derive_specifications(cohort, criteria[1:], upper_limits=("caliper",), rescue=("failure",))
    row = only(frame, definition="IAIHG 2022 without IgG", upper_limits="CALIPER: ALT, AST, IgG",
               rescue="counted as failure", adjustment="none")  # fmt: skip
    assert row[["estimate", "n", "n_event"]].tolist() == pytest.approx(
        alone.iloc[0][["estimate", "n", "n_event"]].tolist()
    )


def test_status_changing_with_time_is_that_of_ever_attained(
    frame: pd.DataFrame, cohort: Cohort, criteria: list[Definition]
) -> None:
    outcome = aih.derive_time_to_event(cohort, aih.read_endpoint("native-liver-survival"), time_zero="induction")
    ever = aih.ever_attained(aih.derive_response(cohort, criteria[0]))
    fit = aih.fit_cox(aih.time_varying(outcome, ever), by="group").tidy().iloc[0]
    row = only(frame, landmark=None, adjustment="none")
    assert row["design"] == "status changing with time"
    assert row["reference"] == "undetermined"
    assert row[["estimate", "conf_low", "conf_high"]].tolist() == pytest.approx(
        fit[["hazard_ratio", "hr_low", "hr_high"]].tolist()
    )


def test_statistics_rule_6_a_landmark_before_the_windows_end_is_a_row_that_is_not_allowed(frame: pd.DataFrame) -> None:
    early = frame[frame["landmark"] == 90]
    assert len(early) == 16
    assert set(early["because"]) == {TOO_EARLY}
    assert early[["estimate", "n", "n_event"]].isna().all(axis=None)
    assert not (frame["landmark"] != 90).mul(frame["because"] == TOO_EARLY).any()


def test_statistics_rule_21_each_row_names_its_design_and_its_words(frame: pd.DataFrame) -> None:
    words = dict(zip(frame["design"], frame["caution"], strict=True))
    assert words == {
        "landmark": "Prognostic association, not a treatment effect.",
        "status changing with time": "Prognostic association, not a treatment effect; confounded by severity.",
    }


def test_a_later_landmark_follows_fewer_and_none_is_missing(frame: pd.DataFrame) -> None:
    groups = [only(frame, landmark=day) for day in (182, 365)]
    assert all(row["because"] == "" and row["n"] > 0 for row in groups)
    assert groups[1]["n"] + groups[1]["n_reference"] != groups[0]["n"] + groups[0]["n_reference"]


def test_rescue_counted_as_failure_makes_no_responder_of_a_rescued_child(frame: pd.DataFrame) -> None:
    assert only(frame, rescue="counted as failure")["n"] <= only(frame)["n"]


def test_criteria_bound_to_a_visit_have_no_status_over_time(cohort: Cohort, tmp_path: Path) -> None:
    path = tmp_path / "fall.toml"
    path.write_text(
        'name = "fall"\nversion = "1"\ntitle = "Fall at 8 weeks"\nreference = "A test"\n'
        '[response]\nterm = "Fall"\nshort = "fall"\ncriteria = [{ analyte = "ast", at_most_xuln = 3.0 }]\n'
        "[windows]\nby = [42, 70]\nat = [42, 70]\nat_tolerant = [35, 84]\njudged_from = 42\n",
        encoding="utf-8",
    )
    frame = derive_specifications(cohort, [str(path)], landmark_days=(182, 60))
    assert frame["because"].tolist() == ["", TOO_EARLY, ONE_VISIT]
    groups = aih.attained_or_insufficient(aih.derive_response(cohort, aih.read_definition(path)), 70)
    assert frame["n"].iloc[0] <= (groups.frame["label"] == "Responder").sum()


def test_a_combination_that_is_not_estimable_keeps_its_row_and_its_reason(
    cohort: Cohort, criteria: list[Definition]
) -> None:
    ids = cohort.patients["patient_id"].iloc[:15]
    few = Cohort(**{name: table[table["patient_id"].isin(ids)] for name, table in cohort.tables().items()})
    frame = derive_specifications(few, criteria, landmark_days=(182, 3650))
    assert len(frame) == 6
    late = frame[frame["landmark"] == 3650]
    assert late["n_reference"].tolist() == [0, 0]  # in a row of their own, though there is nobody to compare with
    assert late["because"].tolist() == [NOBODY, NOBODY]
    assert late["estimate"].isna().all()
    assert (frame.loc[frame["estimate"].notna(), "because"] == "").all()


def test_responders_without_an_event_have_no_ratio_and_say_so(cohort: Cohort) -> None:
    events = cohort.events[~cohort.events["kind"].isin(["death", "transplant"])]
    quiet = Cohort(**{**cohort.tables(), "events": events})
    assert derive_specifications(quiet, ["iaihg-2022"])["because"].tolist() == [NO_EVENTS, NO_EVENTS]


def test_nobody_is_a_frame_of_reasons(criteria: list[Definition]) -> None:
    frame = derive_specifications(Cohort(pd.DataFrame(columns=["patient_id"])), criteria[:1])
    assert frame["estimate"].isna().all()
    assert frame["because"].str.startswith("not estimable").all()


def test_unknown_covariates_and_repeated_choices_are_refused(cohort: Cohort, criteria: list[Definition]) -> None:
    with pytest.raises(OutcomeError, match="1 term"):
        derive_specifications(cohort, criteria, covariates=("colour",))
    with pytest.raises(PlanError, match="1 of 2 landmarks"):
        derive_specifications(cohort, criteria, landmark_days=(182, 182))
    with pytest.raises(PlanError, match="given twice"):
        derive_specifications(cohort, [criteria[0], criteria[0]])


def test_statistics_rule_23_the_frame_passes_the_door_rounded_and_is_drawn(frame: pd.DataFrame) -> None:
    shown = apply_policy(frame, "lt5")
    counts = shown[["n", "n_event", "n_reference", "n_event_reference"]].astype("Float64")
    assert not ((counts > 0) & (counts < 5)).any(axis=None)
    assert ((counts % 5 == 0) | counts.isna()).all(axis=None)
    hidden = counts.isna().any(axis=1) & (frame["because"] == "")
    assert shown.loc[hidden, "estimate"].isna().all()
    text = " ".join(t.get_text() for t in draw_specification(shown).figure.axes[-1].texts)
    assert f"of {len(frame)} combinations" in text.replace("\n", " ")


def test_small_arms_hide_their_ratio(frame: pd.DataFrame) -> None:
    row = frame.iloc[[0]].assign(n_event=4)
    assert apply_policy(row, "lt5")[["n_event", "estimate", "std_error", "conf_low"]].isna().all(axis=None)


def test_a_choice_changes_nothing_else(frame: pd.DataFrame) -> None:
    """Whom an analysis follows without groups does not depend on the criteria: one outcome for all."""
    over_time = frame[frame["landmark"].isna() & (frame["adjustment"] == "none")]
    events = (over_time["n_event"] + over_time["n_event_reference"]).unique()
    assert len(events) == 1


def test_forty_eight_combinations_take_seconds_not_minutes(cohort: Cohort, criteria: list[Definition]) -> None:
    import time

    began = time.perf_counter()
    combinations = derive_specifications(cohort, criteria, upper_limits=("as_recorded", "fixed"), covariates=("age",),
                                         landmark_days=(182, 365, 730, 1095, 1461))  # fmt: skip
    assert len(combinations) == 48
    assert time.perf_counter() - began < 10
    assert list(itertools.islice(combinations["landmark"], 3)) == [182, 182, 365]


def test_limits_that_most_patients_lack_give_no_hazard_ratio(cohort: Cohort, criteria: list[Definition]) -> None:
    frame = derive_specifications(cohort, criteria[:1], upper_limits=("as_recorded", "adult"))
    by_limit = frame.groupby("upper_limits", sort=False)
    estimated = by_limit["estimate"].count()
    assert estimated.tolist() == [2, 0]  # at the landmark, and over time
    because = by_limit["because"].first()
    assert because.iloc[1].startswith("not estimable: no upper limit of ALT, AST and IgG in more than half")
