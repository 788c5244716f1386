"""The simulated cohort: the same bytes, valid for any seed, printed as laboratories print, honest about its child."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.catalogue import read_drugs, read_gene_matches
from aih_outcomes.cohort import Cohort, check_follow_up
from aih_outcomes.errors import DataError
from aih_outcomes.schema import TABLES, conform
from aih_outcomes.simulate import COMPOSITE_CHILD, simulate_cohort, write_synthetic
from aih_outcomes.simulate.exports.tables import SEED, as_text
from aih_outcomes.simulate.streams import open_stream
from aih_outcomes.units import canonical_units, compute_factor, parse_results

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "data" / "synthetic"
STREAMS = {"children": 0.086636, "antibodies": 0.201142, "history": 0.383536}  # first draw of each, seed 1


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return simulate_cohort(11, 150)


@pytest.fixture(scope="module")
def child() -> Cohort:
    return simulate_cohort(SEED, 2).select(COMPOSITE_CHILD)


@pytest.fixture(scope="module")
def whole() -> Cohort:
    return simulate_cohort(SEED, 350)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    write_synthetic(folder)
    return folder


def texts_of(cohort: Cohort) -> str:
    return "".join(as_text(table, name).to_csv(index=False) for name, table in cohort.tables().items())


def digest_in_new_process(**environment: str) -> str:
    code = (
        "import hashlib\n"
        "from aih_outcomes.simulate import simulate_cohort\n"
        "from aih_outcomes.simulate.exports.tables import as_text\n"
        "tables = simulate_cohort(11, 40).tables()\n"
        "text = ''.join(as_text(table, name).to_csv(index=False) for name, table in tables.items())\n"
        "print(hashlib.sha256(text.encode()).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_same_seed_gives_the_same_bytes_in_another_process_with_other_hashes_and_time_zone() -> None:
    here = hashlib.sha256(texts_of(simulate_cohort(11, 40)).encode()).hexdigest()
    assert digest_in_new_process(PYTHONHASHSEED="77", TZ="Pacific/Kiritimati") == here


def test_another_seed_gives_another_cohort() -> None:
    assert texts_of(simulate_cohort(11, 20)) != texts_of(simulate_cohort(12, 20))


@pytest.mark.parametrize("seed", range(8))
def test_every_seed_gives_a_valid_cohort_without_overlaps(seed: int) -> None:
    checks = check_follow_up(simulate_cohort(seed, 60)).set_index("check")["n_rows"]
    seen = ("without any result", "rarely seen")  # long gaps, a child never sampled, a very high bilirubin
    worth_a_look = [name for name in checks.index if any(words in name for words in seen)]
    assert checks.drop(worth_a_look).sum() == 0


@pytest.mark.parametrize("n", [1, 2, 3, 7])
@pytest.mark.parametrize("child", ["added", "left out"])
def test_small_cohorts_have_the_number_of_patients_asked_for(n: int, child: str) -> None:
    cohort = simulate_cohort(5, n, composite_child=child)
    assert cohort.n_patients == n
    assert (COMPOSITE_CHILD in set(cohort.patients["patient_id"])) == (child == "added")


def test_no_patient_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="0 patients"):
        simulate_cohort(1, 0)


@pytest.mark.parametrize(
    ("switch", "n"),
    [
        ({"response_effect": "none"}, 150),
        ({"targeted_effect": "none"}, 400),
        ({"hazard": "high"}, 100),
        ({"severity": "off"}, 100),
        ({"igg_missing": "mar"}, 50),
        ({"igg_missing": "mnar"}, 50),
    ],
)
def test_every_switch_gives_a_valid_and_other_cohort(switch: dict[str, str], n: int) -> None:
    assert texts_of(simulate_cohort(3, n, **switch)) != texts_of(simulate_cohort(3, n))


def test_every_result_converts_back_to_its_canonical_value(cohort: Cohort) -> None:
    labs = cohort.labs
    parsed = parse_results(labs["raw_value"])
    factor = [compute_factor(*pair) for pair in zip(labs["analyte"], labs["raw_unit"], strict=True)]
    np.testing.assert_array_equal(parsed["number"] * factor, labs["value"])
    assert (parsed["comparator"] == labs["comparator"]).all()
    assert (labs["unit"] == labs["analyte"].map(canonical_units())).all()
    assert set(labs.loc[labs["analyte"] == "alt", "raw_unit"]) == {"U/L", "IU/L", "ukat/L", "UI/L"}


def test_igg_limits_follow_age(cohort: Cohort) -> None:
    assert cohort.labs.loc[cohort.labs["analyte"] == "igg", "uln"].between(10.9, 16.1).all()
    assert cohort.labs.loc[cohort.labs["analyte"] == "igg", "uln"].nunique() > 1


def test_every_row_is_accounted_for(cohort: Cohort) -> None:
    report = cohort.load_report.set_index("table")
    assert (report["n_read"] == report["n_kept"]).all()
    assert {name: len(table) for name, table in cohort.tables().items()} == report["n_kept"].to_dict()


def test_some_patients_cannot_be_evaluated_and_some_are_to_be_excluded(whole: Cohort) -> None:
    cohort = whole
    assert cohort.patients["diagnosis"].nunique() == 4
    early = (
        cohort.labs["patient_id"].map(cohort.patients.set_index("patient_id")["first_seen_date"]) > cohort.labs["date"]
    )
    assert early.any()
    referred = cohort.patients["first_seen_date"] > cohort.patients["diagnosis_date"]
    first = cohort.labs.groupby("patient_id")["date"].min()
    seen = cohort.patients.set_index("patient_id")["first_seen_date"]
    assert (first.reindex(seen.index) >= seen)[referred.to_numpy()].any()


def test_advanced_drugs_carry_no_dose(cohort: Cohort) -> None:
    advanced = cohort.treatments["drug"].isin(["baricitinib", "ruxolitinib", "tocilizumab", "abatacept", "sirolimus",
                                               "infliximab", "rituximab", "adalimumab"])  # fmt: skip
    assert advanced.any()
    assert cohort.treatments.loc[advanced, ["dose", "raw_dose", "raw_dose_unit"]].isna().all(axis=None)


def test_matched_drugs_follow_a_gene_result_that_the_catalogue_matches(whole: Cohort) -> None:
    cohort = whole
    matched = cohort.treatments[
        cohort.treatments["drug"].isin(["ruxolitinib", "tocilizumab", "abatacept", "sirolimus"])
    ]
    result = cohort.variants[cohort.variants["acmg_class"] >= 4].set_index("patient_id")
    assert len(matched) >= 3
    assert (matched["start"] >= matched["patient_id"].map(result["date"])).all()
    classes = read_drugs().set_index("drug")["drug_class"]
    offered = read_gene_matches().groupby("gene")["drug_class"].agg(set)
    for patient, drug in zip(matched["patient_id"], matched["drug"], strict=True):
        assert classes[drug] in offered[result.loc[patient, "gene"]]


def test_steroid_falls_from_at_most_60_mg_and_2_mg_per_kg(cohort: Cohort) -> None:
    steroid = cohort.treatments[cohort.treatments["drug"] == "prednisolone"]
    assert steroid["dose"].between(1, 60).all()
    first = steroid.sort_values("start").groupby("patient_id")["dose"].first()
    later = steroid[steroid["start"] > steroid["patient_id"].map(steroid.groupby("patient_id")["start"].min())]
    assert first.median() > 3 * later["dose"].median()


def test_no_result_of_the_native_liver_is_dated_after_death() -> None:
    cohort = simulate_cohort(21, 300, hazard="high")
    died = cohort.events[cohort.events["kind"] == "death"].set_index("patient_id")["date"]
    assert len(died) > 5
    for name in ("labs", "measurements", "biopsies", "imaging", "adverse_events"):
        table = getattr(cohort, name)
        assert not (table["date"] > table["patient_id"].map(died)).any()


class TestWhatStandsBesideTheResults:
    """Columns that scores, events and the clinicians' judgement need."""

    def test_no_stream_was_renumbered(self) -> None:
        first = [round(float(open_stream(name, 1).random()), 6) for name in ("children", "antibodies", "history")]
        assert first == [STREAMS[name] for name in ("children", "antibodies", "history")]

    def test_alcohol_is_not_asked_of_young_children(self, whole: Cohort) -> None:
        asked = whole.patients[whole.patients["alcohol"].notna()]
        assert set(asked["alcohol"]) == {"under_25"}
        assert asked["age_at_diagnosis"].min() >= 12

    def test_about_two_in_five_have_a_relative_with_autoimmune_disease(self, whole: Cohort) -> None:
        assert whole.patients["family_autoimmunity"].mean() == pytest.approx(0.40, abs=0.08)

    def test_liver_cytosol_antibody_goes_with_type_2(self, whole: Cohort) -> None:
        share = whole.patients.groupby("aih_type")["lc1_positive"].mean()
        assert share["type_2"] > 0.3
        assert share["type_1"] < 0.05

    def test_panna_goes_with_cholangitis(self, whole: Cohort) -> None:
        share = whole.patients.groupby("asc_at_baseline")["panna_positive"].mean()
        assert share["asc"] > share["normal"] + 0.2

    def test_only_antibodies_have_a_method_and_one_centre_reads_some_ana_on_hep2(self, whole: Cohort) -> None:
        labs = whole.labs.merge(whole.patients[["patient_id", "centre"]], on="patient_id")
        assert set(labs.loc[labs["method"].notna(), "analyte"]) == {"ana", "sma", "lkm1"}
        assert labs.loc[labs["analyte"].isin(["ana", "sma", "lkm1"]), "method"].notna().all()
        hep2 = labs[labs["method"] == "iif_hep2"]
        assert set(hep2["analyte"]) == {"ana"}
        assert set(hep2["centre"]) == {"Centre E"}
        assert hep2.groupby("patient_id")["method"].nunique().max() == 1

    def test_liver_scores_can_be_computed_at_the_start_for_most(self, whole: Cohort) -> None:
        wanted = ["bilirubin", "inr", "creatinine", "sodium", "albumin"]
        zero = whole.treatments.groupby("patient_id")["start"].min()
        labs = whole.labs[whole.labs["date"] <= whole.labs["patient_id"].map(zero)]
        complete = labs[labs["analyte"].isin(wanted)].groupby("patient_id")["analyte"].nunique() == len(wanted)
        assert complete.sum() > 0.6 * whole.n_patients

    def test_b_cells_vanish_under_rituximab_and_come_back_after_about_a_year(self, whole: Cohort) -> None:
        cells = whole.labs[whole.labs["analyte"] == "cd19"]
        given = whole.treatments[whole.treatments["drug"] == "rituximab"].drop_duplicates("patient_id")
        assert set(cells["patient_id"]) <= set(given["patient_id"])
        rows = cells.merge(given[["patient_id", "start", "stop"]], on="patient_id")
        under = (rows["date"] > rows["start"]) & ~(rows["date"] > rows["stop"])
        late = rows["date"] > rows["stop"] + pd.Timedelta(days=550)
        other = whole.treatments[whole.treatments["drug"] == "rituximab"]["patient_id"].duplicated().sum()
        assert other == 2  # two children took it twice: only their first period is looked at
        assert (rows.loc[under, "comparator"] == "<").all()
        assert (rows.loc[late & (rows["comparator"] == "="), "value"] > 100).all()
        assert (late & (rows["comparator"] == "=")).any()

    def test_features_are_read_in_adequate_biopsies_only_and_activity_shows_in_them(self, whole: Cohort) -> None:
        biopsies, features = whole.biopsies, ["interface_hepatitis", "lymphoplasmacytic", "rosettes", "biliary_changes"]
        assert (biopsies[features].notna().all(axis=1) == biopsies["adequate"]).all()
        active = biopsies[biopsies["hai"] >= 8]["interface_hepatitis"].mean()
        assert active > biopsies[biopsies["hai"] < 4]["interface_hepatitis"].mean() + 0.5
        assert biopsies.loc[biopsies["aih_likelihood"] == "typical", "interface_hepatitis"].all()

    def test_what_an_image_shows_fits_its_kind(self, whole: Cohort) -> None:
        imaging = whole.imaging
        shown = imaging[imaging["shows"].notna()]
        assert (shown["finding"] == "abnormal").all()
        found = shown.groupby("modality")["shows"].agg(set).to_dict()
        assert found == {
            "mrcp": {"cholangiopathy"},
            "endoscopy": {"varices"},
            "ultrasound": {"cirrhosis", "splenomegaly", "ascites"},
        }
        looked = imaging["modality"].isin(list(found)) & (imaging["finding"] == "abnormal")
        assert imaging.loc[looked, "shows"].notna().all()

    def test_only_encephalopathy_and_ascites_are_graded(self, whole: Cohort) -> None:
        graded = whole.events[whole.events["grade"].notna()]
        assert set(graded["kind"]) == {"encephalopathy", "ascites"}

    def test_gravest_complications_come_before_the_liver_is_lost(self, whole: Cohort) -> None:
        grave = whole.events[whole.events["kind"].isin(["hepatorenal_syndrome", "dialysis"])]
        lost = whole.events[whole.events["kind"].isin(["transplant", "death"])].groupby("patient_id")["date"].min()
        assert len(grave) >= 2
        assert (grave["date"] <= grave["patient_id"].map(lost)).all()

    def test_some_clinicians_wrote_down_their_judgement_and_why(self, whole: Cohort) -> None:
        judged = whole.clinician_responses
        assert len(judged) == 10
        assert judged[["reason", "initials"]].notna().all(axis=None)
        assert judged["endpoint"].nunique() == judged["clinician_response"].nunique() == 2


