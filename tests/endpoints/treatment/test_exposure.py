"""Exposure over time: rows (entry, exit], each with what was so on its first moment (statistics 11)."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aih_outcomes.cohort import Cohort
from aih_outcomes.endpoints.events.endpoint import derive_time_to_event, read_endpoint
from aih_outcomes.endpoints.treatment.exposure import check_exposure, derive_exposure
from aih_outcomes.errors import OutcomeError, PlanError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.outcomes import TimeToEvent
from tests.endpoints.tables import DAY_0, cohort, same


def made(rows: str, last: int = 100, **others: str) -> Cohort:
    return cohort(
        treatments=f"patient drug dose start stop\n{rows.strip()}",
        follow_up=f"patient start end end_reason end_source\nA 0 {last} ongoing visit",
        **others,
    )


def test_what_begins_on_a_day_counts_after_it_and_what_ends_on_a_day_counts_up_to_the_next() -> None:
    same(derive_exposure(made("A azathioprine 50 10 19"), ["azathioprine"]), """
        patient entry exit azathioprine_current azathioprine_ever azathioprine_dose
        A 0 10 0 0 0
        A 10 20 1 1 50
        A 20 100 0 1 0
    """)  # fmt: skip


def test_amounts_are_those_given_before_the_row() -> None:
    taken = made(
        "A azathioprine 50 10 19\nA azathioprine 75 20 59", measurements="patient day measure value\nA 0 weight 25"
    )
    same(derive_exposure(taken, ["azathioprine"], split_at=(15, 90)), """
        patient entry exit azathioprine_days azathioprine_mg azathioprine_mg_per_kg
        A 0 10 0 0 0
        A 10 15 0 0 0
        A 15 20 5 250 10
        A 20 60 10 500 20
        A 60 90 50 3500 140
        A 90 100 50 3500 140
    """)  # fmt: skip


def test_statistics_rule_11_a_dose_has_the_last_weight_up_to_its_first_day_and_never_a_later_one() -> None:
    # A: 100 mg at 20 kg. B was weighed nearer the dose afterwards: 100 mg at 25 kg. C and D: later, or too long before.
    taken = cohort(
        treatments="""
        patient drug dose start stop
        A azathioprine 100 10 19
        B azathioprine 100 10 19
        C azathioprine 100 10 19
        D azathioprine 100 10 19
    """,
        measurements="""
        patient day measure value
        A 10 weight 20
        B -50 weight 25
        B 11 weight 20
        C 11 weight 20
        D -51 weight 20
    """,
        follow_up="""
        patient start end end_reason end_source
        A 0 30 ongoing visit
        B 0 30 ongoing visit
        C 0 30 ongoing visit
        D 0 30 ongoing visit
    """,
    )
    found = derive_exposure(taken, ["azathioprine"])
    same(found[found["entry"] == 20], """
        patient azathioprine_mg azathioprine_mg_per_kg
        A 1000 50
        B 1000 40
        C 1000 -
        D 1000 -
    """)  # fmt: skip


def test_a_lag_delays_onset_and_amounts_and_a_grace_extends_the_end() -> None:
    taken = made("A azathioprine 50 10 19\nA azathioprine 50 30 39")
    same(derive_exposure(taken, ["azathioprine"], lag_days=5), """
        patient entry exit azathioprine_current azathioprine_ever azathioprine_days
        A 0 10 0 0 0
        A 10 15 0 0 0
        A 15 20 1 1 0
        A 20 30 0 1 5
        A 30 35 0 1 10
        A 35 40 1 1 10
        A 40 100 0 1 15
    """)  # fmt: skip
    same(derive_exposure(taken, ["thiopurine"], grace_days=10), """
        patient entry exit thiopurine_current thiopurine_days
        A 0 10 0 0
        A 10 50 1 0
        A 50 100 0 20
    """)  # fmt: skip


def test_a_change_of_dose_is_no_new_onset_for_a_lag() -> None:
    taken = made("A azathioprine 50 10 19\nA azathioprine 75 20 -")
    found = derive_exposure(taken, ["thiopurine"], lag_days=30)
    assert found[found["thiopurine_current"] == 1]["entry"].tolist() == [40]


def test_a_pause_shorter_than_the_grace_is_bridged() -> None:
    found = derive_exposure(made("A azathioprine 50 10 19\nA azathioprine 50 25 39"), ["thiopurine"], grace_days=5)
    same(found, """
        patient entry exit thiopurine_current
        A 0 10 0
        A 10 45 1
        A 45 100 0
    """)  # fmt: skip


def test_steroid_is_in_prednisolone_and_a_class_without_a_common_measure_has_no_dose() -> None:
    found = derive_exposure(
        made("A methylprednisolone 8 10 19\nA tacrolimus 4 20 -"), ["steroid", "calcineurin_inhibitor"]
    )
    assert "calcineurin_inhibitor_mg" not in found
    taken = cohort(
        treatments="patient drug dose start stop\nA prednisolone 20 0 9\nA methylprednisolone 8 10 19",
        follow_up="patient start end end_reason end_source\nA 0 100 ongoing visit", steroid=False,
    )  # fmt: skip
    same(derive_exposure(taken, ["steroid"]), """
        patient entry exit steroid_dose steroid_mg
        A 0 10 20 0
        A 10 20 10 200
        A 20 100 0 300
    """)  # fmt: skip


def test_amounts_are_unknown_from_the_first_unknown_dose_on() -> None:
    taken = made("A azathioprine 50 10 19\nA azathioprine - 20 29")
    same(derive_exposure(taken, ["azathioprine"]), """
        patient entry azathioprine_current azathioprine_dose azathioprine_days azathioprine_mg
        A 0 0 0 0 0
        A 10 1 50 0 0
        A 20 1 - 10 500
        A 30 0 0 20 -
    """)  # fmt: skip


def test_a_drug_for_another_organ_is_no_exposure_and_one_begun_before_time_zero_is() -> None:
    taken = cohort(
        treatments="patient drug start stop indication\nA infliximab 10 19 ibd\nA azathioprine -20 9 aih",
        follow_up="patient start end end_reason end_source\nA 0 100 ongoing visit",
    )
    same(derive_exposure(taken, ["infliximab", "thiopurine"]), """
        patient entry exit infliximab_ever thiopurine_current thiopurine_days
        A 0 10 0 1 20
        A 10 100 0 0 30
    """)  # fmt: skip


# R 4.2.2, survival 3.5.3. Periods: A 50 mg on days 10 to 19, 25 mg on 20 to 49, 50 mg from 70 on, died on day 100;
# B 75 mg on days 0 to 10, alive on day 60; C 50 mg from day 80 on, died on day 80. tmerge(d, d, id, death =
# event(futime, status)), then current and dose = tdc(time, value, 0), ever = tdc(time), mg = cumtdc(time, value, 0)
# with the amount of each period at the day after its last.
TMERGE = """
    patient entry exit event azathioprine_current azathioprine_ever azathioprine_dose azathioprine_mg
    A 0 10 0 0 0 0 0
    A 10 20 0 1 1 50 0
    A 20 50 0 1 1 25 500
    A 50 70 0 0 1 0 1250
    A 70 100 1 1 1 50 1250
    B 0 11 0 1 1 75 0
    B 11 60 0 0 1 0 825
    C 0 80 1 0 0 0 0
