"""What was administered, as (0054,0016) Radiopharmaceutical Information Sequence tells it."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydicom import Dataset

from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.study import Radiopharmaceutical
from lutra.core.time import seconds_between
from lutra.core.units import DAY_S
from lutra.ingest.clock import parse
from lutra.ingest.elements import items, positive, text
from lutra.ingest.nuclide_names import NUCLIDE_CODES, nuclide_from_words
from lutra.ingest.residual import with_residual

LEAST_BQ = 1e4
"""Nothing is imaged with less (IBSI recommendations for SUV): a smaller number is one of MBq."""
MOST_BQ = 1e12
"""Ten times the largest therapies."""
HALF_LIFE_S = (1.0, 1e12)
"""Nothing outside can be scanned; such a number is none. [s]"""
SAME_TIME_S = 60.0
"""Times of one administration may be rounded to the minute in one place and not in another."""


def read_radiopharmaceutical(
    header: Dataset, acquired_at: datetime | None, zone: str, findings: list[Finding]
) -> Radiopharmaceutical | None:
    """Read what was administered; None if the header does not say, or names several administrations."""
    sequence = items(header, "RadiopharmaceuticalInformationSequence")
    if not sequence:
        return None
    agent = _administration(header, sequence[0], acquired_at, zone, findings)
    unheard: list[Finding] = []
    if any(_administration(header, item, acquired_at, zone, unheard) != agent for item in sequence[1:]):
        findings.append(
            Finding(
                Severity.WARNING,
                "ingest.several-radiopharmaceuticals",
                f"(0054,0016) Radiopharmaceutical Information Sequence has {len(sequence)} different items; which of them the "
                "image shows is not known, none is used. Required: one administration",
            )
        )
        return None
    return with_residual(agent, header, zone, findings)


def _administration(
    header: Dataset, item: Dataset, acquired_at: datetime | None, zone: str, findings: list[Finding]
) -> Radiopharmaceutical:
    return Radiopharmaceutical(
        nuclide=_nuclide(item, findings),
        name=text(item, "Radiopharmaceutical") or _code_meaning(item, "RadiopharmaceuticalCodeSequence") or None,
        activity_bq=_activity_bq(header, item, findings),
        administered_at=_administered_at(header, item, acquired_at, zone, findings),
        half_life_s=_half_life_s(item),
    )


def _half_life_s(item: Dataset) -> float | None:
    half_life_s = positive(item, "RadionuclideHalfLife")
    return half_life_s if half_life_s and HALF_LIFE_S[0] <= half_life_s <= HALF_LIFE_S[1] else None


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


def _activity_bq(header: Dataset, item: Dataset, findings: list[Finding]) -> float | None:
    """(0018,1074) Radionuclide Total Dose as it is written: in Bq for PT. NM has its own unit, and reader."""
    stated = positive(item, "RadionuclideTotalDose")
    if stated is None or text(header, "Modality") == "NM" or LEAST_BQ <= stated <= MOST_BQ:
        return stated
    findings.append(
        Finding(
            Severity.ERROR,
            "ingest.activity-implausible",
            f"(0018,1074) Radionuclide Total Dose is {stated:g} Bq, which nobody is given; it may be meant in another unit, and is "
            "not used. Required: Bq. To do: correct it at its source",
        )
    )
    return None


def _administered_at(
    header: Dataset, item: Dataset, acquired_at: datetime | None, zone: str, findings: list[Finding]
) -> datetime | None:
    offset = text(header, "TimezoneOffsetFromUTC")
    dated, undated = text(item, "RadiopharmaceuticalStartDateTime"), text(item, "RadiopharmaceuticalStartTime")
    stated = parse(dated, zone, offset)
    tag = "(0018,1078) Radiopharmaceutical Start DateTime"
    if stated is not None:
        _compare(dated, undated, findings)
    elif undated:
        tag = "(0018,1072) Radiopharmaceutical Start Time"
        if (positive(item, "RadionuclideHalfLife") or 0) > DAY_S:
            findings.append(
                Finding(
                    Severity.WARNING,
                    "ingest.administration-without-date",
                    f"{tag} has no date, and a nuclide that lives longer than a day may have been given days before; the "
                    "administration time is not used. Required: (0018,1078) with date and time",
                )
            )
            return None
        stated = _dated_by_scan(header, undated, acquired_at, zone, findings)
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


def _dated_by_scan(
    header: Dataset, undated: str, acquired_at: datetime | None, zone: str, findings: list[Finding]
) -> datetime | None:
    """Give a time of day the date of the earliest acquisition, or of the evening before.

    The date of a single slice will not do: beds of one scan can lie on both sides of midnight.
    """
    offset = text(header, "TimezoneOffsetFromUTC")
    day = text(header, "AcquisitionDate") or text(header, "SeriesDate")
    stated = parse(day + undated, zone, offset)
    if stated is None or acquired_at is None:
        return stated
    scan_day = acquired_at.astimezone(stated.tzinfo).strftime("%Y%m%d")
    stated = parse(scan_day + undated, zone, offset)
    if stated is None or seconds_between(stated, acquired_at) >= 0:
        return stated
    before_midnight = stated - timedelta(days=1)
    if seconds_between(before_midnight, acquired_at) >= DAY_S / 2:
        return stated
    findings.append(
        Finding(
            Severity.WARNING,
            "ingest.administration-before-midnight",
            f"(0018,1072) Radiopharmaceutical Start Time has no date and lies after the acquisition of {acquired_at.isoformat()}; "
            "it is taken as the evening before. To do: check the administration time",
        )
    )
    return before_midnight


def _compare(dated: str, undated: str, findings: list[Finding]) -> None:
    """Two statements of one administration; the one with a date is used."""
    one, other = parse(dated, "UTC"), parse(dated[:8] + undated, "UTC")
    zoned = "+" in dated or "-" in dated
    if one is None or other is None or zoned or abs(seconds_between(one, other)) <= SAME_TIME_S:
        return
    findings.append(
        Finding(
            Severity.WARNING,
            "ingest.administration-times-differ",
            f"(0018,1078) Radiopharmaceutical Start DateTime is {dated}, (0018,1072) Start Time is {undated}. The former is used. "
            "To do: correct it at its source",
        )
    )
