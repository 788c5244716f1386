"""pbcseq through mapping, plan and criteria: the same figures as R, from the file to the comparison.

Reference: R 4.2.2, survival 3.5-3 (pbcseq_landmark_immortal.json of the reference folder). The data set is not part of
the project.
"""

import json
from pathlib import Path

import pytest

import aih_outcomes as aih
from aih_outcomes.study import Study, compare_designs, read_plan

PLAN = Path(__file__).resolve().parents[2] / "reports" / "plans" / "pbcseq.toml"
RTOL = 1e-7  # of the reference file


@pytest.fixture(scope="module")
def study(shared, tmp_path_factory):
    return Study(read_plan(PLAN), PLAN, tmp_path_factory.mktemp("out"), shared / "inputs" / "pbcseq")


@pytest.fixture(scope="module")
def reference(shared):
    text = (shared / "reference" / "reference" / "pbcseq_landmark_immortal.json").read_text(encoding="utf-8")
    return {result["name"]: result["values"] for result in json.loads(text)["results"]}


def assert_ratio(tidy, coefficients, place=0):
    row = tidy[tidy["measure"] == "hazard_ratio"].iloc[0] if "measure" in tidy else tidy.iloc[place]
    names = ("estimate", "conf_low", "conf_high") if "measure" in tidy else ("hazard_ratio", "hr_low", "hr_high")
    expected = [coefficients[key][place] for key in ("hr", "hr_lower", "hr_upper")]
    assert [row[name] for name in names] == pytest.approx(expected, rel=RTOL)


def test_matches_r_who_is_eligible_and_who_responded(study, reference):
    expected = reference["cohort"]
    outcome = study.outcome
    at_landmark = aih.landmark(outcome, study.groups(), day=365)
    counts = at_landmark.frame["group"].value_counts()
    assert study.source.n_patients == 312
    assert len(study.source.set_aside) == 0
    assert outcome.n_patients == expected["n_eligible"]
    assert at_landmark.n_patients == expected["n_at_landmark"]
    assert counts["Responder"] == expected["n_resp_at_landmark"]
    assert len(aih.ever_attained(study.response).frame) == expected["n_ever"]


def test_matches_r_landmark_at_one_year_and_its_restricted_mean_difference(study, reference):
    expected = reference["landmark_1y"]
    at_landmark = aih.landmark(study.outcome, study.groups(), day=365)
    comparison = aih.compare_groups(at_landmark, by="group", horizon=study.horizon)
    tidy = comparison.tidy()
    assert_ratio(tidy, expected["cox"]["coefficients"])
    difference = tidy[tidy["measure"] == "restricted_mean_difference"].iloc[0]
    assert difference["estimate"] == pytest.approx(expected["rmst_diff_5y"]["difference_1_minus_0"]["est"], rel=RTOL)
    assert comparison.log_rank.statistic == pytest.approx(expected["logrank"]["chisq"], rel=RTOL)


def test_matches_r_landmark_adjusted_for_age_and_log_bilirubin(study, reference):
    first = study.landmarks()[0]
    assert_ratio(first.tidy(), reference["landmark_1y"]["cox_adj"]["coefficients"])


@pytest.mark.parametrize("day", [730, 1095])
def test_matches_r_at_later_landmarks(study, reference, day):
    at_landmark = aih.landmark(study.outcome, study.groups(day), day=day)
    expected = reference["landmark_2y_3y"][f"lm{day}"]["coefficients"]
    assert_ratio(aih.fit_cox(at_landmark, by="group").tidy(), expected)


def test_matches_r_status_changing_with_time(study, reference):
    over_time = aih.time_varying(study.outcome, aih.ever_attained(study.response))
    expected = reference["time_dependent_responder"]
    assert_ratio(aih.fit_cox(over_time, by="group").tidy(), expected["cox"]["coefficients"])
    adjusted = aih.fit_cox(over_time, by="group", covariates=["age", "log(bilirubin)"], cluster="patient_id")
    assert_ratio(adjusted.tidy(), {**expected["cox_adj"]["coefficients"]} | robust(expected["cox_adj_cluster"]))


def robust(expected):
    """Limits from the robust standard error, as the fit clustered by patient prints them."""
    from math import exp

    table = expected["coefficients"]
    z = 1.959963984540054
    low = [exp(c - z * s) for c, s in zip(table["coef"], table["robust_se"], strict=True)]
    high = [exp(c + z * s) for c, s in zip(table["coef"], table["robust_se"], strict=True)]
    return {"hr_lower": low, "hr_upper": high}


def test_the_naive_comparison_matches_r_and_is_labelled_biased_wherever_it_stands(study, reference):
    naive = aih.naive_comparison(study.outcome, aih.ever_attained(study.response), never="Not yet in response")
    assert_ratio(naive.tidy(), reference["naive_ever_responder"]["cox"]["coefficients"])
    designs = compare_designs([naive])
    assert designs["biased"].all()
    assert designs["design"].str.contains("biased").all()
    assert designs["label"].str.contains("biased").all()
    shown = study.disclose(designs)
    assert "biased" in aih.tabulate_comparison(shown).to_html()
    assert any("biased" in text.get_text() for text in aih.draw_forest(shown).texts)
    assert any("biased" in text.get_text() for text in naive.plot().texts)


def test_the_report_is_headed_as_a_numerical_check():
    assert read_plan(PLAN).heading == "Numerical check only: adults, another disease; not a response criterion"
