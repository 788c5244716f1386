"""Flares: recurrent, at risk only while in response on treatment (statistics 14)."""

import numpy as np
import pytest

from aih_outcomes.endpoints.course.flares import derive_flares
from aih_outcomes.endpoints.response.response import derive_response
from aih_outcomes.endpoints.rules import Worsening
from aih_outcomes.errors import PlanError
from aih_outcomes.models.survival.recurrent.fit import fit_recurrent
from aih_outcomes.models.survival.recurrent.mean_cumulative import estimate_mean_cumulative
from tests.endpoints.courses import followed, visits
from tests.endpoints.tables import iaihg, same
from tests.endpoints.test_nothing import COHORTS

ONCE = Worsening(term="Flare", above_xuln={"alt": 2.0}, treatment="on")
ANY = ONCE.model_copy(update={"treatment": "any"})


def test_statistics_rule_14_at_risk_again_only_once_response_is_regained() -> None:
    found = derive_flares(
        followed(visits("A 90", "A 200 alt=5", "A 250 alt=4", "A 300", "A 400 alt=5", "A 500", "A 600")), rule=ONCE
    )
    same(found.events, """
        patient day known_at number on_treatment
        A 200 200 1 True
        A 400 400 2 True
    """)  # fmt: skip
    same(found.at_risk, """
        patient entry exit
        A 90 200
        A 300 400
        A 500 600
    """)  # fmt: skip
    same(found.to_counting_process(), """
        patient entry exit event number
        A 90 200 1 1
        A 300 400 1 2
        A 500 600 0 3
    """)  # fmt: skip
    assert found.rate() == pytest.approx(2 / (110 + 100 + 100) * 3652.5)


def test_statistics_rule_14_flares_less_than_28_days_apart_are_one() -> None:
    labs = visits(
        "one 90", "one 200 alt=5", "one 210", "one 227 alt=5", "one 300", "one 400",
        "two 90", "two 200 alt=5", "two 210", "two 228 alt=5", "two 300", "two 400",
    )  # fmt: skip
    found = derive_flares(followed(labs), rule=ONCE)
    same(found.events, """
        patient day number
        one 200 1
        two 200 1
        two 228 2
    """)  # fmt: skip
    same(found.at_risk, """
        patient entry exit
        one 90 200
        one 300 400
        two 90 200
        two 210 228
        two 300 400
    """)  # fmt: skip


def test_statistics_rule_14_only_while_in_response() -> None:
    found = derive_flares(followed(visits("A 30 alt=9", "A 60 alt=9", "B 90", "B 200 alt=3", "B 300 alt=9")), rule=ONCE)
    same(found.events, """
        patient day
        B 200
    """)  # fmt: skip


def test_an_evaluation_that_is_not_evaluable_does_not_regain_response() -> None:
    found = derive_flares(followed(visits("A 90", "A 200 alt=5", "A 300 igg=-", "A 400 alt=5", "A 500")), rule=ONCE)
    assert found.events["day"].tolist() == [200]


def test_a_flare_counts_from_its_first_sample_and_is_known_with_the_second() -> None:
    found = derive_flares(followed(visits("A 90", "A 200 alt=2.5", "A 207 alt=2.5", "A 300")))  # the shipped rule
    same(found.events, """
        patient day known_at
        A 200 207
    """)  # fmt: skip
    assert derive_flares(followed(visits("A 90", "A 200 alt=2.5", "A 300"))).events.empty


def test_withdrawal_stops_the_time_at_risk_and_new_treatment_begins_it_again() -> None:
    drugs = "A prednisolone 0 300 5 planned\nA prednisolone 500 - 5 -"
    labs = visits("A 90", "A 250", "A 350", "A 450", "A 550", "A 600")
    same(derive_flares(followed(labs, drugs=drugs), rule=ONCE).at_risk, """
        patient entry exit
        A 90 301
        A 500 600
    """)  # fmt: skip
    same(derive_flares(followed(labs, drugs=drugs), rule=ANY).at_risk, """
        patient entry exit
        A 90 600
    """)  # fmt: skip


