"""FHIR R4 to a cohort: bulk exports (NDJSON) and Bundles, read as streams, twice.

The first pass finds the patients with the condition and the day of its diagnosis; the second keeps their resources
and no others. Codes are looked up in the mapping, then in the catalogue; a code that is known from memory is told, one
that is not sure is set aside with the line of the mapping that accepts it.
"""

from pathlib import Path

from aih_outcomes.catalogue import read_conditions
from aih_outcomes.cohort import Cohort
from aih_outcomes.errors import DataError
from aih_outcomes.load.door import make_cohort
from aih_outcomes.load.fhir.assemble import assemble
from aih_outcomes.load.fhir.codes import Codebook
from aih_outcomes.load.fhir.collect import collect
from aih_outcomes.load.fhir.people import People, Wanted, find_people, read_wanted
from aih_outcomes.load.fhir.store import Store
from aih_outcomes.load.fhir.stream import find_files
from aih_outcomes.load.mapping import Rules, read_rules
from aih_outcomes.load.privacy.file_names import show_file
from aih_outcomes.load.privacy.pseudonyms import Pseudonyms
from aih_outcomes.load.values.limits import read_upper_limits

__all__ = ["read_fhir"]


def read_fhir(
    path: str | Path, mapping: str | Path | Rules | None = None, *, condition: str = "autoimmune_hepatitis",
    label: str | None = None, pseudonyms: Pseudonyms | None = None,
) -> Cohort:  # fmt: skip
    """Read FHIR R4 resources into a cohort.

    Parameters
    ----------
    path : a folder of ``.ndjson`` files or Bundles (``.json``), also packed with gzip, or one such file; one server's
        export, as ids are unique on their server only
    mapping : a TOML file or ``Rules``: units and codes of the laboratory, e.g.
        ``codes = { labs = { "urn:lab|GPT" = "alt" }, indication = { "" = "aih" } }``
    condition : whose patients are read: a condition of the catalogue, or a code such as
        ``http://snomed.info/sct|44054006`` (also ``snomed|44054006``)
    label : what the data are, printed with every figure; else that of the mapping, else ``cohort``
    pseudonyms : replaces identifiers as the rows come in

    Returns
    -------
    Cohort : what cannot be read stands in ``set_aside`` with file, line (or place in its Bundle), rule and way out;
        ``load_report`` counts resources read, kept and set aside, and says in words what was passed over.
        Where the source has no periods of follow-up, they run from diagnosis to the last dated resource, and the load
        report says so

    Raises
    ------
    DataError : there are no files of resources, or no patient has the condition
    PlanError : the mapping or the condition cannot be used

    Notes
    -----
    Memory grows with the patients of the cohort and their rows, and by about 100 bytes per other patient; not with the
    number of resources. A Bundle is one JSON text and is held as a whole: at most 512 MiB, see ``load.fhir.stream``.
    """
    path = Path(path)
    rules = mapping if isinstance(mapping, Rules) else Rules() if mapping is None else read_rules(mapping)
    wanted = read_wanted(condition)
    files = find_files(path)
    codebook = Codebook(rules)
    people = find_people(files, wanted, codebook)
    store = Store(people=people, codebook=codebook, diagnosis=_diagnosis_of(condition))
    if not people.patients.intersection(people.onsets) or not collect(files, store):
        people = find_people(files, wanted, codebook, thorough=True)
        _refuse_nobody(path, [name for name, _ in files], people, wanted, condition)
        store = Store(people=people, codebook=codebook, diagnosis=_diagnosis_of(condition))
        collect(files, store)
    folder = path if path.is_dir() else path.parent
    return make_cohort(
        assemble(store, [name for name, _ in files], rules),
        label=label or rules.label or "cohort",
        limits=read_upper_limits(rules.upper_limits, folder),
        pseudonyms=pseudonyms,
    )


def _diagnosis_of(condition: str) -> str:
    """Return the schema's word for the condition of the cohort; ``""`` where it has none."""
    rows = read_conditions().set_index("condition")
    if condition not in rows.index or rows.loc[condition, "column"] != "diagnosis":
        return ""
    return str(rows.loc[condition, "word"])


def _refuse_nobody(path: Path, names: list[str], people: People, wanted: Wanted, condition: str) -> None:
    if not people.onsets:
        raise _nobody(path, names, people, wanted, condition)
    if not people.patients.intersection(people.onsets):
        raise DataError(
            f"'{show_file(path.name, 1)}' has {len(people.onsets):,} patient(s) with the condition, and a Patient "
            f"resource of none{_tell_faults(people, names)}",
            "Sex and date of birth are those of the Patient resource that a Condition refers to",
            "Export the Patient resources too, and lay their file in the same folder",
        )


def _nobody(path: Path, names: list[str], people: People, wanted: Wanted, condition: str) -> DataError:
    read = people.n_resources
    named = ", ".join(f"{number:,} {kind}" for kind, number in read.most_common(5) if kind.isalpha())
    looked = wanted.code or f"codes of '{condition}' in SNOMED CT, ICD-10 and other systems of the catalogue"
    counted = f"{len(names)} file(s) with {len(people.patients):,} patient(s) and {read['Condition']:,} condition(s)"
    return DataError(
        f"0 patients with the condition in '{show_file(path.name, 1)}': {counted} were read ({named or 'no resource'})"
        f"{_tell_faults(people, names)}",
        f"A cohort is the patients with a Condition that is not refuted, by {looked}",
        "Name another condition of the catalogue, or a code as in condition = "
        '"http://snomed.info/sct|408335007"; a local code is mapped: '
        'codes = { events = { "…" = "autoimmune_hepatitis" } }',
    )


def _tell_faults(people: People, names: list[str]) -> str:
    """Say how many lines or files could not be read, and where the first of them stands."""
    if not people.faults:
        return ""
    place, first = people.faults[0]
    where = f"'{show_file(names[place], place + 1)}', line {first.row}"
    return f"; {len(people.faults)} line(s) or file(s) could not be read, the first in {where}: {first.rule}"