class TestCompositeChild:
    def test_is_not_the_published_child(self, child: Cohort) -> None:
        row = child.patients.iloc[0]
        assert row["age_at_diagnosis"] > 4  # the published child was 21 months old
        assert row["aih_type"] == "type_2"
        assert row["sex"] == "unknown"
        assert pd.isna(row["centre"])
        assert pd.isna(row["birth_date"])

    def test_has_a_variant_without_its_name(self, child: Cohort) -> None:
        row = child.variants.iloc[0]
        assert (row["gene"], row["mechanism"]) == ("STAT1", "gain_of_function")
        assert pd.isna(row["hgvs"])

    def test_takes_the_matched_drug_without_a_dose(self, child: Cohort) -> None:
        row = child.treatments[child.treatments["drug"] == "baricitinib"].iloc[0]
        assert row[["dose", "raw_dose", "raw_dose_unit"]].isna().all()

    def test_gene_result_comes_before_the_matched_drug_and_after_three_relapses(self, child: Cohort) -> None:
        start = child.treatments.loc[child.treatments["drug"] == "baricitinib", "start"].iloc[0]
        assert child.variants["date"].iloc[0] < start
        assert (child.events["kind"].eq("relapse_diagnosed") & (child.events["date"] < start)).sum() == 3

    def test_alt_and_steroid_fall_together_after_the_switch(self, child: Cohort) -> None:
        start = child.treatments.loc[child.treatments["drug"] == "baricitinib", "start"].iloc[0]
        alt = child.labs[child.labs["analyte"] == "alt"]
        assert alt.loc[alt["date"] > start + pd.Timedelta(days=180), "value"].max() < 40
        steroid = child.treatments[child.treatments["drug"] == "prednisolone"].sort_values("start")
        assert steroid.loc[steroid["start"] >= start, "dose"].is_monotonic_decreasing
        assert steroid["stop"].max() < start + pd.Timedelta(days=300)


