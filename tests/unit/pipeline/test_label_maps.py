"""Segmentations and label maps as sources of a study, from the command line to a region on the image."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from lutra.cli.main import app
from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series
from lutra.export.dicom_image import STORAGE
from lutra.pipeline.inspect import inspect
from lutra.pipeline.study import StudyFolder

AT = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)
AFFINE = np.array([[2.0, 0, 0, -12], [0, 2, 0, 5], [0, 0, 3, 100], [0, 0, 0, 1]])
SERIES = stable_uid("ct")


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    """A CT of 40 HU everywhere."""
    grid = Grid((16, 14, 10), AFFINE, stable_uid("frame"))
    header = SeriesHeader(
        SERIES, stable_uid("study"), "P1", "CT", str(STORAGE["CT"]), "", "test", "", ("ORIGINAL", "PRIMARY", "AXIAL"),
        grid.frame_of_reference, tuple(stable_uid("ct", str(k)) for k in range(10)), acquired_at=AT,
    )  # fmt: skip
    identity = PatientIdentity("P1", "P1", "F", 70, 1.7)
    write_image_series(tmp_path / "ct", header, Volume(np.full(grid.shape, 40.0), grid, Unit.HU), identity, AT)
    folder = StudyFolder.create(tmp_path / "study")
    folder.add([tmp_path / "ct"])
    return folder


def labels(path: Path, affine: np.ndarray = AFFINE) -> Path:
    values = np.zeros((16, 14, 10), np.uint8)
    values[3:8, 4:9, 2:6], values[10:14, 4:9, 5:9] = 5, 7
    nib.save(nib.Nifti1Image(values, np.diag([-1.0, -1, 1, 1]) @ affine), path)
    return path


def add(study: StudyFolder, *arguments: object) -> tuple[int, str]:
    ran = CliRunner().invoke(app, ["study", "add", str(study.root), *map(str, arguments)])
    return ran.exit_code, ran.output


def test_a_label_map_is_measured_on_its_image(study: StudyFolder, tmp_path: Path) -> None:
    """5 x 5 x 4 voxels of 12 mm3 and 4 x 5 x 4: 1.2 mL of liver and 0.96 mL of a lesion at 40 HU."""
    (tmp_path / "names.csv").write_text("5,liver\n7,lesion 1\n")
    code, output = add(
        study, "--labels", labels(tmp_path / "l.nii.gz"), "--names", tmp_path / "names.csv", "--for", SERIES
    )
    assert code == 0, output
    assert "1 new instances" in output
    study.run()
    (record,) = study.records()
    (lesion,) = record.lesions
    found = [study.store.get(o.measurements.output) for o in (*lesion.observations, *record.organs)]
    assert [m.values["volume"].value for m in found] == pytest.approx([0.96, 1.2], rel=1e-6)
    assert add(study, "--labels", tmp_path / "l.nii.gz", "--names", tmp_path / "names.csv", "--for", SERIES)[0] == 0
    assert len([s for s in study.ledger.sources() if s.modality == "SEG"]) == 1


def test_a_label_map_of_another_grid_is_put_on_the_image_with_a_warning(study: StudyFolder, tmp_path: Path) -> None:
    affine = AFFINE.copy()
    affine[:3, 3] += 0.9
    code, output = add(
        study, "--labels", labels(tmp_path / "l.nii", affine), "--names", "totalsegmentator-total", "--for", SERIES
    )
    assert code == 3
    assert "segment.frame-assumed" in output


@pytest.mark.parametrize(
    "arguments", [[], ["--labels", "l.nii"], ["--for", SERIES], ["--labels", "l.nii", "--for", "1.2"]]
)
def test_what_cannot_be_added_is_refused(study: StudyFolder, arguments: list[str]) -> None:
    code, output = add(study, *arguments)
    assert code in (1, 2)
    assert "Traceback" not in output


def test_inspect_says_what_a_segmentation_holds(study: StudyFolder, tmp_path: Path) -> None:
    add(study, "--labels", labels(tmp_path / "l.nii"), "--names", "totalsegmentator-total", "--for", SERIES)
    (source,) = [s for s in study.ledger.sources() if s.modality == "SEG"]
    (one,), findings = inspect([Path(source.path)])
    assert findings == ()
    assert [line.split(",")[0] for line in one.holds] == ["liver: 1.2 mL", "pancreas: 0.96 mL"]
    assert json.loads(json.dumps(one.as_json()))["holds"] == list(one.holds)
