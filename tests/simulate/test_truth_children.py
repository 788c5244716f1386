"""The truth about each child: it is that of the cohort's own children, and agrees with what the record must show."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import DataError
from aih_outcomes.simulate import SEED, RevealedTruth, reveal_truth, simulate_cohort

FILE = Path(__file__).resolve().parents[2] / "data" / "synthetic" / "truth.json"
N = 300


@pytest.fixture(scope="module")
def truth() -> RevealedTruth:
    return reveal_truth(SEED, N)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return simulate_cohort(SEED, N, composite_child="left out")


def days_of(cohort: Cohort, table: pd.DataFrame, column: str = "date") -> pd.Series:
    """Return days since the first dose of prednisolone."""
    steroid = cohort.treatments[cohort.treatments["drug"] == "prednisolone"]
    zero = steroid.groupby("patient_id")["start"].min()
    return (table[column] - table["patient_id"].map(zero)).dt.days.astype(float)


def first_days(cohort: Cohort, table: pd.DataFrame, column: str = "date") -> np.ndarray:
    found = table.assign(day=days_of(cohort, table, column)).groupby("patient_id")["day"].min()
    return found.reindex(cohort.patients["patient_id"]).to_numpy()


def within(day: pd.Series, until: pd.Series) -> np.ndarray:
    return day.where(day <= until).to_numpy()


def test_children_are_those_of_the_cohort(truth: RevealedTruth, cohort: Cohort) -> None:
    assert truth.children["patient_id"].tolist() == cohort.patients["patient_id"].tolist()
    cirrhosis = cohort.patients["cirrhosis_at_diagnosis"].astype(bool)
    np.testing.assert_array_equal(truth.children["cirrhosis_at_diagnosis"], cirrhosis)


def test_with_the_composite_child_one_fewer_are_the_same_children(truth: RevealedTruth) -> None:
    others = simulate_cohort(SEED, N + 1).patients.iloc[1:]
    assert others["patient_id"].tolist() == truth.children["patient_id"].tolist()
    np.testing.assert_array_equal(
        others["cirrhosis_at_diagnosis"].astype(bool), truth.children["cirrhosis_at_diagnosis"]
    )


def test_transplants_and_deaths_while_followed_are_those_recorded(truth: RevealedTruth, cohort: Cohort) -> None:
    for kind in ("transplant", "death"):
        recorded = first_days(cohort, cohort.events[cohort.events["kind"] == kind])
        known = within(truth.children[f"{kind}_day"], truth.children["followed_until"])
        np.testing.assert_array_equal(known, recorded)


@pytest.mark.parametrize(
    ("column", "drugs"),
    [
        ("second_line_day", ["mycophenolate", "tacrolimus", "ciclosporin", "methotrexate"]),
        ("advanced_day", ["infliximab", "rituximab", "ruxolitinib", "tocilizumab", "abatacept", "sirolimus"]),
        ("gene_matched_day", ["ruxolitinib", "tocilizumab", "abatacept", "sirolimus"]),
    ],
)
def test_first_doses_while_seen_are_those_recorded(
    truth: RevealedTruth, cohort: Cohort, column: str, drugs: list[str]
) -> None:
    given = cohort.treatments[cohort.treatments["drug"].isin(drugs) & (cohort.treatments["indication"] == "aih")]
    known = within(truth.children[column], truth.children["seen_until"])
    np.testing.assert_array_equal(known, first_days(cohort, given, "start"))


def test_steroid_ends_when_the_record_says_so(truth: RevealedTruth, cohort: Cohort) -> None:
    steroid = cohort.treatments[cohort.treatments["drug"] == "prednisolone"].sort_values(["patient_id", "start"])
    following = steroid.groupby("patient_id")["start"].shift(-1)
    gap = steroid[steroid["stop"].notna() & ~(following <= steroid["stop"] + pd.Timedelta(days=1))]
    ends = first_days(cohort, gap.assign(free=gap["stop"] + pd.Timedelta(days=1)), "free")
    seen = truth.children["seen_until"].to_numpy()
    graft = seen >= truth.children["transplant_day"].fillna(np.inf).to_numpy()
    known = within(truth.children["steroid_free_day"], truth.children["seen_until"])
    assert np.isfinite(known).sum() > 50
    np.testing.assert_array_equal(known[~graft], np.where(ends <= seen, ends, np.nan)[~graft])


def test_treated_flares_while_seen_are_the_relapses_diagnosed(truth: RevealedTruth, cohort: Cohort) -> None:
    flares = truth.flares.merge(truth.children[["patient_id", "seen_until"]], on="patient_id")
    flares = flares[flares["treated_day"] <= flares["seen_until"]]
    events = cohort.events[cohort.events["kind"] == "relapse_diagnosed"]
    recorded = events.assign(day=days_of(cohort, events))
    assert sorted(zip(flares["patient_id"], flares["treated_day"], strict=True)) == sorted(
        zip(recorded["patient_id"], recorded["day"], strict=True)
    )


def test_gene_results_while_seen_are_those_reported(truth: RevealedTruth, cohort: Cohort) -> None:
    known = within(truth.children["gene_result_day"], truth.children["seen_until"])
    np.testing.assert_array_equal(known, first_days(cohort, cohort.variants))


def test_asc_conversion_lies_after_the_last_normal_and_by_the_first_abnormal_cholangiogram(
    truth: RevealedTruth, cohort: Cohort
) -> None:
    mrcp = cohort.imaging[cohort.imaging["modality"] == "mrcp"]
    mrcp = mrcp.assign(day=days_of(cohort, mrcp)).merge(truth.children, on="patient_id")
    mrcp = mrcp[~mrcp["asc_at_diagnosis"]]
    converted = mrcp["day"] >= mrcp["asc_conversion_day"]
    assert (converted == (mrcp["finding"] == "abnormal")).all()
    assert converted.any()


def test_quiet_results_agree_with_noise_free_response(truth: RevealedTruth, cohort: Cohort) -> None:
    """ALT has a noise of 17 %: far below its limit it says what is true of transaminases."""
    labs = cohort.labs[cohort.labs["analyte"].isin(["alt", "ast"])]
    labs = labs.assign(day=days_of(cohort, labs)).merge(truth.children[["patient_id", "seen_until"]], on="patient_id")
    wild = labs[(labs["value"] > 2.5 * labs["uln"]) & (labs["day"] > 0) & (labs["day"] <= labs["seen_until"])]
    spells = truth.spells[truth.spells["kind"] == "cbr"]
    joined = wild.merge(spells, on="patient_id")
    inside = (joined["day"] >= joined["first_day"]) & (joined["day"] <= joined["last_day"])
    assert inside.sum() <= 0.001 * len(wild)


def test_days_keep_their_order(truth: RevealedTruth) -> None:
    c = truth.children
    by = [c[f"cbr_by_{day}"] for day in (28, 56, 182, 365)]
    assert all((earlier & ~later).fillna(False).sum() == 0 for earlier, later in pairwise(by))
    assert (c["cbr_at_182"] & ~c["cbr_by_182"]).fillna(False).sum() == 0
    assert not (c["cbr_lost_day"] <= c["cbr_day"]).any()
    assert not (c["steroid_free_cbr_day"] < c["steroid_free_day"]).any()
    assert not (c["off_all_drugs_day"] > c["withdrawal_day"]).any()
    assert not (c["gene_matched_day"] < c["gene_result_day"]).any()
    native = c[["transplant_day", "death_day"]].min(axis=1)
    for column in ("cbr_day", "flare_day", "withdrawal_day", "second_line_day", "asc_conversion_day"):
        assert not (c[column] >= native).any()


def test_spells_hold_what_the_columns_say(truth: RevealedTruth) -> None:
    first = truth.spells.groupby(["kind", "patient_id"])["first_day"].min().unstack("kind")
    first = first.reindex(truth.children["patient_id"])
    for kind, column in (
        ("cbr", "cbr_day"),
        ("steroid_free", "steroid_free_day"),
        ("off_all_drugs", "off_all_drugs_day"),
    ):
        np.testing.assert_array_equal(first[kind], truth.children[column])
    assert (truth.spells["last_day"] >= truth.spells["first_day"]).all()


def test_flares_are_numbered_and_treated_within_24_days(truth: RevealedTruth) -> None:
    found = truth.flares
    assert found["treated_day"].sub(found["onset_day"]).dropna().between(7, 25).all()
    assert (found.groupby("patient_id")["number"].max() == found.groupby("patient_id").size()).all()
    onset = found[found["number"] == 1].set_index("patient_id")["onset_day"].astype(float)
    first = onset.reindex(truth.children["patient_id"]).to_numpy()
    np.testing.assert_array_equal(first, truth.children["flare_day"])
    assert found["in_cbr"].mean() > 0.9


def test_shares_are_those_of_the_mechanism() -> None:
    estimands = json.loads(FILE.read_text(encoding="utf-8"))["estimands"]
    value = {e["name"]: e["value"] for e in estimands if e["mechanism"] == "default"}
    children = reveal_truth(5, 700).children
    for day in (56, 182, 365):
        error = (0.25 / len(children)) ** 0.5
        wanted = value[f"latent CBR, day {day}"]
        assert children[f"cbr_by_{day}"].mean() == pytest.approx(wanted["attained_by"], abs=4 * error)
        if day > 56:
            assert children[f"cbr_at_{day}"].mean() == pytest.approx(wanted["status_at"], abs=4 * error)


def test_effect_of_the_matched_drug_changes_nothing_before_it_is_given() -> None:
    with_effect, without = (reveal_truth(SEED, 250, targeted_effect=switch) for switch in ("default", "none"))
    assert with_effect.children["gene_matched_day"].notna().any()
    pd.testing.assert_series_equal(with_effect.children["cbr_by_56"], without.children["cbr_by_56"])
    began = with_effect.children["gene_matched_day"].equals(without.children["gene_matched_day"])
    assert began  # the choice does not depend on an effect that nobody knows yet


def test_no_child_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="0 patients"):
        reveal_truth(1, 0)


def test_one_child_is_enough() -> None:
    assert len(reveal_truth(2, 1).children) == 1
