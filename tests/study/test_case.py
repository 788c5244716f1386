"""One child against the cohort, in a study: her rows leave with consent, the peers under the small-number rule."""

import pytest

import aih_outcomes as aih
from aih_outcomes.endpoints.course.switches import derive_switches
from aih_outcomes.errors import DisclosureError
from aih_outcomes.figures.case import draw_case
from aih_outcomes.models.longitudinal.case_against_cohort import case_against_cohort
from aih_outcomes.models.longitudinal.random_effects import fit_random_effects
from aih_outcomes.simulate import COMPOSITE_CHILD

HOW = {"course": "ns(years, df=4)", "random": "1", "serial": "exponential", "scale": "log", "missing": "exclude"}


@pytest.fixture(scope="module")
def study(plan_file):
    covers_genes = plan_file.with_name("genes.toml")
    text = plan_file.read_text(encoding="utf-8")
    covers_genes.write_text(text.replace('["case_report"]', '["case_report", "genetic"]'), encoding="utf-8")
    return aih.open_study(covers_genes)


@pytest.fixture(scope="module")
def parts(study):
    alt = aih.derive_measures(study.response, "alt", scale="xuln")
    return fit_random_effects(alt, covariates=["steroid"], **HOW), derive_switches(study.response)


@pytest.fixture(scope="module")
def found(parts):
    return case_against_cohort(parts[0], COMPOSITE_CHILD, switches=parts[1], steroid="steroid", horizon=365)


def test_the_composite_child_is_predicted_from_the_day_of_the_matched_drug(found):
    glance = found.glance()
    assert glance["not_estimable"] is None
    assert glance["no_attribution"] is None
    assert glance["serial"]
    assert found.moment == "start of gene-matched therapy"
    assert glance["n_before"] >= 3
    assert glance["n_ranked"] > 1


def test_the_figure_is_saved_with_consent_and_under_the_rule(study, found, tmp_path):
    shown, peers = study.disclose(found), study.disclose(found.against_peers())
    assert "patient_id" not in shown
    assert shown.attrs["disclosure"] == peers.attrs["disclosure"] == "lt5"
    counts = peers["n"].dropna()
    assert (counts % 5 == 0).all()
    axes = draw_case(shown, peers, figure=study.figure("double", height_mm=95))
    study.save(axes[0], "case_against_cohort", found.describe())
    assert (study.out / "figures" / "case_against_cohort.png").is_file()


def test_another_patient_leaves_nothing_but_an_error(study, parts):
    fit, switches = parts
    other = switches.frame.loc[~switches.switched & (switches.frame["patient_id"] != COMPOSITE_CHILD)].iloc[0]
    peer = case_against_cohort(fit, other["patient_id"], switches=switches, from_day=float(other["time"]), horizon=10.0)
    with pytest.raises(DisclosureError, match="without consent"):
        study.disclose(peer)


def test_consent_to_the_case_report_alone_does_not_cover_a_gene_matched_therapy(found, plan_file):
    with pytest.raises(DisclosureError, match="without consent"):
        aih.open_study(plan_file).disclose(found)
