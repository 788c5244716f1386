"""Log-rank family against R survival, lifelines, and the score test that it is."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.curves.log_rank import compare_survival
from aih_outcomes.outcomes import TimeToEvent

PBC = {
    "logrank_trt": ("trt", 2, {}),
    "logrank_trt_nls": ("trt", 1, {}),
    "peto_peto_rho1_trt": ("trt", 2, {"rho": 1}),
    "logrank_trt_strata_sex": ("trt", 2, {"strata": "sex"}),
    "logrank_trt_strata_stage": ("trt", 2, {"strata": "stage"}),
    "logrank_edema_3group": ("edema", 2, {}),
    "logrank_edema_strata_sex": ("edema", 2, {"strata": "sex"}),
}
HARRINGTON = {"fh_0_0": (0, 0), "fh_1_0": (1, 0), "fh_0_1": (0, 1), "fh_1_1": (1, 1), "fh_half_half": (0.5, 0.5)}


def pbc_outcome(pbc, by, least, strata=None):
    frame = pbc.dropna(subset=[by, *([strata] if strata else [])])
    return TimeToEvent.from_frame(
        frame.assign(dead=(frame["status"] >= least).astype(int)),
        exit="time",
        event="dead",
        covariates=["trt", "edema", "sex", "stage"],
    )


@pytest.mark.parametrize("name", PBC)
def test_matches_r_survdiff(name, reference, data_set, assert_close):
    by, least, how = PBC[name]
    result = reference("pbc_km_logrank_rmst")[name]
    values, rtol = result["values"], result["rtol"]
    test = compare_survival(pbc_outcome(data_set("pbc"), by, least, how.get("strata")), by=by, **how)

    def total(table):
        return np.sum(table, axis=1) if np.ndim(table) == 2 else np.asarray(table)

    assert test.n.tolist() == list(values["n"])
    assert_close(test.observed, total(_numbers(values["observed"])), rtol, what="observed")
    assert_close(test.expected, total(_numbers(values["expected"])), rtol, what="expected")
    largest = np.max(np.abs(values["var"]["values"]))
    assert_close(test.variance, values["var"]["values"], rtol, se=largest, what="variance")
    assert_close([test.statistic, test.p_value], [values["chisq"], values["p"]], rtol, what="chi-square and p")
    assert test.df == values["df"]


def _numbers(table):
    return table["values"] if isinstance(table, dict) else table


@pytest.mark.parametrize(("name", "by"), [("fleming_harrington", "trt"), ("fleming_harrington_edema", "edema")])
def test_matches_fleming_harrington(name, by, reference, data_set, assert_close):
    result = reference("pbc_km_logrank_rmst")[name]
    for key, values in result["values"].items():
        rho, gamma = HARRINGTON[key]
        test = compare_survival(pbc_outcome(data_set("pbc"), by, 2), by=by, rho=rho, gamma=gamma)
        assert_close(test.statistic, values["chisq"], result["rtol"], what=key)
        assert_close(test.p_value, values["p"], result["rtol"], what=key)


def test_is_the_score_test_of_breslows_model_without_ties_also_with_late_entry():
    random = np.random.default_rng(3)
    entry = random.integers(0, 50, 80)
    exit = entry + 1 + random.permutation(80) * 53  # no two alike
    frame = pd.DataFrame(
        {"entry": entry, "exit": exit, "event": random.integers(0, 2, 80), "arm": random.choice(["a", "b", "c"], 80)}
    )
    rows = TimeToEvent.from_frame(
        frame.drop_duplicates("exit"), entry="entry", exit="exit", event="event", covariates=["arm"]
    )
    score = fit_cox(rows, by="arm", ties="breslow").glance()["score_test"]
    assert compare_survival(rows, by="arm").statistic == pytest.approx(score, rel=1e-10)


def test_lifelines_agrees():
    from lifelines.statistics import multivariate_logrank_test

    random = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "exit": random.integers(1, 30, 90),
            "event": random.integers(0, 2, 90),
            "arm": random.choice(["a", "b", "c"], 90),
        }
    )
    theirs = multivariate_logrank_test(frame["exit"], frame["arm"], frame["event"])
    ours = compare_survival(TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["arm"]), by="arm")
    assert ours.statistic == pytest.approx(theirs.test_statistic, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.p_value, rel=1e-9)


def test_weights_are_case_counts_and_a_weight_of_zero_is_nobody():
    frame = pd.DataFrame(
        {"exit": [1, 2, 2, 3, 4], "event": [1, 1, 0, 1, 0], "arm": list("abbac"), "w": [2, 1, 3, 1, 0]}
    )
    weighted = TimeToEvent.from_frame(frame, exit="exit", event="event", weight="w", covariates=["arm"])
    written_out = frame.loc[frame.index.repeat(frame["w"])].reset_index(drop=True)
    plain = TimeToEvent.from_frame(written_out, exit="exit", event="event", covariates=["arm"])
    one, other = compare_survival(weighted, by="arm"), compare_survival(plain, by="arm")
    assert one.statistic == pytest.approx(other.statistic, rel=1e-12)
    assert one.levels == ("a", "b", "c")
    assert one.expected.tolist()[:2] == pytest.approx(other.expected.tolist())


def test_a_hundred_runs_with_ties_give_the_same_bytes(curve_rows):
    outcome = curve_rows(late=True)
    assert len({compare_survival(outcome, by="arm", strata="sex").variance.tobytes() for _ in range(100)}) == 1


@pytest.mark.parametrize(("columns", "reason"), [
    ({"event": [0, 0, 0], "arm": list("aba")}, "no events"),
    ({"event": [1, 1, 1], "arm": list("aaa")}, "only one group"),
])  # fmt: skip
def test_what_cannot_be_tested_says_why(columns, reason):
    rows = TimeToEvent.from_frame(
        pd.DataFrame({"exit": [1, 2, 3], **columns}), exit="exit", event="event", covariates=["arm"]
    )
    test = compare_survival(rows, by="arm")
    assert test.glance()["not_estimable"] == reason
    assert np.isnan(test.p_value)
    assert reason in test.describe()


def test_rows_without_a_stratum_are_not_dropped_in_silence():
    frame = pd.DataFrame({"exit": [1, 2, 3], "event": 1, "arm": list("aba"), "sex": ["f", None, "m"]})
    rows = TimeToEvent.from_frame(frame, exit="exit", event="event", covariates=["arm", "sex"])
    with pytest.raises(OutcomeError, match="1 of 3 rows"):
        compare_survival(rows, by="arm", strata="sex")