class TestFiles:
    def test_committed_files_are_those_of_the_seed(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            assert path.read_bytes() == (COMMITTED / path.name).read_bytes(), path.name

    def test_hold_all_tables_the_dictionary_and_a_readme_but_no_truth(self, folder: Path) -> None:
        expected = {f"{name}.csv" for name in TABLES} | {"data_dictionary.csv", "README.md"}
        assert {path.name for path in folder.iterdir()} == expected

    def test_stay_below_five_megabytes(self, folder: Path) -> None:
        assert sum(path.stat().st_size for path in folder.iterdir()) < 5_000_000

    def test_read_back_as_the_same_cohort(self, folder: Path) -> None:
        cohort = simulate_cohort(SEED)
        for name, table in cohort.tables().items():
            text = pd.read_csv(folder / f"{name}.csv", dtype="string", keep_default_na=False, na_values=[""])
            assert list(text.columns) == [c for c in TABLES[name].column_names() if not c.startswith("source_")]
            for column in TABLES[name].columns:
                if column.kind == "yes_no":
                    text[column.name] = text[column.name].map({"yes": True, "no": False})
                if column.kind in ("number", "integer") and column.name in text:
                    text[column.name] = text[column.name].astype("Float64").astype("float64")
            pd.testing.assert_frame_equal(conform(text, name), table)
