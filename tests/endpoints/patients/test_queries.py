"""The query list: what to look up in the notes so that response becomes evaluable (clinic 25)."""

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.definition import Definition, read_definition
from aih_outcomes.endpoints.patients.queries import EVERY_ENDPOINT, FOUR_WEEKS, derive_queries
from aih_outcomes.endpoints.response.response import Response, derive_response
from aih_outcomes.endpoints.response.states import derive_response_status
from aih_outcomes.schema import empty_table
from aih_outcomes.simulate import simulate_cohort
from tests.endpoints.tables import ULN, cohort, iaihg, same

BY, AT, YEAR = "CBR by 6 months", "CBR at 6 months", "CBR at 12 months"
BASELINE = "\n".join(f"{{0}} 0 {analyte} 20" for analyte in ("alt", "ast"))
FALLEN = "\n".join(f"{{0}} 25 {analyte} 5" for analyte in ("alt", "ast"))


def queries(made: Cohort, definition: Definition | None = None) -> pd.DataFrame:
    return derive_queries(derive_response(made, definition or iaihg()))


def ask(labs: str, endpoint: str, **others: str) -> pd.DataFrame:
    """Return the queries of one endpoint; ``labs`` are lines ``patient day analyte xuln``."""
    table = queries(cohort("patient day analyte xuln\n" + labs, **others))
    return table[table["endpoint"] == endpoint].reset_index(drop=True)


def status_of(response: Response, endpoint: str) -> pd.Series:
    """Return the status of one endpoint (index ``patient_id``), without the rule of failure by death."""
    windows = response.definition.windows
    by = response.definition.response.short + " by"
    if endpoint == FOUR_WEEKS:
        table = response.non_response()
    elif endpoint.startswith(by):
        table = response.status_by(windows.by[1])
    else:
        table = response.status_at((300, 430) if endpoint.endswith("12 months") else windows.at)
    return table.set_index("patient_id")["status"]


def found(made: Cohort, asked: pd.DataFrame, steps: list[float]) -> Cohort:
    """Return copies ``A@0, A@1, …`` of the patients asked for, each with a normal result for every row asked.

    The results of copy k lie on the day at the share ``steps[k]`` of the way from the first day to the last.
    """
    step = pd.DataFrame({"copy": [f"@{k}" for k in range(len(steps))], "step": steps})
    pairs = asked[["patient_id"]].drop_duplicates().merge(step, how="cross")
    tables = {}
    for name, table in made.tables().items():
        copied = table.astype({"patient_id": object}).merge(pairs, on="patient_id")
        tables[name] = copied.assign(patient_id=copied["patient_id"] + copied["copy"])
    rows = asked.merge(pairs, on="patient_id")
    length = (rows["to_day"] - rows["from_day"]).astype(float)
    since = (rows["from_day"].astype(float) + (length * rows["step"]).round()).astype("int64")
    zero = derive_response(made, iaihg()).zero.reindex(rows["patient_id"]).to_numpy()
    titre = ~rows["analyte"].isin(list(ULN))
    uln = rows["analyte"].map(ULN).fillna(640.0)
    more = pd.DataFrame(
        {
            "patient_id": rows["patient_id"] + rows["copy"],
            "date": zero + pd.to_timedelta(since, unit="D").to_numpy(),
            "analyte": rows["analyte"],
            "value": np.where(titre, 5.0, uln / 2),  # a titre of 1:5 is negative by any criteria
            "uln": uln,
            "comparator": "=",
            "uln_source": "reported",
            "method": np.where(titre, "iif_rodent", None),
        }
    )
    tables["labs"] = pd.concat([tables["labs"].astype(object), more.astype(object)], ignore_index=True)
    return Cohort(**tables)


def answered(made: Cohort, asked: pd.DataFrame, definition: Definition, steps: list[float]) -> pd.DataFrame:
    """Return ``patient_id, endpoint, status`` of every copy once what was asked of its endpoint is found."""
    parts = []
    for endpoint, rows in asked.groupby("endpoint"):
        status = status_of(derive_response(found(made, rows, steps), definition), str(endpoint))
        parts.append(status.reset_index().assign(endpoint=endpoint))
    return pd.concat(parts, ignore_index=True)


