"""Where each score comes from, which version it is, and how sure its numbers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Source:
    """A score as printed beside its values.

    Attributes
    ----------
    confidence : as in the catalogue: ``checked`` (against a second published text), ``remembered``, ``unsure``
    checked : what was compared, or what was not found
    """

    score: str
    version: str
    citation: str
    confidence: Literal["checked", "remembered", "unsure"]
    checked: str


OPTN_NOTICE = "OPTN policy 9.1.D, notice of 27 June 2022, in use from 13 July 2023"
SOURCES: dict[str, Source] = {
    "meld": Source(
        "MELD", "UNOS 2002", "Kamath, Hepatology 2001;33:464; Wiesner, Gastroenterology 2003;124:91", "checked",
        "coefficients, bounds 1 and 4 mg/dL, dialysis: two public implementations of OPTN policy 9.1.D",
    ),
    "meld_na": Source(
        "MELD", "MELD-Na 2016", "Kim, NEJM 2008;359:1018 as adopted by OPTN policy 9.1.D", "checked",
        "only above MELD 11, sodium 125 to 137: two public implementations; first day (11 January 2016) remembered",
    ),
    "meld_3_0": Source(
        "MELD", "MELD 3.0", f"Kim, Gastroenterology 2021;161:1887; {OPTN_NOTICE}", "checked",
        "formula, bounds, 7.33 without a sex term under 18: three public implementations that cite the policy",
    ),
    "peld": Source(
        "PELD", "PELD 2002", "McDiarmid, Transplantation 2002;74:173; OPTN policy 9.1.E before 13 July 2023", "checked",
        "coefficients and the floor of 1: two public calculators and R package transplantr",
    ),
    "peld_creatinine": Source(
        "PELD", "PELD Cr 2023", "OPTN policy 9.1.E, Table 9-1, in use from 13 July 2023", "unsure",
        "not found: the coefficients stand only in an image of the policy; no number is shipped, no value is computed",
    ),
    "apri": Source(
        "APRI", "2003", "Wai, Hepatology 2003;38:518", "remembered", "cut-offs of hepatitis C are not shipped",
    ),
    "fib4": Source(
        "FIB-4", "2006", "Sterling, Hepatology 2006;43:1317", "remembered", "cut-offs of hepatitis C are not shipped",
    ),
    "albi": Source(
        "ALBI", "2015", "Johnson, J Clin Oncol 2015;33:550", "checked",
        "grades: R package cliot; coefficients 0.66 and -0.085 remembered",
    ),
    "child_pugh": Source(
        "Child-Pugh", "1973, with INR", "Pugh, Br J Surg 1973;60:646", "checked",
        "cut-offs: MSD Manual 2023; some texts have albumin 30 instead of 28 g/L",
    ),
    "stiffness": Source(
        "Liver stiffness", "kPa", "elastography as recorded", "checked", "no cut-off: 25 kPa is not validated here",
    ),
    "iaihg_pretreatment": Source(
        "IAIHG revised", "1999", "Alvarez, J Hepatol 1999;31:929", "checked",
        "points and cut-offs: PMC8144150, Table 2; lower titres in children remembered",
    ),
    "iaihg_posttreatment": Source(
        "IAIHG revised, after treatment", "1999", "Alvarez, J Hepatol 1999;31:929", "checked",
        "points and cut-offs: PMC8144150, Table 2",
    ),
    "simplified": Source(
        "IAIHG simplified", "2008", "Hennes, Hepatology 2008;48:169", "checked", "points: PMC3530748, Table 2",
    ),
    "espghan_aih": Source(
        "ESPGHAN, AIH", "2018", "Mieli-Vergani, JPGN 2018;66:345", "remembered", "compare with the paper's table",
    ),
    "espghan_asc": Source(
        "ESPGHAN, ASC", "2018", "Mieli-Vergani, JPGN 2018;66:345", "remembered", "compare with the paper's table",
    ),
}  # fmt: skip
