"""Gene results: what each matches, and how long it stood before it was classified again (clinic, rules 12 and 13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aih_outcomes.catalogue import read_gene_matches
from aih_outcomes.endpoints.spells import Spells, join
from aih_outcomes.endpoints.timelines import NEVER, Days, Flags, Timelines, on_line, once

PATHOGENIC = 4  # ACMG class 4 (likely pathogenic) or 5
BENIGN = 2  # ACMG class 2 (likely benign) or 1
BIALLELIC = ("homozygous", "compound_heterozygous")


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Results of genetic testing, one entry each, by patient and day.

    ``stop`` is the last day on which a result stood: the day before a later row classified the patient's variants of
    that gene and mechanism again; ``NEVER`` where none did. A row without a class, a negative panel and another row of
    the same day classify nothing again. ``key`` is gene, mechanism and zygosity of a variant of class 4–5 with its
    mechanism confirmed, as the catalogue has them, else empty; ``negative`` is no variant, or a benign one (class 1–2).
    """

    patient: Days
    day: Days
    stop: Days
    key: NDArray[np.object_]
    negative: Flags

    @property
    def unmatched(self) -> Flags:
        """Variants that are not benign and match nothing."""
        unmatched: Flags = (self.key == "") & ~self.negative
        return unmatched

    def stood(self, chosen: Flags) -> Spells:
        """Return the time in which one of the chosen results stood."""
        return join(self.patient[chosen], self.day[chosen], self.stop[chosen])


@once
def find_genes(timelines: Timelines) -> Findings:
    """Return what genetic testing found, and how long it stood."""
    table = timelines.cohort.variants
    patient, day, row = timelines.dated(table, np.ones(len(table), dtype=bool))
    gene, mechanism, zygosity = (
        table[name].to_numpy(object, na_value="")[row] for name in ("gene", "mechanism", "zygosity")
    )
    acmg = table["acmg_class"].to_numpy(float, na_value=np.nan)[row]
    confirmed = table["mechanism_confirmed"].to_numpy(bool, na_value=False)[row]
    negative = (table["result"].to_numpy(object, na_value="")[row] == "no_variant") | (acmg <= BENIGN)
    copies = np.where(np.isin(zygosity, BIALLELIC), "biallelic", zygosity)
    named = gene + "|" + mechanism + "|" + copies
    matched = (acmg >= PATHOGENIC) & confirmed & ~negative & np.isin(named, _keys())
    variant, _ = pd.factorize(gene + "|" + mechanism)
    stop = _last_days(patient * (len(row) + 1) + variant, day, ~np.isnan(acmg))
    return Findings(patient, day, stop, np.where(matched, named, ""), negative)


@once
def find_matches(timelines: Timelines, of: Literal["drug_class", "gene_group"]) -> dict[str, Spells]:
    """Return, per class of drug or gene group of the catalogue, the time in which a result that belongs to it stood."""
    found, catalogue = find_genes(timelines), read_gene_matches()
    if not (found.key != "").any():
        return {}
    keys, names = _keys(), catalogue[of].to_numpy(object)
    return {name: found.stood(np.isin(found.key, keys[names == name])) for name in dict.fromkeys(names)}


def _keys() -> NDArray[np.object_]:
    """Return gene, mechanism and zygosity of each row of the catalogue."""
    gene, mechanism, zygosity = (
        read_gene_matches()[name].to_numpy(object) for name in ("gene", "mechanism", "zygosity")
    )
    keys: NDArray[np.object_] = gene + "|" + mechanism + "|" + zygosity
    return keys


def _last_days(variant: Days, day: Days, classified: Flags) -> Days:
    """Return the day before the next later day on which each row's variant was classified; ``NEVER`` without one."""
    asked, classes = on_line(variant, day), np.unique(on_line(variant[classified], day[classified]))
    at = np.searchsorted(classes, asked, side="right")
    following = np.append(classes, np.iinfo(np.int64).max)[at]
    again = following <= on_line(variant, np.full(len(day), NEVER))
    return np.where(again, day + (following - asked) - 1, NEVER)
