"""What may not matter does not: row order, the calendar, other analytes; and a normal value never undoes a response.

Each example is a cohort of 150 invented children: few examples, many children.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.groups.groups import derive_groups
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.endpoints.response.states import derive_states
from tests.endpoints.tables import DAY_0, ULN, cohort, iaihg

DEFINITION = iaihg()
CHILDREN = [f"child_{number:03d}" for number in range(150)]
EXAMPLES = settings(max_examples=2)
seeds = given(st.integers(0, 2**32 - 1))


def draw_results(seed: int, per_child: int = 18) -> pd.DataFrame:
    """Results of every child, many near the edges of windows and limits: rows of the table ``labs``."""
    random = np.random.default_rng(seed)
    n = len(CHILDREN) * per_child
    day = np.where(
        random.random(n) < 0.5, random.integers(-35, 260, n), random.choice([0, 1, 28, 107, 121, 168, 182], n)
    )
    analyte = random.choice(["alt", "ast", "igg"], n)
    limit = np.array([ULN[name] for name in analyte])
    rows = pd.DataFrame(
        {
            "patient_id": np.repeat(CHILDREN, per_child),
            "date": DAY_0 + pd.to_timedelta(day, unit="D"),
            "analyte": analyte,
            "value": limit * random.choice([0.4, 1.0, 1.4, 3.0, 6.0], n, p=[0.5, 0.2, 0.1, 0.1, 0.1]),
            "uln": np.where(random.random(n) < 0.05, np.nan, limit),
            "comparator": random.choice(["=", "<", ">"], n, p=[0.9, 0.05, 0.05]),
            "uln_source": "reported",
        }
    )
    return rows.drop_duplicates(["patient_id", "date", "analyte"], ignore_index=True)


def _treated() -> Cohort:
    drugs = [f"{child} azathioprine 20 - aih\n{child} immunoglobulin 150 160 other" for child in CHILDREN[::5]]
    drugs += [f"{child} mycophenolate 120 - aih" for child in CHILDREN[::7]]
    everyone = "\n".join(["patient sex", *[f"{child} male" for child in CHILDREN]])
    return cohort(patients=everyone, treatments="\n".join(["patient drug start stop indication", *drugs]))


TREATED = _treated()


def build(results: pd.DataFrame) -> Cohort:
    return replace(TREATED, labs=results, load_report=None)


def answers(made: Cohort) -> list[pd.DataFrame]:
    """Everything that is derived, without the positions of rows and the calendar."""
    response = derive_response(made, DEFINITION)
    statuses = [response.status_by(182), response.status_at((150, 182)), response.non_response()]
    return [
        response.evaluations[["patient_id", "day", "status", "known_day"]],
        *[status.drop(columns="known_on") for status in (*statuses, response.first_attained())],
        derive_groups(response, day=182).frame,
        derive_states(response),
    ]


def assert_same(one: list[pd.DataFrame], other: list[pd.DataFrame]) -> None:
    for left, right in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(left, right)


@EXAMPLES
@seeds
def test_row_order_does_not_matter(seed: int) -> None:
    made = build(draw_results(seed))
    turned = {name: table.sample(frac=1, random_state=seed) for name, table in made.tables().items()}
    assert_same(answers(made), answers(replace(made, **turned)))


@EXAMPLES
@seeds
def test_shifting_every_date_changes_nothing(seed: int) -> None:
    made = build(draw_results(seed))
    by = pd.Timedelta(days=int(np.random.default_rng(seed).integers(-4000, 4000)))
    moved = {
        name: table.assign(**{column: table[column] + by for column in table.select_dtypes("datetime")})
        for name, table in made.tables().items()
    }
    assert_same(answers(made), answers(replace(made, **moved)))


@EXAMPLES
@seeds
def test_other_analytes_change_nothing(seed: int) -> None:
    results = draw_results(seed)
    others = draw_results(seed + 1).assign(analyte="platelets", value=200.0)
    both = pd.concat([others, results], ignore_index=True)
    assert_same(answers(build(results)), answers(build(both)))


@EXAMPLES
@seeds
def test_a_normal_value_never_undoes_a_first_response(seed: int) -> None:
    results = draw_results(seed)
    added = draw_results(seed + 1, per_child=1)
    limits = added["analyte"].map(ULN)
    normal = added.assign(value=0.4 * limits, uln=limits, comparator="=")
    more = pd.concat([results, normal], ignore_index=True)
    before, after = (
        derive_response(build(rows), DEFINITION).first_attained().set_index("patient_id")["known_at"]
        for rows in (results, more)
    )
    assert len(before)
    assert set(before.index) <= set(after.index)
    assert (after.reindex(before.index) <= before).all()


@EXAMPLES
@seeds
def test_statistics_rule_1_what_is_known_by_a_day_does_not_depend_on_later_results(seed: int) -> None:
    results = draw_results(seed)
    early = results[results["date"] <= DAY_0 + pd.Timedelta(days=182)]
    full, cut = (derive_response(build(rows), DEFINITION).status_by(182) for rows in (results, early))
    pd.testing.assert_frame_equal(full, cut)
    assert {"met", "not met", "not evaluable"} == set(full["status"])


@EXAMPLES
@seeds
def test_the_results_of_an_evaluation_lie_within_the_same_evaluation_days_and_after_time_zero(seed: int) -> None:
    response = derive_response(build(draw_results(seed)), DEFINITION)
    day = response.results.set_index("row")["day"]
    used = response.evaluations[["alt_row", "ast_row", "igg_row"]].apply(lambda rows: rows.map(day)).astype(float)
    assert (used.max(axis=1) == response.evaluations["known_day"]).all()
    assert (used.max(axis=1) - used.min(axis=1)).max() <= 14
    assert used.min(axis=1).min() >= 1
    assert (response.evaluations["day"] <= response.evaluations["known_day"]).all()
