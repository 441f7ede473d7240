"""A slab of the digital patient on disk against its own truth. The whole of it runs in the end-to-end tests."""

from __future__ import annotations

import json
from datetime import datetime
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from lutra.core.digest import text_digest
from lutra.simulate import WrittenPatient, write, write_patient

SLAB_MM = ((-176.0, 176.0), (-116.0, 116.0), (36.0, 88.0))
"""Holds all of the largest lesion and a part of the second."""
DOME_LPS_MM = (-85, -18, 62)
HALF_LIFE_S = 6.647 * 86400
STEPS = 22


@pytest.fixture(scope="module")
def slab() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "FIELD_MM", SLAB_MM)
        yield


@pytest.fixture(scope="module")
def progress() -> list[tuple[int, int, str]]:
    return []


@pytest.fixture(scope="module")
def written(
    slab: None, tmp_path_factory: pytest.TempPathFactory, progress: list[tuple[int, int, str]]
) -> WrittenPatient:
    return write_patient(tmp_path_factory.mktemp("one"), 7, progress=lambda *step: progress.append(step))


@pytest.fixture(scope="module")
def truth(written: WrittenPatient) -> dict[str, Any]:
    lesions: dict[str, Any] = json.loads(written.truth.read_text())["lesions"]
    return lesions


def series(written: WrittenPatient, name: str) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted((written.dicom / name).glob("*.dcm"))]


def bytes_of(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): text_digest(p.read_bytes().hex()) for p in folder.rglob("*") if p.is_file()}


def test_same_seed_same_bytes(slab: None, written: WrittenPatient, tmp_path: Path) -> None:
    """Seconds pass between the two, so any use of the clock would show."""
    again = write_patient(tmp_path / "again", 7)
    assert bytes_of(again.dicom) == bytes_of(written.dicom)
    assert again.truth.read_bytes() == written.truth.read_bytes()


def test_every_file_is_counted_and_progress_reaches_its_end(
    written: WrittenPatient, progress: list[tuple[int, int, str]]
) -> None:
    assert len([p for p in written.dicom.rglob("*") if p.is_file()]) == written.files
    assert [(n, of) for n, of, _ in progress] == [(n, STEPS) for n in range(1, STEPS + 1)]


def test_no_two_instances_share_a_uid(written: WrittenPatient) -> None:
    headers = [pydicom.dcmread(p, stop_before_pixels=True) for p in written.dicom.rglob("*.dcm")]
    assert len({h.SOPInstanceUID for h in headers}) == len(headers)
    assert len({h.SeriesInstanceUID for h in headers}) == STEPS
    assert {h.PatientID for h in headers} == {"SIM-001"}
    assert {h.Manufacturer for h in headers} == {"Lutra simulate"}


@pytest.mark.parametrize(("cycle", "rule", "offset"), [(1, "ADMIN", "+0100"), (2, "START", "+0200")])
@pytest.mark.parametrize(("scan", "hours"), [(0, 4), (1, 24), (2, 72), (3, 168)])
def test_spect_shows_the_true_concentration_by_its_own_decay_rule(
    written: WrittenPatient, truth: dict[str, Any], cycle: int, rule: str, offset: str, scan: int, hours: int
) -> None:
    """Mean within 9 mm of the centre of the largest lesion, 23 mm or 4.5 standard deviations from its border.

    About 27 voxels of 4 % noise: 0.8 %; twice that and the last percent of blur make 3 %. Read by the wrong rule, the image
    would be off by 1.8 % at 4 h and 108 % at 168 h.
    """
    slices = series(written, f"cycle-{cycle}-spect-{hours}h")
    d = slices[0]
    assert (d.DecayCorrection, d.TimezoneOffsetFromUTC) == (rule, offset)
    stamp = d.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime
    administered = datetime.strptime(stamp, "%Y%m%d%H%M%S.%f%z")
    acquired = datetime.strptime(d.AcquisitionDate + d.AcquisitionTime + offset, "%Y%m%d%H%M%S.%f%z")
    elapsed_s = (acquired - administered).total_seconds()
    assert elapsed_s == pytest.approx(hours * 3600 + 13 * 60)
    remaining = exp(-log(2) * elapsed_s / HALF_LIFE_S) if rule == "ADMIN" else 1.0
    assert float(d.DecayFactor) == pytest.approx(1 / remaining, rel=1e-4)

    lesion = truth["lesion 1 liver dome"]
    in_cycle = lesion[f"cycle-{cycle}"]
    assert in_cycle["scans_since_administration_h"][scan] == pytest.approx(elapsed_s / 3600)
    true_bq_per_ml = in_cycle["activity_bq"][scan] / lesion["volume_ml"]
    assert _mean_near(slices, DOME_LPS_MM, 9.0) * remaining == pytest.approx(true_bq_per_ml, rel=0.03)


