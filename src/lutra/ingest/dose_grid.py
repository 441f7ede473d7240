"""Dose grids of an RTDOSE, and the dose-volume histograms stored with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import frozen
from pydicom import Dataset

from lutra.core.dose import Dvh
from lutra.core.errors import InconsistentSeries, InputError, Unreadable
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.ingest.elements import count, items, many, number, numbers, positive, text
from lutra.ingest.files import parsed
from lutra.ingest.frames import directions, pixel_spacing
from lutra.ingest.pixels import planes_of
from lutra.ingest.quiet import quietly

RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
EVEN = 0.01
"""Frames of a dose grid are a lattice; the offsets are text. [frame distances]"""
READ_KIND = ("CUMULATIVE", "GY", "CM3")
"""(3004,0001), (3004,0002) and (3004,0054) of the histograms that are read; one of them that is left out is damaged."""
MOST_GY = 1e6
"""No treatment gives a million gray: a scaling that does is none."""
SAME_PLACE_MM = 1e-3
TRANSVERSE = 1e-4
"""Absolute offsets are defined for transverse grids only [PS3.3 C.8.8.3.2]."""


@frozen(eq=False)
class StoredDvh:
    """A cumulative dose-volume histogram as the planning system wrote it.

    Parameters
    ----------
    roi_number
        (3006,0084) of the structure set the dose refers to.
    volume_ml
        Volume of the region that the histogram counts. [mL]
    stated_mean
        (3004,0074), in whatever unit the writer used. It may be per cent of the prescription although (3004,0002) says Gy, so
        nothing here rests on it.
    """

    roi_number: int
    dvh: Dvh
    volume_ml: float
    stated_mean: float | None = None

    @property
    def mean_gy(self) -> float:
        """Mean dose: each bin's volume over its width. [Gy]"""
        return float(self.dvh.volume_fraction[:-1] @ np.diff(self.dvh.dose_gy))


@quietly()
def read_dose_grid(path: Path) -> Outcome[Volume]:
    """Read the dose of an RTDOSE in Gy.

    Returns
    -------
    Outcome
        Absorbed dose on the file's grid, frames in the order of the file; none with an ERROR Finding if the dose is relative, an
        error estimate or biologically weighted, or if the frames do not lie on an even lattice.
    """
    try:
        file = _file(path)
        scaling = _scaling_gy(file, path)
        shape = count(file, "Rows"), count(file, "Columns")
        _, planes = planes_of(path, shape)
        grid = _grid(file, path, len(planes))
        if planes.dtype.kind not in "ui":
            raise Unreadable("a dose of this pixel type", where=f"{path} (0028,0100)", required="whole numbers")
        if not float(planes.max(initial=0)) * scaling < MOST_GY:
            raise Unreadable(
                f"doses up to {planes.max(initial=0) * scaling:.3g} Gy", where=f"{path} (3004,000E)", required="less"
            )
    except InputError as error:
        return Outcome(None, (Finding(Severity.ERROR, "ingest.dose-refused", str(error)),))
    findings = []
    if text(file, "DoseSummationType") not in {"PLAN", "MULTI_PLAN", ""}:
        text_ = f"{path} (3004,000A): the dose of a {text(file, 'DoseSummationType')}, not of a whole plan"
        findings.append(Finding(Severity.WARNING, "ingest.dose-in-part", text_))
    return Outcome(Volume((planes * scaling).transpose(2, 1, 0), grid, Unit.GY), findings)


