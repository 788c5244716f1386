"""Who the children are: everything that is settled on the day treatment begins.

What bears on transplant and death in the null cohort (ASC, persistent INR, referral, liver failure) is drawn
independently of what bears on response (class, type, baseline ALT and IgG). Only so is the null exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_reference_limits
from aih_outcomes.simulate.laboratories import CENTRES, limits_of
from aih_outcomes.simulate.parameters import Parameters, Quantiles
from aih_outcomes.simulate.streams import draw_lognormal, open_stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

TYPES = ("type_1", "type_2", "seronegative", "unclassified")
PRESENTATIONS = ("acute", "insidious", "acute_liver_failure", "complication", "incidental")
DIAGNOSES = ("aih", "giant_cell_hepatitis_aiha", "de_novo_aih", "drug_induced_aih_like")
RAPID, SLOW, NON_RESPONDER = range(3)
TYPE_2, LIVER_FAILURE = 1, 2

# gene, mechanism, zygosity, share among carriers (project); the last two have no match in the catalogue
GENES: tuple[tuple[str, str, str, float], ...] = (
    ("STAT1", "gain_of_function", "heterozygous", 0.20),
    ("STAT3", "gain_of_function", "heterozygous", 0.15),
    ("CTLA4", "loss_of_function", "heterozygous", 0.20),
    ("LRBA", "loss_of_function", "homozygous", 0.08),
    ("LRBA", "loss_of_function", "compound_heterozygous", 0.05),
    ("SOCS1", "loss_of_function", "heterozygous", 0.07),
    ("PIK3CD", "gain_of_function", "heterozygous", 0.16),
    ("AIRE", "loss_of_function", "homozygous", 0.05),
    ("TNFAIP3", "loss_of_function", "heterozygous", 0.04),
)
N_MATCHED_GENES = 7


@dataclass(frozen=True, slots=True, eq=False)
class Children:
    """One entry per child in each array, all of shape (n,); codes index the tuples of this module."""

    diagnosis: Ints  # days since EPOCH
    lag: Ints  # days from diagnosis to the first induction dose, which is day 0
    female: Flags
    age: Floats  # years at diagnosis
    centre: Ints
    type: Ints
    disease: Ints
    asc: Flags
    presentation: Ints
    cirrhosis: Flags
    ibd: Flags
    persistent_inr: Flags
    non_adherent: Flags
    referred: Flags
    referral_delay: Ints  # days from diagnosis to first seen; 0 where not referred
    response_class: Ints
    gene: Ints  # −1: none
    severity: Floats  # unmeasured, standard normal
    frailty: Floats  # of flares, mean 1
    alt: Floats  # U/L at day 0
    ast: Floats
    igg: Floats  # g/L
    alt_uln: Floats
    ast_uln: Floats
    igg_uln: Floats  # at diagnosis; it changes with age

    @property
    def n(self) -> int:
        """Number of children."""
        return len(self.age)


def igg_limit(age: Floats) -> Floats:
    """Return the upper limit of IgG (g/L) at each age (years), from the catalogue's UK table."""
    table = read_reference_limits()
    table = table[(table["analyte"] == "igg") & (table["table"] == "uk-pru")].sort_values("age_from_years")
    band = np.searchsorted(table["age_from_years"].to_numpy(float), age, side="right") - 1
    return np.asarray(table["upper"].to_numpy(float)[np.clip(band, 0, None)])


def _quantile(table: Quantiles, probability: Floats) -> Floats:
    return np.interp(probability, table[0], table[1])


def _pick(shares: tuple[float, ...], probability: Floats) -> Ints:
    """Return the index of the share that each probability falls into; the last takes what is left."""
    return np.searchsorted(np.cumsum(shares)[:-1], probability, side="right").astype(np.int64)


