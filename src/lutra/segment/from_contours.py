"""Drawn contours to regions on an image."""

from __future__ import annotations

import numpy as np

from lutra.core.errors import OutsideValidity
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.region import ContourSet, Region, RegionKind, RegionOrigin
from lutra.imaging.contours import planes_of, rasterise
from lutra.imaging.overlap import shared_area_mm2
from lutra.imaging.planes import Planes
from lutra.segment.doubts import doubt, other_frame, unknown_name, unusable
from lutra.segment.meaning import meaning
from lutra.segment.settings import SegmentSettings

CUT_FLOOR = 0.1
"""Share of a slice up to which a region may reach beyond the image before it is said."""
OVERLAP_FLOOR = 1e-3
"""Share of the region up to which contours of one plane may run into each other before it is said: they touch."""
MM3_PER_ML = 1000.0


def regions_from_contours(
    contours: tuple[ContourSet, ...], grid: Grid, settings: SegmentSettings, series_uid: str | None = None
) -> Outcome[tuple[Region, ...]]:
    """Turn the contours of one file into regions of partial voxels on an image.

    A contour set that cannot be used leaves a Finding and the others go on. There is no value only when all of
    them were drawn in another frame of reference.

    Parameters
    ----------
    series_uid
        Series of the image. Contours of the file that were drawn on it are used alone; a series that none was drawn on
        takes all of its frame of reference.

    Raises
    ------
    ProtocolError
        If a pattern of the settings is not a regular expression.
    """
    own = tuple(c for c in contours if series_uid and c.referenced_series_uid == series_uid)
    wanted = own or contours
    findings: list[Finding] = []
    regions: list[Region] = []
    in_frame = [c for c in wanted if c.frame_of_reference and c.frame_of_reference == grid.frame_of_reference]
    findings += [
        other_frame(c.name, c.frame_of_reference, grid.frame_of_reference, _evidence(c))
        for c in wanted
        if c not in in_frame
    ]
    if wanted and not in_frame:
        return Outcome(None, findings)
    for drawn in in_frame:
        polygons = tuple(polygon for polygon in drawn.contours_lps_mm if len(np.unique(polygon, axis=0)) > 2)
        try:
            start_ijk, fraction = rasterise(polygons, grid)
        except OutsideValidity as error:
            findings.append(unusable("segment.unusable-contours", drawn.name, str(error), _evidence(drawn)))
            continue
        if not fraction.any():
            why = "its contours enclose nothing: they are lines, or cover each other twice"
            findings.append(unusable("segment.unusable-contours", drawn.name, why, _evidence(drawn)))
            continue
        kind, code = meaning(drawn.name, None, settings)
        region = Region(
            drawn.name,
            kind or RegionKind.OTHER,
            grid,
            start_ijk,
            fraction,
            code,
            RegionOrigin.IMPORTED,
            f"contours of {drawn.source_uid}",
            drawn.referenced_series_uid,
        )
        findings += [unknown_name(drawn.name, _evidence(drawn))] if kind is None else []
        findings += _geometry_doubts(drawn, polygons, region)
        regions.append(region)
    return Outcome(tuple(regions), findings)


def _geometry_doubts(drawn: ContourSet, polygons: tuple[np.ndarray, ...], region: Region) -> list[Finding]:
    """Cut by the edge of the image, planes left out, a single plane, contours that overlap."""
    planes = planes_of(polygons, region.grid)
    found: list[tuple[Severity, str, str]] = []
    beyond_mm = _beyond_mm(polygons, planes, region.grid)
    if beyond_mm > CUT_FLOOR * region.grid.spacing_mm[2]:
        text = (
            f"it reaches {beyond_mm:.1f} mm beyond the edge of the image and was cut there. "
            "Volume, activity and diameter are those of the part inside; check whether all of it was imaged."
        )
        found.append((Severity.WARNING, "segment.cut-by-edge", text))
    if planes.gaps:
        text = (
            f"{planes.gaps} slices between its first and last contour have none and were left empty. "
            "If the region is one piece, draw the missing contours."
        )
        found.append((Severity.WARNING, "segment.slices-left-out", text))
    if len(planes.position_mm) == 1:
        text = "it is drawn in one plane only, which is taken as one slice thick. Its volume rests on that."
        found.append((Severity.WARNING, "segment.single-plane", text))
    overlap_ml = shared_area_mm2(polygons, planes, region.grid) * planes.thickness_mm / MM3_PER_ML
    if overlap_ml > OVERLAP_FLOOR * region.volume_ml:
        text = (
            f"contours of one plane overlap without one being a hole of the other. The {overlap_ml:.3g} mL they share are left "
            f"out of its {region.volume_ml:.4g} mL; another program may count them. Have it drawn without overlap."
        )
        found.append((Severity.WARNING, "segment.contours-overlap", text))
    dropped = len(drawn.contours_lps_mm) - len(polygons)
    if dropped:
        text = f"{dropped} contours have fewer than three points, enclose nothing and were left out."
        found.append((Severity.INFO, "segment.degenerate-contour", text))
    return [doubt(severity, code, drawn.name, text, _evidence(drawn)) for severity, code, text in found]


def _beyond_mm(polygons: tuple[np.ndarray, ...], planes: Planes, grid: Grid) -> float:
    """How far the slabs of the contours reach out of the image; negative if they do not. [mm]"""
    half = planes.normal_lps * planes.thickness_mm / 2
    points = np.concatenate(polygons)
    ijk = grid.to_ijk(np.concatenate([points - half, points + half]))
    beyond = np.maximum(-0.5 - ijk, ijk - np.subtract(grid.shape, 0.5)).max(axis=0)
    return float(np.max(beyond * grid.spacing_mm))


def _evidence(drawn: ContourSet) -> dict[str, str]:
    return {"contours": str(len(drawn.contours_lps_mm)), "source": drawn.source_uid}
