"""Every result draws on the axes given: for the analyst's screen."""

import pytest

from aih_outcomes.models.longitudinal.trajectories import describe_trajectories
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.survival.curves.kaplan_meier import estimate_survival
from aih_outcomes.models.survival.curves.log_rank import compare_survival
from aih_outcomes.models.survival.curves.restricted_mean import compare_restricted_means
from aih_outcomes.models.survival.designs.comparison import compare_groups
from aih_outcomes.outcomes import RepeatedMeasures


@pytest.mark.parametrize(
    "model", [estimate_survival, compare_survival, compare_groups, compare_restricted_means, fit_cox]
)
def test_survival_results_draw(model, royal_free):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6, 5))
    assert model(royal_free, by="arm").plot(ax=ax) is ax
    plt.close(figure)


def test_trajectories_draw():
    import matplotlib.pyplot as plt
    import pandas as pd

    frame = pd.DataFrame({"id": ["a", "b"] * 3, "day": [0, 0, 90, 90, 182, 182], "value": [9.0, 8, 4, 3, 1, 2]})
    measures = RepeatedMeasures.from_frame(frame, patient_id="id", time="day", value="value", label="ALT")
    figure, ax = plt.subplots(figsize=(6, 5))
    assert describe_trajectories(measures, visits=[0, 90, 182]).plot(ax=ax) is ax
    plt.close(figure)