"""


def test_matches_r_tmerge_with_tdc_and_cumtdc() -> None:
    taken = cohort(
        treatments="""
        patient drug dose start stop
        A azathioprine 50 10 19
        A azathioprine 25 20 49
        A azathioprine 50 70 -
        B azathioprine 75 0 10
        C azathioprine 50 80 -
    """,
        events="patient day kind\nA 100 death\nC 80 death",
        follow_up="""
        patient start end end_reason end_source
        A 0 100 death visit
        B 0 60 ongoing visit
        C 0 80 death visit
    """,
    )
    death = derive_time_to_event(taken, read_endpoint("overall-survival"), time_zero="induction")
    split = derive_exposure(taken, ["azathioprine"], outcome=death)
    same(split.frame.assign(event=split.event.astype(int)), TMERGE)
    assert check_exposure(split)["n_rows"].sum() == 0


def followed(events: str = "patient day kind\nA 60 death") -> tuple[Cohort, TimeToEvent]:
    taken = cohort(
        treatments="patient drug dose start stop\nA azathioprine 50 60 -\nB azathioprine 50 20 -",
        events=events,
        follow_up="""
        patient start end end_reason end_source
        A 0 60 death visit
        B 0 90 ongoing visit
        C 0 95 ongoing visit
    """,
    )
    return taken, derive_time_to_event(taken, read_endpoint("overall-survival"), time_zero="induction")


def test_statistics_rule_11_a_change_on_the_day_of_an_event_applies_after_it() -> None:
    taken, death = followed()
    split = derive_exposure(taken, ["thiopurine"], outcome=death).frame
    assert split[split["patient_id"] == "A"]["thiopurine_current"].tolist() == [0]


def test_time_and_events_are_preserved_and_earlier_covariates_kept() -> None:
    taken, death = followed()
    death = replace(death, frame=death.frame.assign(age=[5.0, 6.0, 7.0]), covariates=("age",))
    split = derive_exposure(taken, ["thiopurine"], outcome=death)
    assert (split.exit - split.entry).sum() == (death.exit - death.entry).sum()
    assert split.event.sum() == death.event.sum() == 1
    assert split.covariates == ("age", "thiopurine_current", "thiopurine_ever", "thiopurine_days")
    assert split.frame["age"].tolist() == [5, 6, 6, 7]
    assert "thiopurine_current" not in death.frame  # the outcome given is left as it was


def test_the_split_outcome_enters_a_cox_model() -> None:
    rows = "\n".join(f"P{k} azathioprine 50 20 -" for k in (1, 3, 5, 7))
    ends = "\n".join(f"P{k} 0 {39 - k} ongoing visit" for k in range(1, 9))
    taken = cohort(
        treatments=f"patient drug dose start stop\n{rows}",
        events="patient day kind\nP8 31 death\nP5 34 death",
        follow_up=f"patient start end end_reason end_source\n{ends}",
    )
    death = derive_time_to_event(taken, read_endpoint("overall-survival"), time_zero="induction")
    fit = fit_cox(derive_exposure(taken, ["thiopurine"], outcome=death), covariates=["thiopurine_current"])
    assert np.isfinite(fit.tidy()["estimate"]).all()


def test_an_outcome_on_another_clock_or_of_other_patients_is_refused() -> None:
    taken, death = followed()
    with pytest.raises(OutcomeError, match="clock"):
        derive_exposure(taken, ["thiopurine"], time_zero="diagnosis", outcome=death)
    with pytest.raises(OutcomeError, match="without time zero"):
        derive_exposure(taken.select("A"), ["thiopurine"], outcome=death)
    with pytest.raises(PlanError, match="catalogue"):
        derive_exposure(taken, ["aspirin"])
    with pytest.raises(PlanError, match="negative"):
        derive_exposure(taken, ["thiopurine"], lag_days=-1)


def test_check_exposure_counts_what_is_wrong() -> None:
    rows = pd.DataFrame(
        {
            "patient_id": list("AABBCCDDEE"),
            "entry": [0, 9, 0, 11, 0, 10, 5, 5, 0, 10],
            "exit": [10, 20, 10, 20, 10, 20, 5, 9, 10, 20],
            "event": ["censored"] * 4 + ["Death"] + ["censored"] * 5,
            "x_ever": [0, 0, 0, 0, 0, 0, 0, 0, 1, 0],
            "x_mg": [0, 0, 0, 0, 0, 0, 0, 0, 9, 3],
        }
    )
    same(check_exposure(rows), """
        problem  n_rows  n_patients
        no length  1  1
        overlap  1  1
        gap  1  1
        rows after the event  1  1
        exposure undone  1  1
        amount undone  1  1
    """)  # fmt: skip


def courses(seed: int, until: int = 1000) -> Cohort:
    """Return sixty children's random courses, weighed at random, as they were known on day ``until``."""
    draw = np.random.default_rng(seed)
    start, length, dose = draw.integers(-10, 60, 300), draw.integers(0, 30, 300), 25 * draw.integers(1, 4, 300)
    drug = draw.choice(["azathioprine", "mycophenolate"], 300)
    rows = [
        f"P{k % 60:02d} {drug[k]} {dose[k]} {start[k]} {'-' if start[k] + length[k] >= until else start[k] + length[k]}"
        for k in range(300)
        if start[k] < until
    ]
    children = [f"P{k:02d}" for k in range(60)]
    weighed, weight = draw.integers(-20, 80, 240), draw.integers(10, 60, 240)
    weights = [f"P{k % 60:02d} {weighed[k]} weight {weight[k]}" for k in range(240) if weighed[k] < until]
    return cohort(
        treatments="patient drug dose start stop\n" + "\n".join(rows),
        measurements="\n".join(["patient day measure value", *weights]),
        follow_up="patient start end end_reason end_source\n"
        + "\n".join(f"{child} 0 100 ongoing visit" for child in children),
    )


