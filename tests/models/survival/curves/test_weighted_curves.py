"""Curves with case weights and clusters: the infinitesimal jackknife against R survival, and all interval types."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_follow_up, estimate_survival
from aih_outcomes.models.survival.curves.log_rank import compare_survival
from aih_outcomes.models.survival.curves.restricted_mean import compare_restricted_means, restricted_mean
from aih_outcomes.outcomes import TimeToEvent

R_NAMES = {"arcsine": "arcsin"}
CONF_TYPES = ("log-log", "log", "plain", "arcsine", "logit")
KINDS = {
    "greenwood": ({}, {}), "late": ({"late": True}, {}), "part": ({"weight": "part"}, {}),
    "part_late_cluster": ({"late": True, "weight": "part"}, {"cluster": "cluster"}),
}  # fmt: skip
LOG_LOG = {
    "part_greenwood": ({"weight": "part"}, {"variance": "greenwood"}),
    "part_cluster": ({"weight": "part"}, {"cluster": "cluster"}),
    "whole_cluster": ({"weight": "whole"}, {"cluster": "cluster"}),
    "plain_cluster": ({}, {"cluster": "cluster"}),
    "late_cluster": ({"late": True}, {"cluster": "cluster"}),
}  # fmt: skip


def assert_like_r(curves, expected, assert_close, name):
    at = curves.at(expected["time"])
    weighted = at["weight_at_risk"] if "weight_at_risk" in at else at["n_risk"]
    assert_close(weighted, expected["n_risk"], what=f"{name} weight at risk")
    columns = {"estimate": "surv", "std_error": "se", "conf_low": "lower", "conf_high": "upper",
               "cumulative_hazard": "cumhaz", "cumulative_hazard_se": "se_cumhaz"}  # fmt: skip
    for column, other in columns.items():
        assert_close(at[column], expected[other], what=f"{name} {column}")
    quantiles = curves.quantiles()
    for column, other in (("estimate", "q"), ("conf_low", "q_lower"), ("conf_high", "q_upper")):
        assert_close(quantiles[column], expected[other], what=f"{name} quantiles {column}")


@pytest.mark.parametrize("conf_type", CONF_TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_matches_r_survfit_with_every_interval(kind, conf_type, curve_rows, r_figures, assert_close):
    rows, how = KINDS[kind]
    curves = estimate_survival(curve_rows(**rows), conf_type=conf_type, from_day=0, **how)
    name = f"{kind}_{R_NAMES.get(conf_type, conf_type)}"
    assert_like_r(curves, r_figures("curves")[name], assert_close, name)


@pytest.mark.parametrize("kind", LOG_LOG)
def test_matches_r_survfit_with_weights_and_clusters(kind, curve_rows, r_figures, assert_close):
    rows, how = LOG_LOG[kind]
    curves = estimate_survival(curve_rows(**rows), from_day=0, **how)
    assert_like_r(curves, r_figures("curves")[kind], assert_close, kind)


def test_follow_up_matches_r(curve_rows, r_figures, assert_close):
    assert_like_r(estimate_follow_up(curve_rows()), r_figures("curves")["follow_up"], assert_close, "follow_up")


@pytest.mark.parametrize("weights", ["ate", "overlap"])
@pytest.mark.parametrize("name", ["iptw_trt", "iptw_hepato"])
def test_matches_r_with_inverse_probability_weights(name, weights, reference, data_set, assert_close):
    result = reference("pbc_iptw")[name]
    outcome, exposed = weighted_pbc(data_set("pbc"), name, weights, result["values"]["ps_model"]["coefficients"])
    robust = estimate_survival(outcome, by="exposed")
    case_counts = estimate_survival(outcome, by="exposed", variance="greenwood")
    result = reference("pbc_iptw")[name]
    for arm, expected in result["values"]["weighted_km"][weights].items():
        at = robust.at(expected["time"]).query("strata == @arm")
        rtol = result["rtol"]
        assert_close(at["weight_at_risk"], expected["n_risk_weighted"], rtol, what=f"{weights} {arm} weight at risk")
        assert_close(at["estimate"], expected["surv"], rtol, what=f"{weights} {arm} survival")
        assert_close(at["std_error"], expected["se_robust_ij"], rtol, what=f"{weights} {arm} robust error")
        plain = case_counts.at(expected["time"]).query("strata == @arm")
        assert_close(plain["std_error"], expected["se_greenwood_weighted"], rtol, what=f"{weights} {arm} Greenwood")
        curve = next(curve for curve in robust.curves if curve.strata == arm)
        assert_close(
            restricted_mean(curve, expected["rmst_tau"])[0], expected["rmst"], rtol, what=f"{weights} {arm} mean"
        )
    assert exposed.sum() == robust.curves[1].n


def weighted_pbc(pbc, name, weights, model):
    """Rows with the weights that R's propensity model gives them (its printed coefficients)."""
    pbc = pbc.dropna(subset=["trt"])
    columns = {"(Intercept)": 1.0, "age": pbc["age"], "sexf": (pbc["sex"] == "f") * 1.0, "lb": np.log(pbc["bili"]),
               "albumin": pbc["albumin"], "la": np.log(pbc["albumin"]), "edema": pbc["edema"],
               "platelet": pbc["platelet"]}  # fmt: skip
    score = sum(value * columns[term] for term, value in zip(model["term"], model["coef"], strict=True))
    kept = score.notna()
    pbc, p = pbc[kept], 1 / (1 + np.exp(-score[kept]))
    exposed = (pbc["trt"] == 1) if name == "iptw_trt" else (pbc["hepato"] == 1)
    own = np.where(exposed, p, 1 - p)
    weight = 1 / own if weights == "ate" else 1 - own
    labels = pd.Categorical(np.where(exposed, "exposed", "unexposed"), ["unexposed", "exposed"])
    frame = pbc.assign(exposed=labels, weight=weight, dead=(pbc["status"] == 2).astype(int))
    outcome = TimeToEvent.from_frame(frame, exit="time", event="dead", weight="weight", covariates=["exposed"])
    return outcome, exposed.to_numpy()


