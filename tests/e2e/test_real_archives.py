"""The real archives, as a user would take them through."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from lutra.pipeline.study import StudyFolder

from .conftest import lutra

Archive = Callable[[str], Path]


def inspected(path: Path) -> list[dict[str, Any]]:
    ran = lutra("inspect", path, "--json")
    assert ran.code in (0, 3, 4), ran.err
    series: list[dict[str, Any]] = json.loads(ran.out)["series"]
    return series


def stored_total_mbq(folder: Path) -> float:
    """Sum of stored Bq/mL times the voxel volume, straight from pydicom."""
    total = 0.0
    for path in folder.glob("*.dcm"):
        f = pydicom.dcmread(path)
        volume_ml = float(f.PixelSpacing[0]) * float(f.PixelSpacing[1]) * float(f.SliceThickness) / 1000
        total += float(f.pixel_array.sum(dtype=np.float64)) * float(f.RescaleSlope) * volume_ml
    return total / 1e6


def test_therapy_spect_is_stated_for_its_acquisition(archive: Archive) -> None:
    """Decay by hand: half-life 574300 s of the header, 3.7411 h and 27.7255 h after 09:22:00."""
    root = archive("spect_lu177_umich")
    series = {s["acquired_at"]: s for s in inspected(root) if s["modality"] == "PT"}
    for folder, acquired_at, elapsed_s in (
        ("SCAN_001", "2018-11-15T13:06:28.148000+00:00", 3 * 3600 + 44 * 60 + 28.148),
        ("SCAN_002", "2018-11-16T13:05:31.715000+00:00", 27 * 3600 + 43 * 60 + 31.715),
    ):
        one = series[acquired_at]
        stored = stored_total_mbq(next(root.rglob(f"{folder}/image")))
        assert one["decay_referenced_to"] == "2018-11-15T09:22:00+00:00"
        assert one["unit"] == "Bq/mL"
        assert one["shape"] == [256, 256, 199]
        assert one["total_activity_mbq"] == pytest.approx(stored * 2 ** (-elapsed_s / 574300), rel=1e-5)


def test_fdg_pet_suv_by_hand(archive: Archive) -> None:
    """71 kg, 388.777472 MBq at 10:35:00, series start 11:20:11, half-life 6588 s."""
    (one,) = [s for s in inspected(archive("pet_fdg_ge_sts001")) if s["modality"] == "PT"]
    assert one["suv_bw_factor"] == pytest.approx(71000 / (388777472 * 2 ** (-2711 / 6588)), rel=1e-9)
    assert one["suv_case"] == "BQML, start, series time"
    # A man of 1.63 m: 9270 x 71 / (6680 + 216 x 26.7229) = 52.8560 kg of lean body mass.
    assert one["suv_factors"]["sul"] == pytest.approx([one["suv_bw_factor"] * 52.8560 / 71], rel=1e-5)
    assert set(one["suv_factors"]) == {"suv_bw", "sul", "sul_james", "suv_bsa"}
    assert one["shape"] == [128, 128, 267]


def test_ct_and_adc_have_no_suv_and_say_why(archive: Archive) -> None:
    for one in inspected(archive("adc_abdomen_toshiba_cmbcrc")):
        assert one["suv_bw_factor"] is None
        assert one["suv_bw_reason"]
        assert one["unit"] == "mm2/s"
        assert "quantify.adc-unit-assumed" in [f["code"] for f in one["findings"]]


@pytest.fixture(scope="module")
def study(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    root = tmp_path_factory.mktemp("real") / "study"
    names = ("spect_lu177_umich", "pet_fdg_ge_sts001", "adc_abdomen_toshiba_cmbcrc", "ct_lung1_001_rtstruct")
    assert lutra("study", "init", root).code == 0
    assert lutra("study", "add", root, *(archive(name) for name in names)).code == 0
    assert lutra("run", root).code == 3
    assert lutra("report", root).code == 0
    return StudyFolder(root)


def test_spect_patient(study: StudyFolder) -> None:
    (record,) = [r for r in study.records() if r.subject.subject_id == "ANON54121"]
    spects = record.subject.timepoints
    assert [t.cycle for t in spects] == [1, 1]
    assert [t.since_administration_h for t in spects] == pytest.approx([3.741152, 27.725476], abs=1e-5)
    assert [lesion.lesion_id for lesion in record.lesions] == ["L01", "L02"]
    assert all(len(lesion.observations) == 2 for lesion in record.lesions)
    for lesion in record.lesions:
        (cycle,) = lesion.dosimetry.cycles
        fit = study.store.get(cycle.fit.output)
        assert not fit.identifiable
        low, high = fit.time_integrated_activity.evaluated_interval()
        assert high / low > 2  # two points cannot promise more
        assert fit.time_integrated_activity.sd is None  # calibration, recovery and volume were not given
        assert {d.engine for d in cycle.doses} == {"hybrid", "sphere"}
    codes = {f.code for key in record.receipts for f in (study.ledger.receipt(key).findings)}  # type: ignore[union-attr]
    assert {"kinetics.two-points-do-not-identify-a-curve", "dose.density-assumed"} <= codes
    assert "pipeline.description-names-another-cycle" in codes


def test_every_subject_has_its_page_and_numbers(study: StudyFolder) -> None:
    assert set(study.ledger.current_records()) == {"ANON54121", "CMB-CRC-MSB-06489", "LUNG1-001", "STS_001"}
    assert len(list((study.root / "report" / "subjects").glob("*.html"))) == 4
    pages = {p.stem: p.read_text(encoding="utf-8") for p in (study.root / "report" / "subjects").glob("*.html")}
    (pet,) = [text for text in pages.values() if "STS_001" in text]
    assert "SUVbw factor 0.00024290298 by rule" in pet  # the page says which rule gave the SUV
    paths = [row.path for row in study.ledger.results()]
    assert any(p.startswith("STS_001/L01/") and p.endswith("/suv-peak") for p in paths)
    assert any(p.startswith("LUNG1-001/L01/") and p.endswith("/longest-diameter") for p in paths)
    assert any(p.startswith("CMB-CRC-MSB-06489/image/") and p.endswith("/adc-median") for p in paths)


def test_eleven_tumours_of_a_segmentation(archive: Archive, tmp_path: Path) -> None:
    """A PET and a DICOM segmentation, added as they are: eleven lesions, each with its SUV."""
    study = StudyFolder.create(tmp_path / "study")
    study.add([archive("pet_fdg_siemens_qinhn0139_seg")])
    study.run()
    (record,) = study.records()
    assert len(record.lesions) == 11
    suv = [row.path for row in study.ledger.results() if "/L" in row.path and row.path.endswith("/suv-max")]
    assert len(suv) == 11


def test_inspect_says_what_dose_and_contours_hold(archive: Archive) -> None:
    by_modality = {s["modality"]: s for s in inspected(archive("rt_dose_struct_dicompyler"))}
    assert by_modality["RTDOSE"]["holds"][0].startswith("dose up to 14.68 Gy on 194 × 129 × 98 voxels")
    assert any(line.startswith("Heart: 33 contours") for line in by_modality["RTSTRUCT"]["holds"])
