"""Residuals of a Cox fit: against R, and sums that are known."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.residuals import KINDS, compute_residuals
from aih_outcomes.outcomes import TimeToEvent

MAYO = ["age", "edema", "log(bili)", "log(protime)", "log(albumin)"]
NAMES = {"scaled_schoenfeld": "scaledsch"}


def test_match_r_on_pbc(reference, data_set, assert_close):
    pbc = data_set("pbc").dropna(subset=["protime"])
    rows = TimeToEvent.from_frame(
        pbc.assign(dead=(pbc["status"] == 2).astype(int)), exit="time", event="dead",
        covariates=["age", "edema", "bili", "protime", "albumin"],
    )  # fmt: skip
    fit = fit_cox(rows, covariates=MAYO)
    result = reference("pbc_cox")["residuals_first10"]
    values, rtol = result["values"], result["rtol"]
    for kind in ("martingale", "deviance"):
        assert_close(compute_residuals(fit, kind)[kind].head(10), values[kind], rtol, what=kind)
    assert_close(compute_residuals(fit, "dfbeta").head(10), values["dfbeta"]["values"], rtol, what="dfbeta")
    for kind, name in (("schoenfeld", "schoenfeld"), ("scaled_schoenfeld", "scaledsch")):
        ours = compute_residuals(fit, kind).head(5)
        assert ours["time"].astype(int).astype(str).tolist() == values[name]["rownames"]
        assert_close(ours[fit.design.names], values[name]["values"], rtol, what=name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", ["plain", "weighted", "strata"])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_match_r_with_late_entry_ties_weights_and_strata(ties, variant, kind, late_entry, r_figures, assert_close):
    rows = late_entry
    if variant == "weighted":
        rows = rows.with_rows(rows.frame.assign(weight=rows.frame["w"].astype(float)))
    names = ["x", "arm"] if variant == "strata" else ["arm", "x"]
    fit = fit_cox(
        rows, covariates=names, ties=ties, cluster="patient_id" if variant == "weighted" else None,
        strata="sex" if variant == "strata" else None,
    )  # fmt: skip
    expected = r_figures("cox_extras")[f"{ties}_{variant}_residuals"][NAMES.get(kind, kind)]
    ours = compute_residuals(fit, kind).drop(columns="time", errors="ignore").to_numpy().T.ravel()
    assert_close(ours, expected, 1e-7, se=np.abs(expected).max(), what=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_match_r_with_an_offset(kind, late_entry, r_figures, assert_close):
    frame = late_entry.frame
    rows = late_entry.with_rows(
        frame.assign(known=0.3 * frame["x"] + 0.1 * frame["w"]), covariates=(*late_entry.covariates, "known")
    )
    expected = r_figures("cox_extras")["offset_residuals"][NAMES.get(kind, kind)]
    ours = compute_residuals(fit_cox(rows, covariates=["arm"], offset="known"), kind)
    ours = ours.drop(columns="time", errors="ignore").to_numpy().T.ravel()
    assert_close(ours, expected, 1e-7, se=np.abs(expected).max(), what=f"{kind}, offset")


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_martingale_score_and_schoenfeld_residuals_sum_to_zero(ties, late_entry):
    fit = fit_cox(late_entry, covariates=["arm", "x"], ties=ties)
    for kind in ("martingale", "score", "schoenfeld"):
        total = compute_residuals(fit, kind).drop(columns="time", errors="ignore").sum()
        np.testing.assert_allclose(total, 0, atol=1e-7)


def test_dfbeta_is_about_what_leaving_a_row_out_does(data_set):
    pbc = data_set("pbc").dropna(subset=["protime"]).reset_index(drop=True)
    frame = pbc.assign(dead=(pbc["status"] == 2).astype(int))

    def fit(rows):
        return fit_cox(TimeToEvent.from_frame(rows, exit="time", event="dead", covariates=["age"]), covariates=["age"])

    moved = compute_residuals(fit(frame), "dfbeta")["age"]
    row = int(moved.abs().idxmax())
    without = fit(frame).coefficients[0] - fit(frame.drop(index=row)).coefficients[0]
    assert moved[row] == pytest.approx(without, rel=0.05)


def test_an_unknown_kind_is_refused_and_a_fit_without_estimates_has_none():
    frame = pd.DataFrame({"exit": [1, 2, 3], "event": [1, 1, 0], "group": list("aab")})
    fit = fit_cox(TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["group"]), by="group")
    for kind in KINDS:
        residuals = compute_residuals(fit, kind)
        assert len(residuals) == (2 if "schoenfeld" in kind else 3)
        assert residuals.isna().all(axis=None)
    with pytest.raises(OutcomeError, match="martingale"):
        compute_residuals(fit, "pearson")
