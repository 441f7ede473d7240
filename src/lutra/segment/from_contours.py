"""Drawn contours to regions on an image."""

from __future__ import annotations

import re

import numpy as np

from lutra.core.errors import OutsideValidity, ProtocolError
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.region import ConceptCode, ContourSet, Region, RegionKind, RegionOrigin
from lutra.imaging.contours import planes_of, rasterise
from lutra.reference.region_names import LESION_CODE, look_up, simplified
from lutra.segment.settings import SegmentSettings


def regions_from_contours(
    contours: tuple[ContourSet, ...], grid: Grid, settings: SegmentSettings
) -> Outcome[tuple[Region, ...]]:
    """Turn the contours of one file into regions of partial voxels on an image.

    A contour set that cannot be used leaves a Finding and the others go on. There is no value only when all of
    them were drawn in another frame of reference.

    Raises
    ------
    ProtocolError
        If a pattern of the settings is not a regular expression.
    """
    findings: list[Finding] = []
    regions: list[Region] = []
    in_frame = [c for c in contours if c.frame_of_reference and c.frame_of_reference == grid.frame_of_reference]
    findings += [_other_frame(c, grid) for c in contours if c not in in_frame]
    if contours and not in_frame:
        return Outcome(None, findings)
    for drawn in in_frame:
        kind, code, doubts = _meaning(drawn, settings)
        findings += doubts
        polygons = [polygon for polygon in drawn.contours_lps_mm if len(polygon) > 2]
        try:
            start_ijk, fraction = rasterise(polygons, grid)
        except OutsideValidity as error:
            findings.append(_refused(drawn, str(error)))
            continue
        if not fraction.any():
            findings.append(_refused(drawn, "its contours enclose nothing: they are lines, or cover each other twice"))
            continue
        findings += _geometry_doubts(drawn, grid)
        region = Region(
            drawn.name, kind, grid, start_ijk, fraction, code, RegionOrigin.IMPORTED, f"contours of {drawn.source_uid}"
        )
        regions.append(region)
    return Outcome(tuple(regions), findings)


def _meaning(
    drawn: ContourSet, settings: SegmentSettings
) -> tuple[RegionKind, ConceptCode | None, tuple[Finding, ...]]:
    """Tell what the name says the region is."""
    text = simplified(drawn.name)
    for pattern in settings.lesion_name_patterns:
        try:
            if re.search(pattern, text):
                return RegionKind.LESION, LESION_CODE, ()
        except re.error as error:
            raise ProtocolError(
                f"{pattern!r} is not a regular expression: {error}",
                where="protocol.toml, segment.lesion_name_patterns",
                do="correct it",
            ) from error
    row = look_up(drawn.name)
    if row is not None:
        return row.kind, row.code, ()
    doubt = Finding(
        Severity.INFO,
        "segment.unknown-name",
        f"Region “{drawn.name}”: the name is in no row of the table of region names, so it counts neither as a lesion "
        "nor as an organ. If it is a lesion, add a pattern to segment.lesion_name_patterns of the protocol.",
        _evidence(drawn),
    )
    return RegionKind.OTHER, None, (doubt,)


def _geometry_doubts(drawn: ContourSet, grid: Grid) -> list[Finding]:
    """Cut by the edge of the image, slices left out, a single plane, drawn on other slices."""
    doubts = []
    planes = planes_of(drawn.contours_lps_mm, grid)
    slab = max(planes.thickness_slices, 1) / 2
    ijk = grid.to_ijk(np.concatenate(drawn.contours_lps_mm))
    beyond = np.maximum(-0.5 - ijk, ijk - np.subtract(grid.shape, 0.5)).max(axis=0)[:2]
    below, above = slab - planes.slice_k[0] - 0.5, planes.slice_k[-1] + slab - (grid.shape[2] - 0.5)
    beyond_mm = float(np.max(np.append(beyond, max(below, above)) * grid.spacing_mm))
    if beyond_mm > 0.1 * grid.spacing_mm[2]:
        text = (
            f"it reaches {beyond_mm:.1f} mm beyond the edge of the image and was cut there. "
            "Volume, activity and diameter are those of the part inside; check whether all of it was imaged."
        )
        doubts.append(_doubt(Severity.WARNING, "segment.cut-by-edge", drawn, text))
    if planes.gaps:
        text = (
            f"{planes.gaps} slices between its first and last contour have none and were left empty. "
            "If the region is one piece, draw the missing contours."
        )
        doubts.append(_doubt(Severity.WARNING, "segment.slices-left-out", drawn, text))
    if len(planes.slice_k) == 1:
        text = "it is drawn in one plane only, which is taken as one slice thick. Its volume rests on that."
        doubts.append(_doubt(Severity.WARNING, "segment.single-plane", drawn, text))
    dropped = sum(len(polygon) < 3 for polygon in drawn.contours_lps_mm)
    if dropped:
        text = f"{dropped} contours have fewer than three points, enclose nothing and were left out."
        doubts.append(_doubt(Severity.INFO, "segment.degenerate-contour", drawn, text))
    return doubts


def _other_frame(drawn: ContourSet, grid: Grid) -> Finding:
    text = (
        f"it was drawn in frame of reference {drawn.frame_of_reference or '(none given)'} and the image is in "
        f"{grid.frame_of_reference or '(none given)'} (0020,0052). "
        "Required: one frame. Draw it on this image, or register the two images."
    )
    return _doubt(Severity.UNDETERMINED, "segment.other-frame", drawn, text)


def _refused(drawn: ContourSet, why: str) -> Finding:
    return _doubt(Severity.ERROR, "segment.unusable-contours", drawn, f"no region was made: {why}.")


def _doubt(severity: Severity, code: str, drawn: ContourSet, text: str) -> Finding:
    return Finding(severity, code, f"Region “{drawn.name}”: {text}", _evidence(drawn))


def _evidence(drawn: ContourSet) -> dict[str, str]:
    return {"region": drawn.name, "contours": str(len(drawn.contours_lps_mm)), "source": drawn.source_uid}
