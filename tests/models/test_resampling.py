"""Rubin's rules against R's mice; percentile intervals."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.resampling import compute_percentile_interval, pool_estimates, pool_fits
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.outcomes import TimeToEvent

TERMS = ["age", "log(bili)", "log(chol)", "log(copper)", "platelet"]


@pytest.fixture
def imputed(data_set):
    frames = [data_set(f"pbc_imp{i}") for i in range(1, 6)]
    return [
        TimeToEvent.from_frame(
            frame.assign(dead=(frame["status"] == 2).astype(int)), exit="time", event="dead",
            covariates=["age", "bili", "chol", "copper", "platelet"], label="death",
        )
        for frame in frames
    ]  # fmt: skip


@pytest.fixture
def assert_pooled(assert_close):
    def check(pooled, expected, rtol):
        se = expected["se"]
        assert_close(pooled.estimate, expected["qbar"], rtol, se=se, what="estimate")
        assert_close(pooled.within, expected["ubar"], rtol, what="within")
        assert_close(pooled.between, expected["b"], rtol, se=expected["ubar"], what="between")
        assert_close(pooled.std_error, se, rtol, what="se")
        assert_close(pooled.df, expected["df_br"], rtol, what="df")
        assert_close(pooled.df_large, expected["df_rubin"], rtol, what="df Rubin")
        assert_close(pooled.riv, expected["riv"], rtol, what="riv")
        assert_close(pooled.share, expected["lambda"], rtol, what="lambda")
        assert_close(pooled.fmi, expected["fmi"], rtol, what="fmi")
        assert_close(pooled.p_value, expected["p_br"], rtol, what="p")
        low, high = pooled.limits()
        assert_close(low, expected["lower_br"], rtol, se=se, what="lower")
        assert_close(high, expected["upper_br"], rtol, se=se, what="upper")

    return check


@pytest.mark.parametrize("model", ["cox", "linear", "logistic"])
def test_pools_as_mice_does(model, reference, assert_pooled):
    result = reference("pbc_rubin")[model]
    values = result["values"]
    parts = values["per_imputation"]
    pooled = pool_estimates(np.array(parts["coef"]["values"]), np.array(parts["var"]["values"]),
                            df_complete=values["dfcom"])  # fmt: skip
    assert pooled.m == values["m"]
    assert_pooled(pooled, values["pooled"], result["rtol"])


def test_pools_cox_fits_of_imputed_data(imputed, reference, assert_pooled, assert_close):
    fits = [fit_cox(rows, covariates=TERMS) for rows in imputed]
    result = reference("pbc_rubin")["cox"]
    values = result["values"]
    assert_close([fit.coefficients for fit in fits], values["per_imputation"]["coef"]["values"], result["rtol"],
                 se=values["pooled"]["se"], what="coef per imputation")  # fmt: skip
    whole = pool_fits(fits)
    expected = values["pooled"] | {
        name: values["pooled"][name] for name in ("b", "df_rubin", "riv", "lambda")
    }  # fmt: skip
    tidy = whole.tidy()
    assert tidy["term"].tolist() == expected["term"]
    assert_close(tidy["estimate"], expected["qbar"], result["rtol"], se=expected["se"], what="pooled coef")
    assert_close(tidy["std_error"], expected["se"], result["rtol"], what="pooled se")
    assert_close(tidy["df"], expected["df_br"], result["rtol"], what="pooled df")
    assert_close(tidy["p_value"], expected["p_br"], result["rtol"], what="pooled p")
    assert_close(tidy["conf_low"], expected["lower_br"], result["rtol"], se=expected["se"], what="pooled lower")
    assert_close(tidy["conf_high"], expected["upper_br"], result["rtol"], se=expected["se"], what="pooled upper")
    assert_close(tidy["fmi"], expected["fmi"], result["rtol"], what="pooled fmi")
    assert "5 imputed data sets" in whole.describe()
    assert whole.glance()["n_imputations"] == 5


def test_pools_survival_on_the_scale_of_its_double_logarithm(imputed, reference, assert_close):
    result = reference("pbc_rubin")["km_5y_cloglog"]
    values = result["values"]
    at = [estimate_survival(rows).at([values["time"]]).iloc[0] for rows in imputed]
    survival, se = (np.array([row[name] for row in at]) for name in ("estimate", "std_error"))
    bent, spread = np.log(-np.log(survival)), se / np.abs(survival * np.log(survival))
    pooled = pool_estimates(bent, spread**2)
    low, high = pooled.limits()
    rtol = result["rtol"]
    assert_close(pooled.estimate[0], values["cloglog"], rtol, what="cloglog")
    assert_close(pooled.std_error[0], values["se_cloglog"], rtol, what="se cloglog")
    back = [np.exp(-np.exp(value[0])) for value in (pooled.estimate, high, low)]
    assert_close(back, [values["surv"], values["lower_norm"], values["upper_norm"]], rtol, what="survival")


def test_by_hand():
    # estimates 1, 2, 3 with variances 1: within 1, between 1, total 1 + 4/3; lambda 4/7; df = 2 · (7/4)²
    pooled = pool_estimates(np.array([1.0, 2, 3]), np.ones(3))
    assert pooled.estimate[0] == 2
    assert pooled.std_error[0] ** 2 == pytest.approx(7 / 3)
    assert pooled.df[0] == pytest.approx(2 * 49 / 16)


def test_without_missing_values_nothing_is_added():
    pooled = pool_estimates(np.full((4, 2), 0.3), np.full((4, 2), 0.04), df_complete=20)
    np.testing.assert_allclose(pooled.std_error, 0.2)
    np.testing.assert_allclose(pooled.df, 21 / 23 * 20)
    assert np.isfinite(pooled.limits()[0]).all()


@pytest.mark.parametrize("arrays", [(np.ones((1, 2)), np.ones((1, 2))), (np.ones((3, 2)), np.ones((3, 1)))])
def test_too_little_to_pool_is_refused(arrays):
    with pytest.raises(OutcomeError, match="two imputed data sets"):
        pool_estimates(*arrays)


def test_fits_of_different_terms_are_refused_and_one_that_failed_is_named(imputed):
    fits = [fit_cox(imputed[0], covariates=names) for names in (["age"], ["bili"])]
    with pytest.raises(OutcomeError, match="same model"):
        pool_fits(fits)
    frame = pd.DataFrame({"exit": [1, 2], "event": 0, "x": [1.0, 2.0]})
    failed = fit_cox(TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["x"]), covariates=["x"])
    result = pool_fits([failed, failed])
    assert "2 of 2" in result.not_estimable
    assert result.tidy()["estimate"].isna().all()
    assert "not estimable" in result.describe()


def test_percentiles_are_those_of_numpy_and_failures_are_left_out():
    replicates = np.random.default_rng(1).normal(size=(200, 3))
    low, high, spread = compute_percentile_interval(replicates, conf_level=0.9)
    np.testing.assert_allclose([low, high], np.quantile(replicates, [0.05, 0.95], axis=0))
    np.testing.assert_allclose(spread, replicates.std(axis=0, ddof=1))
    replicates[:20, 0] = np.nan
    replicates[:21, 1] = np.nan
    low, high, _ = compute_percentile_interval(replicates, conf_level=0.9)
    np.testing.assert_allclose([low[0], high[0]], np.nanquantile(replicates[:, 0], [0.05, 0.95]))
    assert np.isnan([low[1], high[1]]).all()
    assert np.isfinite([low[2], high[2]]).all()


def test_replicates_that_all_failed_have_no_interval_and_no_warning():
    low, high, spread = compute_percentile_interval(np.full((10, 2), np.nan), conf_level=0.95)
    assert np.isnan([low, high, spread]).all()


def test_it_draws(imputed):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6, 5))
    assert pool_fits([fit_cox(rows, covariates=TERMS) for rows in imputed]).plot(ax=ax) is ax
    plt.close(figure)


@pytest.mark.parametrize(
    ("estimates", "variances", "df"),
    [([1.0, 2.0], [-1.0, 1.0], 10), ([1.0, 2.0], [1.0, 1.0], 0), (1.0, 1.0, 10), ([[1, 2], [1]], [[1, 2], [1]], 10)],
)
def test_what_cannot_be_pooled_is_refused(estimates, variances, df):
    with pytest.raises(OutcomeError):
        pool_estimates(estimates, variances, df_complete=df)


def test_as_many_terms_as_events_leave_nothing_for_degrees_of_freedom():
    frame = pd.DataFrame({"time": [1, 2, 3, 4], "dead": [1, 1, 0, 0], "x": [1.0, 3, 2, 5], "y": [2.0, 1, 5, 1.5]})
    rows = TimeToEvent.from_frame(frame, exit="time", event="dead", covariates=["x"])
    one = fit_cox(rows.with_rows(rows.frame.assign(event=rows.frame["event"].where(frame["time"] < 2, "censored"))),
                  covariates=["x"], penalty="firth")  # fmt: skip
    pooled = pool_fits([one, one])
    assert one.n_event == 1
    assert pooled.not_estimable == "no event is left over for degrees of freedom"
    assert pooled.tidy()["estimate"].isna().all()


def test_what_is_no_fit_is_not_pooled():
    with pytest.raises(OutcomeError, match="is no Cox fit"):
        pool_fits([1, 2])


def test_few_events_per_parameter_are_said_of_pooled_fits():
    frame = pd.DataFrame({"time": [1, 2, 3, 4, 5, 6], "dead": [1, 1, 1, 0, 1, 0], "x": [1.0, 0, 2, 1, 1, 0]})
    fit = fit_cox(TimeToEvent.from_frame(frame, exit="time", event="dead", covariates=["x"]), covariates=["x"])
    pooled = pool_fits([fit, fit])
    assert pooled.glance()["events_per_parameter"] == 4
    assert "Fewer than 5 events per parameter" in pooled.describe()


def test_no_replicates_give_no_interval():
    assert all(np.isnan(part).all() for part in compute_percentile_interval(np.empty((0, 3)), conf_level=0.95))
