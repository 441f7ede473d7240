"""Files of a digital patient under a validator: no error in any kind of file but those we state."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest
from attrs import evolve

from lutra.simulate import TrialSettings, WrittenTrial, simulate_trial
from lutra.simulate.clinic import ClinicSettings
from lutra.simulate.patient import PatientSettings
from lutra.simulate.sizes import SMALL

COARSE = evolve(SMALL, ct_mm=(7, 7, 8), low_dose_ct_mm=(7, 7, 7), pet_mm=(10, 10, 10), dwi_mm=(8, 8, 12))
KINDS = {
    "CT, diagnostic": ("SIM-001", "baseline-ct"),
    "CT, low dose": ("SIM-001", "cycle-1-24h-ct"),
    "PET of 18F": ("SIM-001", "fdg-pet"),
    "PET of 68Ga": ("SIM-002", "sstr-pet"),
    "SPECT as PET slices": ("SIM-001", "cycle-1-24h-spect"),
    "SPECT in counts": ("SIM-002", "cycle-1-24h-spect"),
    "SPECT as PET slices, at administration": ("SIM-003", "cycle-1-24h-spect"),
    "SPECT in Bq/mL": ("SIM-004", "cycle-1-24h-spect"),
    "diffusion": ("SIM-001", "dwi"),
    "contours": ("SIM-001", "baseline-ct-rtstruct"),
    "segmentation of PET": ("SIM-001", "sstr-pet-seg"),
    "segmentation of diffusion": ("SIM-001", "dwi-seg"),
}


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> WrittenTrial:
    """Four patients with one cycle: every way a SPECT is stored, every maker of PET."""
    settings = TrialSettings(COARSE, PatientSettings(clinic=ClinicSettings(cycles=1)))
    return simulate_trial(tmp_path_factory.mktemp("trial") / "out", 4, 1, settings, workers=2)


def first_file(trial: WrittenTrial, kind: str) -> Path:
    subject, folder = KINDS[kind]
    return min((trial.dicom / subject / folder).glob("*.dcm"))


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian dicom3tools) is not installed")
@pytest.mark.parametrize("kind", KINDS)
def test_a_validator_finds_no_error(trial: WrittenTrial, kind: str) -> None:
    path = first_file(trial, kind)
    said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    assert lines
    assert [line for line in lines if line.startswith("Error")] == []


def test_times_of_a_file_are_on_one_clock_and_in_order(trial: WrittenTrial) -> None:
    """The study starts with its first scan, the scan follows the injection, and the offset is that of the day of the scan."""
    for kind in ("PET of 18F", "SPECT as PET slices", "SPECT in counts"):
        file = pydicom.dcmread(first_file(trial, kind), stop_before_pixels=True)
        agent = file.RadiopharmaceuticalInformationSequence[0]
        assert file.StudyDate + file.StudyTime <= file.SeriesDate + file.SeriesTime
        acquired = pydicom.valuerep.DT(file.AcquisitionDate + file.AcquisitionTime + file.TimezoneOffsetFromUTC)
        if "RadiopharmaceuticalStartDateTime" in agent:
            assert pydicom.valuerep.DT(agent.RadiopharmaceuticalStartDateTime) < acquired


def test_no_image_could_be_taken_for_a_person(trial: WrittenTrial) -> None:
    for kind in KINDS:
        file = pydicom.dcmread(first_file(trial, kind), stop_before_pixels=True)
        assert file.PatientIdentityRemoved == "YES"
        assert file.DeidentificationMethod == "Simulated: no person"
