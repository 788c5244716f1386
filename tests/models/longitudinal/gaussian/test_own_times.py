"""Exponential covariance on days of each patient's own, against the visits' kernel, SAS, and differences."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.longitudinal.gaussian.inference import make_inference
from aih_outcomes.models.longitudinal.gaussian.likelihood import Rows
from aih_outcomes.models.longitudinal.gaussian.newton import maximise
from aih_outcomes.models.longitudinal.gaussian.own_times import OwnTimes
from aih_outcomes.models.longitudinal.gaussian.visit_likelihood import Visits
from aih_outcomes.models.longitudinal.gaussian.visits import (
    describe_singular,
    fit_visits,
    own_time_parameters,
    visit_covariances,
    why_not,
)

NONE = np.zeros(0, np.intp)


@pytest.fixture(scope="module")
def fev(data_set):
    """FEV1 by arm; times are the numbers of visits."""
    frame = data_set("fev_data").dropna(subset=["FEV1"])
    n = len(frame)
    X = np.column_stack([np.ones(n), frame["ARMCD"] == "TRT"]).astype(float)
    visit = frame["VISITN"].to_numpy(np.intp)
    rows = Rows(frame["FEV1"].to_numpy(), X, pd.factorize(frame["USUBJID"])[0], visit.astype(float), visit - 1,
                np.empty((n, 0)), np.zeros(n, np.intp), np.ones(n), NONE)  # fmt: skip
    return rows, frame


@pytest.fixture(scope="module")
def irregular(fev):
    """The same at days of each patient's own, covariances by arm, weighted."""
    rows, frame = fev
    days = 90 * rows.time + np.random.default_rng(1).integers(-20, 20, len(rows.time))
    return replace(rows, time=days, stratum=rows.X[:, 1].astype(np.intp), weight=frame["WEIGHT"].to_numpy())


@pytest.mark.parametrize("reml", [True, False])
def test_is_the_kernel_of_visits_where_all_have_the_same_days(fev, reml):
    rows, _ = fev
    rows = replace(rows, stratum=rows.X[:, 1].astype(np.intp))
    own, visits = OwnTimes(rows, reml=reml), Visits(rows, "exponential", 4, reml=reml)
    theta = visits.start()
    one, two = own.evaluate(theta), visits.evaluate(theta)
    assert one.loglik == pytest.approx(two.loglik, abs=1e-9)
    np.testing.assert_allclose(one.gradient, two.gradient, atol=1e-9)
    np.testing.assert_allclose(one.hessian, two.hessian, atol=1e-8)
    np.testing.assert_allclose(one.beta, two.beta, rtol=1e-12)
    for convention in ("mmrm", "sas", "linear"):
        corrections = []
        for kernel, found in ((own, one), (visits, two)):
            inner = kernel.small_sample(found, convention).adjustment
            corrections.append(found.root @ inner @ found.root.T)
        np.testing.assert_allclose(corrections[0], corrections[1], atol=1e-12)
    for kernel, found in ((own, one), (visits, two)):
        assert sum(rows.size for rows, _ in kernel.blocks(found)) == len(rows.response)


@pytest.mark.parametrize("reml", [True, False])
def test_derivatives_are_those_of_the_likelihood(irregular, reml):
    kernel, step = OwnTimes(irregular, reml=reml), 1e-5
    theta = kernel.start() + 0.1
    here, ends = kernel.evaluate(theta), []
    for way in np.eye(4) * step:
        ends.append((kernel.evaluate(theta + way), kernel.evaluate(theta - way)))
    np.testing.assert_allclose(here.gradient, [(up.loglik - down.loglik) / (2 * step) for up, down in ends], atol=1e-6)
    curve = np.array([(up.gradient - down.gradient) / (2 * step) for up, down in ends])
    np.testing.assert_allclose(here.hessian, curve, atol=1e-6 * np.abs(curve).max())
    for h, (up, down) in enumerate(ends):
        change = (up.root @ up.root.T - down.root @ down.root.T) / (2 * step)
        np.testing.assert_allclose(here.root @ here.slopes[h] @ here.root.T, change, atol=1e-8)


