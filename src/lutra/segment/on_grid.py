"""Regions given as voxels of some grid, put on an image."""

from __future__ import annotations

from attrs import evolve

from lutra.core.errors import OutsideValidity
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind
from lutra.imaging.regrid import regrid, same_voxels
from lutra.segment.doubts import doubt, other_frame, unknown_name, unusable
from lutra.segment.meaning import meaning
from lutra.segment.settings import SegmentSettings

LOST_FLOOR = 1e-3
"""Share of its volume that a region may lose at the edge of the image before it is said."""
CHANGED_FLOOR = 0.01
"""Change of volume on another grid from which it is a warning."""


def regions_on_grid(
    regions: tuple[Region, ...], grid: Grid, settings: SegmentSettings, series_uid: str | None = None
) -> Outcome[tuple[Region, ...]]:
    """Put regions of one file on an image and tell what they are.

    Where the voxels of both coincide nothing changes, whatever the order of slices or axes. Other grids get the share of
    each voxel inside, with a Finding.

    Parameters
    ----------
    regions
        As :func:`lutra.ingest.read_segmentation` or :func:`lutra.ingest.read_label_map` gave them.
    series_uid
        Series of the image. Regions of the file that were drawn on it are used alone; a series that none was drawn on
        takes all of its frame of reference.

    Returns
    -------
    Outcome
        No value only when all regions are of another frame of reference. A region whose file knows no frame (a NIfTI label
        map) is used if its voxels are those of the image, or if it was added for this series; both leave a Finding.

    Raises
    ------
    ProtocolError
        If a pattern of the settings is not a regular expression.
    """
    own = tuple(r for r in regions if series_uid and r.referenced_series_uid == series_uid)
    findings: list[Finding] = []
    placed: list[Region] = []
    foreign = 0
    for region in own or regions:
        framed = _in_frame(region, grid, series_uid, findings)
        if framed is None:
            foreign += 1
            continue
        moved = _placed(framed, grid, findings)
        if moved is None:
            continue
        kind, code = meaning(moved.name, moved.code, settings)
        if kind is None and region.kind is RegionKind.OTHER:
            findings.append(unknown_name(region.name, _evidence(region)))
        placed.append(evolve(moved, kind=kind or region.kind, code=code))
    if foreign and not placed and foreign == len(own or regions):
        return Outcome(None, findings)
    return Outcome(tuple(placed), findings)


def _in_frame(region: Region, grid: Grid, series_uid: str | None, findings: list[Finding]) -> Region | None:
    """Accept the region's frame of reference, or the reason to take the image's."""
    frame = region.grid.frame_of_reference
    if frame and frame == grid.frame_of_reference:
        return region
    framed = evolve(region, grid=evolve(region.grid, frame_of_reference=grid.frame_of_reference))
    coincide = same_voxels((region.start_ijk, _shape(region)), framed.grid, grid) is not None
    asked_for = series_uid is not None and region.referenced_series_uid == series_uid
    if frame or not (coincide or asked_for):
        findings.append(other_frame(region.name, frame, grid.frame_of_reference, _evidence(region)))
        return None
    why = (
        "its voxels are those of the image"
        if coincide
        else "it was added for this series, though its voxels are not the image's"
    )
    text = f"its file knows no frame of reference; {why}, so it is taken as drawn on it. Check that it is of this person and scan."
    severity = Severity.INFO if coincide and asked_for else Severity.WARNING
    findings.append(doubt(severity, "segment.frame-assumed", region.name, text, _evidence(region)))
    return framed


def _placed(region: Region, grid: Grid, findings: list[Finding]) -> Region | None:
    try:
        start, fraction = regrid(region.start_ijk, region.fraction, region.grid, grid)
    except OutsideValidity as error:
        findings.append(unusable("segment.outside-image", region.name, str(error), _evidence(region)))
        return None
    placed = evolve(region, grid=grid, start_ijk=start, fraction=fraction)
    before_ml, after_ml = region.volume_ml, placed.volume_ml
    corners = grid.to_ijk(region.box_corners_lps_mm)
    leaves = bool(((corners < -0.6) | (corners > [n - 0.4 for n in grid.shape])).any())
    if leaves and after_ml < (1 - LOST_FLOOR) * before_ml:
        text = (
            f"{before_ml - after_ml:.3g} of its {before_ml:.4g} mL lie beyond the edge of the image and were cut. Volume, activity "
            "and diameter are those of the part inside; check whether all of it was imaged."
        )
        findings.append(doubt(Severity.WARNING, "segment.cut-by-edge", region.name, text, _evidence(region)))
    if same_voxels((region.start_ijk, _shape(region)), region.grid, grid) is None:
        change = after_ml / before_ml - 1
        text = (
            f"it was drawn on {region.grid.describe()} and put on {grid.describe()}: {before_ml:.4g} mL became {after_ml:.4g} mL "
            f"({change:+.2%}). Voxels at its border count by the share inside."
        )
        severity = Severity.WARNING if abs(change) > CHANGED_FLOOR else Severity.INFO
        findings.append(doubt(severity, "segment.resampled", region.name, text, _evidence(region)))
    return placed


def _shape(region: Region) -> tuple[int, int, int]:
    i, j, k = region.fraction.shape
    return i, j, k


def _evidence(region: Region) -> dict[str, str]:
    return {"source": region.source}