def test_a_sample_tells_of_the_day_before_it() -> None:
    """On the first day without treatment it still belongs to it; where treatment is begun again it does not yet."""
    drugs = "A prednisolone 0 300 5 planned\nA prednisolone 420 - 20 -"
    for day, treated in ((301, True), (302, False), (420, False)):
        found = derive_flares(followed(visits("A 90", "A 250", f"A {day} alt=5"), drugs=drugs), rule=ANY)
        assert found.events["on_treatment"].tolist() == [treated]
    again = visits("A 90", "A 250", "A 310 alt=5", "A 360", "A 421 alt=5")
    assert derive_flares(followed(again, drugs=drugs), rule=ONCE).events["day"].tolist() == [421]


def test_a_flare_in_a_pause_that_was_no_withdrawal_is_one_on_treatment_and_known_when_it_ended() -> None:
    drugs = "A prednisolone 0 300 5 planned\nA prednisolone {} - 20 -"
    labs = visits("A 90", "A 310 alt=5", "A 400", "A 500")
    found = derive_flares(followed(labs, drugs=drugs.format(330)), rule=ONCE)  # 29 days without
    same(found.events, """
        patient day known_at on_treatment
        A 310 330 True
    """)  # fmt: skip
    same(found.at_risk, """
        patient entry exit
        A 90 310
        A 400 500
    """)  # fmt: skip
    assert derive_flares(followed(labs, drugs=drugs.format(331)), rule=ONCE).events.empty


def test_statistics_rule_14_at_risk_only_until_the_criteria_are_no_longer_met() -> None:
    labs = visits(
        "slow 90", "slow 200 alt=1.5", "slow 300 alt=1.4", "slow 400 alt=5",
        "back 90", "back 200 igg=1.2", "back 300", "back 400 alt=5",
        "half 90", "half 200 igg=-", "half 400 alt=5",
    )  # fmt: skip
    found = derive_flares(followed(labs), rule=ONCE)
    same(found.events, """
        patient day number
        back 400 1
        half 400 1
    """)  # fmt: skip
    same(found.at_risk, """
        patient entry exit
        back 90 200
        back 300 400
        half 90 400
        slow 90 200
    """)  # fmt: skip


def test_a_relapse_off_treatment_is_no_flare_on_it_and_ends_response() -> None:
    drugs = "A prednisolone 0 300 5 planned\nA prednisolone 420 - 20 -"
    labs = visits("A 90", "A 250", "A 400 alt=5", "A 430 alt=5", "A 500", "A 600")
    on, any_time = (derive_flares(followed(labs, drugs=drugs), rule=rule) for rule in (ONCE, ANY))
    assert on.events.empty
    same(on.at_risk, """
        patient entry exit
        A 90 301
        A 500 600
    """)  # fmt: skip
    same(any_time.events, """
        patient day on_treatment
        A 400 False
    """)  # fmt: skip


def test_statistics_rule_12_time_at_risk_ends_at_the_last_complete_look() -> None:
    labs = visits("A 90", "A 200", "A 300 alt=-", "dies 90", "dies 200", "unseen 90")
    found = derive_flares(followed(labs, events="patient day kind\ndies 300 death"), rule=ONCE)
    same(found.at_risk, """
        patient entry exit
        A 90 200
        dies 90 200
    """)  # fmt: skip


def test_without_anyone_at_risk_there_is_no_rate() -> None:
    found = derive_flares(followed(visits("A 90 alt=5")), rule=ONCE)
    assert np.isnan(found.rate())
    assert found.to_counting_process().empty


def test_criteria_without_a_rule_of_flares_refuse() -> None:
    with pytest.raises(PlanError, match="no rule of flares"):
        derive_flares(followed(visits("A 90"), definition=iaihg().model_copy(update={"flare": None})))


def observed(labs: str, **others: str):
    outcome = derive_flares(followed(labs, **others), rule=ONCE).to_recurrent_events()
    return outcome, outcome.frame


