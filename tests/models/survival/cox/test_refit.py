"""Bootstrap refits: the same as fitting the rows written out, only faster."""

import time

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.refit import arrange_rows, number_patients, refit
from aih_outcomes.models.survival.cox.resamples import draw
from aih_outcomes.outcomes import TimeToEvent

MAYO = ["age", "edema", "log(bili)", "log(protime)", "log(albumin)"]


def mayo(data_set):
    pbc = data_set("pbc").dropna(subset=["protime"])
    frame = pbc.assign(dead=(pbc["status"] == 2).astype(int))
    rows = TimeToEvent.from_frame(
        frame, exit="time", event="dead", patient_id="id", covariates=["age", "edema", "bili", "protime", "albumin"]
    )
    return fit_cox(rows, covariates=MAYO)


def write_out(fit, copies):
    """Fit the rows of the patients drawn, each copy a patient of its own."""
    frame = fit.frame
    row = np.repeat(np.arange(len(frame)), copies[number_patients(fit)])
    copy = frame.iloc[row].reset_index(drop=True)
    copy["patient_id"] = [f"{patient} {n}" for n, patient in enumerate(copy["patient_id"])]
    copy[list(fit.design.categories)] = copy[list(fit.design.categories)].astype(object)
    rows = fit.outcome.with_rows(copy)
    return fit_cox(rows, covariates=list(dict.fromkeys(term.variable for term in fit.design.terms)),
                   ties=fit.ties, strata=fit.strata, cluster=fit.cluster, offset=fit.offset)  # fmt: skip


def assert_same_as_written_out(fit, n_resamples=12):
    found = refit(fit, rng=np.random.default_rng(3), n_resamples=n_resamples).coefficients
    drawn = np.concatenate(list(draw(arrange_rows(fit), np.random.default_rng(3), n_resamples)), axis=1)
    assert (drawn.sum(axis=0) == len(drawn)).all()
    for own, copies in zip(found, drawn.T, strict=True):
        np.testing.assert_allclose(own, write_out(fit, copies).coefficients, rtol=1e-8, atol=1e-9)


def test_equals_fits_of_the_rows_written_out_on_pbc(data_set):
    assert_same_as_written_out(mayo(data_set))


@pytest.mark.parametrize("variant", ["plain", "weighted", "strata"])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_equals_fits_of_the_rows_written_out_with_late_entry_ties_weights_and_strata(ties, variant, late_entry):
    rows = late_entry
    if variant == "weighted":
        rows = rows.with_rows(rows.frame.assign(weight=rows.frame["w"].astype(float)))
    fit = fit_cox(
        rows, covariates=["arm", "x"], ties=ties, cluster="patient_id" if variant == "weighted" else None,
        strata="sex" if variant == "strata" else None,
    )  # fmt: skip
    assert_same_as_written_out(fit)


def test_equals_fits_of_the_rows_written_out_with_an_offset_and_covariates_that_change_with_time(data_set):
    visits = data_set("derived_pbcseq_timedep")
    frame = visits.assign(dead=(visits["death"] == 2).astype(int), known=0.02 * visits["age"])
    rows = TimeToEvent.from_frame(frame, entry="tstart", exit="tstop", event="dead", patient_id="id",
                                  covariates=["known", "bili", "albumin"])  # fmt: skip
    fit = fit_cox(rows, covariates=["log(bili)", "log(albumin)"], offset="known")
    found = refit(fit, rng=np.random.default_rng(3), n_resamples=6).coefficients
    drawn = next(draw(arrange_rows(fit), np.random.default_rng(3), 6))
    for own, copies in zip(found, drawn.T, strict=True):
        np.testing.assert_allclose(own, write_out(fit, copies).coefficients, rtol=1e-8)


def test_another_likelihood_is_refused(late_entry):
    with pytest.raises(OutcomeError, match="a penalty"):
        refit(fit_cox(late_entry, covariates=["x"], penalty="firth"), rng=np.random.default_rng(1))
    rows = late_entry.with_rows(late_entry.frame.assign(entry=0.0, patient_id=late_entry.frame.index.astype(str)))
    with pytest.raises(OutcomeError, match="exact ties"):
        refit(fit_cox(rows, covariates=["x"], ties="exact"), rng=np.random.default_rng(1))