def holds(made: Cohort, definition: Definition, steps: list[float]) -> int:
    """Assert the promise for each endpoint and share of the window; return how many questions there were."""
    table = queries(made, definition)
    asked = table[table["analyte"].notna()]
    after = answered(made, asked, definition, steps)
    assert after[after["status"] == "not evaluable"].empty
    n = len(asked.drop_duplicates(["patient_id", "endpoint"]))
    assert len(after) == n * len(steps)
    return n


EVERY_DAY = list(np.linspace(0, 1, 132))


def test_clinic_rule_25_the_missing_igg_is_asked_for_on_the_days_that_join_the_transaminases() -> None:
    same(ask("A 170 alt 0.5\nA 170 ast 0.5", AT), """
        patient  status         analyte  missing             from_day  to_day  from_date  to_date  because
        A        not evaluable  igg      IgG, days 156–182  156       182     156        182      IgG missing
    """)  # fmt: skip


def test_a_visit_early_in_the_window_is_joined_from_before_the_window() -> None:
    same(ask("A 152 alt 0.5\nA 152 ast 0.5", AT), """
        patient  missing
        A        IgG, days 138–166
    """)  # fmt: skip


def test_without_any_result_all_analytes_are_asked_for_in_the_whole_window() -> None:
    labs = "A 60 alt 3"
    same(ask(labs, BY), """
        patient  missing             because
        A        ALT, days 121–182  no result in the window
        A        AST, days 121–182  no result in the window
        A        IgG, days 121–182  no result in the window
    """)  # fmt: skip
    same(ask(labs, AT), """
        patient  missing
        A        ALT, days 150–182
        A        AST, days 150–182
        A        IgG, days 150–182
    """)  # fmt: skip
    same(ask(labs, YEAR), """
        patient  missing
        A        ALT, days 300–430
        A        AST, days 300–430
        A        IgG, days 300–430
    """)  # fmt: skip


def test_the_most_complete_visit_is_the_one_to_complete() -> None:
    labs = "A 155 alt 0.5\nA 175 alt 0.5\nA 175 igg 0.5"
    same(ask(labs, AT), """
        patient  missing
        A        AST, days 161–182
    """)  # fmt: skip


def test_of_two_equally_complete_visits_the_later_one_is_completed() -> None:
    labs = "A 152 alt 0.5\nA 152 ast 0.5\nA 180 alt 0.5\nA 180 ast 0.5"
    same(ask(labs, AT), """
        patient  missing
        A        IgG, days 166–182
    """)  # fmt: skip


def test_two_analytes_are_asked_for_where_two_are_missing() -> None:
    same(ask("A 170 alt 0.5", AT), """
        patient  missing
        A        AST, days 156–182
        A        IgG, days 156–182
    """)  # fmt: skip


def test_the_days_end_where_what_is_there_is_too_old() -> None:
    same(ask("A 160 alt 0.5\nA 165 ast 0.5", AT), """
        patient  missing
        A        IgG, days 151–174
    """)  # fmt: skip


def test_who_is_evaluable_is_not_asked() -> None:
    labs = "A 170 alt 3\nB 170 alt 0.5\nB 170 ast 0.5\nB 170 igg 0.5"
    assert ask(labs, AT).empty
    assert ask(labs, BY).empty


def test_an_abnormal_result_is_enough_so_that_igg_is_not_asked_for() -> None:
    assert ask("A 170 alt 3\nA 170 ast 0.5", AT).empty


def test_response_before_the_window_settles_by_but_not_at_six_months() -> None:
    labs = "A 90 alt 0.5\nA 90 ast 0.5\nA 90 igg 0.5"
    assert ask(labs, BY).empty
    assert len(ask(labs, AT)) == 3


def test_statistics_rule_9_a_missing_baseline_value_is_asked_for_before_treatment() -> None:
    same(ask("A 25 alt 5\nA 25 ast 5\nA 0 alt 20", FOUR_WEEKS), """
        patient  missing               from_day  to_day  because
        A        AST, days −14 to 0   -14       0       baseline value missing
    """)  # fmt: skip


