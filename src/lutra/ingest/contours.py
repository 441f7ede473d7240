"""Contours of an RTSTRUCT, as drawn."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from pydicom import Dataset

from lutra.core.errors import InputError
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.region import ContourSet
from lutra.ingest.elements import items, many, number, text
from lutra.ingest.files import parsed
from lutra.ingest.quiet import quietly

CLOSED = {"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"}
"""(3006,0042) of contours that enclose something; the second says what readers do with the first anyway."""
FARTHEST_MM = 1e5
"""No contour lies 100 m from the origin of its scanner."""


@frozen
class _Referenced:
    """Which series a file says it was drawn on.

    Parameters
    ----------
    series_of_image
        Series of each SOP Instance UID listed.
    series_in_frame
        Series listed under each frame of reference.
    """

    series_of_image: dict[str, str] = field(factory=dict)
    series_in_frame: dict[str, list[str]] = field(factory=dict)

    def drawn_on(self, contour: Dataset, frame: str) -> str | None:
        """Find the series of a contour: that of its own image, else the only one of its frame."""
        images = (text(image, "ReferencedSOPInstanceUID") for image in items(contour, "ContourImageSequence"))
        named = {self.series_of_image[uid] for uid in images if uid in self.series_of_image}
        possible = named or set(self.series_in_frame.get(frame, ()))
        return possible.pop() if len(possible) == 1 else None


@quietly()
def read_contours(path: Path) -> Outcome[tuple[ContourSet, ...]]:
    """Read every region of an RTSTRUCT file that has closed planar contours.

    A region drawn on two series becomes a contour set for each. Other contour types, empty regions, regions without a name
    and damaged points become Findings; the other regions go on.
    """
    findings: list[Finding] = []
    sets: list[ContourSet] = []
    try:
        file = parsed(path).header
        referenced = _referenced(file)
        rois = _rois(file)
        for n, drawn in enumerate(items(file, "ROIContourSequence"), start=1):
            sets += _region(file, drawn, rois, referenced, path, n, findings)
    except InputError as error:
        return _broken(path, error)
    if not sets:
        finding = Finding(Severity.WARNING, "ingest.no-contours", f"{path} holds no usable contour")
        return Outcome(None, (*findings, finding))
    return Outcome(tuple(sets), findings)


def _broken(path: Path, error: Exception) -> Outcome[tuple[ContourSet, ...]]:
    finding = Finding(Severity.ERROR, "ingest.unreadable", f"{path} is broken: {error}. To do: export it again")
    return Outcome(None, (finding,))


def _referenced(file: Dataset) -> _Referenced:
    found = _Referenced()
    for frame in items(file, "ReferencedFrameOfReferenceSequence"):
        listed = found.series_in_frame.setdefault(text(frame, "FrameOfReferenceUID"), [])
        for study in items(frame, "RTReferencedStudySequence"):
            for series in items(study, "RTReferencedSeriesSequence"):
                uid = text(series, "SeriesInstanceUID")
                if uid:
                    listed.append(uid)
                    images = items(series, "ContourImageSequence")
                    found.series_of_image.update((text(image, "ReferencedSOPInstanceUID"), uid) for image in images)
    return found


def _rois(file: Dataset) -> dict[int, list[Dataset]]:
    """Items of the Structure Set ROI Sequence by their number; more than one where the file contradicts itself."""
    rois: defaultdict[int, list[Dataset]] = defaultdict(list)
    for roi in items(file, "StructureSetROISequence"):
        found = number(roi, "ROINumber")
        if found is not None:
            rois[int(found)].append(roi)
    return rois


def _region(
    file: Dataset,
    drawn: Dataset,
    rois: dict[int, list[Dataset]],
    referenced: _Referenced,
    path: Path,
    n: int,
    findings: list[Finding],
) -> list[ContourSet]:
    """Contour sets of one region, one for each series it was drawn on."""
    roi_number = number(drawn, "ReferencedROINumber")
    described = rois.get(int(roi_number), []) if roi_number is not None else []
    if len(described) != 1:
        names = ", ".join(f"“{text(roi, 'ROIName')}”" for roi in described) or "none"
        given = "missing" if roi_number is None else f"{roi_number:g}"
        text_ = (
            f"{path} (3006,0039) item {n}: its ROI number (3006,0084) is {given}, and regions of that number (3006,0022): {names}. "
            "Required: one, for nothing else names the region. It is left out"
        )
        findings.append(Finding(Severity.WARNING, "ingest.region-without-name", text_))
        return []
    (roi,) = described
    name = text(roi, "ROIName") or f"ROI {roi_number:g}"
    if not text(roi, "ROIName"):
        text_ = (
            f"{path} (3006,0026): region {roi_number:g} has no name and is called “{name}”; what it is, nothing says. To do: "
            "name it where it was drawn"
        )
        findings.append(Finding(Severity.WARNING, "ingest.region-without-name", text_))
    frames = list(referenced.series_in_frame)
    frame = text(roi, "ReferencedFrameOfReferenceUID") or (
        frames[0] if len(frames) == 1 else text(file, "FrameOfReferenceUID")
    )
    by_series: defaultdict[str | None, list[npt.NDArray[np.float64]]] = defaultdict(list)
    refused: Counter[str] = Counter()
    for contour in items(drawn, "ContourSequence"):
        try:
            by_series[referenced.drawn_on(contour, frame)].append(_polygon(contour))
        except InputError as error:
            refused[error.found] += 1
    where = f"{path} region {name!r}"
    for why, times in refused.items():
        text_ = (
            f"{where}: {times} contours were left out: {why}. Required: a closed planar contour of at least three different points "
            "(3006,0042), (3006,0050)"
        )
        findings.append(Finding(Severity.WARNING, "ingest.contour-left-out", text_))
    if not by_series:
        text_ = f"{where} has no usable closed contour (3006,0050) and is left out"
        findings.append(Finding(Severity.WARNING, "ingest.region-without-contours", text_))
    if len(by_series) > 1:
        text_ = f"{where} has contours on {len(by_series)} series; on each of them those drawn there are used"
        findings.append(Finding(Severity.INFO, "ingest.region-on-several-series", text_))
    source = text(file, "SOPInstanceUID")
    return [ContourSet(name, polygons, frame, series, source) for series, polygons in by_series.items()]


def _polygon(contour: Dataset) -> npt.NDArray[np.float64]:
    """Points of a closed contour, the last not repeated. [mm] (n, 3)

    Raises
    ------
    InputError
        If it encloses nothing or contradicts itself.
    """
    kind = text(contour, "ContourGeometricType")
    if kind not in CLOSED:
        raise InputError(f"type {kind or 'missing'}")
    try:
        values = np.array([float(value) for value in many(contour, "ContourData")])
    except (TypeError, ValueError):
        raise InputError("points that are no numbers") from None
    stated = number(contour, "NumberOfContourPoints")
    if len(values) % 3 or (stated is not None and 3 * stated != len(values)):
        raise InputError("another number of points than stated")
    if not np.all(np.abs(values) < FARTHEST_MM):
        raise InputError("points that are no places in a scanner")
    points = values.reshape(-1, 3)
    if len(points) > 1 and np.allclose(points[0], points[-1]):
        points = points[:-1]
    if len(np.unique(points, axis=0)) < 3:
        raise InputError("fewer than three different points")
    return points
