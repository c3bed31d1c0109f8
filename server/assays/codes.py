"""The codes that others know assays and outcomes by: LOINC for what was measured, SNOMED CT for what came out.

Only codes whose published name was looked up and is what the assay does are here, each with that name. What has none
is *unmapped*: it is exported and shown with its own words and no code, and nothing may read that as negative.

Unmapped on purpose:
    malaria-ag      LOINC's 70569-9 names which Plasmodium an antigen test found; no term for each line was confirmed
    fit             the quantitative stool terms that were found are mass per volume, and the assay gives mass per mass
    *-lamp          the common NAA terms say "with probe detection"; the manufacturer knows if one is used
    invalid, error  the "invalid result" concept that was found is of one country's extension, not the International one
"""

from typing import Final

from reader import outcome

# (assay id, analyte): code and long common name (loinc.org).
_LOINC: Final = {
    ("sars2-ag", "SARS-CoV-2"): (
        "94558-4",
        "SARS-CoV-2 (COVID-19) Ag [Presence] in Respiratory system specimen by Rapid immunoassay",
    ),
    ("flu-ab-ag", "Influenza A"): (
        "80382-5",
        "Influenza virus A Ag [Presence] in Upper respiratory specimen by Rapid immunoassay",
    ),
    ("flu-ab-ag", "Influenza B"): (
        "80383-3",
        "Influenza virus B Ag [Presence] in Upper respiratory specimen by Rapid immunoassay",
    ),
    ("hiv-ab", "HIV 1/2"): (
        "80387-4",
        "HIV 1+2 Ab [Presence] in Serum, Plasma or Blood by Rapid immunoassay",
    ),
    ("strep-a-ag", "Strep A"): (
        "78012-2",
        "Streptococcus pyogenes Ag [Presence] in Throat by Rapid immunoassay",
    ),
    ("crp", "CRP"): ("48421-2", "C reactive protein [Mass/volume] in Capillary blood"),
}

# Qualifier values of the International edition.
_SNOMED: Final = {
    outcome.POSITIVE: "10828004",
    outcome.NEGATIVE: "260385009",
    outcome.INDETERMINATE: "82334004",
}


def loinc(assay_id: str, analyte: str) -> str | None:
    """The LOINC code of what an analyte of an assay is, or None where it is unmapped."""
    found = _LOINC.get((assay_id, analyte))
    return found[0] if found else None


def loinc_name(assay_id: str, analyte: str) -> str | None:
    """The long common name of that code, or None where it is unmapped."""
    found = _LOINC.get((assay_id, analyte))
    return found[1] if found else None


def snomed(outcome_code: int) -> str | None:
    """The SNOMED CT code of an outcome, or None where it is unmapped: never that of another outcome."""
    return _SNOMED.get(outcome_code)
