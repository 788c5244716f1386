"""One child against the cohort, in a study: her rows leave with consent, the peers under the small-number rule."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

import aih_outcomes as aih
from aih_outcomes.endpoints.course.switches import derive_switches
from aih_outcomes.errors import DisclosureError
from aih_outcomes.figures.before_after import draw_before_after
from aih_outcomes.figures.case import draw_case
from aih_outcomes.models.longitudinal.before_after import fit_before_after
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


def test_a_therapy_matched_to_a_gene_needs_consent_that_covers_genes(plan_file, found):
    with pytest.raises(DisclosureError, match=r"1 use\(s\)"):
        aih.open_study(plan_file).disclose(found)


def test_no_series_of_a_peer_and_no_small_count_leaves_the_study(study, found):
    shown, peers = study.disclose(found), study.disclose(found.against_peers())
    observed = found.fit.frame
    own = observed.loc[observed["patient_id"] == COMPOSITE_CHILD, "value"]
    assert set(shown["observed"]) <= set(own)
    assert len(peers) == 13  # ten quantiles and three counts, whatever the number of peers
    exact = {round(float(value), 9) for value in found.peers["calibrated"]}
    assert not exact & {round(float(value), 9) for value in peers["estimate"].dropna()}
    assert not any(isinstance(value, pd.DataFrame | pd.Series) for value in (shown.attrs | peers.attrs).values())
    few = study.disclose(found.against_peers().assign(n=9, denominator=9))
    assert few.loc[few["term"].str.endswith("%"), "estimate"].isna().all()
    axes = draw_case(shown, peers, figure=study.figure("double", height_mm=95))
    words = " ".join(text.get_text() for text in axes[0].get_figure().findobj(Text))
    assert "Rank" not in words


def test_before_and_after_a_few_switches_leaves_no_cell_under_five(study, parts):
    alt = aih.derive_measures(study.response, "alt", scale="xuln")
    changed = fit_before_after(alt, parts[1], scale="log")
    assert 0 < changed.glance()["n_switches"] < 5
    cells, course = study.disclose(changed.cells()), study.disclose(changed.course())
    for frame in (cells, course):
        of_switches = frame["strata"].str.startswith("switch")
        assert frame.loc[of_switches, "n"].isin([0, pd.NA]).all()
        assert frame.loc[of_switches, ["estimate", "conf_low", "conf_high"]].isna().all(axis=None)
    told = study.disclose(changed)
    assert told["estimate"].isna().all()
    assert told["n"].isin([0, pd.NA]).all()
    with pytest.raises(DisclosureError):
        study.disclose(changed.series)
    axes = draw_before_after(course)
    assert not any(line.get_marker() == "^" and len(line.get_xdata()) for line in axes.lines if line.get_zorder() == 4
                   and np.isfinite(np.asarray(line.get_ydata(), float)).any())  # fmt: skip
