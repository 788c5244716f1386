"""The same hazard ratios by every way of treating intervals."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.intervals.accelerated_failure import fit_accelerated_failure
from aih_outcomes.models.survival.intervals.interval_hazards import fit_interval_hazards
from aih_outcomes.models.survival.intervals.interval_methods import MIDPOINT, RIGHT_END, compare_interval_methods
from aih_outcomes.outcomes import TimeToEvent

TERMS = ["trt", "log(bili0)"]


def test_each_method_is_the_model_of_that_name(normalised, data_set):
    tidy = compare_interval_methods(normalised, covariates=TERMS).tidy()
    assert tidy["method"].nunique() == 5
    estimates = tidy["estimate"].to_numpy().reshape(5, 2)
    np.testing.assert_array_equal(estimates[0], fit_interval_hazards(normalised, covariates=TERMS).coefficients)
    spline = fit_interval_hazards(normalised, covariates=TERMS, baseline="spline")
    np.testing.assert_array_equal(estimates[1], spline.coefficients)
    weibull = fit_accelerated_failure(normalised, covariates=TERMS)
    np.testing.assert_array_equal(estimates[2], weibull.log_hazard_ratios()[0])
    frame = data_set("derived_pbcseq_interval")
    frame = frame[(frame["left"] > 0) | frame["right"].notna()]
    middle = frame["left"].where(frame["right"].isna(), (frame["left"] + frame["right"]) / 2)
    for row, exit in ((3, middle), (4, frame["right"].fillna(frame["left"]))):
        rows = frame.assign(exit=exit, event=frame["right"].notna())
        cox = TimeToEvent.from_frame(rows, exit="exit", event="event", covariates=["trt", "bili0"])
        np.testing.assert_allclose(estimates[row], fit_cox(cox, covariates=TERMS).coefficients, rtol=1e-10)


def test_intervals_that_tell_nothing_of_the_order_matter(mixed, seen_at_looks):
    methods = compare_interval_methods(seen_at_looks(mixed[["left", "right", "arm"]]), by="arm")
    tidy = methods.tidy()
    assert tidy["term"].unique().tolist() == ["group: b (ref. a)", "group: c (ref. a)"]
    assert tidy.groupby("method")["n_event"].sum().nunique() == 1
    assert tidy[~tidy["uses_intervals"]]["method"].unique().tolist() == [MIDPOINT, RIGHT_END]
    facts = methods.glance()
    assert facts["largest_difference"] > 0
    assert facts["not_estimable"] == {}
    width = (mixed["right"] - mixed["left"]).dropna()
    assert facts["median_interval"] == width.median()


def test_known_days_leave_nothing_to_choose(seen_at_looks):
    random = np.random.default_rng(4)
    frame = pd.DataFrame({"left": random.permutation(np.arange(1, 201)), "x": random.normal(size=200)})
    frame = frame.assign(right=frame["left"].where(random.random(200) < 0.8))
    tidy = compare_interval_methods(seen_at_looks(frame), covariates=["x"]).tidy()
    assert tidy["estimate"].max() - tidy["estimate"].min() < 0.3 * tidy["std_error"].min()


def test_a_method_that_fails_says_so_beside_those_that_do_not(seen_at_looks):
    frame = pd.DataFrame({"left": [1, 2, 1, 3, 2], "right": [2, 4, 3, None, None], "x": [1.0, 0, 0, 1, 0]})
    methods = compare_interval_methods(seen_at_looks(frame), covariates=["x"])
    tidy = methods.tidy().set_index("method")
    assert tidy["not_estimable"].notna().any()
    assert tidy.loc[tidy["not_estimable"].notna(), "estimate"].isna().all()
    assert tidy.loc[tidy["not_estimable"].isna(), "estimate"].notna().all()
    assert set(methods.glance()["not_estimable"]) == set(tidy.index[tidy["not_estimable"].notna()])


def test_other_outcomes_are_refused(royal_free):
    with pytest.raises(OutcomeError, match="no IntervalTime"):
        compare_interval_methods(royal_free, covariates=["arm"])


def test_methods_draw_and_describe_themselves(normalised):
    import matplotlib.pyplot as plt

    methods = compare_interval_methods(normalised, covariates=TERMS)
    figure, ax = plt.subplots(figsize=(7, 6))
    assert methods.plot(ax=ax) is ax
    plt.close(figure)
    assert "guess" in methods.describe()
