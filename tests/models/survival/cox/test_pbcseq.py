"""Cox models with values that change with time, on the visits of the Mayo trial, against R survival."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.survival.cox.fit import fit_cox

COLUMNS = ["trt", "age", "bili", "protime", "albumin"]
FULL = ["age", "log(bili)", "log(protime)", "log(albumin)"]
CLUSTER = {"cluster": "patient_id"}
MODELS = {
    "td_cox_vignette": ("pbc", ["log(bili)", "log(protime)"], {}),
    "td_cox_vignette_cluster": ("pbc", ["log(bili)", "log(protime)"], CLUSTER),
    "td_cox_vignette_adjusted": ("pbc", ["trt", *FULL], CLUSTER),
    "td_cox_pbcseq_followup": ("pbcseq", FULL, CLUSTER),
    "td_cox_pbcseq_followup_zph": ("pbcseq", FULL, {}),
    "td_cox_pbcseq_breslow": ("pbcseq", FULL, {"ties": "breslow"}),
}


@pytest.fixture
def visits(data_set, spells):
    def read(name):
        frame = data_set(f"derived_{name}_timedep")
        return spells(frame.assign(dead=(frame["death"] == 2).astype(int)), COLUMNS, "tstop", "dead", entry="tstart",
                      patient_id="id")  # fmt: skip

    return read


@pytest.mark.parametrize("name", MODELS)
def test_matches_r_with_values_that_change(name, reference, visits, assert_fit):
    origin, covariates, how = MODELS[name]
    result = reference("pbcseq_timedep_cox")[name]
    assert_fit(fit_cox(visits(origin), covariates=covariates, **how), result["values"], result["rtol"])


def test_matches_r_with_values_at_baseline(reference, data_set, spells, assert_fit):
    pbc = data_set("pbc").dropna(subset=["protime"])
    rows = spells(pbc.assign(dead=(pbc["status"] == 2).astype(int)), ["bili", "protime"], "time", "dead")
    result = reference("pbcseq_timedep_cox")["baseline_cox"]
    assert_fit(fit_cox(rows, covariates=["log(bili)", "log(protime)"]), result["values"], result["rtol"])


def follow_up(data_set, origin):
    """Visits as intervals (day, next day], each blood value carried forward, deaths on the last one."""
    seen = data_set("pbcseq").sort_values(["id", "day"])
    if origin == "pbc":
        ends = data_set("pbc").set_index("id")[["time", "status"]]
        seen = seen.drop(columns=["futime", "status"]).join(ends, on="id").rename(columns={"time": "futime"})
    seen = seen[seen["day"] < seen["futime"]]
    values = ["bili", "protime", "albumin"]
    seen[values] = seen.groupby("id")[values].ffill()
    stop = seen.groupby("id")["day"].shift(-1)
    status = seen["status"].where(stop.isna(), 0)
    return pd.DataFrame({"id": seen["id"], "tstart": seen["day"], "tstop": stop.fillna(seen["futime"]),
                         "death": status, "bili": seen["bili"]})  # fmt: skip


@pytest.mark.parametrize("origin", ["pbc", "pbcseq"])
def test_the_intervals_are_those_of_the_reference(origin, reference, data_set, assert_close):
    result = reference("pbcseq_timedep_cox")["td_tmerge_checks"]
    expected = result["values"][f"{origin}_timedep"]
    for rows in (data_set(f"derived_{origin}_timedep"), follow_up(data_set, origin)):
        days = rows["tstop"] - rows["tstart"]
        sizes = [len(rows), rows["id"].nunique(), days.sum(), (rows["death"] == 2).sum(), (rows["death"] == 1).sum()]
        assert sizes == [expected[name] for name in ("n_rows", "n_ids", "person_days", "deaths", "transplants")]
        assert_close((np.log(rows["bili"]) * days).sum(), expected["sum_log_bili_x_days"], result["rtol"], what="area")