def test_statistics_rule_9_a_missing_result_at_four_weeks_is_asked_for_on_days_21_to_28() -> None:
    same(ask(BASELINE.format("A"), FOUR_WEEKS), """
        patient  missing          because
        A        ALT, days 21–28  no complete result in the window
        A        AST, days 21–28  no complete result in the window
    """)  # fmt: skip


def test_statistics_rule_9_both_are_asked_for_where_both_are_missing() -> None:
    same(ask("A 0 alt 20\nA 24 alt 15", FOUR_WEEKS), """
        patient  missing             because
        A        AST, days −14 to 0  baseline value missing
        A        AST, days 21–28     no result in the window
    """)  # fmt: skip


def test_statistics_rule_9_an_early_baseline_value_is_one_and_is_not_asked_for() -> None:
    labs = "A -20 alt 20\nA -20 ast 20\n" + FALLEN.format("A")
    assert ask(labs, FOUR_WEEKS).empty


def test_statistics_rule_9_in_the_tolerant_window_a_later_fall_would_settle_nothing() -> None:
    rule = iaihg().non_response
    assert rule is not None
    tolerant = iaihg().model_copy(update={"non_response": rule.model_copy(update={"window": (21, 35)})})
    labs = "patient day analyte xuln\n" + BASELINE.format("A") + "\nA 33 alt 5\nA 33 ast 5"
    table = queries(cohort(labs), tolerant)
    same(table[table["endpoint"] == FOUR_WEEKS], """
        patient  missing          because
        A        ALT, days 21–28  fell enough only after day 28
        A        AST, days 21–28  fell enough only after day 28
    """)  # fmt: skip


def test_clinic_rule_10_an_igg_that_cannot_be_interpreted_is_a_note_and_no_query() -> None:
    table = ask(
        "A 170 alt 0.5\nA 170 ast 0.5\nA 170 igg 0.5",
        AT,
        treatments="patient drug start stop indication\nA immunoglobulin 150 180 other",
    )
    same(table, """
        patient  analyte  missing  from_day  because
        A        -        -        -         IgG not interpretable (immunoglobulin until 2020-10-29): cannot be mended
    """)  # fmt: skip


def test_clinic_rule_10_while_immunoglobulin_goes_on_nothing_is_asked_for() -> None:
    table = ask(
        "A 170 alt 0.5",
        AT,
        treatments="patient drug start stop indication\nA immunoglobulin -300 - other",
    )
    same(table, """
        patient  missing  because
        A        -        IgG not interpretable (immunoglobulin while it goes on): cannot be mended
    """)  # fmt: skip


def test_clinic_rule_10_igg_is_asked_for_on_the_days_before_immunoglobulin() -> None:
    table = ask(
        "A 170 alt 0.5\nA 170 ast 0.5",
        AT,
        treatments="patient drug start stop indication\nA immunoglobulin 165 165 other",
    )
    same(table, """
        patient  missing
        A        IgG, days 156–164
    """)  # fmt: skip


def test_clinic_rule_10_igg_is_asked_for_once_it_can_be_interpreted_again() -> None:
    table = ask(
        "A 170 alt 0.5\nA 170 ast 0.5",
        AT,
        treatments="patient drug start stop indication\nA immunoglobulin 50 50 other",
    )
    same(table, """
        patient  missing
        A        IgG, days 173–182
    """)  # fmt: skip


def test_who_died_or_was_transplanted_is_not_asked_for() -> None:
    events = "patient day kind\ndead 100 death\ntransplanted 160 transplant\nlater 200 death"
    labs = "dead 60 alt 3\ntransplanted 60 alt 3\nlater 170 alt 0.5\nlater 170 ast 0.5"
    same(ask(labs, AT, events=events), """
        patient       missing             because
        dead          -                   transplant or death by the end of the window: not asked
        later         IgG, days 156–182  IgG missing
        transplanted  -                   transplant or death by the end of the window: not asked
    """)  # fmt: skip


FOLLOWED = "patient start end end_reason end_source\n"


