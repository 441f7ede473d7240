"""Frames to ordered volumes on one grid. Positions decide, never a slice thickness or an instance number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.errors import InconsistentSeries, InputError
from lutra.core.finding import Finding, Severity
from lutra.core.grid import Grid
from lutra.core.study import VolumeKey
from lutra.ingest.elements import positive
from lutra.ingest.frames import Frame
from lutra.ingest.settings import IngestSettings

SAME_PLACE_MM = 1e-3
"""Slices closer than this are at one position."""
ROUNDING_MM = 2e-3
"""Positions are text in DICOM; scanners write them to 0.001 mm."""
IN_PLANE_LIMIT_MM = 0.1
"""A slice may leave the line through the first and the last one by this much; rounding explains less."""
VOXEL_LIMITS_MM = (1e-3, 1e3)
FAR_MM = 1e6
"""Scanners for people make no smaller and no larger voxels, and none a kilometre away."""
TILT_FLOOR = 1e-3
"""Lean of a stack, sideways step over slice step, from which it is said: 0.06 degrees."""


@frozen(eq=False)
class Stack:
    """The frames of a series, volume after volume and slice after slice, and the grid they share."""

    frames: tuple[Frame, ...]
    volumes: tuple[VolumeKey, ...]
    grid: Grid


def stack(frames: Sequence[Frame], frame_of_reference: str, settings: IngestSettings, findings: list[Finding]) -> Stack:
    """Sort frames into volumes and find their grid.

    Raises
    ------
    InconsistentSeries
        If slices are missing, doubled, unevenly spaced or shifted within their plane, or volumes do not cover the same slices.
    """
    by_key: defaultdict[VolumeKey, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_key[frame.key].append(frame)
    keys = sorted(by_key, key=_sort_key)
    normal = frames[0].normal_lps
    volumes = [_sorted_along(by_key[key], normal) for key in keys]
    first = volumes[0]
    grid = _grid(first, normal, frame_of_reference, settings, findings)
    for key, volume in zip(keys[1:], volumes[1:], strict=True):
        _require_same_slices(first, volume, key)
    return Stack(tuple(frame for volume in volumes for frame in volume), tuple(keys), grid)


def _sort_key(key: VolumeKey) -> tuple[tuple[float, ...], ...]:
    """Time, detector, window, then diffusion weighting; None first."""
    return tuple(
        () if value is None else (tuple(value) if isinstance(value, tuple) else (float(value),))
        for value in (key.time_slot, key.detector, key.energy_window, key.b_value_s_per_mm2, key.gradient_lps)
    )


def _sorted_along(frames: Sequence[Frame], normal: npt.NDArray[np.float64]) -> list[Frame]:
    order = np.argsort(_positions(frames) @ normal, kind="stable")
    return [frames[n] for n in order]


def _positions(frames: Sequence[Frame]) -> npt.NDArray[np.float64]:
    return np.array([frame.position_lps_mm for frame in frames])


def _grid(
    frames: Sequence[Frame],
    normal: npt.NDArray[np.float64],
    frame_of_reference: str,
    settings: IngestSettings,
    findings: list[Finding],
) -> Grid:
    first = frames[0]
    affine = np.eye(4)
    affine[:3, 0] = first.along_row_lps * first.spacing_mm[0]
    affine[:3, 1] = first.along_column_lps * first.spacing_mm[1]
    affine[:3, 3] = first.position_lps_mm
    if len(frames) == 1:
        affine[:3, 2] = normal * _thickness(first, findings)
    else:
        positions = _positions(frames)
        _require_even(frames, positions @ normal, settings, findings)
        _require_straight(frames, positions, normal, findings)
        affine[:3, 2] = (positions[-1] - positions[0]) / (len(frames) - 1)
    _require_of_this_world(first, affine)
    return Grid((*first.shape, len(frames)), affine, frame_of_reference)


def _require_of_this_world(frame: Frame, affine: npt.NDArray[np.float64]) -> None:
    """Numbers that are legal text and no geometry would be found as overflows and singular matrices, far from here."""
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    if not (
        edges.min() > VOXEL_LIMITS_MM[0] and edges.max() < VOXEL_LIMITS_MM[1] and np.abs(affine[:3, 3]).max() < FAR_MM
    ):
        raise InputError(
            f"voxels of {', '.join(f'{edge:.3g}' for edge in edges)} mm at {', '.join(f'{x:.3g}' for x in affine[:3, 3])} mm",
            where=f"{frame.path} (0028,0030), (0020,0032)",
            required=f"edges of {VOXEL_LIMITS_MM[0]:g} to {VOXEL_LIMITS_MM[1]:g} mm, within {FAR_MM:g} mm of the origin",
            do="export the series again",
        )


def _thickness(frame: Frame, findings: list[Finding]) -> float:
    """Thickness of an only slice: there is no neighbour to measure to. [mm]"""
    thickness = positive(frame.header, "SpacingBetweenSlices") or positive(frame.header, "SliceThickness")
    if thickness is None:
        raise InputError(
            "a single slice without thickness",
            where=f"{frame.path} (0018,0050)",
            required="SpacingBetweenSlices or SliceThickness",
        )
    findings.append(Finding(Severity.INFO, "ingest.single-slice", f"{frame.path}: the series has one slice"))
    return thickness


def _require_even(
    frames: Sequence[Frame], along_mm: npt.NDArray[np.float64], settings: IngestSettings, findings: list[Finding]
) -> None:
    distances = np.diff(along_mm)
    usual = float(np.median(distances))
    if distances.min() < SAME_PLACE_MM:
        n = int(distances.argmin())
        raise InconsistentSeries(
            f"two slices at {along_mm[n]:.3f} mm: {frames[n].name} and {frames[n + 1].name}",
            where=f"{frames[n].path.parent} (0020,0032)",
            required="one slice per position",
            do="remove the slice that does not belong, or separate the series",
        )
    worst = int(np.abs(distances - usual).argmax())
    where = (
        f"{distances[worst]:.3f} mm between {frames[worst].name} at {along_mm[worst]:.3f} mm and "
        f"{frames[worst + 1].name} at {along_mm[worst + 1]:.3f} mm, usually {usual:.3f} mm"
    )
    if abs(distances[worst] - usual) > settings.slice_gap_limit * usual:
        missing = round(distances[worst] / usual) - 1
        raise InconsistentSeries(
            f"{f'about {missing} slices missing' if missing > 0 else 'uneven spacing'}: {where}",
            where=f"{frames[worst].path.parent} (0020,0032)",
            required=f"even spacing within {settings.slice_gap_limit:.0%}",
            do="export the series again, whole",
        )
    if abs(distances[worst] - usual) > max(settings.slice_gap_tolerance * usual, ROUNDING_MM):
        regular = np.linspace(along_mm[0], along_mm[-1], len(along_mm))
        findings.append(
            Finding(
                Severity.WARNING,
                "ingest.uneven-slices",
                f"{frames[0].path.parent} (0020,0032): {where}. Put on an even grid, a slice moves by at most "
                f"{np.abs(regular - along_mm).max():.2f} mm; joins of bed positions look like this",
            )
        )


def _require_straight(
    frames: Sequence[Frame],
    positions: npt.NDArray[np.float64],
    normal: npt.NDArray[np.float64],
    findings: list[Finding],
) -> None:
    """All first pixels lie on one line; it may lean, as with a tilted gantry."""
    run = positions - positions[0]
    along = run @ normal
    lean = run[-1] / along[-1] - normal
    aside_mm = np.linalg.norm(run - np.outer(along, normal + lean), axis=1)
    worst = int(aside_mm.argmax())
    if aside_mm[worst] > IN_PLANE_LIMIT_MM:
        raise InconsistentSeries(
            f"slice {frames[worst].name} is shifted by {aside_mm[worst]:.3f} mm within its plane",
            where=f"{frames[worst].path} (0020,0032)",
            required=f"first pixels on one line, within {IN_PLANE_LIMIT_MM:g} mm",
            do="remove the slice that does not belong, or separate the series",
        )
    tilt = float(np.linalg.norm(lean))
    if tilt > TILT_FLOOR:
        findings.append(
            Finding(
                Severity.WARNING,
                "ingest.leaning-stack",
                f"{frames[0].path.parent} (0020,0032): the slices are stacked {np.degrees(np.arctan(tilt)):.2f} degrees off their "
                "normal, as with a tilted gantry. Volumes and positions take that into account; diameters within a slice do too",
            )
        )


def _require_same_slices(first: Sequence[Frame], other: Sequence[Frame], key: VolumeKey) -> None:
    here, there = len(other), len(first)
    if here != there or not np.allclose(_positions(first), _positions(other), rtol=0, atol=IN_PLANE_LIMIT_MM):
        raise InconsistentSeries(
            f"volume {_described(key)} has {here} slices and the first volume {there}, or they lie elsewhere",
            where=f"{other[0].path.parent} (0020,0032)",
            required="the same slices in every volume of a series",
            do="export the series again, whole",
        )


def _described(key: VolumeKey) -> str:
    parts = {
        "b-value (s/mm2)": key.b_value_s_per_mm2,
        "gradient": key.gradient_lps,
        "energy window": key.energy_window,
        "detector": key.detector,
        "time slot": key.time_slot,
    }
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value is not None) or "without a mark"
