"""A study of two people: P1 with a CT and a PET in one frame and a later PET in another, P2 with a CT."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from lutra.core.grid import Grid
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series
from lutra.export.dicom_image import STORAGE
from lutra.pipeline.label_maps import add_label_map
from lutra.pipeline.study import StudyFolder

CT, PET, LATER = (stable_uid("series", name) for name in ("ct", "pet", "later"))
CT_LABEL, PET_LABEL, LATER_LABEL = "CT 12 Jan 2026", "FDG PET 12 Jan 2026", "FDG PET 12 Apr 2026"
FRAME, LATER_FRAME = stable_uid("frame", "one"), stable_uid("frame", "later")
CT_SHAPE, CT_MM = (44, 40, 16), (2.0, 2.0, 4.0)
PET_SHAPE, PET_MM = (24, 22, 17), (4.0, 4.0, 4.0)
CENTRE = np.array([6.0, -10.0, 4.0])
"""Of the lesion in either frame. LPS [mm]"""
RADIUS_MM, SUV, BACKGROUND = 10.0, 9.0, 1.0
ACTIVITY_BQ, HALF_LIFE_S = 250e6, 6586.2
BQ_PER_SUV = ACTIVITY_BQ * 2 ** (-3600 / HALF_LIFE_S) / 70e3
"""Concentration of SUV 1 an hour after the injection. [Bq/mL]"""
NAMES = "1,lesion 1 liver\n2,left kidney\n"


def grid_of(shape: tuple[int, int, int], mm: tuple[float, float, float], frame: str) -> Grid:
    """A grid round the origin."""
    affine = np.diag([*mm, 1.0])
    affine[:3, 3] = -np.multiply(np.subtract(shape, 1), mm) / 2
    return Grid(shape, affine, frame)


def ball(grid: Grid, radius_mm: float, centre: npt.NDArray[np.float64] = CENTRE) -> npt.NDArray[np.bool_]:
    """Voxels whose centre lies within a sphere. (i, j, k)"""
    points = grid.to_lps_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    inside: npt.NDArray[np.bool_] = np.linalg.norm(points - centre, axis=-1) <= radius_mm
    return inside


def write_ct(folder: Path, person: str, uid: str, frame: str) -> None:
    grid = grid_of(CT_SHAPE, CT_MM, frame)
    at = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)
    values = np.where(ball(grid, RADIUS_MM), 80.0, 40.0) + np.arange(CT_SHAPE[0])[:, None, None]
    header = SeriesHeader(
        uid, stable_uid("study", uid), person, "CT", str(STORAGE["CT"]), "", "test", "", ("ORIGINAL", "PRIMARY", "AXIAL"), frame,
        tuple(stable_uid(uid, str(k)) for k in range(CT_SHAPE[2])), acquired_at=at,
    )  # fmt: skip
    write_image_series(
        folder, header, Volume(values, grid, Unit.HU), PatientIdentity(person, person, "F", 70.0, 1.7), at
    )


def write_pet(folder: Path, uid: str, frame: str, at: datetime) -> None:
    grid = grid_of(PET_SHAPE, PET_MM, frame)
    suv = gaussian_filter(np.where(ball(grid, RADIUS_MM), SUV, BACKGROUND), 6 / 2.355 / 4)
    header = SeriesHeader(
        series_uid=uid,
        study_uid=stable_uid("study", uid),
        subject_id="P1",
        modality="PT",
        sop_class_uid=str(STORAGE["PT"]),
        description="FDG",
        manufacturer="SIEMENS",
        model="Biograph",
        image_type=("ORIGINAL", "PRIMARY"),
        frame_of_reference=frame,
        instances=tuple(stable_uid(uid, str(k)) for k in range(PET_SHAPE[2])),
        grid=grid,
        decay_correction=DecayCorrection.START,
        series_started_at=at,
        acquired_at=at,
        frame_duration_s=180.0,
        frame_reference_time_s=90.0,
        decay_factor=1.0095,
        radiopharmaceutical=Radiopharmaceutical(
            "F-18", "Fluorodeoxyglucose", ACTIVITY_BQ, at - timedelta(hours=1), HALF_LIFE_S
        ),
    )
    person = PatientIdentity("P1", "P1", "F", 70.0, 1.7)
    write_image_series(folder, header, Volume(suv * BQ_PER_SUV, grid, Unit.BQ_PER_ML), person, at)


def write_mask(path: Path, mask: npt.NDArray[np.bool_], grid: Grid) -> Path:
    """Write a mask as another program would."""
    values = mask.astype(np.uint8)
    nib.save(nib.Nifti1Image(values, np.diag([-1.0, -1, 1, 1]) @ grid.affine_lps_mm), path)
    return path


def written_study(folder: Path) -> StudyFolder:
    """Write the study and run it: a lesion of 8 mm radius and a kidney are drawn on the CT."""
    write_ct(folder / "ct", "P1", CT, FRAME)
    write_pet(folder / "pet", PET, FRAME, datetime(2026, 1, 12, 9, 30, tzinfo=UTC))
    write_pet(folder / "later", LATER, LATER_FRAME, datetime(2026, 4, 12, 9, 30, tzinfo=UTC))
    write_ct(folder / "other", "P2", stable_uid("series", "P2"), stable_uid("frame", "P2"))
    grid = grid_of(CT_SHAPE, CT_MM, FRAME)
    labels = ball(grid, 8.0).astype(np.uint8)
    labels[ball(grid, 9.0, np.array([-26.0, 20.0, -10.0]))] = 2
    nib.save(nib.Nifti1Image(labels, np.diag([-1.0, -1, 1, 1]) @ grid.affine_lps_mm), folder / "labels.nii")
    (folder / "names.csv").write_text(NAMES)
    study = StudyFolder.create(folder / "study")
    study.add([folder / name for name in ("ct", "pet", "later", "other")])
    add_label_map(study, folder / "labels.nii", folder / "names.csv", CT)
    study.run()
    return study