def test_who_was_not_followed_in_the_window_is_not_asked_for() -> None:
    followed = FOLLOWED + "left 0 149 lost visit\nlast_day 0 150 lost visit\nstays 0 800 ongoing visit"
    labs = "left 60 alt 3\nlast_day 60 alt 3\nstays 60 alt 3"
    table = ask(labs, AT, follow_up=followed)
    same(table[table["analyte"].isin(["igg"]) | table["analyte"].isna()].reset_index(drop=True), """
        patient   missing             because
        last_day  IgG, day 150       no result in the window
        left      -                   not followed in the window: not asked
        stays     IgG, days 150–182  no result in the window
    """)  # fmt: skip


def test_nothing_is_asked_for_after_the_end_of_follow_up() -> None:
    followed = FOLLOWED + "A 0 175 lost visit"
    same(ask("A 170 alt 0.5\nA 170 ast 0.5", AT, follow_up=followed), """
        patient  missing
        A        IgG, days 156–175
    """)  # fmt: skip


def test_a_result_whose_sign_leaves_it_open_is_asked_for_again_or_exactly() -> None:
    made = cohort("""
        patient day analyte value comparator
        A 170 alt 50 <
        A 170 ast 20 =
        A 170 igg 8 =
    """)
    table = queries(made)
    same(table[table["endpoint"] == AT], """
        patient  missing            because
        A        ALT, days 171–182  ALT unclear; the exact value with its upper limit would do as well
    """)  # fmt: skip


def test_a_result_whose_sign_decides_is_not_asked_for() -> None:
    made = cohort("patient day analyte value comparator\nA 170 alt 30 <\nA 170 ast 20 =")
    table = queries(made)
    same(table[table["endpoint"] == AT], """
        patient  missing
        A        IgG, days 156–182
    """)  # fmt: skip


def test_a_fall_that_the_sign_of_the_baseline_leaves_open_is_settled_by_a_normal_result() -> None:
    made = cohort("""
        patient day analyte value comparator
        A 0 alt 200 <
        A 0 ast 800 =
        A 25 alt 90 =
        A 25 ast 100 =
    """)
    table = queries(made)
    same(table[table["endpoint"] == FOUR_WEEKS], """
        patient  missing          because
        A        ALT, days 21–24  no complete result in the window
        A        AST, days 21–24  no complete result in the window
    """)  # fmt: skip


def test_a_patient_without_time_zero_is_asked_for_the_date_of_the_first_steroid() -> None:
    made = cohort("patient day analyte xuln\nA 170 alt 0.5", steroid=False)
    same(queries(made), """
        patient  endpoint        missing                                      from_date
        A        every endpoint  date of the first dose of induction steroid  -
    """)  # fmt: skip
    assert EVERY_ENDPOINT == "every endpoint"


def test_rows_stand_by_centre_and_patient_and_no_centre_is_said_so() -> None:
    table = ask(
        "A 170 alt 0.5\nB 170 alt 0.5\nC 170 alt 0.5", AT, patients="patient centre\nA South\nB North\nC -"
    )  # fmt: skip
    same(table.drop_duplicates("patient_id"), """
        centre               patient
        North                B
        South                A
        centre not recorded  C
    """)  # fmt: skip


def test_endpoints_have_the_names_of_the_rates() -> None:
    made = cohort("patient day analyte xuln\nA 5 alt 0.5")
    names = set(derive_response_status(derive_response(made, iaihg()))["endpoint"])
    assert set(queries(made)["endpoint"]) == {FOUR_WEEKS, BY, AT, YEAR} <= names


def test_nothing_gives_an_empty_list() -> None:
    made = Cohort(empty_table("patients"))
    table = queries(made)
    assert table.empty
    assert list(table.dtypes.astype(str))[6:10] == ["datetime64[s]", "datetime64[s]", "Int64", "Int64"]


