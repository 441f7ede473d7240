"""Contours of an RTSTRUCT, as drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.region import ContourSet
from lutra.ingest.elements import text
from lutra.ingest.quiet import quietly

CLOSED = "CLOSED_PLANAR"


def read_contours(path: Path) -> Outcome[tuple[ContourSet, ...]]:
    """Read every region of an RTSTRUCT file that has closed planar contours.

    Other contour types, empty regions and damaged points become Findings; the other regions go on.
    """
    try:
        with quietly():
            file = pydicom.dcmread(path)
    except Exception as error:  # noqa: BLE001  (pydicom raises many kinds on broken files)
        finding = Finding(Severity.ERROR, "ingest.unreadable", f"{path} is broken: {error}. To do: export it again")
        return Outcome(None, (finding,))
    findings: list[Finding] = []
    frame, series = _reference(file)
    names = {int(roi.ROINumber): roi for roi in file.get("StructureSetROISequence", [])}
    sets = []
    for roi_contours in file.get("ROIContourSequence", []):
        roi = names.get(int(roi_contours.ReferencedROINumber))
        name = text(roi, "ROIName") if roi is not None else f"ROI {roi_contours.ReferencedROINumber}"
        contours = _polygons(roi_contours, f"{path} region {name!r}", findings)
        if not contours:
            findings.append(
                Finding(
                    Severity.WARNING,
                    "ingest.region-without-contours",
                    f"{path}: region {name!r} has no usable closed contour (3006,0050) and is left out",
                )
            )
            continue
        own_frame = text(roi, "ReferencedFrameOfReferenceUID") if roi is not None else ""
        sets.append(ContourSet(name, contours, own_frame or frame, series, text(file, "SOPInstanceUID")))
    if not sets:
        finding = Finding(Severity.WARNING, "ingest.no-contours", f"{path} holds no usable contour")
        return Outcome(None, (*findings, finding))
    return Outcome(tuple(sets), findings)


def _reference(file: Dataset) -> tuple[str, str | None]:
    """Frame of reference and series the contours were drawn on."""
    frames = file.get("ReferencedFrameOfReferenceSequence") or []
    if not frames:
        return text(file, "FrameOfReferenceUID"), None
    studies = frames[0].get("RTReferencedStudySequence") or []
    series = (studies[0].get("RTReferencedSeriesSequence") or []) if studies else []
    return text(frames[0], "FrameOfReferenceUID"), (text(series[0], "SeriesInstanceUID") or None) if series else None


def _polygons(roi_contours: Dataset, where: str, findings: list[Finding]) -> tuple[np.ndarray[Any, Any], ...]:
    polygons = []
    for contour in roi_contours.get("ContourSequence") or []:
        kind = text(contour, "ContourGeometricType")
        numbers = np.asarray(contour.get("ContourData") or [], float)
        if kind != CLOSED or numbers.size % 3 or numbers.size < 9 or not np.isfinite(numbers).all():
            findings.append(
                Finding(
                    Severity.WARNING,
                    "ingest.contour-left-out",
                    f"{where}: a contour of type {kind} with {numbers.size} numbers was left out. Required: {CLOSED} with at "
                    "least three points (3006,0042), (3006,0050)",
                )
            )
            continue
        points = numbers.reshape(-1, 3)
        polygons.append(points[:-1] if np.allclose(points[0], points[-1]) and len(points) > 3 else points)
    return tuple(polygons)