def draw_children(seed: int, n: int, p: Parameters, *, chunk: int = 0, carriers_only: bool = False) -> Children:
    """Draw ``n`` children.

    Parameters
    ----------
    seed, chunk : see ``open_stream``
    n : number of children
    p : parameters
    carriers_only : all carry a gene that has a match (to count rare potential outcomes without drawing a million)
    """
    rng = open_stream("children", seed, chunk)
    u = rng.random((14, n))
    kind = _pick(p.types, u[0])
    age = np.where(kind == TYPE_2, _quantile(p.age_quantiles_type_2, u[1]), _quantile(p.age_quantiles, u[1]))
    age = np.asarray(np.round(age, 2), dtype=np.float64)
    centre = (u[2] * len(CENTRES)).astype(np.int64)
    asc = u[3] < p.asc
    cirrhosis = u[4] < p.cirrhosis
    alt_uln, ast_uln = limits_of("alt")[centre], limits_of("ast")[centre]
    igg_uln = igg_limit(age)
    alt = np.clip(draw_lognormal(rng, n, *p.alt), *p.alt_between)
    response_class, gene = _draw_class_and_gene(p, u[5:8], carriers_only=carriers_only)
    referred, delay = _draw_referral(seed, n, p, chunk)
    frailty = rng.gamma(1 / p.frailty_variance, p.frailty_variance, n)
    frailty = np.where((gene >= 0) & (response_class != NON_RESPONDER), frailty + p.iei_frailty, frailty)
    return Children(
        diagnosis=(u[8] ** p.diagnosis_skew * p.diagnosis_days).astype(np.int64),
        lag=(u[9] * (p.start_lag + 1)).astype(np.int64),
        female=u[10] < np.where(kind == TYPE_2, p.female_type_2, p.female),
        age=age,
        centre=centre,
        type=kind,
        asc=asc,
        cirrhosis=cirrhosis,
        disease=_draw_disease(p, u[11]),
        presentation=_draw_presentation(p, alt, rng.random((2, n))),
        ibd=u[12] < np.where(asc, p.ibd_asc, p.ibd),
        persistent_inr=u[13] < np.where(cirrhosis, p.persistent_inr_cirrhosis, p.persistent_inr),
        non_adherent=rng.random(n) < np.where(age >= 12, p.non_adherent_teenager, p.non_adherent),
        referred=referred,
        referral_delay=delay,
        response_class=response_class,
        gene=gene,
        severity=rng.standard_normal(n),
        frailty=frailty,
        alt=alt,
        alt_uln=alt_uln,
        ast_uln=ast_uln,
        ast=np.clip(alt * draw_lognormal(rng, n, *p.ast_per_alt), 60.0, 9000.0),
        igg=_draw_igg(p, kind, age, rng.standard_normal(n)),
        igg_uln=igg_uln,
    )


def _draw_class_and_gene(p: Parameters, u: Floats, *, carriers_only: bool) -> tuple[Ints, Ints]:
    response_class = _pick(p.classes, u[0])
    risk = np.where(response_class == NON_RESPONDER, p.iei_non_responder, p.iei_responder)
    shares = np.array([gene[3] for gene in GENES])
    gene = _pick(tuple(shares / shares.sum()), u[2])
    if not carriers_only:
        return response_class, np.where(u[1] < risk, gene, -1)
    # class among carriers by Bayes' rule; genes among those with a match
    weight = np.array(p.classes) * np.array([p.iei_responder, p.iei_responder, p.iei_non_responder])
    matched = shares[:N_MATCHED_GENES]
    return _pick(tuple(weight / weight.sum()), u[0]), _pick(tuple(matched / matched.sum()), u[2])


def _draw_referral(seed: int, n: int, p: Parameters, chunk: int) -> tuple[Flags, Ints]:
    rng = open_stream("referral", seed, chunk)
    referred = rng.random(n) < p.referred
    delay = np.clip(draw_lognormal(rng, n, *p.referral_delay), 14, 2500).astype(np.int64)
    return referred, np.where(referred, delay, 0)


def _draw_disease(p: Parameters, u: Floats) -> Ints:
    return _pick((1 - sum(p.other_diagnoses), *p.other_diagnoses), u)


def _draw_presentation(p: Parameters, alt: Floats, u: Floats) -> Ints:
    """Liver failure is independent of ALT (head of this file); the rest is acute the likelier the higher ALT."""
    rare = _pick((p.liver_failure, p.complication, p.incidental, 1.0), u[0])
    rest = p.acute / (1 - p.liver_failure - p.complication - p.incidental)
    odds = rest / (1 - rest) * (alt / p.alt[0]) ** p.acute_per_log_alt
    common = np.where(u[1] < odds / (1 + odds), 0, 1)
    return np.where(rare < 3, rare + 2, common)


def _draw_igg(p: Parameters, kind: Ints, age: Floats, z: Floats) -> Floats:
    median = np.where(kind == TYPE_2, p.igg_type_2[0], p.igg[0]) * np.where(age < 6, p.igg_young, 1.0)
    return np.asarray(np.clip(median * np.exp(np.where(kind == TYPE_2, p.igg_type_2[1], p.igg[1]) * z), 4.0, 80.0))
