"""Calibration files as a site writes them, and a study of NM counts from files to activity and back to the calibration."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from lutra.core.calibration import CameraFactor, DoseCalibrator
from lutra.core.errors import ProtocolError
from lutra.core.finding import Severity
from lutra.core.grid import Grid
from lutra.core.study import Camera, DecayCorrection, EnergyWindow, Radiopharmaceutical, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_nm_recon
from lutra.pipeline.calibrations import read_calibration, read_calibrations
from lutra.pipeline.inspect import inspect
from lutra.pipeline.study import StudyFolder
from lutra.pipeline.why import Provenance, as_json, find_result

DOCS = Path(__file__).resolve().parents[3] / "docs" / "calibration.md"
AT = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)
MINIMAL = """
measured_on = 2026-01-10
nuclide = "Lu-177"
[camera]
model = "670"
[camera_factor]
cps_per_mbq = 5.67
cps_per_mbq_sd = 0.09
geometry = "sphere"
"""


def put(folder: Path, text: str, name: str = "a.toml") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_the_example_of_the_documentation_is_read_and_fitted(tmp_path: Path) -> None:
    example, points = re.findall(r"```toml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    file = read_calibration(put(tmp_path, example), "Europe/Brussels")
    assert file.measured_at.isoformat() == "2026-01-10T00:00:00+01:00"
    assert file.sha256 == hashlib.sha256((tmp_path / "a.toml").read_bytes()).hexdigest()
    assert file.camera == Camera("GE MEDICAL SYSTEMS", "Discovery NM/CT 670", "12345", "", "MEGP")
    assert file.energy_window == EnergyWindow("", 187.2, 228.8)
    assert file.camera_factor == CameraFactor(5.67, 0.09, "cps/MBq", "sphere")
    assert file.dose_calibrator == DoseCalibrator(1.012, 0.010)
    assert file.recovery is not None
    assert file.recovery.form == "hill"
    assert (file.recovery.smallest_ml, file.recovery.largest_ml) == (0.52, 26.5)
    # The points of the second example are 60 cps/MBq and 0.55 us, rounded.
    fitted = read_calibration(put(tmp_path, MINIMAL + points, "b.toml"), "UTC").dead_time
    assert fitted is not None
    assert fitted.tau_s == pytest.approx(0.55e-6, rel=0.02)
    assert fitted.wide_cps_per_mbq == pytest.approx(60, rel=0.01)
    assert [f.name for f in read_calibrations(tmp_path, "UTC")] == ["a.toml", "b.toml"]
    assert read_calibrations(tmp_path / "none", "UTC") == ()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("measured_on = 2026-01-10", "", "measured_on is None"),
        ("2026-01-10", '"2026-01-10"', "without quotes"),
        ('nuclide = "Lu-177"', "", "nuclide"),
        ("[camera]", "[kamera]", "unknown setting kamera"),
        ('model = "670"', "", "which camera"),
        ('model = "670"', 'modell = "670"', "which camera"),
        ("cps_per_mbq = 5.67", "", "image_over_true"),
        ("cps_per_mbq = 5.67", "cps_per_mbq = -1", "must be > 0"),
        ("cps_per_mbq = 5.67", 'cps_per_mbq = "5.67"', "is not a float"),
        ("cps_per_mbq_sd = 0.09", "", "None is not a float"),
        ('geometry = "sphere"', 'geometry = "egg"', "'geometry' must be in"),
        ("[camera_factor]", "[camera_factor]\nunits = 1", "unknown setting camera_factor.units"),
        ('nuclide = "Lu-177"', 'nuclide = "Lu-177"\ndecay_correction = "NOW"', "START, ADMIN, NONE"),
        ("[camera_factor]", "camera_factor = 1\n[x]", "unknown setting"),
        ("[camera_factor]", "[recovery]\nrecoveries = [1]\n[camera_factor]", "volumes_ml"),
        ("[camera_factor]", "[camera_factor", "not valid TOML"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(ProtocolError, match=re.escape(words)) as caught:
        read_calibration(put(tmp_path, MINIMAL.replace(old, new, 1)), "UTC")
    assert "a.toml" in str(caught.value)


# ---- a study ----
GRID = Grid((8, 7, 6), np.diag([4.0, 4, 5, 1]), stable_uid("frame"))
COUNTS = np.full(GRID.shape, 500.0)


@pytest.fixture
def spect(tmp_path: Path) -> Path:
    """Two energy windows; 168 000 counts in the peak in 1500 s are 112 cps, 19.753 MBq at 5.67 cps/MBq."""
    header = SeriesHeader(
        series_uid=stable_uid("spect"),
        study_uid=stable_uid("study"),
        subject_id="P1",
        modality="NM",
        sop_class_uid="",
        description="",
        manufacturer="GE",
        model="670",
        image_type=(),
        frame_of_reference=GRID.frame_of_reference,
        instances=(stable_uid("instance"),),
        acquired_at=AT,
        decay_correction=DecayCorrection.START,
        corrected_image=("DECY", "SCAT", "DTIM"),
        frame_duration_s=25,
        acquisition_duration_s=1500,
        radiopharmaceutical=Radiopharmaceutical("Lu-177", "x", 7.4e9, AT - timedelta(days=1), None),
        energy_windows=(EnergyWindow("low", 166.4, 187.2), EnergyWindow("208", 187.2, 228.8)),
        camera=Camera("GE", "670", "1", "NM1", "MEGP"),
    )
    volumes = [Volume(c, GRID, Unit.STORED) for c in (COUNTS / 5, COUNTS)]
    return write_nm_recon(tmp_path / "in" / "nm.dcm", header, volumes, PatientIdentity("P1", "P", "F", 70, 1.7), AT)


def test_counts_become_activity_and_lead_back_to_the_calibration(spect: Path, tmp_path: Path) -> None:
    study = StudyFolder.create(tmp_path / "study")
    assert (tmp_path / "study" / "calibration").is_dir()
    study.add([spect])
    refused = study.run()
    assert "quantify.no-calibration" in [f.code for f in refused.findings if f.severity is Severity.UNDETERMINED]
    path = put(study.root / "calibration", MINIMAL + "[energy_window]\nlower_kev = 187\nupper_kev = 229\n", "ge.toml")
    done = study.run()
    assert "quantify.scatter-share" in [f.code for f in done.findings]
    (row,) = [row for row in study.ledger.results() if "total-activity" in row.path.replace("_", "-")]
    total = study.store.get(next(r.summary.output for r in study.records()[0].series if r.summary)).values[
        "total_activity"
    ]
    assert total.value == pytest.approx(168_000 / 1500 / 5.67 * 1e6, rel=1e-6)
    assert total.budget["camera calibration: ge.toml"] == pytest.approx(total.value * 0.09 / 5.67)
    assert total.not_evaluated == ("dose calibrator",)
    # 24 h after the administration, as any other SPECT
    assert study.records()[0].subject.timepoints[0].since_administration_h == pytest.approx(24)
    found = find_result(study.ledger, row.path)
    chain = as_json(found, Provenance(study.ledger).chain(row.receipt))["chain"]
    (step,) = [link for link in chain if link["step"] == "quantify.calibration" and not link["seen_before"]]
    assert step["evidence"][0]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert step["evidence"][0]["measured_at"].startswith("2026-01-10")
    assert study.run().computed == 0
    put(
        study.root / "calibration",
        MINIMAL.replace("5.67", "11.34") + "[energy_window]\nlower_kev = 187\nupper_kev = 229\n",
        "ge.toml",
    )
    study.run()
    halved = study.store.get(next(r.summary.output for r in study.records()[0].series if r.summary)).values[
        "total_activity"
    ]
    assert halved.value == pytest.approx(total.value / 2, rel=1e-6)


def test_a_broken_calibration_file_stops_a_run_and_is_found_by_check(spect: Path, tmp_path: Path) -> None:
    study = StudyFolder.create(tmp_path / "study")
    study.add([spect])
    put(study.root / "calibration", "measured_on = 1")
    assert "a.toml" in study.check()[0].text
    with pytest.raises(ProtocolError, match=r"a\.toml"):
        study.run()


def test_inspect_shows_what_a_camera_factor_is_computed_from(spect: Path) -> None:
    (series,), _ = inspect([spect])
    shown = series.as_json()
    assert shown["unit"] == "CNTS"
    assert shown["total_counts"] == pytest.approx([33_600, 168_000])
    assert shown["acquisition_duration_s"] == 1500
    assert shown["camera"] == {
        "manufacturer": "GE",
        "model": "670",
        "serial_number": "1",
        "station": "NM1",
        "collimator": "MEGP",
    }
    assert [(w["lower_kev"], w["upper_kev"]) for w in shown["energy_windows"]] == [(166.4, 187.2), (187.2, 228.8)]
