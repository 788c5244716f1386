"""How the schema is written in FHIR R4: code systems, the project's own codes, and which resource holds which table.

Standard codes are used where they exist. What has none is written under ``urn:aih-outcomes:``, a code system of this
project: ``urn:aih-outcomes:<table>.<column>`` names a column, as the system of a code or as the address of an
extension, and an Observation with a code of ``urn:aih-outcomes:table`` is one row of that table, a component a cell.
Source of names and types: HL7 FHIR R4 (4.0.1), https://hl7.org/fhir/R4/.
"""

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC = "http://www.whocc.no/atc"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
UCUM = "http://unitsofmeasure.org"

# Address of a code system → its name in the catalogue.
SYSTEMS = {
    LOINC: "loinc",
    SNOMED: "snomed",
    RXNORM: "rxnorm",
    ATC: "atc",
    ICD10: "icd10",
    "http://hl7.org/fhir/sid/icd-10-cm": "icd10cm",
    "http://hl7.org/fhir/sid/icd-10-gm": "icd10",
    "http://fhir.de/CodeSystem/bfarm/icd-10-gm": "icd10",
    "http://www.cms.gov/Medicare/Coding/ICD10": "icd10pcs",
    "http://hl7.org/fhir/sid/icd-10-pcs": "icd10pcs",
    "https://fhir.hl7.org.uk/Id/opcs-4": "opcs4",
    "http://www.ama-assn.org/go/cpt": "cpt",
}
ADDRESSES = {"loinc": LOINC, "snomed": SNOMED, "rxnorm": RXNORM, "atc": ATC, "icd10": ICD10}

OWN = "urn:aih-outcomes:"
OWN_TABLE = f"{OWN}table"
OWN_PATIENT = f"{OWN}patient"  # system of the identifier that holds ``patient_id``
PRINTED_UNIT = f"{OWN}printed-unit"  # of a result that is no Quantity and so has no unit of its own
PRINTED_DOSE = f"{OWN}printed-dose"
PRINTED_DOSE_UNIT = f"{OWN}printed-dose-unit"

# Administrative gender; what the schema does not know becomes unknown.
GENDERS = {"male": "male", "female": "female", "unknown": "unknown", "other": "unknown"}

# LOINC codes of a genomics Observation (HL7 Genomics Reporting guide); all from memory but for 69548-6 and 48018-6,
# whose use in that guide was checked.
VARIANT = "69548-6"
GENE = "48018-6"
HGVS = "48004-6"
SIGNIFICANCE = "53037-8"
ALLELIC_STATE = "53034-5"
# LOINC answers, from memory: an answer that is not among them leaves its cell empty.
ZYGOSITIES = {"LA6706-1": "heterozygous", "LA6705-3": "homozygous", "LA6707-9": "hemizygous"}
ACMG_CLASSES = {"LA6675-8": "1", "LA26334-5": "2", "LA26333-7": "3", "LA26332-9": "4", "LA6668-3": "5"}
ABSENT = "LA9634-2"  # of 69548-6: variant not found

# Resources whose status says that they do not hold: never happened, withdrawn, or not yet known.
NOT_HELD = {
    "Observation": ("entered-in-error", "cancelled", "unknown", "registered"),
    "Condition": ("refuted", "entered-in-error", "differential"),  # its verificationStatus
    "MedicationStatement": ("entered-in-error", "not-taken", "intended", "unknown"),
    "MedicationRequest": ("entered-in-error", "cancelled", "draft", "unknown"),
    "MedicationAdministration": ("entered-in-error", "not-done", "unknown"),
    "Procedure": ("entered-in-error", "not-done", "preparation", "unknown"),
}
NOT_ORDERED = ("proposal", "plan", "option")  # intents of a MedicationRequest that is no order
ENDED = ("completed", "stopped")  # a medication of such a status has a last day

# Days per unit of time of a dosage (UCUM).
DAYS = {"h": 1 / 24, "d": 1.0, "wk": 7.0, "mo": 30.4375, "a": 365.25}
MG_PER_UNIT = {"mg": 1.0, "g": 1000.0, "ug": 0.001}


def column_system(table: str, column: str) -> str:
    """Return the address of a column, as the system of its codes and as the address of an extension.

    Examples
    --------
    >>> column_system("labs", "analyte")
    'urn:aih-outcomes:labs.analyte'
    """
    return f"{OWN}{table}.{column}"