def small(exit, event, weight=None, patient=None, entry=None):
    frame = pd.DataFrame({"exit": exit, "event": event})
    for column, values in (("weight", weight), ("patient", patient), ("entry", entry)):
        if values is not None:
            frame[column] = values
    return TimeToEvent.from_frame(
        frame, exit="exit", event="event", weight="weight" if weight is not None else None,
        patient_id="patient" if patient is not None else None, entry="entry" if entry is not None else None,
    )  # fmt: skip


def test_one_event_by_hand():
    # weights 1/2, 1, 3/2; the first dies: S = 5/6; influence of the first −S(1/n)(n/(n − d))·(1 − d/n)·w …
    tidy = estimate_survival(small([1, 2, 3], [1, 0, 0], weight=[0.5, 1, 1.5])).tidy()
    assert tidy["estimate"].iloc[0] == pytest.approx(5 / 6, rel=1e-14)
    # dS/dw: first −(n − d)/n² = −5/18, the others d/n² = 1/18, each times its weight
    by_hand = ((0.5 * 5 / 18) ** 2 + (1 / 18) ** 2 + (1.5 / 18) ** 2) ** 0.5
    assert tidy["std_error"].iloc[0] == pytest.approx(by_hand, rel=1e-13)
    assert tidy["n_risk"].tolist() == [3, 2, 1]
    assert tidy["weight_at_risk"].tolist() == [3.0, 2.5, 1.5]


def test_without_ties_weights_or_clusters_the_jackknife_is_nearly_greenwoods():
    rows = small(range(1, 201), [1, 1, 0, 1] * 50)
    one = estimate_survival(rows).at([50, 100, 150])["std_error"]
    other = estimate_survival(rows, variance="infinitesimal jackknife").at([50, 100, 150])["std_error"]
    assert other.tolist() == pytest.approx(one.tolist(), rel=0.02)


def test_fractions_cluster_by_patient():
    rows = small([4, 7, 6, 9], [0, 1, 1, 0], weight=[0.5, 0.5, 1.2, 0.8], patient=["a", "a", "b", "c"],
                 entry=[0, 4, 0, 0])  # fmt: skip
    whole = small([7, 6, 9], [1, 1, 0], weight=[0.5, 1.2, 0.8])
    found, expected = estimate_survival(rows, from_day=0), estimate_survival(whole)
    assert found.glance()["variance"] == "infinitesimal jackknife"
    assert found.glance()["cluster"] == "patient_id"
    columns = ["estimate", "std_error", "conf_low", "conf_high", "cumulative_hazard_se"]
    pd.testing.assert_frame_equal(found.at([6, 7])[columns], expected.at([6, 7])[columns], rtol=1e-12)


