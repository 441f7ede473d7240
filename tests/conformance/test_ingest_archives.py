"""Real scanners: what their files say, read off with a DICOM dump and written down here by hand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lutra.core.finding import Finding, Severity
from lutra.core.study import DecayCorrection, SeriesHeader
from lutra.ingest import IngestSettings, UnpackSettings, read_contours, read_header, scan, scan_unpacked

Archive = Callable[[str], Path]


def headers(folder: Path) -> tuple[list[SeriesHeader], list[Finding]]:
    """Headers with a grid in order of acquisition, and all Findings."""
    intake = scan([folder])
    series: defaultdict[str, list[Path]] = defaultdict(list)
    for file in intake.files:
        series[file.series_uid].append(Path(file.path))
    outcomes = [read_header(paths, IngestSettings()) for paths in series.values()]
    read = [o.value for o in outcomes if o.value is not None and o.value.grid is not None]
    return sorted(read, key=lambda h: str(h.acquired_at)), [
        *intake.findings,
        *(f for o in outcomes for f in o.findings),
    ]


def test_lutetium_spect(archive: Archive) -> None:
    (first, second), findings = headers(archive("spect_lu177_umich"))
    for header in (first, second):
        assert header.grid is not None
        assert header.grid.shape == (256, 256, 199)
        assert header.grid.spacing_mm == pytest.approx((1.95313, 1.95313, 1.95313), abs=5e-6)
        assert (header.decay_correction, header.stored_unit) == (DecayCorrection.ADMIN, "BQML")
        given = header.radiopharmaceutical
        assert given is not None
        assert given.nuclide == "Lu-177"
        assert given.administered_at == datetime(2018, 11, 15, 9, 22, tzinfo=UTC)
        assert given.half_life_s == 574300
    assert first.acquired_at == datetime(2018, 11, 15, 13, 6, 28, 148000, UTC)
    assert second.acquired_at == datetime(2018, 11, 16, 13, 5, 31, 715000, UTC)
    assert {f.severity for f in findings} == {Severity.INFO}


def test_lutetium_spect_contours(archive: Archive) -> None:
    structures = [Path(f.path) for f in scan([archive("spect_lu177_umich")]).files if f.modality == "RTSTRUCT"]
    counts = []
    for path in structures:
        sets = read_contours(path).value
        assert sets is not None
        counts.append([(s.name, len(s.contours_lps_mm)) for s in sets])
    assert sorted(counts) == [
        [("lesion1 liver R lobe", 35), ("lesion2 liver L lateral", 10)],
        [("lesion1 liver R lobe", 39), ("lesion2 liver L lateral", 13)],
    ]


def test_ge_pet_with_a_time_and_no_date(archive: Archive) -> None:
    (pet,), findings = headers(archive("pet_fdg_ge_sts001"))
    assert pet.grid is not None
    assert pet.grid.shape == (128, 128, 267)
    assert pet.grid.spacing_mm == pytest.approx((4.6875, 4.6875, 3.27), abs=1e-3)
    assert pet.radiopharmaceutical is not None
    assert pet.radiopharmaceutical.nuclide == "F-18"
    assert pet.radiopharmaceutical.administered_at == datetime(2000, 9, 7, 10, 35, tzinfo=UTC)
    (uneven,) = [f for f in findings if f.severity is not Severity.INFO]
    assert uneven.code == "ingest.uneven-slices"


def test_siemens_pet(archive: Archive) -> None:
    (pet,), findings = headers(archive("pet_fdg_siemens_qinhn0139_seg"))
    assert pet.grid is not None
    assert pet.grid.shape == (168, 168, 545)
    assert pet.grid.spacing_mm[2] == pytest.approx(2.025, abs=1e-3)
    assert pet.patient_weight_kg == 123.6
    assert "ingest.not-an-image" in {f.code for f in findings}  # its SEG


def test_ct_and_adc(archive: Archive) -> None:
    (ct,), _ = headers(archive("ct_lung1_001_rtstruct"))
    assert ct.grid is not None
    assert ct.grid.shape == (512, 512, 134)
    assert ct.grid.spacing_mm == pytest.approx((0.9765625, 0.9765625, 3), abs=1e-4)
    adc, _ = headers(archive("adc_abdomen_toshiba_cmbcrc"))
    shapes = {h.grid.shape: h.grid.spacing_mm[2] for h in adc if h.grid is not None}
    assert shapes == pytest.approx({(256, 288, 45): 6, (256, 288, 36): 7})


def test_compressed_files_are_read(archive: Archive, shared_data: Path, tmp_path: Path) -> None:
    """547 gzipped files beside a DICOMDIR that names them without `.gz`, as a folder and as it was downloaded: 544 slices of 17
    volumes, a presentation state, and two objects of Philips' own classes, one of them filed in the series of the slices."""
    packed = next((shared_data / "dicom").glob("dwi_philips_dcmqa.tar.*"))
    intakes = []
    for n, source in enumerate((archive("dwi_philips_dcmqa"), packed)):
        (tmp_path / str(n)).mkdir()
        intakes.append(scan_unpacked([source], tmp_path / str(n), UnpackSettings()))
    for intake in intakes:
        assert [(f.severity, f.code) for f in intake.findings] == [(Severity.INFO, "ingest.private-object")] * 2
        assert Counter(f.modality for f in intake.files) == {"MR": 544, "PR": 1}
    assert {f.sha256 for f in intakes[0].files} == {f.sha256 for f in intakes[1].files}
    header = read_header([Path(f.path) for f in intakes[1].files if f.modality == "MR"], IngestSettings()).value
    assert header is not None
    assert header.grid is not None
    assert (header.grid.shape, len(header.volumes)) == ((112, 112, 32), 17)
