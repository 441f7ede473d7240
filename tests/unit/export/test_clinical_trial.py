"""Clinical trial modules on everything that is written: in images, and from them in what is drawn and registered on them."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from attrs import evolve
from pydicom import Dataset

from lutra.core.clinical_trial import ClinicalTrial
from lutra.core.grid import Grid
from lutra.core.region import ConceptCode, ContourSet, Region, RegionKind, RegionOrigin
from lutra.core.study import SeriesHeader
from lutra.core.transform import Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import (
    PatientIdentity,
    write_image_series,
    write_rtstruct,
    write_segmentation,
    write_spatial_registration,
)
from lutra.export.dicom_image import STORAGE
from lutra.ingest import IngestSettings, read_header

AT = datetime(2026, 1, 12, 9, tzinfo=UTC)
GRID = Grid((6, 6, 4), np.diag([2.0, 2, 3, 1]), "1.2.3.10")
CT = SeriesHeader(
    "1.2.3.11", "1.2.3.1", "P1", "CT", STORAGE["CT"], "", "test", "", ("ORIGINAL", "PRIMARY", "AXIAL"), "1.2.3.10",
    tuple(f"1.2.3.11.{k}" for k in range(1, 5)), acquired_at=AT,
)  # fmt: skip
TRIAL = ClinicalTrial("University", "LUMEN", "Octreotate " * 9, "01", "CYCLE 2", "second administration")
SUBJECT = {
    0x00120010: "University",
    0x00120020: "LUMEN",
    0x00120021: TRIAL.title[:64].strip(),
    0x00120030: "01",
    0x00120031: "",
    0x00120040: "P1",
}
TIME_POINT = {0x00120050: "CYCLE 2", 0x00120051: "second administration"}


def patient(trial: ClinicalTrial | None) -> PatientIdentity:
    return PatientIdentity("P1", "P1", "F", 70, 1.7, trial)


def images(folder: Path, trial: ClinicalTrial | None) -> list[Path]:
    return list(write_image_series(folder, CT, Volume(np.zeros(GRID.shape), GRID, Unit.HU), patient(trial), AT))


def said(file: Dataset) -> dict[int, str]:
    return {
        int(e.tag): str(e.value or "").strip()
        for e in file
        if e.tag.group == 0x0012 and e.VR in {"LO", "ST"} and e.tag.element <= 0x51
    }


def region() -> Region:
    code = ConceptCode("108369006", "SCT", "Neoplasm")
    return Region("a", RegionKind.LESION, GRID, (1, 1, 1), np.ones((2, 2, 2)), code, RegionOrigin.DRAWN, "")


def segmented(folder: Path, on: list[Path], trial: ClinicalTrial | None = None) -> Dataset:
    header = read_header(on, IngestSettings()).value
    assert header is not None
    assert header.grid is not None
    drawn = evolve(region(), grid=header.grid)
    path = write_segmentation(
        folder / "seg.dcm", [drawn], on, header, series_uid="1.2.8", instance_uid="1.2.7", drawn_at=AT, trial=trial
    )
    return pydicom.dcmread(path)


def registered(folder: Path, on: list[Path], trial: ClinicalTrial | None = None) -> Dataset:
    moving = evolve(CT, frame_of_reference="1.2.3.20", series_uid="1.2.3.21")
    made = Transform("1.2.3.10", "1.2.3.20", np.eye(4), 1.0, "rigid", quality={})
    path = write_spatial_registration(
        folder / "reg.dcm",
        made,
        [CT],
        [moving],
        on[0],
        series_uid="1.2.9",
        instance_uid="1.2.6",
        made_at=AT,
        trial=trial,
    )
    return pydicom.dcmread(path)


def test_images_say_subject_and_time_point_and_nothing_without_a_trial(tmp_path: Path) -> None:
    with_trial, without = (
        pydicom.dcmread(images(tmp_path / name, trial)[0]) for name, trial in (("a", TRIAL), ("b", None))
    )
    assert said(with_trial) == SUBJECT | TIME_POINT
    assert said(without) == {}


def test_without_a_time_point_nothing_is_said_of_one(tmp_path: Path) -> None:
    file = pydicom.dcmread(images(tmp_path, evolve(TRIAL, timepoint=""))[0])
    assert said(file) == SUBJECT


def test_contours_are_in_the_trial_of_their_patient(tmp_path: Path) -> None:
    square = np.array([[2.0, 2, 3], [6, 2, 3], [6, 6, 3]])
    drawn = ContourSet("a", (square,), "1.2.3.10", None, "")
    uids = {"series_uid": "1.2.9", "instance_uid": "1.2.5"}
    path = write_rtstruct(tmp_path / "rt.dcm", [drawn], CT, patient(TRIAL), **uids, drawn_at=AT)
    assert said(pydicom.dcmread(path)) == SUBJECT | TIME_POINT


def test_what_is_made_on_images_is_in_their_trial(tmp_path: Path) -> None:
    """A segmentation at the time point of its images; a registration, which is of two, at none."""
    on = images(tmp_path / "ct", TRIAL)
    assert said(segmented(tmp_path, on)) == SUBJECT | TIME_POINT
    assert said(registered(tmp_path, on)) == SUBJECT


def test_a_trial_can_be_named_where_the_images_say_none(tmp_path: Path) -> None:
    on = images(tmp_path / "ct", None)
    assert said(segmented(tmp_path, on)) == said(registered(tmp_path, on)) == {}
    for made in (segmented, registered):
        assert said(made(tmp_path, on, TRIAL)) == SUBJECT | TIME_POINT


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="the validator dciodvfy (dicom3tools) is not installed")
def test_a_validator_finds_no_error(tmp_path: Path) -> None:
    paths = images(tmp_path / "ct", TRIAL)[:1]
    segmented(tmp_path, images(tmp_path / "again", TRIAL))
    for path in (*paths, tmp_path / "seg.dcm"):
        found = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert [line for line in (found.stdout + found.stderr).splitlines() if line.startswith("Error")] == []
