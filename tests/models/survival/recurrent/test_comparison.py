"""Mean cumulative functions compared: the test of Ghosh and Lin, and differences at a horizon."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.models.survival.recurrent.comparison import compare_mean_cumulative
from aih_outcomes.models.survival.recurrent.mean_cumulative import estimate_mean_cumulative
from aih_outcomes.outcomes import RecurrentEvents
from tests.models.survival.recurrent.test_mean_cumulative import SETS, from_r, read


@pytest.mark.parametrize("name", SETS)
def test_the_test_matches_the_formulae_of_ghosh_and_lin_patient_by_patient_in_r(name, r_figures, assert_close):
    score, spread, statistic = r_figures("recurrent")[f"{name}_test"]
    found = compare_mean_cumulative(from_r(name), by="arm")
    assert_close(found.score[0], score, what=f"{name} Ghosh-Lin score")
    assert_close(np.sqrt(found.variance[0, 0]), spread, what=f"{name} Ghosh-Lin score's standard error")
    assert_close(found.statistic, statistic, what=f"{name} Ghosh-Lin statistic")


def arms(rows):
    return read(rows, ["arm"], covariates=["arm"])


ONE_EACH = [("a", 0, 2, "flare", "x"), ("a", 2, 6, "censored", "x"), ("b", 0, 4, "flare", "y"),
            ("b", 4, 6, "censored", "y"), ("c", 0, 6, "censored", "y")]  # fmt: skip


def test_three_patients_by_hand():
    """Expected in x: a third of the event at 2 and of that at 4; nobody's influence is 0 but in x, a group of one."""
    found = compare_mean_cumulative(arms(ONE_EACH), by="arm")
    assert found.score.tolist() == pytest.approx([1 - 2 / 3, 2 / 3 - 1])
    # In y the weight at 4 is 2/3 of a half: b has 1/2 · 1/2, c the opposite, each times 2/3.
    assert found.variance[0, 0] == pytest.approx(2 * (2 / 3 / 2 * 1 / 2) ** 2)


def test_differences_are_those_of_the_curves_at_the_horizon():
    outcome = from_r("events")
    found = compare_mean_cumulative(outcome, by="arm", horizon=1500)
    at = estimate_mean_cumulative(outcome, by="arm").at([1500]).set_index("strata")
    gap, ratio = found.contrasts["estimate"]
    assert gap == pytest.approx(at["estimate"]["b"] - at["estimate"]["a"])
    assert ratio == pytest.approx(at["estimate"]["b"] / at["estimate"]["a"])
    assert found.contrasts["std_error"][0] == pytest.approx(np.hypot(*at["std_error"]))
    assert found.groups["std_error"].tolist() == pytest.approx(at["std_error"].tolist())


def test_the_order_of_groups_changes_signs_alone():
    frame = pd.DataFrame(ONE_EACH, columns=["id", "start", "stop", "what", "arm"])
    frame["arm"] = pd.Categorical(frame["arm"], ["y", "x"])
    swapped = RecurrentEvents.from_frame(
        frame, patient_id="id", entry="start", exit="stop", event="what", covariates=["arm"], label="flare"
    )
    one, other = compare_mean_cumulative(arms(ONE_EACH), by="arm"), compare_mean_cumulative(swapped, by="arm")
    assert other.score.tolist() == pytest.approx(one.score[::-1].tolist())
    assert other.statistic == pytest.approx(one.statistic)


def test_of_two_groups_alike_one_in_twenty_is_called_different():
    """Frailty, death that depends on it, 60 per group; 400 replicates: 5 % within three Monte-Carlo errors."""
    rng = np.random.default_rng(20261123)
    rejected = [compare_mean_cumulative(drawn(rng), by="arm").p_value < 0.05 for _ in range(400)]
    assert abs(np.mean(rejected) - 0.05) <= 3 * np.sqrt(0.05 * 0.95 / 400)


def drawn(rng, n=120):
    frailty = rng.gamma(2, 0.5, n)
    end = np.minimum(rng.exponential(8 / frailty), rng.uniform(3, 10, n))
    gaps = rng.exponential(1.0, (n, 40)) / (0.6 * frailty[:, None])
    times = np.cumsum(gaps, axis=1)
    who, place = np.nonzero(times < end[:, None])
    what = np.where(end < rng.uniform(3, 10, n), "death", "censored")
    frame = pd.DataFrame({"id": np.concatenate([who, np.arange(n)]), "stop": np.concatenate([times[who, place], end])})
    frame["what"] = np.concatenate([np.repeat("flare", len(who)), what])
    frame = frame.sort_values(["id", "stop"], ignore_index=True)
    frame["start"] = frame.groupby("id")["stop"].shift(fill_value=0)
    frame["arm"] = np.where(frame["id"] % 2 == 0, "x", "y")
    return RecurrentEvents.from_frame(
        frame, patient_id="id", entry="start", exit="stop", event="what", terminal=["death"], covariates=["arm"]
    )


def test_names_itself_by_what_is_compared():
    assert "Ghosh-Lin test" in compare_mean_cumulative(from_r("ties"), by="arm").describe()
    assert "Log-rank type test" in compare_mean_cumulative(arms(ONE_EACH), by="arm").describe()
    tidy = compare_mean_cumulative(from_r("ties"), by="arm").tidy()
    assert tidy["measure"].tolist() == ["mean", "mean", "mean_difference", "mean_ratio"]
    assert list(tidy.columns[:3]) == ["label", "strata", "term"]


def test_one_group_no_events_and_no_time_in_common_are_answered_with_the_reason():
    one = compare_mean_cumulative(arms([(*row[:4], "x") for row in ONE_EACH]), by="arm")
    quiet = compare_mean_cumulative(arms([(*row[:3], "censored", row[4]) for row in ONE_EACH]), by="arm")
    apart = compare_mean_cumulative(arms([("a", 0, 2, "flare", "x"), ("b", 2, 4, "flare", "y")]), by="arm")
    for found, reason in ((one, "only one group"), (quiet, "no events"), (apart, "no time at which two groups")):
        assert reason in found.not_estimable
        assert reason in found.describe()
        assert np.isnan(found.p_value)
        assert np.isnan(found.tidy()["statistic"].to_numpy(float)).all()


def test_statistics_rule_20_no_difference_where_a_group_has_fewer_than_five_at_risk():
    found = compare_mean_cumulative(arms(ONE_EACH), by="arm")
    assert np.isnan(found.horizon)
    assert found.groups["estimate"].isna().all()
    late = compare_mean_cumulative(from_r("events"), by="arm", horizon=2990)
    assert late.contrasts["estimate"].isna().all()


def test_a_group_without_events_has_a_difference_and_no_ratio():
    rows = [(f"p{n}", 0, n + 1, "flare" if n % 2 else "censored", "xy"[n % 2]) for n in range(30)]
    found = compare_mean_cumulative(arms(rows), by="arm", horizon=15).contrasts.set_index("measure")
    assert found.loc["mean_difference", "estimate"] > 0
    assert np.isnan(found.loc["mean_ratio", "estimate"])
