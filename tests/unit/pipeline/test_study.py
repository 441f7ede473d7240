"""A study folder: what was added first stays, and a protocol says what is wrong with it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from lutra.core.errors import ProtocolError, StoreError, UsageError
from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series
from lutra.export.dicom_image import STORAGE
from lutra.pipeline.protocol import parse_protocol, shipped_protocols
from lutra.pipeline.study import StudyFolder

AT = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    grid = Grid((6, 5, 4), np.diag([2.0, 3, 4, 1]), stable_uid("frame"))
    header = SeriesHeader(
        series_uid=stable_uid("ct"),
        study_uid=stable_uid("study"),
        subject_id="P1",
        modality="CT",
        sop_class_uid=str(STORAGE["CT"]),
        description="",
        manufacturer="test",
        model="",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        frame_of_reference=grid.frame_of_reference,
        instances=tuple(stable_uid("ct", str(k)) for k in range(4)),
        acquired_at=AT,
    )
    identity = PatientIdentity("P1", "P1", "F", 70, 1.7)
    write_image_series(tmp_path / "ct", header, Volume(np.zeros(grid.shape), grid, Unit.HU), identity, AT)
    return tmp_path / "ct"


def test_an_instance_with_a_known_identity_and_other_content_is_left_out(ct: Path, tmp_path: Path) -> None:
    study = StudyFolder.create(tmp_path / "study")
    assert study.add([ct])[0] == 4
    before = study.ledger.sources()
    other = tmp_path / "another"  # sorts before the first folder
    shutil.copytree(ct, other)
    changed = pydicom.dcmread(other / "0001.dcm")
    changed.SeriesDescription = "changed"
    changed.save_as(other / "0001.dcm")
    new, findings = study.add([other])
    assert [f.code for f in findings] == ["ingest.instance-conflict"]
    assert "0001.dcm" in findings[0].text
    used = {s.sop_instance_uid: s.sha256 for s in study.ledger.sources()}
    assert used == {s.sop_instance_uid: s.sha256 for s in before}
    assert new == 0


def test_copies_are_the_studys_own(ct: Path, tmp_path: Path) -> None:
    study = StudyFolder.create(tmp_path / "study")
    study.add([ct], copy=True)
    shutil.rmtree(ct)
    assert study.run().subjects == ("P1",)
    assert study.check() == ()


def test_a_study_is_not_overwritten(tmp_path: Path) -> None:
    StudyFolder.create(tmp_path / "study")
    with pytest.raises(StoreError, match="a study here already"):
        StudyFolder.create(tmp_path / "study")
    with pytest.raises(UsageError, match="lumen"):
        StudyFolder.create(tmp_path / "other", "no-such-protocol")


@pytest.mark.parametrize("name", shipped_protocols())
def test_shipped_protocols_are_valid(name: str) -> None:
    assert parse_protocol(shipped_protocols()[name], name).study.name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[study]\nname = 3", "3 is not a str"),
        ("[study]\nname = 'x'\n[dose]\nengine = 1", "dose.engine"),
        ("[study]\nname = 'x'\n[quantify]\nspect_fwhm_mm = -1.0", "spect_fwhm_mm must be positive"),
        ("[study\nname", "not valid TOML"),
        ("", "study"),
    ],
)
def test_a_wrong_protocol_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(ProtocolError, match=r"p\.toml") as caught:
        parse_protocol(text, "p.toml")
    assert words in str(caught.value)
