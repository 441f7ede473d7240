"""What was administered, as (0054,0016) Radiopharmaceutical Information Sequence tells it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from pydicom import Dataset

from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.study import Radiopharmaceutical
from lutra.core.time import seconds_between
from lutra.core.units import DAY_S
from lutra.ingest.clock import parse
from lutra.ingest.elements import items, positive, text

NUCLIDE_CODES = {
    "C-111A1": "F-18",
    "C-131A3": "Ga-68",
    "C-127A2": "Cu-64",
    "C-145A4": "In-111",
    "C-163A8": "Tc-99m",
    "C-105A1": "C-11",
    "C-101ED": "Lu-177",
}
"""SNOMED-RT codes of DICOM PS3.16 CID 4020 and CID 18; other schemes are read by their code meaning."""

ELEMENTS = {
    "fluorine": "F",
    "gallium": "Ga",
    "lutetium": "Lu",
    "copper": "Cu",
    "indium": "In",
    "technetium": "Tc",
    "yttrium": "Y",
    "iodine": "I",
    "carbon": "C",
    "zirconium": "Zr",
    "terbium": "Tb",
    "scandium": "Sc",
}


def read_radiopharmaceutical(
    header: Dataset, acquired_at: datetime | None, zone: str, findings: list[Finding]
) -> Radiopharmaceutical | None:
    """Read the first item of the sequence; None if there is none."""
    sequence = items(header, "RadiopharmaceuticalInformationSequence")
    if not sequence:
        return None
    item = sequence[0]
    return Radiopharmaceutical(
        nuclide=_nuclide(item, findings),
        name=text(item, "Radiopharmaceutical") or _code_meaning(item, "RadiopharmaceuticalCodeSequence") or None,
        activity_bq=positive(item, "RadionuclideTotalDose"),
        administered_at=_administered_at(header, item, acquired_at, zone, findings),
        half_life_s=positive(item, "RadionuclideHalfLife"),
    )


def nuclide_from_words(words: str) -> str | None:
    """Read `177 Lutetium`, `^68^Gallium`, `18F`, `F-18` or `Lutetium-177` as `Lu-177` and the like."""
    match = re.search(r"(\d{1,3})(m?)\W*([A-Za-z]+)|([A-Za-z]+)\W*(\d{1,3})(m?)", words)
    if not match:
        return None
    mass, meta, element = (match[1], match[2], match[3]) if match[1] else (match[5], match[6], match[4])
    symbol = ELEMENTS.get(element.lower(), element if len(element) <= 2 else "")
    return f"{symbol.capitalize()}-{mass}{meta}" if symbol else None


def _nuclide(item: Dataset, findings: list[Finding]) -> str | None:
    codes = items(item, "RadionuclideCodeSequence")
    if codes:
        known = NUCLIDE_CODES.get(text(codes[0], "CodeValue")) or nuclide_from_words(text(codes[0], "CodeMeaning"))
        if known:
            return known
    found = nuclide_from_words(text(item, "Radiopharmaceutical"))
    if found is None:
        findings.append(
            Finding(
                Severity.WARNING,
                "ingest.unknown-nuclide",
                "the nuclide is not named in a way known here: (0054,0300) Radionuclide Code Sequence and (0018,0031) say "
                f"{text(codes[0], 'CodeMeaning') if codes else 'nothing'!r}. To do: correct the header at its source",
            )
        )
    return found


def _code_meaning(item: Dataset, tag: str) -> str:
    codes = items(item, tag)
    return text(codes[0], "CodeMeaning") if codes else ""


def _administered_at(
    header: Dataset, item: Dataset, acquired_at: datetime | None, zone: str, findings: list[Finding]
) -> datetime | None:
    offset = text(header, "TimezoneOffsetFromUTC")
    stated = parse(text(item, "RadiopharmaceuticalStartDateTime"), zone, offset)
    tag = "(0018,1078) Radiopharmaceutical Start DateTime"
    if stated is None:
        if text(item, "RadiopharmaceuticalStartTime") and (positive(item, "RadionuclideHalfLife") or 0) > DAY_S:
            findings.append(
                Finding(
                    Severity.WARNING,
                    "ingest.administration-without-date",
                    "(0018,1072) Radiopharmaceutical Start Time has no date, and a nuclide that lives longer than a day may have "
                    "been given days before; the administration time is not used. Required: (0018,1078) with date and time",
                )
            )
            return None
        tag = "(0018,1072) Radiopharmaceutical Start Time"
        day = text(header, "AcquisitionDate") or text(header, "SeriesDate")
        stated = parse(day + text(item, "RadiopharmaceuticalStartTime"), zone, offset)
        if stated is not None and acquired_at is not None and seconds_between(stated, acquired_at) < 0:
            before_midnight = stated - timedelta(days=1)
            if seconds_between(before_midnight, acquired_at) < DAY_S / 2:
                findings.append(
                    Finding(
                        Severity.WARNING,
                        "ingest.administration-before-midnight",
                        f"{tag} has no date and lies after the acquisition of {acquired_at.isoformat()}; it is taken as the "
                        "evening before. To do: check the administration time",
                    )
                )
                stated = before_midnight
    if stated is not None and acquired_at is not None and seconds_between(stated, acquired_at) < 0:
        findings.append(
            Finding(
                Severity.ERROR,
                "ingest.administration-after-scan",
                f"{tag} is {stated.isoformat()}, after the acquisition (0008,0022)/(0008,0032) of {acquired_at.isoformat()}; the "
                "administration time is not used. Required: an administration before the scan. To do: correct it at its source",
                FrozenMap({"administration": stated.isoformat(), "acquisition": acquired_at.isoformat()}),
            )
        )
        return None
    return stated
