"""Every number of the simulator, each with its source beside it.

Sources: 5.3 and 5.1 are sections of the clinical reference (published paediatric cohorts); "project" is a choice of
this project without a published value; "calibrated" was moved until the targets of ``calibration.py`` held.
"""

from dataclasses import dataclass
from typing import Literal

Quantiles = tuple[tuple[float, ...], tuple[float, ...]]  # probabilities, values
Spread = tuple[float, float]  # median, standard deviation of the logarithm
Range = tuple[float, float]  # uniform between

ResponseEffect = Literal["default", "none"]
TargetedEffect = Literal["default", "none"]
Hazard = Literal["default", "high"]
Severity = Literal["on", "off"]
Strategy = Literal["as treated", "matched", "usual"]
IggMissing = Literal["mcar", "mar", "mnar"]

DAYS_PER_YEAR = 365.25
ADMINISTRATIVE_END = "2025-12-31"  # project: data are frozen on this day
EPOCH = "2000-01-01"  # 5.3: diagnoses from 2000 to 2025


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """The switches of the simulator, in words.

    Attributes
    ----------
    response_effect : ``default``: transplant and death are likelier out of response, in non-responders and after a
        relapse; ``none``: the null cohort, where they are independent of response (its hazards are the same for all)
    targeted_effect : ``default``: the gene-matched drug works; ``none``: the no-effect cohort, where it adds nothing to
        the steroid course given alongside
    hazard : ``high`` multiplies every hazard, so that small cohorts have events to count
    severity : ``on``: an unmeasured severity makes failing livers worse, and a switch likelier
    """

    response_effect: ResponseEffect = "default"
    targeted_effect: TargetedEffect = "default"
    hazard: Hazard = "default"
    severity: Severity = "on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Parameters of the paediatric default; times in days, doses in mg/kg/day, limits in the canonical unit."""

    # --- who they are
    female: float = 0.62  # 5.3
    female_type_2: float = 0.75  # Gregorio 1997
    # type 1, 2, seronegative, unclassified; 5.3 gives 70, 13, 5; the rest is taken as type 1 and unclassified: project
    types: tuple[float, ...] = (0.79, 0.13, 0.05, 0.03)
    asc: float = 0.20  # 5.3: 12–30 %; independent of type (clinic.md 24) and of response: project
    age_quantiles: Quantiles = ((0, 0.1, 0.25, 0.5, 0.75, 0.9, 1), (1, 3.8, 7.5, 11.9, 14.2, 15.6, 17.5))  # 5.3
    age_quantiles_type_2: Quantiles = ((0, 0.1, 0.25, 0.5, 0.75, 0.9, 1), (1, 2, 3.6, 6.5, 10.3, 13.5, 17))  # 5.3
    liver_failure: float = 0.06  # 5.3
    complication: float = 0.04  # 5.3
    incidental: float = 0.03  # project
    acute: float = 0.50  # 5.3; likelier with a high ALT: project
    acute_per_log_alt: float = 0.9  # project: log odds
    cirrhosis: float = 0.30  # 5.3
    ibd: float = 0.075  # without ASC, so that 15 % have IBD over all; 5.3
    ibd_asc: float = 0.45  # 5.3
    other_diagnoses: tuple[float, ...] = (0.010, 0.006, 0.012)  # giant-cell + AIHA, de novo, drug-induced: project
    persistent_inr: float = 0.04  # without cirrhosis; project
    persistent_inr_cirrhosis: float = 0.16  # project
    non_adherent: float = 0.10  # documented; project
    non_adherent_teenager: float = 0.18  # from age 12 at diagnosis; project
    referred: float = 0.40  # 5.3
    referral_delay: Spread = (122.0, 0.9)  # median 4 months; 5.3; spread: project
    letter_with_results: float = 0.7  # referred with their earlier results; project
    start_lag: int = 10  # treatment begins 0 to 10 days after diagnosis; project
    diagnosis_skew: float = 0.8  # below 1: more children were diagnosed lately than long ago; project
    diagnosis_days: int = 9436  # diagnoses from 2000-01-01 to 2025-10-31; 5.3

    # --- baseline (median, sd of log = log(q3/q1)/1.349); 5.3
    alt: Spread = (550.0, 1.264)
    ast_per_alt: Spread = (1.08, 0.30)
    alt_between: Range = (120.0, 6000.0)  # project: AIH is not diagnosed with normal ALT
    igg: Spread = (22.4, 0.40)
    igg_type_2: Spread = (17.0, 0.36)
    igg_young: float = 0.86  # IgG of children under 6 relative to older ones; project
    bilirubin: Spread = (50.0, 1.46)
    albumin: tuple[float, float] = (36.0, 5.5)  # mean, sd; IQR 31–40
    ggt: Spread = (90.0, 0.80)
    ggt_asc: Spread = (150.0, 0.80)
    inr: Spread = (1.22, 0.20)
    inr_liver_failure: Spread = (2.4, 0.25)  # PALF: INR ≥ 2.0, or ≥ 1.5 with encephalopathy (clinic.md 19)
    platelets: Spread = (235.0, 0.45)
    platelets_cirrhosis: Spread = (150.0, 0.45)

    # --- ALT course: P + (B − P) · 2^(−t/h); statistics.md, last section
    classes: tuple[float, ...] = (0.65, 0.25, 0.10)  # rapid, slow, non-responder
    # slow: 25 days would make 22 % non-responders at 4 weeks (2^(−28/25) = 0.46 above the plateau): calibrated to 8–12
    half_life: tuple[float, ...] = (13.0, 18.0, 13.0)
    half_life_spread: float = 0.12  # project: sd of log
    non_responder_plateau: Range = (0.55, 0.90)  # of the baseline, early
    failure_plain: Range = (42.0, 70.0)  # day on which non-response is plain; project
    failing_xuln: Range = (3.0, 6.0)  # later
    failing_half_life: float = 30.0  # project
    low_grade_share: tuple[float, ...] = (0.54, 0.66, 0.0)  # keep low-grade activity after induction; calibrated to CBR
    low_grade: Spread = (1.5, 0.25)  # × ULN; calibrated
    low_grade_at_most: float = 0.14  # of the first ALT: project
    low_grade_until: Spread = (370.0, 0.60)  # calibrated to CBR at 12 months
    settled_early: Range = (60.0, 120.0)  # the others are in response from here; project
    quiet: Spread = (0.50, 0.20)  # × ULN in response; calibrated
    never_quiet: float = 0.03  # of responders keep a smouldering disease; calibrated to "normal ever 93–95 %"
    smouldering_xuln: Range = (1.5, 2.5)  # project
    ast_ratio_spread: float = 0.12  # AST × ULN relative to ALT × ULN; project
    ast_half_life: float = 0.85  # AST falls faster than ALT; project
    igg_half_life: float = 30.0  # 5.3: 25–35
    igg_early: Spread = (0.93, 0.19)  # × ULN until settled; calibrated to CBR
    igg_quiet: Spread = (0.73, 0.12)  # × ULN; calibrated
    igg_failing: float = 1.25  # × ULN; project
    igg_flare: float = 1.15  # × ULN; project

    # --- flares and withdrawal
    flare_rate: float = 0.13  # per year in response on treatment; calibrated to 1.4 per 10 patient-years
    frailty_variance: float = 2.5  # gamma; project (clinic.md 24)
    flare_non_adherent: float = 2.0  # project: ratio
    flare_gap: float = 90.0  # after a treated flare; project
    flare_xuln: Spread = (6.0, 0.55)  # project
    flare_rise: float = 4.0  # half-life of the rise; project
    flare_found: Range = (8.0, 24.0)  # from onset to treatment; 5.3: rescue within 14 days of the flare
    flare_half_life: float = 14.0  # project
    withdrawal_share: float = 0.40  # of those who come to that day in response; Maggiore 2023: 24 of 117 off for good
    withdrawal_after: Range = (1100.0, 2400.0)  # after ≥ 3 years; ESPGHAN 2018
    flare_rate_off: float = 0.50  # per year off treatment: 60–80 % relapse within 3 years; 5.3
    safe_after: float = 1460.0  # off treatment without a flare for so long: none comes; project

    # --- inborn errors of immunity and the gene-matched drug (effect set by us)
    iei_non_responder: float = 0.13  # 5.3: 10–15 %
    iei_responder: float = 0.016  # so that 2–3 % of all have one; 5.3
    iei_frailty: float = 8.0  # flares of carriers who respond; project
    panel_from: Range = (5300.0, 6200.0)  # gene panels reach a centre between mid-2014 and 2016; project
    panel_lag: Range = (45.0, 200.0)  # from the second treatment or flare to the result; project
    panel_difficult: float = 0.85  # tested once difficult; project
    panel_other: float = 0.06  # tested otherwise; project
    vus: float = 0.09  # of negative panels; project
    switch_intercept: float = 1.6  # log odds of a switch when eligible and the gene is known; project
    switch_per_severity: float = 0.5  # project
    switch_per_peak: float = 0.8  # per sd of the noise at the peak; project
    switch_per_failure: float = 0.4  # 5.3: targeted drug given in proportion to prior failures
    matched_response: float = 0.80  # assumption, 5.3
    matched_half_life: float = 17.0  # 5.3: 15–20
    matched_flare_ratio: float = 0.15  # flares on the matched drug; project
    usual_response_iei: float = 0.20  # any conventional agent in carriers; project
    peak: tuple[float, float] = (0.8, 0.6)  # noise at a decision, in sd: 0.8 + exponential(0.6); project

    # --- treatment lines
    second_line_wait: Range = (25.0, 110.0)  # from failure to the second line; project
    next_line_wait: Range = (120.0, 240.0)  # project
    last_line_wait: Range = (400.0, 900.0)  # from the fourth decision on; project
    mycophenolate_first: float = 0.75  # of second lines; the rest a calcineurin inhibitor; project
    mycophenolate_response: float = 0.45  # 5.3: 40–55 %
    cni_response: float = 0.62  # 5.3: 50–80 %
    empirical: float = 0.35  # of later decisions; project
    empirical_response: float = 0.55  # 5.3: 50–60 %
    response_per_severity: float = -0.4  # log odds; project
    failing_per_severity: float = 0.15  # log × ULN; project
    line_half_life: float = 30.0  # project
    burst_effect: float = 0.5  # ALT target on a steroid course without another response; project
    burst_days: float = 56.0  # project
    insufficient_second_line: float = 0.20  # of slow responders; project
    intolerance: float = 0.04  # azathioprine → mycophenolate; project
    azathioprine: float = 0.82  # Scotland: 79 %

    # --- hazards per year: bands from day 0, 183, 1826, 3653, 5479; calibrated to native-liver survival 95/88/83 %
    hazard_knots: tuple[float, ...] = (0.0, 183.0, 1826.0, 3653.0, 5479.0, 20000.0)
    transplant_hazard: tuple[float, ...] = (0.0003, 0.0010, 0.0027, 0.0021, 0.0022)
    liver_death_share: float = 0.055  # of the transplant hazard; calibrated to 10 transplants per death
    other_death: float = 0.0004  # per year; project
    failure_transplant: float = 0.38  # of acute liver failures, within failure_days; project
    failure_death: float = 0.03  # project
    failure_days: float = 75.0  # project
    death_after_transplant: float = 0.030  # per year: 86 % alive at 5 years (SPLIT 2011)
    ratio_asc: float = 2.5  # 5.3
    ratio_inr: float = 4.0  # 5.3
    ratio_referred: float = 1.6  # 5.3 "with worse prognosis"; size: project
    ratio_relapsed: float = 2.0  # 5.3; 1 in the null cohort
    ratio_no_response: float = 2.0  # now out of response: project; 1 in the null cohort
    # response later than 6 months, or never: Biewenga 2022 has 2.1 to 2.6 (adults); 1 in the null cohort
    ratio_late_response: float = 2.5
    late_response: float = 182.0
    ratio_non_responder: float = 1.5  # project; 1 in the null cohort
    # the null cohort's: more of it in the first half-year, so that the biased comparison is far off; project
    null_transplant_hazard: tuple[float, ...] = (0.0100, 0.0017, 0.0068, 0.0056, 0.0058)
    high_hazard: float = 5.0  # project

    # --- follow-up
    transfer_age: Range = (16.0, 18.5)  # 5.3
    transfer_earliest: float = 365.0  # nobody is transferred in the first year; project
    lost_per_year: float = 0.012  # project
    withdrawn_share: float = 0.15  # of those lost who withdrew consent; project

    # --- visits and results
    early_visits: tuple[int, ...] = (0, 7, 14, 21, 28, 42, 56, 84)  # 5.3
    quarterly_until: int = 730  # 5.3
    later_every: Range = (122.0, 183.0)  # 4–6-monthly; 5.3
    missed: float = 0.15  # 5.3
    noise_correlation_days: float = 30.0  # project
    cv_alt: float = 0.17  # 5.3: 10–24 %
    cv_ast: float = 0.11  # 5.3
    alt_ast_correlation: float = 0.5  # project
    cv_igg: float = 0.045  # 5.3
    cv_other: tuple[float, ...] = (
        0.22,
        0.10,
        0.035,
        0.03,
        0.08,
    )  # bilirubin, GGT, albumin, INR, platelets; 5.3, project
    igg_missing: float = 0.35  # 5.3
    igg_missing_first: float = 0.08  # project
    ast_missing: float = 0.10  # 5.3
    inr_missing: float = 0.40  # 5.3
    other_missing: tuple[float, ...] = (
        0.10,
        0.35,
        0.35,
        0.40,
        0.45,
    )  # bilirubin, GGT, albumin, INR, platelets; project
    # logit of a missing IgG: intercept, slope on log(ALT × ULN) (MAR) or log(IgG × ULN) (MNAR); mean 35 %: calibrated
    igg_mar: tuple[float, float] = (-0.53, -0.45)
    igg_mnar: tuple[float, float] = (-0.95, -2.2)

    # --- steroid: (day, mg/kg/day) of a course; 5.3: 2 mg/kg (max 60) → 0.2 by week 8 → 0.1 by month 6
    steroid_max: float = 60.0
    taper_rapid: tuple[Spread, ...] = (
        (0, 2),
        (14, 1.5),
        (21, 1),
        (28, 0.7),
        (35, 0.5),
        (42, 0.35),
        (56, 0.2),
        (182, 0.1),
    )
    taper_slow: tuple[Spread, ...] = (
        (0, 2),
        (21, 1.5),
        (28, 1.2),
        (42, 0.8),
        (56, 0.5),
        (84, 0.3),
        (120, 0.2),
        (240, 0.1),
    )
    taper_failing: tuple[Spread, ...] = ((0, 2), (28, 1.5), (42, 1.2), (56, 1), (84, 0.7), (120, 0.5), (180, 0.35))
    taper_burst: tuple[Spread, ...] = ((0, 1), (14, 0.75), (21, 0.5), (28, 0.35), (42, 0.25), (56, 0.15), (120, 0.1))
    steroid_stopped: float = 0.62  # of courses that end in response; calibrated to 30 % steroid-free at 2 years
    steroid_stopped_after: Spread = (410.0, 0.55)  # calibrated


DEFAULT = Parameters()