@pytest.mark.parametrize(("seed", "lag", "grace"), [(1, 0, 0), (2, 10, 0), (3, 0, 10), (4, 5, 7)])
def test_rows_neither_overlap_nor_leave_a_gap_and_cover_all_follow_up(seed: int, lag: int, grace: int) -> None:
    found = derive_exposure(courses(seed), ["thiopurine", "mycophenolate"], lag_days=lag, grace_days=grace)
    assert check_exposure(found)["n_rows"].sum() == 0
    assert (found["exit"] - found["entry"]).sum() == 60 * 100


@pytest.mark.parametrize("day", [1, 5, 20, 40, 70])
def test_a_row_uses_nothing_after_its_entry(day: int) -> None:
    asked = ["azathioprine", "mycophenolate"]
    found = [
        derive_exposure(courses(day, until), asked, split_at=(day,), lag_days=day % 4) for until in (1000, day)
    ]  # fmt: skip
    assert found[0]["azathioprine_mg_per_kg"].gt(0).any()
    before = [rows[rows["entry"] < day].drop(columns="exit").reset_index(drop=True) for rows in found]
    pd.testing.assert_frame_equal(*before)


def test_days_and_mg_are_those_counted_day_by_day() -> None:
    taken = courses(9)
    rows = taken.treatments[taken.treatments["drug"] == "azathioprine"]
    days = pd.date_range("2019-12-01", "2020-04-30")
    given = [rows[(rows["start"] <= day) & (rows["stop"] >= day)].groupby("patient_id")["dose"].sum() for day in days]
    by_day = pd.concat(given, axis=1, keys=days).reindex(taken.patients["patient_id"]).fillna(0.0)
    found = derive_exposure(taken, ["mycophenolate", "azathioprine"], split_at=(33, 77))
    for entry in (0, 33, 77):
        row = found[found["entry"] == entry].set_index("patient_id")
        before = by_day.loc[:, by_day.columns < DAY_0 + pd.Timedelta(days=entry)]
        np.testing.assert_array_equal(row["azathioprine_days"], (before > 0).sum(axis=1))
        handed_over = row["azathioprine_mg"] <= before.sum(axis=1)  # a day of hand-over is counted twice day by day
        assert handed_over.all()


def test_mg_per_kg_of_a_child_who_does_not_grow_is_mg_by_its_weight() -> None:
    taken = courses(9)
    early = pd.DataFrame({"patient_id": taken.patients["patient_id"], "measure": "weight", "value": 25.0})
    twice = [early.assign(date=DAY_0 + pd.Timedelta(days=day)) for day in (-20, 30)]
    same_weight = Cohort(**taken.tables() | {"measurements": pd.concat(twice, ignore_index=True)})
    row = derive_exposure(same_weight, ["azathioprine"], split_at=(33, 77))
    assert row["azathioprine_mg"].gt(0).any()
    np.testing.assert_allclose(row["azathioprine_mg_per_kg"] * 25, row["azathioprine_mg"])


def test_nobody_and_nobody_followed_give_no_rows() -> None:
    nobody = Cohort(pd.DataFrame({"patient_id": pd.Series(dtype="string")}))
    assert derive_exposure(nobody, ["steroid"]).empty
    assert derive_exposure(cohort(patients="patient sex\nA female"), ["steroid"]).empty
    assert check_exposure(derive_exposure(nobody, ["steroid"]))["n_rows"].sum() == 0