def test_the_fit_is_an_optimum_and_gives_the_covariances_back(irregular):
    fitted = fit_visits(irregular, "exponential", n_visits=4, reml=True)
    assert fitted.trouble is None
    assert fitted.scaled_gradient < 1e-9
    assert describe_singular(fitted) is None
    assert visit_covariances(fitted) == []
    parameters = own_time_parameters(fitted)
    for rows, blocks in fitted.kernel.blocks(fitted.evaluation):
        for own, V in zip(rows, blocks, strict=True):
            sd, reach = parameters[irregular.stratum[own[0]]]
            gap = np.abs(np.subtract.outer(irregular.time[own], irregular.time[own]))
            scale = sd / np.sqrt(irregular.weight[own])
            np.testing.assert_allclose(V, np.exp(-gap / reach) * np.outer(scale, scale), rtol=1e-10)
    first = irregular.patient == 5
    one = Rows(*[getattr(irregular, name)[first] if len(getattr(irregular, name)) else NONE for name in
                 Rows.__dataclass_fields__])  # fmt: skip
    blocks = {int(own[0]): V for rows, many in fitted.kernel.blocks(fitted.evaluation)
              for own, V in zip(rows, many, strict=True)}  # fmt: skip
    np.testing.assert_allclose(fitted.kernel.covariance(fitted.evaluation, one), blocks[np.flatnonzero(first)[0]])


def test_the_unit_of_time_changes_the_range_only(irregular):
    days = fit_visits(irregular, "exponential", n_visits=4, reml=True)
    years = fit_visits(replace(irregular, time=irregular.time / 365.25), "exponential", n_visits=4, reml=True)
    assert years.evaluation.loglik == pytest.approx(days.evaluation.loglik, abs=1e-8)
    np.testing.assert_allclose(np.array(own_time_parameters(days)) / np.array(own_time_parameters(years)),
                               [[1, 365.25]] * 2, rtol=1e-5)  # fmt: skip


def test_two_values_at_one_time_cannot_be_inverted(irregular):
    """Without an error of their own, values at one time would have to be equal."""
    time = irregular.time.copy()
    many = np.flatnonzero(np.diff(irregular.patient) == 0)[:2]
    time[many + 1] = time[many]
    same = replace(irregular, time=time)
    fitted = fit_visits(same, "exponential", n_visits=4, reml=True)
    assert fitted.trouble == "the covariance cannot be inverted: two values of a patient have the same time"
    assert "values have the same time" in why_not(same, "exponential", 4)
    assert why_not(same, "ar1", 4) is None


def test_matches_sas_with_distances_in_the_plane(fev, shared, reference, assert_close):
    """SAS's sp(exp) took both VISITN and VISITN2 as coordinates; its two files carry each other's names.

    For the other structures, kr1 (first order) has no second derivatives and kr has; here the standard errors of the
    two are exchanged, to six digits.
    """
    reference("fev_data_mmrm")["mmrm_sp_exp"]  # the data set's origin; the figures are SAS's
    rows, frame = fev
    place = OwnTimes(rows, reml=True).place
    at = np.where(place[:, :, None] >= 0, frame[["VISITN", "VISITN2"]].to_numpy(float)[place], 0.0)
    gap = np.sqrt(((at[:, :, None] - at[:, None]) ** 2).sum(axis=-1))
    fitted = maximise(OwnTimes(rows, gap, reml=True), rows, reml=True)
    for convention, file in (("kenward-roger", "kr1_spexp"), ("kenward-roger-linear", "kr_spexp")):
        theirs = pd.read_csv(shared / "reference" / "sas" / f"{file}.csv").iloc[0]
        inference = make_inference(fitted, df=convention, vcov="model")
        estimate, se, df = inference.contrast(np.array([[0.0, 1.0]]))
        assert_close(estimate[0], theirs["Estimate"], 1e-5, what=f"SAS {file} estimate")
        assert_close(se[0], theirs["StdErr"], 1e-4, what=f"SAS {file} se")
        assert_close(df[0], theirs["DF"], 3e-4, what=f"SAS {file} df")