HARD = """
    patient day analyte value comparator
    partial 160 alt 20 =
    partial 171 ast 20 =
    unclear 150 alt 50 <
    unclear 165 alt 50 <
    unclear 165 ast 20 =
    unclear 172 alt 20 =
    unclear 180 igg 20 <
    spread 152 alt 20 =
    spread 164 ast 20 =
    spread 180 igg 8 =
    no_start 24 alt 15 =
    late 0 alt 800 =
    late 0 ast 800 =
    late 22 alt 900 <
    late 28 ast 100 =
    ivig 175 alt 20 =
    ivig 175 ast 20 =
    ends 150 alt 20 =
    ends 182 ast 20 =
    year 305 alt 20 =
    year 305 ast 20 =
    year 425 alt 20 =
    year 426 ast 20 =
    """


def test_the_promise_a_normal_result_on_any_day_asked_for_makes_the_patient_evaluable() -> None:
    made = cohort(
        HARD,
        treatments="patient drug start stop indication\nivig immunoglobulin 168 170 other\nyear rituximab 10 10 other",
    )
    assert holds(made, iaihg(), EVERY_DAY) >= 20


@pytest.mark.parametrize("name", ["iaihg-2022", "espghan-2018", "rapid-response-8w", "camaro-2024"])
def test_the_promise_holds_for_a_cohort_under_each_kind_of_criteria(name: str) -> None:
    made = simulate_cohort(11, 60)
    assert holds(made, read_definition(name), [0.0, 0.3, 0.5, 1.0]) >= 10


def test_no_result_is_asked_for_in_vain() -> None:
    made = cohort(HARD)
    table = queries(made)
    asked = table[table["analyte"].notna()]
    for analyte in ("alt", "ast", "igg"):
        needed = asked.loc[asked["analyte"] == analyte, ["patient_id", "endpoint"]].drop_duplicates()
        without = asked[asked["analyte"] != analyte].merge(needed, on=["patient_id", "endpoint"])
        assert set(answered(made, without, iaihg(), [0.5])["status"]) == {"not evaluable"}


def test_a_negative_titre_before_treatment_is_not_asked_for_again() -> None:
    titres = "\n".join(f"A -5 {name} 5 640 iif_rodent" for name in ("ana", "sma", "lkm1"))
    made = cohort("patient day analyte value uln method\nA 170 alt 20 40 -\nA 170 ast 20 40 -\n" + titres)
    table = queries(made, read_definition("espghan-2018"))
    same(table[table["endpoint"] == "Remission at 6 months"], """
        patient  missing
        A        IgG, days 156–182
    """)  # fmt: skip


def test_a_titre_is_asked_for_as_far_back_as_the_criteria_allow() -> None:
    labs = "A 170 alt 20 40 -\nA 170 ast 20 40 -\nA 170 igg 8 16 -\nA -5 ana 320 640 iif_rodent"
    labs += "\nA -5 sma 5 640 iif_rodent\nA -5 lkm1 5 640 iif_rodent"
    made = cohort("patient day analyte value uln method\n" + labs)
    table = queries(made, read_definition("espghan-2018"))
    same(table[table["endpoint"] == "Remission at 6 months"], """
        patient  missing           because
        A        ANA, days 50–182  ANA missing
    """)  # fmt: skip


def test_a_confirmation_that_is_missing_is_asked_for() -> None:
    visit = "\n".join(f"A 152 {analyte} 0.5" for analyte in ("alt", "ast", "igg"))
    confirmed = iaihg().choosing(confirmed_after_days=20)
    made = cohort("patient day analyte xuln\n" + visit)
    table = queries(made, confirmed)
    same(table[table["endpoint"] == AT], """
        patient  missing            because
        A        ALT, days 172–182  met, not yet confirmed
        A        AST, days 172–182  met, not yet confirmed
        A        IgG, days 172–182  met, not yet confirmed
    """)  # fmt: skip


def test_queries_of_a_patient_do_not_depend_on_the_others() -> None:
    together = queries(cohort(HARD))
    for patient in ("unclear", "spread", "year"):
        lines = [line for line in HARD.strip().splitlines() if line.split()[0] in ("patient", patient)]
        alone = queries(cohort("\n".join(lines)))
        own = together[together["patient_id"] == patient].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, alone)


def test_nothing_is_changed() -> None:
    made = cohort(HARD)
    before = made.labs.copy()
    queries(made)
    pd.testing.assert_frame_equal(made.labs, before)
