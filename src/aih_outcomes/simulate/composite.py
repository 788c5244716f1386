"""One invented child, inspired by published ones and like none of them: not a published patient; not dosing advice.

Type 2 disease, a STAT1 gain-of-function variant without its HGVS name, no centre, no sex, no date of birth, an age of
her own, and no dose of the matched drug: when it began, nothing more. Every number here is invented (project).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.simulate.course import Levels
from aih_outcomes.simulate.results import draw_noise
from aih_outcomes.simulate.streams import open_stream
from aih_outcomes.units import canonical_units

Floats = NDArray[np.float64]

COMPOSITE_CHILD = "AIH-0000"
DIAGNOSED = np.datetime64("2019-03-04", "D")
AGE_AT_DIAGNOSIS = 8.5
LAST_SEEN = 2250  # days since the first dose of prednisolone, which is the day of diagnosis
SWITCH, GENE_RESULT = 561, 533

# day, what ALT moves towards (U/L), half-life (days): prednisolone fails; azathioprine; mycophenolate from day 126;
# three relapses as prednisolone is lowered (found on days 203, 340, 519); the matched drug from day 561
STRETCHES = (
    (0, 760, 14), (42, 520, 25), (126, 90, 16), (182, 640, 7), (203, 75, 13), (315, 720, 8), (340, 95, 14),
    (495, 810, 8), (519, 330, 14), (SWITCH, 24, 17),
)  # fmt: skip
BASELINE = {"alt": 1180.0, "ast": 1290.0, "igg": 19.4}
LIMITS = {"alt": 40.0, "ast": 40.0, "igg": 16.1, "bilirubin": 21.0, "albumin": 50.0, "inr": 1.2, "platelets": 400.0,
          "creatinine": 80.0, "sodium": 145.0}  # fmt: skip
DECIMALS = {"alt": 0, "ast": 0, "igg": 1, "bilirubin": 0, "albumin": 0, "inr": 1, "platelets": 0,
            "creatinine": 0, "sodium": 0}  # fmt: skip
VISITS = (
    -1, 7, 14, 21, 28, 42, 56, 70, 84, 105, 126, 140, 154, 182, 203, 210, 217, 231, 252, 280, 308, 328, 340, 347, 356,
    370, 398, 426, 454, 482, 505, 519, 526, 540, 554, 561, 568, 582, 596, 617, 645, 680, 722, 764, 806, 860, 940,
    1030, 1120, 1220, 1320, 1440, 1560, 1690, 1820, 1960, 2100, 2250,
)  # fmt: skip
# day on which a dose of prednisolone begins (mg/day); it ends where the next begins; 0 is none
PREDNISOLONE = (
    (0, 55), (28, 50), (42, 40), (63, 30), (84, 20), (126, 15), (154, 10), (203, 50), (217, 35), (238, 20), (266, 12.5),
    (301, 7.5), (340, 50), (356, 35), (384, 20), (426, 12.5), (468, 10), (519, 40), (540, 30), (SWITCH, 20), (582, 15),
    (603, 10), (631, 7.5), (673, 5), (735, 2.5), (820, 0),
)  # fmt: skip
LINES = (
    ("azathioprine", 42, 126, "inefficacy"),
    ("mycophenolate", 126, 980, "planned"),
    ("baricitinib", SWITCH, None, None),
)
# day, activity index, Ishak stage, fit, interface hepatitis, lymphoplasmacytic, rosettes
BIOPSIES = (
    (0, 12, 2, "typical", True, True, False), (333, 9, 3, "compatible", True, False, False),
    (1150, 3, 2, None, False, False, False),
)  # fmt: skip
SIZES = (
    (0, 27.5, 129.0), (91, 30.0, 129.7), (182, 31.0, 130.5), (273, 32.0, 131.3), (365, 33.5, 132.0), (460, 35.0, 132.8),
    (SWITCH, 35.5, 133.5), (650, 35.8, 135.5), (745, 36.0, 138.0), (850, 37.5, 140.0), (1120, 40.5, 145.0),
    (1560, 48.0, 155.5), (2100, 53.5, 162.0),
)  # day, kg, cm  # fmt: skip


def composite_tables(seed: int) -> dict[str, pd.DataFrame]:
    """Return the tables of the composite child; only the last digits of the results depend on ``seed``."""
    tables = {
        "patients": pd.DataFrame([{
            "sex": "unknown", "age_at_diagnosis": AGE_AT_DIAGNOSIS, "diagnosis_date": DIAGNOSED,
            "first_seen_date": DIAGNOSED, "diagnosis": "aih", "aih_type": "type_2", "asc_at_baseline": "normal",
            "presentation": "acute", "cirrhosis_at_diagnosis": False, "ibd": False, "documented_non_adherence": False,
            "viral_hepatitis": "negative", "hepatotoxic_drugs": False, "other_causes_excluded": True,
            "autoimmune_disease": False, "ama_positive": False, "sla_positive": False, "lc1_positive": False,
        }]),
        "labs": _labs(seed),
        "treatments": pd.concat([_prednisolone(), _lines()], ignore_index=True),
        "events": pd.DataFrame({"date": _date([203, 340, 519]), "kind": "relapse_diagnosed"}),
        "biopsies": pd.DataFrame(
            [{"date": _date([day])[0], "hai": hai, "ishak_fibrosis": stage, "adequate": True, "aih_likelihood": fit,
              "interface_hepatitis": interface, "lymphoplasmacytic": plasma, "rosettes": rosettes,
              "biliary_changes": False, "other_changes": False}
             for day, hai, stage, fit, interface, plasma, rosettes in BIOPSIES]
        ),
        "imaging": pd.DataFrame({"date": _date([9, 900]), "modality": "mrcp", "finding": "normal"}),
        "measurements": pd.DataFrame([
            {"date": _date([day])[0], "measure": measure, "value": value}
            for day, weight, height in SIZES for measure, value in (("weight", weight), ("height", height))
        ]),
        "variants": pd.DataFrame([{
            "date": _date([GENE_RESULT])[0], "result": "variant", "gene": "STAT1", "mechanism": "gain_of_function",
            "zygosity": "heterozygous", "acmg_class": 5, "mechanism_confirmed": True,
        }]),
        "adverse_events": pd.DataFrame([
            {"date": _date([day])[0], "kind": kind, "grade": 2, "serious": False, "related_drug": drug}
            for day, kind, drug in ((90, "cushingoid", "prednisolone"), (640, "infection", "baricitinib"))
        ]),
        "follow_up": pd.DataFrame([{
            "start": DIAGNOSED, "end": _date([LAST_SEEN])[0], "end_reason": "ongoing", "end_source": "visit",
        }]),
    }  # fmt: skip
    return {name: table.assign(patient_id=COMPOSITE_CHILD) for name, table in tables.items()}


def _date(days: list[int]) -> NDArray[np.datetime64]:
    return DIAGNOSED + np.array(days, dtype=np.int64)


def _levels(baseline: float, factor: float, floor: float, half_life: float) -> Levels:
    """Return a course along ``STRETCHES``: ALT itself, or another analyte that follows it."""
    start, target, half = (np.array([[row[j] for row in STRETCHES]], dtype=float) for j in range(3))
    goal, half = np.maximum(target * factor, floor), half * half_life
    begin = np.full(start.shape, baseline)
    for k in range(1, start.shape[1]):
        fallen = np.exp2(-(start[0, k] - start[0, k - 1]) / half[0, k - 1])
        begin[0, k] = goal[0, k - 1] + (begin[0, k - 1] - goal[0, k - 1]) * fallen
    return Levels(start, begin, goal, half)


def _labs(seed: int) -> pd.DataFrame:
    rng = open_stream("composite", seed)
    day = np.array([VISITS], dtype=float)
    alt = _levels(BASELINE["alt"], 1.0, 0.0, 1.0).at(day)
    active = np.clip(np.log(alt / 24) / np.log(1180 / 24), 0, 1)
    values = {
        "alt": alt, "ast": _levels(BASELINE["ast"], 1.08, 26.0, 0.9).at(day), "igg": 10.6 + 8.8 * active,
        "bilirubin": 8 * np.exp(2.1 * active**2), "albumin": 43 - 9 * active**1.5, "inr": 1.0 + 0.3 * active**2,
        "platelets": 290 - 70 * active, "creatinine": 41 + 0.004 * day, "sodium": 139.5 + 0 * day,
    }  # fmt: skip
    noise = {"alt": 0.10, "ast": 0.09, "igg": 0.04, "bilirubin": 0.15, "albumin": 0.03, "inr": 0.03, "platelets": 0.07,
             "creatinine": 0.05, "sodium": 0.008}  # fmt: skip
    parts = []
    for name, value in values.items():
        printed = np.round(value * np.exp(noise[name] * draw_noise(rng, day, 20.0)), DECIMALS[name])[0]
        text = [f"{number:.{DECIMALS[name]}f}" for number in printed]
        kept = (
            np.ones(len(text), bool)
            if name in ("alt", "ast")
            else rng.random(len(text)) < (0.8 if name == "igg" else 0.5)
        )
        parts.append(pd.DataFrame({
            "date": _date(list(VISITS)), "analyte": name, "value": printed, "unit": canonical_units()[name],
            "comparator": "=", "raw_value": text, "raw_unit": canonical_units()[name], "uln": LIMITS[name],
            "uln_source": "age_sex_table" if name == "igg" else "fixed",
            "visit": np.where(np.isin(VISITS, (203, 210, 340, 347, 519, 526)), "unscheduled", "scheduled"),
        })[kept])  # fmt: skip
    titre = pd.DataFrame({"date": _date([-1, 561, 1440]), "analyte": "lkm1", "value": [1280.0, 640.0, 80.0],
                          "unit": "{titer}", "comparator": "=", "raw_value": ["1:1280", "1:640", "1:80"],
                          "raw_unit": "titre", "uln_source": "none", "visit": "scheduled",
                          "method": "iif_rodent"})  # fmt: skip
    return pd.concat([*parts, titre], ignore_index=True).sort_values(["date", "analyte"], kind="stable")


def _prednisolone() -> pd.DataFrame:
    days = [row[0] for row in PREDNISOLONE]
    given = [row[1] for row in PREDNISOLONE][:-1]
    return pd.DataFrame({
        "drug": "prednisolone", "route": "oral", "dose": given, "raw_dose": [f"{dose:g}" for dose in given],
        "raw_dose_unit": "mg/day", "start": _date(days[:-1]), "stop": _date([day - 1 for day in days[1:]]),
        "indication": "aih", "reason_stopped": "planned",
    })  # fmt: skip


def _lines() -> pd.DataFrame:
    """Return the other drugs: start and stop, and no dose at all."""
    rows = [
        {"drug": drug, "route": "oral", "start": _date([start])[0], "indication": "aih", "reason_stopped": why,
         "stop": np.datetime64("NaT", "D") if stop is None else _date([stop - 1])[0]}
        for drug, start, stop, why in LINES
    ]  # fmt: skip
    return pd.DataFrame(rows)
