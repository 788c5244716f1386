"""A study composes, and lets nothing out but by its door."""

import json

import pandas as pd
import pytest
from matplotlib.figure import Figure

import aih_outcomes as aih
from aih_outcomes.errors import DisclosureError, PlanError
from aih_outcomes.simulate import COMPOSITE_CHILD
from aih_outcomes.study import Study, read_plan
from aih_outcomes.study import study as study_module

COUNTS = pd.DataFrame({"step": ["Read"], "reason": [""], "n": [120]})


@pytest.fixture
def study(plan_file, tmp_path):
    return Study(read_plan(plan_file), plan_file, tmp_path)


def with_plan(study, old, new):
    text = study.path.read_text(encoding="utf-8").replace(old, new)
    path = study.out / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return Study(read_plan(path), study.path, study.out)


def test_a_figure_is_written_in_three_formats_with_its_data_and_caption(study):
    study.save(aih.draw_flow_chart(study.disclose(COUNTS)), "flow", "Who was read.", story="They came.")
    assert sorted(path.name for path in (study.out / "figures").iterdir()) == [
        "flow.csv",
        "flow.pdf",
        "flow.png",
        "flow.svg",
    ]
    saved = json.loads((study.out / "saved.json").read_text(encoding="utf-8"))
    assert saved[0]["story"] == "They came."
    assert "120 invented children" in saved[0]["caption"]
    assert "Synthetic; effects set by us" in saved[0]["caption"]
    assert "Small-number rule: lt5" in saved[0]["caption"]


def test_a_figure_whose_frame_did_not_come_from_disclose_is_refused(study):
    with pytest.raises(DisclosureError, match=r"1 of 1 frames behind 'flow' did not come from study.disclose"):
        study.save(aih.draw_flow_chart(COUNTS), "flow", "Who was read.")
    assert not (study.out / "figures").exists()


def test_a_figure_that_shows_no_frame_is_refused(study):
    with pytest.raises(DisclosureError, match="0 of 0 frames"):
        study.save(Figure(), "empty", "Nothing.")


def test_a_table_made_under_another_rule_is_refused(study):
    internal = with_plan(study, '"lt5"', '"none"')
    table = aih.tabulate_baseline(internal.disclose(study.table_treatments()))
    with pytest.raises(DisclosureError, match="did not come"):
        study.save(table, "treatments", "Who began what.")


def test_no_count_from_one_to_four_is_written(study):
    frames = [study.table_one(by="group"), study.table_one(by="aih_type", day=182), study.table_treatments()]
    for frame in frames:
        shown = study.disclose(frame)
        counts = shown[[c for c in shown if c in ("n", "denominator", "n_missing", "n_group")]].astype("Float64")
        assert not ((counts > 0) & (counts < 5)).any(axis=None)
        assert ((counts % 5 == 0) | counts.isna()).all(axis=None)


def test_a_single_patient_is_shown_only_with_consent_and_without_the_pseudonym(study):
    course = aih.derive_course(study.case(COMPOSITE_CHILD))
    assert "patient_id" not in study.disclose(course.labs)
    other = study.source.patients["patient_id"].iloc[5]
    with pytest.raises(DisclosureError, match="without consent"):
        study.case(other)
    with pytest.raises(DisclosureError, match=r"1 patient\(s\)"):
        study.disclose(aih.derive_course(study.source.select(other)).labs)


def test_what_consent_does_not_cover_is_not_shown(study):
    assert study.case(COMPOSITE_CHILD).variants.empty
    with pytest.raises(DisclosureError, match=r"1 use\(s\)"):
        study.case(COMPOSITE_CHILD, shows=("case_report", "genetic"))


def test_a_withdrawn_consent_takes_the_case_out(study):
    withdrawn = with_plan(study, 'covers = ["case_report"]', 'covers = ["case_report"]\nwithdrawn_on = 2026-01-01')
    with pytest.raises(DisclosureError, match="withdrawn"):
        withdrawn.case(COMPOSITE_CHILD)


def test_exclusions_of_the_plan_stand_in_the_flow_with_their_numbers(study):
    flow = study.flow(aih.landmark(study.outcome, study.groups(), day=182))
    boxes = flow[flow["reason"] == ""]["n"].tolist()
    leaving = flow[flow["reason"] != ""].groupby("step")["n"].sum()
    assert boxes[0] == study.source.n_patients
    assert boxes[0] - leaving.get("Patients read", 0) == boxes[1] == study.cohort.n_patients
    assert boxes[1] - leaving["In the study"] == boxes[2]


def test_the_last_landmark_comparison_leaves_out_patients_referred_late(study):
    *_, last = study.landmarks()
    assert "incident patients only" in last.tidy()["design"].iloc[0]
    assert (last.outcome.entry == 0).all()


def test_a_plan_that_is_in_use_takes_the_place_of_any_other(study, monkeypatch):
    monkeypatch.setattr(study_module, "_in_use", {})
    aih.study.use(plan=study.path, out=study.out)
    assert aih.open_study("another").plan.title == "A small study"


def test_a_plan_is_found_by_its_name_from_a_folder_below(plan_file, monkeypatch):
    monkeypatch.chdir(plan_file.parents[2] / "data")
    opened = aih.open_study("small")
    assert opened.path == plan_file
    assert opened.out == plan_file.parents[1] / "output" / "small" / "draft"


def test_without_a_folder_of_plans_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PlanError, match="No folder reports/plans"):
        aih.open_study("small")