@quietly()
def read_stored_dvhs(path: Path) -> Outcome[tuple[StoredDvh, ...]]:
    """Read the cumulative histograms of absolute dose and volume in an RTDOSE; others are left out with a Finding."""
    findings: list[Finding] = []
    stored = []
    try:
        for item in items(_file(path), "DVHSequence"):
            rois = [number(roi, "ReferencedROINumber") for roi in items(item, "DVHReferencedROISequence")]
            kind = tuple(text(item, tag) for tag in ("DVHType", "DoseUnits", "DVHVolumeUnits"))
            try:
                data = np.array([float(v) for v in many(item, "DVHData")]).reshape(-1, 2)
            except (TypeError, ValueError):
                data = np.zeros((0, 2))
            if len(data) != (number(item, "DVHNumberOfBins") or len(data)) or not np.isfinite(data).all():
                data = np.zeros((0, 2))  # cut, or no numbers
            if kind != READ_KIND or len(rois) != 1 or rois[0] is None or not len(data) or data[0, 1] <= 0:
                text_ = f"{path} (3004,0050): histogram of region {rois} of type {'/'.join(kind)} with {len(data)} bins is not used"
                severity = Severity.WARNING if kind == READ_KIND else Severity.INFO
                findings.append(Finding(severity, "ingest.dvh-left-out", text_))
                continue
            # Each pair is the width of a bin and the volume that receives its dose or more [PS3.3 C.8.8.4].
            width_gy = data[:, 0] * (positive(item, "DVHDoseScaling") or 1.0)
            edges = np.concatenate([[0.0], np.cumsum(width_gy)])
            share = np.append(data[:, 1], 0.0) / data[0, 1]
            stored.append(StoredDvh(int(rois[0]), Dvh(edges, share), float(data[0, 1]), number(item, "DVHMeanDose")))
    except InputError as error:
        return Outcome(None, (Finding(Severity.ERROR, "ingest.dose-refused", str(error)),))
    return Outcome(tuple(stored), findings)


def _file(path: Path) -> Dataset:
    file = parsed(path).header
    if text(file, "SOPClassUID") != RT_DOSE:
        raise InputError(
            f"an object of modality {text(file, 'Modality') or 'unknown'}",
            where=f"{path} (0008,0016)",
            required="RT Dose Storage",
        )
    return file


def _scaling_gy(file: Dataset, path: Path) -> float:
    units, kind = text(file, "DoseUnits"), text(file, "DoseType")
    scaling = positive(file, "DoseGridScaling")
    if units != "GY" or kind != "PHYSICAL" or scaling is None:
        raise InputError(
            f"dose units {units or 'missing'}, dose type {kind or 'missing'}, scaling {text(file, 'DoseGridScaling') or 'missing'}",
            where=f"{path} (3004,0002), (3004,0004), (3004,000E)",
            required="GY, PHYSICAL and a positive scaling: absorbed dose",
            do="export the absorbed dose of the plan",
        )
    return scaling


def _grid(file: Dataset, path: Path, n_frames: int) -> Grid:
    row, column = directions(file)
    along_row, along_column = pixel_spacing(file)
    normal = np.cross(row, column)
    position = numbers(file, "ImagePositionPatient", 3)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 3] = row * along_row, column * along_column, position
    if n_frames == 1:
        thickness = positive(file, "SliceThickness")
        if thickness is None:
            raise InputError(
                "a dose of one plane without thickness", where=f"{path} (0018,0050)", required="SliceThickness"
            )
        affine[:3, 2] = normal * thickness
    else:
        offsets_mm = _offsets_mm(file, path, n_frames, float(position[2]), normal)
        affine[:3, 2] = normal * offsets_mm[-1] / (n_frames - 1)
    return Grid((count(file, "Columns"), count(file, "Rows"), n_frames), affine, text(file, "FrameOfReferenceUID"))


def _offsets_mm(
    file: Dataset, path: Path, n_frames: int, first_z_mm: float, normal: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Distance of each frame from the first along the normal, from either way to write the Grid Frame Offset Vector."""
    offsets = numbers(file, "GridFrameOffsetVector", n_frames)
    where = f"{path} (3004,000C)"
    if abs(offsets[0]) > SAME_PLACE_MM:
        # Not relative, so it must be the z coordinate of each frame, which only a transverse grid has.
        if abs(offsets[0] - first_z_mm) > SAME_PLACE_MM or abs(abs(normal[2]) - 1) > TRANSVERSE:
            raise InputError(
                f"offsets that begin with {offsets[0]:g} mm; the first frame lies at z = {first_z_mm:g} mm",
                where=where,
                required="0, or on a transverse grid the z coordinate of the first frame",
                do="export the dose again",
            )
        offsets = (offsets - offsets[0]) * np.sign(normal[2])
    distances = np.diff(offsets)
    usual = float(np.median(distances))
    if usual == 0 or np.abs(distances / usual - 1).max() > EVEN:
        raise InconsistentSeries(
            f"frames {np.abs(distances).min():g} to {np.abs(distances).max():g} mm apart",
            where=where,
            required="evenly spaced frames",
            do="export the dose on an even grid",
        )
    return offsets