def _mean_near(slices: list[pydicom.Dataset], centre: tuple[float, ...], radius_mm: float) -> float:
    near = []
    for d in slices:
        x0, y0, z = map(float, d.ImagePositionPatient)
        dy, dx = map(float, d.PixelSpacing)
        y, x = np.mgrid[: d.Rows, : d.Columns]
        squared = (x0 + dx * x - centre[0]) ** 2 + (y0 + dy * y - centre[1]) ** 2 + (z - centre[2]) ** 2
        near.append((d.pixel_array * float(d.RescaleSlope))[squared < radius_mm**2])
    return float(np.concatenate(near).mean())


@pytest.mark.parametrize("cycle", ["cycle-1", "cycle-2"])
def test_true_dose_by_hand(truth: dict[str, Any], cycle: str) -> None:
    """Decays times 147.92 keV electron energy, over the mass at 1.04 g/mL, for every lesion."""
    for lesion in truth.values():
        joules = lesion[cycle]["time_integrated_activity_bq_s"] * 147.92e3 * 1.602176634e-19
        kilograms = lesion["volume_ml"] * 1.04e-3
        assert lesion[cycle]["absorbed_dose_electrons_gy"] == pytest.approx(joules / kilograms, rel=1e-3)


def test_late_activities_fall_with_the_true_half_life(truth: dict[str, Any]) -> None:
    """From 72 to 168 h uptake is over: the ratio is 2^-(96 h/T)."""
    for lesion in truth.values():
        _, _, at_72, at_168 = lesion["cycle-1"]["activity_bq"]
        assert at_168 / at_72 == pytest.approx(2 ** (-96 / lesion["cycle-1"]["effective_half_life_h"]), rel=1e-9)


@pytest.mark.parametrize(("name", "key", "minutes"), [("fdg-pet", "fdg_suv", 61), ("sstr-pet", "sstr_suv", 61)])
def test_pet_shows_the_true_suv(
    written: WrittenPatient, truth: dict[str, Any], name: str, key: str, minutes: float
) -> None:
    """SUV = C x weight / activity at the start of the scan; (0054,1102) START."""
    slices = series(written, name)
    agent = slices[0].RadiopharmaceuticalInformationSequence[0]
    decayed_bq = float(agent.RadionuclideTotalDose) * 2 ** (-minutes * 60 / float(agent.RadionuclideHalfLife))
    suv = _mean_near(slices, DOME_LPS_MM, 9.0) * float(slices[0].PatientWeight) * 1000 / decayed_bq
    assert suv == pytest.approx(truth["lesion 1 liver dome"][key], rel=0.03)


def test_adc_and_ct_show_the_true_tissue(written: WrittenPatient, truth: dict[str, Any]) -> None:
    adc = _mean_near(series(written, "adc"), DOME_LPS_MM, 9.0)
    assert adc == pytest.approx(truth["lesion 1 liver dome"]["adc_mm2_per_s"], rel=0.03)
    hu = _mean_near(series(written, "baseline-ct"), DOME_LPS_MM, 9.0) - 1024
    assert hu == pytest.approx(45, abs=2)  # 12 HU of noise over 210 voxels


def test_a_session_has_one_frame_and_one_set_of_contours(written: WrittenPatient) -> None:
    frames = {}
    for folder in sorted(written.dicom.iterdir()):
        first = pydicom.dcmread(next(folder.glob("*.dcm")), stop_before_pixels=True)
        frames[folder.name] = str(first.FrameOfReferenceUID)
    for cycle in ("cycle-1", "cycle-2"):
        assert len({frame for name, frame in frames.items() if name.startswith(cycle)}) == 1
    drawn = [frame for name, frame in frames.items() if name.endswith("rtstruct")]
    assert len(set(frames.values())) == len(drawn) == len(set(drawn)) == 7


def test_contours_name_lesions_and_on_ct_also_organs(written: WrittenPatient, truth: dict[str, Any]) -> None:
    def names(folder: str) -> set[str]:
        (file,) = series(written, folder)
        return {roi.ROIName for roi in file.StructureSetROISequence}

    assert names("fdg-pet-rtstruct") == set(truth)
    assert names("cycle-2-ct-rtstruct") == set(truth) | {"liver", "spleen", "left kidney", "right kidney"}


def test_follow_up_contours_have_the_true_follow_up_diameter(written: WrittenPatient, truth: dict[str, Any]) -> None:
    (file,) = series(written, "follow-up-ct-rtstruct")
    assert file.StructureSetROISequence[0].ROIName == "lesion 1 liver dome"
    points = [np.reshape(c.ContourData, (-1, 3)).astype(float) for c in file.ROIContourSequence[0].ContourSequence]
    widest = max(np.ptp(p[:, 0]) for p in points)
    true = truth["lesion 1 liver dome"]["longest_diameter_follow_up_mm"]
    assert widest == pytest.approx(true, rel=0.01)  # the slice nearest the centre is at most 1.5 mm beside it