def test_the_restricted_mean_has_the_jackknifes_error():
    exit, event, weight = np.array([2, 3, 3, 5, 8]), np.array([1, 0, 1, 1, 0]), np.array([0.5, 1.5, 1.1, 0.7, 2.0])
    curve = estimate_survival(small(exit, event, weight=weight)).curves[0]
    mean, error = restricted_mean(curve, 6.0)
    step = 1e-6

    def shifted(place):
        moved = weight.copy()
        moved[place] += step
        return restricted_mean(estimate_survival(small(exit, event, weight=moved)).curves[0], 6.0)[0]

    slopes = [(shifted(place) - mean) / step for place in range(5)]
    assert error == pytest.approx(np.sqrt(np.sum((np.array(slopes) * weight) ** 2)), rel=1e-4)


def test_weighted_groups_are_compared_with_the_robust_error(curve_rows):
    found = compare_restricted_means(curve_rows(weight="part"), by="arm", horizon=10)
    curves = estimate_survival(curve_rows(weight="part"), by="arm").curves
    errors = [restricted_mean(curve, 10.0)[1] for curve in curves]
    assert found.groups["std_error"].tolist() == errors
    assert found.contrasts["std_error"].iloc[0] == pytest.approx(np.hypot(errors[0], errors[1]))
    assert found.curves.glance()["variance"] == "infinitesimal jackknife"


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.floats(0.1, 3)), min_size=2, max_size=15), st.randoms())
def test_row_order_changes_nothing_beyond_rounding(rows, random):
    exit, event, weight = (list(part) for part in zip(*rows, strict=True))
    order = list(range(len(rows)))
    random.shuffle(order)
    one = estimate_survival(small(exit, event, weight=weight)).tidy()
    other = estimate_survival(small(*([part[i] for i in order] for part in (exit, event, weight)))).tidy()
    pd.testing.assert_frame_equal(one, other, rtol=1e-9, atol=1e-9)


def test_rows_of_weight_zero_are_as_good_as_absent():
    with_zero = estimate_survival(small([1, 2, 2, 5], [1, 1, 0, 0], weight=[1, 0, 1, 2])).tidy()
    without = estimate_survival(small([1, 2, 5], [1, 0, 0], weight=[1, 1, 2])).tidy()
    pd.testing.assert_frame_equal(with_zero, without)
    with pytest.raises(OutcomeError, match="no rows"):
        estimate_survival(small([1, 2], [1, 0], weight=[0, 0]))


def test_greenwoods_variance_has_no_clusters(curve_rows):
    with pytest.raises(OutcomeError, match="clusters"):
        estimate_survival(curve_rows(), variance="greenwood", cluster="cluster")
    with pytest.raises(OutcomeError, match="not among the covariates"):
        estimate_survival(curve_rows(), cluster="hospital")


def test_a_log_rank_test_with_fractions_is_refused(curve_rows):
    with pytest.raises(OutcomeError, match="case counts"):
        compare_survival(curve_rows(weight="part"), by="arm")


def test_a_hundred_runs_with_ties_give_the_same_bytes(curve_rows):
    outcome = curve_rows(late=True, weight="part")

    def run():
        curves = estimate_survival(outcome, by="arm", cluster="cluster").tidy()
        return curves.select_dtypes("float").to_numpy().tobytes()

    assert len({run() for _ in range(100)}) == 1


@pytest.mark.parametrize(("exit", "event", "estimate"), [
    ([5], [1], [0.0]), ([5], [0], [1.0]), ([4, 4, 4], [1, 1, 1], [0.0]), ([4, 4, 4], [0, 1, 1], [1 / 3]),
    ([1, 2, 3], [0, 0, 0], [1.0, 1.0, 1.0]),
])  # fmt: skip
@pytest.mark.parametrize("variance", ["greenwood", "infinitesimal jackknife"])
@pytest.mark.parametrize("conf_type", CONF_TYPES)
def test_small_and_empty_cases_raise_no_warning(exit, event, estimate, variance, conf_type):
    curves = estimate_survival(small(exit, event), variance=variance, conf_type=conf_type)
    assert curves.tidy()["estimate"].tolist() == pytest.approx(estimate)
    curves.quantiles()
    curves.at([0, 1, 4, 9])
    assert curves.describe()