def test_statistics_rules_12_and_14_observed_watched_and_at_risk_are_three_things() -> None:
    """After the last look on day 600 only life is known: no flare could have been seen, and none is assumed absent."""
    outcome, frame = observed(visits("A 90", "A 200 alt=5", "A 250 alt=4", "A 300", "A 400 alt=5", "A 500", "A 600"))
    same(frame, """
        patient entry exit event at_risk watched
        A 0 90 censored False True
        A 90 200 Flare True True
        A 200 300 censored False True
        A 300 400 Flare True True
        A 400 500 censored False True
        A 500 600 censored True True
        A 600 2000 censored False False
    """)  # fmt: skip
    assert outcome.time_zero == "first dose of induction steroid"
    assert outcome.event.sum() == 2


def test_death_and_transplant_end_the_story_and_come_after_a_flare_of_their_day() -> None:
    labs = visits("dies 90", "dies 200 alt=5", "flares 90", "flares 300 alt=5", "grafted 90", "grafted 400")
    events = "patient day kind\ndies 700 death\nflares 300 death\ngrafted 500 transplant\ngrafted 800 death"
    outcome, frame = observed(labs, events=events)
    same(frame, """
        patient  entry  exit  event  at_risk  watched
        dies  0  90  censored  False  True
        dies  90  200  Flare  True  True
        dies  200  700  Death  False  False
        flares  0  90  censored  False  True
        flares  90  300  Flare  True  True
        flares  300  300.5  Death  False  False
        grafted  0  90  censored  False  True
        grafted  90  400  censored  True  True
        grafted  400  500  Liver transplant  False  False
    """)  # fmt: skip
    assert outcome.terminal == ("Liver transplant", "Death")
    assert outcome.n_half_day == 1


def test_who_was_never_in_response_is_watched_and_not_at_risk() -> None:
    _, frame = observed(visits("A 90 alt=5", "A 300 alt=6"))
    same(frame, """
        patient entry exit event at_risk watched
        A 0 300 censored False True
        A 300 2000 censored False False
    """)  # fmt: skip


def test_statistics_rule_10_flares_before_a_patient_was_first_seen_are_not_counted() -> None:
    labs = visits("A 90", "A 200 alt=5", "A 300", "A 400 alt=5", "A 500")
    outcome, frame = observed(labs, patients="patient first_seen_date\nA 250")
    same(frame, """
        patient entry exit event at_risk watched
        A 250 300 censored False True
        A 300 400 Flare True True
        A 400 500 censored False True
        A 500 2000 censored False False
    """)  # fmt: skip
    assert outcome.entry.min() == 250


def test_who_cannot_be_observed_is_counted_by_reason() -> None:
    labs = visits("A 90", "A 200", "late 90", "late 200")
    outcome, frame = observed(
        labs, patients="patient first_seen_date\nlate 900", events="patient day kind\nlate 600 death"
    )
    assert set(frame["patient_id"]) == {"A"}
    assert outcome.exclusions.to_numpy().tolist() == [["Event or last contact before being first seen", 1, 1]]


def test_every_flare_and_every_day_at_risk_is_handed_over() -> None:
    labs = visits(
        "A 90", "A 200 alt=5", "A 300", "A 360 igg=1.4", "A 400", "A 500 alt=5", "B 90", "B 200", "C 90 alt=9"
    )
    found = derive_flares(followed(labs), rule=ONCE)
    outcome = found.to_recurrent_events()
    assert outcome.event.sum() == len(found.events)
    days = (outcome.exit - outcome.entry)[outcome.at_risk].sum()
    assert days == (found.at_risk["exit"] - found.at_risk["entry"]).sum()
    assert estimate_mean_cumulative(outcome, from_day=0).glance()["n_event"] == 2
    assert fit_recurrent(outcome).cox.not_estimable == "the model has no terms"


@pytest.mark.parametrize("made", COHORTS.values(), ids=COHORTS)
def test_nothing_to_observe_is_an_outcome_without_rows_never_an_error(made) -> None:
    outcome = derive_flares(derive_response(made, iaihg())).to_recurrent_events()
    assert not outcome.event.any()
    assert (outcome.entry < outcome.exit).all()