def test_resampling_rows_is_not_efron_with_case_weights(data_set):
    fit = mayo(data_set)
    copies = next(draw(arrange_rows(fit), np.random.default_rng(3), 1))[:, 0]
    own = refit(fit, rng=np.random.default_rng(3), n_resamples=1).coefficients[0]
    weighted = fit.outcome.with_rows(fit.frame.assign(weight=copies[number_patients(fit)].astype(float)))
    assert np.abs(fit_cox(weighted, covariates=MAYO).coefficients - own).max() > 1e-4


def test_one_seed_gives_the_same_bytes_and_the_order_of_rows_does_not_matter(late_entry):
    fit = fit_cox(late_entry, covariates=["arm", "x"])
    turned = fit_cox(late_entry.with_rows(late_entry.frame.iloc[::-1]), covariates=["arm", "x"])
    one, again, other = (refit(f, rng=np.random.default_rng(1), n_resamples=30).coefficients
                         for f in (fit, fit, turned))  # fmt: skip
    assert one.tobytes() == again.tobytes()
    np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-9)


def test_resamples_without_a_maximum_are_counted_and_agree_with_the_fit():
    frame = pd.DataFrame(
        {"exit": range(1, 13), "event": [1] * 5 + [0] * 7, "x": [1.0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 0]}
    )
    fit = fit_cox(TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["x"]), covariates=["x"])
    result = refit(fit, rng=np.random.default_rng(3), n_resamples=60)
    drawn = np.concatenate(list(draw(arrange_rows(fit), np.random.default_rng(3), 60)), axis=1)
    alone = [write_out(fit, copies).not_estimable for copies in drawn.T]
    failed = np.isnan(result.coefficients[:, 0])
    assert 0 < failed.sum() < 60
    assert failed.tolist() == [reason is not None for reason in alone]
    assert result.glance()["n_failed"] == failed.sum()
    assert f"{failed.sum()} of them without an estimate" in result.describe()
    assert result.tidy()[["conf_low", "conf_high"]].isna().all(axis=None)  # too many failed to know


def test_the_spread_is_about_the_standard_error_where_the_model_holds():
    random = np.random.default_rng(8)
    x = random.normal(size=(400, 2))
    frame = pd.DataFrame({"exit": np.ceil(500 * random.exponential(np.exp(-x @ [0.5, -0.3]))), "event": 1,
                          "x": x[:, 0], "z": x[:, 1]})  # fmt: skip
    rows = TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["x", "z"])
    fit = fit_cox(rows, covariates=["x", "z"])
    tidy = refit(fit, rng=np.random.default_rng(1), n_resamples=1000).tidy()
    np.testing.assert_allclose(tidy["std_error"], fit.tidy()["std_error"], rtol=0.12)  # 2 % is Monte-Carlo error
    np.testing.assert_allclose(tidy[["conf_low", "conf_high"]], fit.tidy()[["conf_low", "conf_high"]], atol=0.03)


def test_a_thousand_refits_of_pbc_take_a_moment(data_set):
    fit = mayo(data_set)
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        refit(fit, rng=np.random.default_rng(1), n_resamples=1000)
        spent.append(time.perf_counter() - start)
    assert min(spent) < 2.5  # about 0.25 s where nothing else runs; R 2.9 s


def test_what_is_not_estimable_stays_so_and_no_resamples_are_refused(late_entry):
    frame = pd.DataFrame({"exit": [1, 2], "event": 0, "x": [1.0, 2.0]})
    fit = fit_cox(TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["x"]), covariates=["x"])
    result = refit(fit, rng=np.random.default_rng(1), n_resamples=5)
    assert result.not_estimable == "no events"
    assert result.tidy()["estimate"].isna().all()
    with pytest.raises(OutcomeError, match="n_resamples=0"):
        refit(fit_cox(late_entry, covariates=["x"]), rng=np.random.default_rng(1), n_resamples=0)


def test_it_draws(royal_free):
    import matplotlib.pyplot as plt

    result = refit(fit_cox(royal_free, by="arm"), rng=np.random.default_rng(1), n_resamples=50)
    figure, ax = plt.subplots(figsize=(6, 5))
    assert result.plot(ax=ax) is ax
    plt.close(figure)
