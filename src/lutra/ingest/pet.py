"""What a header of a PET-type image says about radioactivity: decay correction, frame times, administration, private factors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydicom import Dataset

from lutra.core.errors import InconsistentSeries
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.study import DecayCorrection, SeriesHeader
from lutra.ingest.clock import parse
from lutra.ingest.elements import many, number, positive, private, text
from lutra.ingest.frames import Frame
from lutra.ingest.radiopharmaceutical import read_radiopharmaceutical

MS_PER_S = 1000.0


def pet_facts(header: SeriesHeader, frames: Sequence[Frame], zone: str, findings: list[Finding]) -> dict[str, Any]:
    """Fields of :class:`~lutra.core.study.SeriesHeader` that only nuclear images have, by name."""
    first = frames[0].header
    if header.patient_weight_kg is None:
        findings.append(
            Finding(
                Severity.WARNING,
                "ingest.no-weight",
                f"{frames[0].path.parent}: no patient weight (0010,1030), so there is no SUV. To do: have it entered at the source",
            )
        )
    return {
        "decay_correction": decay_correction(first),
        "corrected_image": tuple(str(v) for v in many(first, "CorrectedImage")),
        "decay_factor": positive(first, "DecayFactor"),
        "scan_reference_at": _ge_scan_time(first, zone),
        "frame_reference_time_s": _seconds(first, "FrameReferenceTime"),
        "frame_duration_s": _seconds(first, "ActualFrameDuration"),
        "radiopharmaceutical": read_radiopharmaceutical(first, header.acquired_at, zone, findings),
        "vendor_factors": _philips_factors(first),
    }


def require_all_slices(frames: Sequence[Frame]) -> None:
    """Refuse a series that says it has more slices, (0054,0081), than are there.

    Raises
    ------
    InconsistentSeries
        Naming both numbers.
    """
    stated = positive(frames[0].header, "NumberOfSlices")
    if stated is not None and len(frames) < int(stated):
        raise InconsistentSeries(
            f"{len(frames)} of {int(stated)} slices are there",
            where=f"{frames[0].path.parent} (0054,0081)",
            required="all slices",
            do="export the series again, whole",
        )


def decay_correction(header: Dataset) -> DecayCorrection | None:
    """(0054,1102) Decay Correction; None if it is missing or no term of the standard."""
    stated = text(header, "DecayCorrection")
    return DecayCorrection(stated) if stated in set(DecayCorrection) else None


def _ge_scan_time(header: Dataset, zone: str) -> datetime | None:
    """GE (0009,100D): scan date and time."""
    value = private(header, 0x0009, "GEMS_PETD_01", 0x0D)
    return None if value is None else parse(str(value), zone, text(header, "TimezoneOffsetFromUTC"))


def _philips_factors(header: Dataset) -> FrozenMap[str, float]:
    found = {}
    for name, element in (("philips_suv", 0x00), ("philips_activity", 0x09)):
        try:
            factor = float(private(header, 0x7053, "Philips PET Private Group", element))
        except (ValueError, TypeError):
            continue
        if 0 < factor < float("inf"):
            found[name] = factor
    return FrozenMap(found)


def _seconds(header: Dataset, tag: str) -> float | None:
    value = number(header, tag)
    return None if value is None else value / MS_PER_S
