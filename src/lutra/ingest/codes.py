"""Coded meanings in DICOM headers."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.sr._snomed_dict import mapping  # the table of PS3.16 Annex O; pydicom has no public way to it

from lutra.core.region import ConceptCode
from lutra.ingest.elements import items, text

ANATOMICAL_STRUCTURE = {"91723000", "123037004"}
"""SNOMED CT codes of the category of organs and other healthy parts, the present one and the former one [PS3.16 CID 7150]."""
FORMER_SCHEMES = {"SRT", "SNM3", "99SDM"}


def coded(header: Dataset, tag: str) -> ConceptCode | None:
    """First item of a code sequence; None if there is none or it is incomplete.

    Codes of the schemes that SNOMED CT replaced in DICOM are given as SNOMED CT, where DICOM lists the same concept
    [PS3.16 Annex O].
    """
    for item in items(header, tag):
        value = text(item, "CodeValue") or text(item, "LongCodeValue")
        scheme, meaning = text(item, "CodingSchemeDesignator"), text(item, "CodeMeaning")
        if value and scheme:
            present = mapping["SRT"].get(value) if scheme in FORMER_SCHEMES else None
            return ConceptCode(present, "SCT", meaning) if present else ConceptCode(value, scheme, meaning)
    return None
