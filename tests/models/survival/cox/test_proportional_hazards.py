"""The coefficient as it changes with time: scaled residuals and their smooth, against R's cox.zph and its plot."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.cox.proportional_hazards import check_proportional_hazards
from aih_outcomes.outcomes import TimeToEvent

MAYO = ["age", "edema", "log(bili)", "log(protime)", "log(albumin)"]
TRANSFORMS = ("km", "rank", "identity", "log")


@pytest.fixture
def assert_plot(assert_close):
    def check(fit, transform, figures):
        result, n = check_proportional_hazards(fit, transform=transform), figures["terms"]
        points = result.residuals()
        size = len(points) // n
        ours = points["estimate"].to_numpy().reshape(n, size)
        time = points["time"].to_numpy()[:size]
        theirs = np.array([np.nan if v is None else v for v in figures["y"]], float).reshape(n, size)
        order = np.lexsort((np.nan_to_num(ours[0]), time))
        again = np.lexsort((np.nan_to_num(theirs[0]), figures["time"]))
        assert time[order].tolist() == [figures["time"][i] for i in again]
        assert_close(ours[:, order], theirs[:, again].tolist(), 1e-7, se=np.nanmax(np.abs(theirs)), what="residuals")
        smooth = result.smooth()
        x = smooth["transformed"].to_numpy()[:40]
        assert_close(np.exp(x) if transform == "log" else x, figures["x"], 1e-7, what="points")
        middle, up, low = (np.array(figures[name], float) for name in ("fit", "up", "low"))
        se = (up - low) / 4  # R's band is 2 standard errors to each side
        assert_close(smooth["estimate"], middle, 1e-7, se=se, what="smooth")
        assert_close(smooth["std_error"], se, 1e-7, what="smooth se")

    return check


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_matches_the_plot_of_r_on_pbc(transform, data_set, r_figures, assert_plot):
    pbc = data_set("pbc").dropna(subset=["protime"])
    rows = TimeToEvent.from_frame(
        pbc.assign(dead=(pbc["status"] == 2).astype(int)), exit="time", event="dead",
        covariates=["age", "edema", "bili", "protime", "albumin"],
    )  # fmt: skip
    assert_plot(fit_cox(rows, covariates=MAYO), transform, r_figures("cox_extras")["pbc_zph"][transform])


@pytest.mark.parametrize("transform", ["km", "log"])
@pytest.mark.parametrize("variant", ["plain", "weighted", "strata"])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_matches_the_plot_of_r_with_ties_late_entry_factors_weights_and_strata(
    ties, variant, transform, late_entry, r_figures, assert_plot
):
    rows = late_entry
    if variant == "weighted":
        rows = rows.with_rows(rows.frame.assign(weight=rows.frame["w"].astype(float)))
    names = ["x", "arm"] if variant == "strata" else ["arm", "x"]
    fit = fit_cox(
        rows, covariates=names, ties=ties, cluster="patient_id" if variant == "weighted" else None,
        strata="sex" if variant == "strata" else None,
    )  # fmt: skip
    assert_plot(fit, transform, r_figures("cox_extras")[f"{ties}_{variant}_zph"][transform])


@pytest.mark.parametrize("transform", ["km", "log"])
def test_matches_the_plot_of_r_where_a_covariate_does_not_vary_in_a_stratum(
    transform, late_entry, r_figures, assert_plot
):
    frame = late_entry.frame
    only = np.where(frame["sex"] == 1, np.round(frame["x"].abs() + 0.1 * frame["w"], 2), 0.0)
    rows = late_entry.with_rows(frame.assign(only=only), covariates=(*late_entry.covariates, "only"))
    fit = fit_cox(rows, covariates=["x", "only"], strata="sex")
    assert_plot(fit, transform, r_figures("cox_extras")["still_zph"][transform])


def test_the_scaled_residuals_average_to_the_coefficient(data_set):
    pbc = data_set("pbc")
    frame = pbc.assign(dead=(pbc["status"] == 2).astype(int))
    fit = fit_cox(TimeToEvent.from_frame(frame, exit="time", event="dead", covariates=["age", "bili"]),
                  covariates=["age", "log(bili)"])  # fmt: skip
    means = check_proportional_hazards(fit).residuals().groupby("term", sort=False)["estimate"].mean()
    np.testing.assert_allclose(means, fit.coefficients, rtol=1e-6)


def test_few_event_times_have_no_smooth():
    frame = pd.DataFrame({"exit": [1, 1, 2, 2, 3, 3, 4, 4], "event": [1, 1, 1, 1, 1, 1, 0, 0],
                          "x": [1.0, 0, 2, 1, 0, 1, 3, 0]})  # fmt: skip
    fit = fit_cox(TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["x"]), covariates=["x"])
    smooth = check_proportional_hazards(fit).smooth()
    assert len(smooth) == 40
    assert smooth[["estimate", "conf_low", "conf_high"]].isna().all(axis=None)


def test_without_a_test_there_is_nothing_to_show():
    frame = pd.DataFrame({"exit": [1, 2, 3], "event": [1, 1, 0], "group": list("aab")})
    fit = fit_cox(TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["group"]), by="group")
    result = check_proportional_hazards(fit)
    assert len(result.residuals()) == len(result.smooth()) == 0


def test_a_penalised_fit_has_no_test_and_says_so(late_entry):
    result = check_proportional_hazards(fit_cox(late_entry, covariates=["arm", "x"], penalty="firth"))
    assert "without a penalty" in result.describe()
    assert result.tidy()["statistic"].isna().all()
    assert len(result.smooth()) == 0


def test_it_draws_the_term_asked_for(royal_free):
    import matplotlib.pyplot as plt

    result = check_proportional_hazards(fit_cox(royal_free, by="arm"), transform="identity")
    for term in (None, "group"):
        figure, ax = plt.subplots(figsize=(6, 5))
        assert result.plot(ax=ax, term=term) is ax
        plt.close(figure)
    with pytest.raises(OutcomeError, match="no term"):
        result.plot(term="age")
