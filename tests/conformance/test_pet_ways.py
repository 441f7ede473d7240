"""Simulated PET in three makers' ways, written and read again: the SUV that went in comes out."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pydicom
import pytest
from attrs import evolve

from lutra.core.grid import Grid
from lutra.core.study import SIMULATED_BY, DecayCorrection, SeriesHeader
from lutra.core.time import seconds_between
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series
from lutra.ingest import IngestSettings, read_header, read_image, scan
from lutra.pipeline.inspect import inspect
from lutra.quantify import suv_bw_factor
from lutra.quantify.suv import to_suv
from lutra.simulate.pet import SCANNERS, PetScan, pet_header, simulate_pet

ZONE = ZoneInfo("Europe/Brussels")
GRID = Grid((14, 12, 23), np.diag([5.0, 5.0, 14.0, 1.0]), "1.2.826.0.1.3680043.8.498.1")  # 320 mm: three beds
PATIENT = PatientIdentity("SIM-1", "SIM-1^Digital", "F", 66.0, 1.68)
MORNING = datetime(2026, 3, 3, 9, 15, tzinfo=ZONE)
EVENING = datetime(2026, 3, 3, 23, 40, tzinfo=ZONE)
CLOCK_CHANGE = datetime(2026, 3, 29, 1, 20, tzinfo=ZONE)  # at 2 h it becomes 3 h
RULES = {"siemens": "BQML, start, series time", "ge": "BQML, start, series time", "philips": "CNTS, SUV factor"}


def scan_of(nuclide: str, given_at: datetime, **changes: object) -> PetScan:
    """About an hour after the administration."""
    started_at = (given_at.astimezone(ZoneInfo("UTC")) + timedelta(minutes=63, seconds=17)).astimezone(ZONE)
    activity = {"F-18": 230e6, "Ga-68": 148e6}[nuclide]
    return evolve(PetScan(nuclide, f"agent of {nuclide}", activity, given_at, started_at, PATIENT.weight_kg), **changes)


def written(folder: Path, model: str, pet: PetScan) -> Volume:
    plain = SeriesHeader(
        series_uid=stable_uid(model),
        study_uid=stable_uid("study"),
        subject_id="SIM-1",
        modality="PT",
        sop_class_uid="",
        description="PET",
        manufacturer=SIMULATED_BY,
        model="",
        image_type=("ORIGINAL", "PRIMARY"),
        frame_of_reference=GRID.frame_of_reference,
        instances=tuple(stable_uid(model, str(k)) for k in range(GRID.shape[2])),
    )
    rng = np.random.default_rng(5)
    truth = rng.gamma(1.5, 2.0, GRID.shape)
    truth[5:9, 5:9, 10:13] = 35.0
    image = simulate_pet(Volume(truth, GRID, Unit.SUV_BW), SCANNERS[model], pet, seed=9)
    write_image_series(folder, pet_header(plain, GRID, SCANNERS[model], pet), image, PATIENT, pet.started_at)
    return image


def read(folder: Path) -> tuple[SeriesHeader, Volume, set[str]]:
    paths = [Path(f.path) for f in scan([folder]).files]
    headers = read_header(paths, IngestSettings())
    assert headers.value is not None
    image = read_image(paths, headers.value, IngestSettings()).value
    assert image is not None
    suv = to_suv(headers.value, image)
    assert suv.value is not None
    return headers.value, suv.value, {f.code for f in (*headers.findings, *suv.findings)}


@pytest.mark.parametrize("model", SCANNERS)
@pytest.mark.parametrize(("correction", "nuclide"), [("START", "F-18"), ("START", "Ga-68"), ("ADMIN", "F-18")])
@pytest.mark.parametrize("given_at", [MORNING, EVENING, CLOCK_CHANGE], ids=["morning", "over midnight", "summer time"])
def test_suv_in_is_suv_out(tmp_path: Path, model: str, nuclide: str, correction: str, given_at: datetime) -> None:
    """Within half a step of 16 bits of each slice, and the ten digits of the private factors."""
    pet = scan_of(nuclide, given_at, correction=DecayCorrection(correction))
    image = written(tmp_path, model, pet)
    stated = pet.activity_bq if correction == "ADMIN" else pet.activity_at_start_bq
    suv_in = image.values.astype(float) * pet.weight_kg * 1000 / stated
    header, found, codes = read(tmp_path)
    step = suv_in.max(axis=(0, 1)) / 32767
    assert (np.abs(found.values - suv_in) <= 0.502 * step + 1e-6 * suv_in).all()
    assert found.decay_referenced_to is not None
    assert seconds_between(found.decay_referenced_to, given_at if correction == "ADMIN" else pet.started_at) == 0
    way = SCANNERS[model].way.value
    if correction == "START":
        assert suv_bw_factor(header).case == RULES[way]
    undated_after_midnight = way == "ge" and given_at is EVENING
    assert ("ingest.administration-before-midnight" in codes) == undated_after_midnight
    assert codes <= {"quantify.suv-rule", "ingest.administration-before-midnight"}


def test_a_series_made_again_by_ge_is_found_by_its_private_time(tmp_path: Path) -> None:
    pet = scan_of("Ga-68", MORNING, reconstructed_after=timedelta(hours=3))
    image = written(tmp_path, "Discovery MI", pet)
    header, found, _ = read(tmp_path)
    assert suv_bw_factor(header).case == "BQML, start, private scan time"
    np.testing.assert_allclose(found.values.max() / image.values.max(), 1 / pet.bq_per_ml_per_suv, rtol=1e-4)


def test_what_each_maker_writes(tmp_path: Path) -> None:
    pet = scan_of("F-18", MORNING)
    first = {}
    for model in ("Biograph mCT Flow", "Discovery MI", "Vereos"):
        written(tmp_path / model, model, pet)
        first[model] = pydicom.dcmread(min((tmp_path / model).iterdir()))
    siemens, ge, philips = first.values()
    agent = {name: d.RadiopharmaceuticalInformationSequence[0] for name, d in first.items()}
    assert ["RadiopharmaceuticalStartDateTime" in a for a in agent.values()] == [True, False, True]
    assert [d.Units for d in first.values()] == ["BQML", "BQML", "CNTS"]
    assert {d.Manufacturer for d in first.values()} == {SIMULATED_BY}
    assert ge.private_block(0x0009, "GEMS_PETD_01")[0x0D].value.startswith("20260303101817")
    factors = philips.private_block(0x7053, "Philips PET Private Group")
    # counts -> Bq/mL -> SUV: both ways lead to the same number
    of_activity = float(factors[0x09].value) / pet.bq_per_ml_per_suv
    assert float(factors[0x00].value) == pytest.approx(of_activity, rel=1e-8)
    assert not [e for e in siemens if e.tag.is_private]


def test_beds_have_times_and_decay_factors_of_their_own(tmp_path: Path) -> None:
    """PS3.3 C.8.9.4: the Decay Factor undoes the decay from the start of the scan to the frame reference time."""
    pet = scan_of("Ga-68", MORNING)
    written(tmp_path, "Biograph mCT Flow", pet)
    slices = [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(tmp_path.iterdir())]
    assert len({d.AcquisitionTime for d in slices}) == 3
    for d in slices:
        assert float(d.DecayFactor) == pytest.approx(
            2 ** (float(d.FrameReferenceTime) / 1000 / pet.half_life_s), rel=1e-9
        )
    assert {d.SeriesTime for d in slices} == {"101817.000000"}


def test_inspect_shows_the_factor(tmp_path: Path) -> None:
    pet = scan_of("F-18", EVENING)
    written(tmp_path, "Vereos", pet)
    (series,), _ = inspect([tmp_path])
    factor = pydicom.dcmread(min(tmp_path.iterdir())).private_block(0x7053, "Philips PET Private Group")[0x00]
    assert series.suv_bw_factor == pytest.approx(float(factor.value), rel=1e-12)
    assert series.suv_case == "CNTS, SUV factor"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("model", ["Biograph mCT Flow", "Discovery MI", "Vereos"])
def test_the_validator_finds_no_error(tmp_path: Path, model: str) -> None:
    written(tmp_path, model, scan_of("F-18", MORNING))
    result = subprocess.run(["dciodvfy", str(min(tmp_path.iterdir()))], capture_output=True, text=True, check=False)
    errors = [line for line in (result.stdout + result.stderr).splitlines() if line.startswith("Error")]
    assert errors == []
