"""A trial: the same bytes for one or two workers, scans that are missing, what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from attrs import evolve

from lutra.core.errors import UsageError
from lutra.simulate.fields import store_of
from lutra.simulate.missing import MissingRule, MissingSettings
from lutra.simulate.patient import digital_patient, patient_seed
from lutra.simulate.sizes import CLINICAL, SMALL, size_of_name
from lutra.simulate.trial import FIRST_MONDAY, TrialSettings, WrittenTrial, simulate_patient, simulate_trial
from lutra.simulate.truth import read_table


def content(folder: Path) -> dict[str, str]:
    """Hash of every file under a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_two_workers_write_the_same_bytes_as_one(
    tiny_trial: WrittenTrial, tiny_settings: TrialSettings, tmp_path: Path
) -> None:
    two = simulate_trial(tmp_path / "two", 2, 3, tiny_settings, workers=2)
    assert content(two.dicom.parent) == content(tiny_trial.dicom.parent)


def test_a_patient_of_a_trial_is_the_one_of_his_seed(
    tiny_trial: WrittenTrial, tiny_settings: TrialSettings, tmp_path: Path
) -> None:
    alone = simulate_patient(tmp_path / "alone", patient_seed(3, 1), tiny_settings)
    whole = content(tiny_trial.dicom)
    assert content(alone.dicom) == {name: digest for name, digest in whole.items() if name.startswith("SIM-001/")}


def test_another_seed_is_another_patient() -> None:
    assert len({patient_seed(trial, number) for trial in range(30) for number in range(30)}) == 900


def test_frames_of_reference_join_a_session_and_nothing_else(tiny_trial: WrittenTrial) -> None:
    frames: dict[str, set[str]] = {}
    for folder in sorted((tiny_trial.dicom / "SIM-002").iterdir()):
        file = pydicom.dcmread(min(folder.glob("*.dcm")), stop_before_pixels=True)
        session = folder.name
        for ending in ("-rtstruct", "-seg", "-ct", "-spect"):
            session = session.removesuffix(ending)
        frames.setdefault(session, set()).add(str(file.FrameOfReferenceUID))
        assert str(file.PatientID) == "SIM-002"
    assert all(len(uids) == 1 for uids in frames.values())
    assert len(set.union(*frames.values())) == len(frames) == 8


def test_missing_scans_leave_no_file_no_truth_and_a_reason(tiny_settings: TrialSettings, tmp_path: Path) -> None:
    never = MissingSettings({"fdg": MissingRule(0.999), "spect": MissingRule(0.999)})
    written = simulate_patient(tmp_path / "out", 5, evolve(tiny_settings, missing=never))
    names = {path.name for path in (written.dicom / "SIM-001").iterdir()}
    assert not [name for name in names if "fdg" in name or "spect" in name or name.startswith("cycle")]
    assert {"baseline-ct", "sstr-pet", "dwi", "follow-up-ct"} <= names


def test_fields_are_kept_when_asked_for(tiny_settings: TrialSettings, tmp_path: Path) -> None:
    """A point of the scan plus its displacement is where the reference has the same region: liver stays liver."""
    few = MissingSettings({"fdg": MissingRule(0.999), "sstr": MissingRule(0.999), "spect": MissingRule(0.999)})
    written = simulate_patient(tmp_path / "out", 5, evolve(tiny_settings, missing=few, fields=True))
    (row,) = [r for r in read_table(written.truth, "fields") if r["scan"] == "baseline-ct"]
    kept = store_of(written.truth).get(str(row["key"]))
    assert kept.labels.shape == kept.grid.shape
    liver = kept.names.index("liver") + 1
    ijk = np.argwhere(kept.labels == liver)
    there = kept.grid.to_lps_mm(ijk) + kept.displacement_mm[tuple(ijk.T)]
    patient = digital_patient("SIM-001", 5, FIRST_MONDAY, tiny_settings.patient)
    inside = patient.body.shapes("liver")[0].level_mm(there) > -kept.grid.spacing_mm[0]
    assert inside.mean() > 0.99
    assert kept.held is None


def test_what_every_voxel_held_is_kept_with_the_fields(tiny_settings: TrialSettings, tmp_path: Path) -> None:
    """Its integral is the activity in the field that the table of the scans states."""
    few = MissingSettings({"fdg": MissingRule(0.999), "sstr": MissingRule(0.999), "dwi": MissingRule(0.999)})
    written = simulate_patient(tmp_path / "out", 5, evolve(tiny_settings, missing=few, fields=True))
    total = {
        r["scan"]: float(r["value"] or 0) * 1e6
        for r in read_table(written.truth, "scans")
        if r["quantity"] == "total-activity"
    }
    kept = {r["scan"]: r["key"] for r in read_table(written.truth, "fields")}
    assert len(total) == 3
    for scan, activity_bq in total.items():
        fields = store_of(written.truth).get(str(kept[scan]))
        held_bq = float(fields.held.sum(dtype=np.float64)) * fields.grid.voxel_volume_ml
        assert held_bq == pytest.approx(activity_bq, rel=1e-6)


def test_a_folder_in_use_and_a_trial_of_nobody_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="something stands here"):
        simulate_patient(tmp_path, 1)
    with pytest.raises(UsageError, match="0 patients"):
        simulate_trial(tmp_path / "out", 0, 1)


def test_sizes_by_name() -> None:
    assert size_of_name("clinical") is CLINICAL
    with pytest.raises(UsageError, match="small, clinical"):
        size_of_name("huge")


@pytest.mark.parametrize("size", [SMALL, CLINICAL])
def test_voxels_of_a_spect_are_whole_blocks_of_the_ct(size: object) -> None:
    assert isinstance(size, type(SMALL))
    shape = size.grid(size.low_dose_ct_mm, "", size.ct_voxels_per_spect).shape
    assert all(n % size.ct_voxels_per_spect == 0 for n in shape)
