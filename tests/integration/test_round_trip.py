"""Fetch a patient from Orthanc, run the study, store its objects there, and find them again with the same numbers."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK
from attrs import evolve, frozen
from highdicom.sr.utils import find_content_items
from pydicom.sr.codedict import codes

from lutra.pipeline.conductor import Conductor
from lutra.pipeline.record import stored_region
from lutra.pipeline.results import results, slug
from lutra.pipeline.study import StudyFolder
from lutra.simulate import TrialSettings, simulate_trial
from lutra.simulate.clinic import ClinicSettings
from lutra.simulate.patient import PatientSettings
from lutra.simulate.sizes import SMALL

from .conftest import KNOWN, URL, Namespace, rest

PATIENT, READER = "SIM-001", "A. Reader"
ALWAYS = '\n[align]\nwhen = "always"\n'
"""Frames of reference are registered though the names of lesions agree, so that doses of cycles can be added."""
MODALITIES = ("SEG", "SR", "RTDOSE", "OT", "REG", "DOC")
TOOLS = ("dciodvfy", "dsrdump")


@frozen
class Trip:
    """A study whose images came from an archive, what it exported, and what the archive gave back.

    Parameters
    ----------
    sent, back
        Files by SOP Instance UID.
    found
        What the archive answers for each modality.
    """

    study: StudyFolder
    sent: dict[str, Path]
    back: dict[str, Path]
    found: dict[str, list[dict[str, Any]]]

    def named(self, beginning: str) -> dict[str, Path]:
        """Files that came back of objects whose exported name begins so, by that name."""
        return {p.stem: self.back[uid] for uid, p in self.sent.items() if p.name.startswith(beginning)}


@pytest.fixture(scope="module")
def trip(orthanc: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Trip:
    folder = tmp_path_factory.mktemp("trip")
    coarse = evolve(SMALL, ct_mm=(5, 5, 6), low_dose_ct_mm=(6, 6, 6), pet_mm=(8, 8, 8), dwi_mm=(7, 7, 10))
    settings = TrialSettings(coarse, PatientSettings(clinic=ClinicSettings(cycles=2)))
    trial = simulate_trial(folder / "trial", 1, 3, settings)
    study = StudyFolder.create(folder / "study", "demo")
    for file in trial.calibration.glob("*.toml"):
        shutil.copy(file, study.root / "calibration")
    with (study.root / "protocol.toml").open("a") as protocol:
        protocol.write(ALWAYS)
    _forget(orthanc)

    def lutra(*words: str | Path, fine: tuple[int, ...] = (0,)) -> Any:
        ran = orthanc.lutra(*words, "--json", **KNOWN)
        assert ran.code in fine, ran.err + ran.out
        return ran.json

    lutra("send", trial.dicom / PATIENT, "--url", URL)
    lutra("study", "fetch", study.root, "--url", URL, "--patient", PATIENT)
    lutra("run", study.root, fine=(0, 3, 4))
    lutra("study", "lock", study.root, PATIENT, "--by", READER)
    exported = lutra("export", "dicom", study.root, "--out", folder / "out", fine=(0, 3))
    sent = {_uid(Path(path)): Path(path) for path in exported["files"]}
    assert lutra("send", folder / "out", "--url", URL)["sent"] == len(sent)
    found = {m: _found(orthanc, m) for m in MODALITIES}
    again = StudyFolder.create(folder / "again", "demo")
    for modality in MODALITIES:
        words = ("study", "fetch", again.root, "--url", URL, "--patient", PATIENT, "--modality", modality)
        lutra(*words, fine=(0, 3))
    back = {_uid(path): path for path in (again.root / "dicom").rglob("*.dcm")}
    return Trip(study, sent, {uid: path for uid, path in back.items() if uid in sent}, found)


def _uid(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def _found(orthanc: Namespace, modality: str) -> list[dict[str, Any]]:
    answer = rest(orthanc, f"/dicom-web/instances?PatientID={PATIENT}&Modality={modality}&limit=500")
    found: list[dict[str, Any]] = json.loads(answer.out)
    return found


def _forget(orthanc: Namespace) -> None:
    """Other tests leave a patient of the same name."""
    wanted = json.dumps({"Level": "Patient", "Query": {"PatientID": PATIENT}})
    for patient in json.loads(rest(orthanc, "/tools/find", "POST", wanted).out):
        assert rest(orthanc, f"/patients/{patient}", "DELETE").code == 0


def test_every_object_is_found_again(trip: Trip) -> None:
    """By the archive's own search: those that were sent, and the contours and segmentations the images came with."""
    found = {answer["00080018"]["Value"][0] for answers in trip.found.values() for answer in answers}
    assert set(trip.sent) <= found
    kinds = Counter(path.name.split("-")[0] for path in trip.sent.values())
    assert set(kinds) >= {"seg", "sr", "dose", "adc", "pdf"}
    assert len(trip.found["REG"]) > 3
    assert set(trip.back) == set(trip.sent)


def test_nothing_was_changed_on_the_way(trip: Trip) -> None:
    for uid, path in trip.sent.items():
        assert pydicom.dcmread(path) == pydicom.dcmread(trip.back[uid])


def test_measurements_are_those_of_the_study(trip: Trip) -> None:
    """Numbers of the reports against those that `lutra why` knows; each has a unit, a tracking identifier and a segment."""
    names = {"56851009": "max", "373098007": "mean", "126031": "peak", "373099004": "median"}
    what = {"126401": "suv", "113041": "adc", "128513": "absorbed-dose", "118565006": "volume"}
    what |= {"103339001": "longest-diameter", "103340004": "short-axis"}
    (record,) = trip.study.records()
    known = {r.path: r.estimate for r in results(Conductor(trip.study.store, trip.study.ledger), record)}
    compared = 0
    for name, path in trip.named("sr-").items():
        label = name.removeprefix("sr-").removeprefix("dose-")
        report = hd.sr.srread(path).content
        groups = [*report.get_volumetric_roi_measurement_groups(), *report.get_image_measurement_groups()]
        for group in groups:
            lesion = group.tracking_identifier.split()[0]
            for m in group.get_measurements():
                kind = what[m.name.value]
                suffix = f"-{names[m.derivation.value]}" if m.derivation and kind in {"suv", "adc"} else ""
                end = ".hybrid" if kind == "absorbed-dose" else suffix
                estimate = known[f"{PATIENT}/{lesion}/{label}/{kind}{end}"]
                assert m.value == pytest.approx(estimate.value, rel=1e-9)
                compared += 1
    assert compared > 50


def test_regions_are_those_of_the_study_and_of_the_reports(trip: Trip) -> None:
    """Volumes by highdicom; tracking identifiers of segments are those of the measurements that refer to them."""
    (record,) = trip.study.records()
    segmented = trip.named("seg-")
    compared = 0
    for lesion in record.lesions:
        for seen in lesion.observations:
            name = f"seg-{slug(seen.label)}"
            region = stored_region(trip.study.store, seen.region)
            file = hd.seg.segread(segmented[name])
            numbers = file.get_segment_numbers(tracking_id=f"{lesion.lesion_id} {lesion.name}")
            inside = region.fraction >= 0.5
            assert len(numbers) == bool(inside.any())
            if not numbers:
                continue
            voxels = file.get_volume(segment_numbers=numbers).array.sum()
            assert voxels == inside.sum()
            compared += 1
    assert compared > 20
    for name, path in trip.named("sr-").items():
        report = hd.sr.srread(path)
        for group in report.content.get_volumetric_roi_measurement_groups():
            (reference,) = find_content_items(group[0], name=codes.DCM.ReferencedSegment, recursive=True)
            file = hd.seg.segread(trip.back[str(reference.referenced_sop_instance_uid)])
            described = file.get_segment_description(reference.referenced_segment_numbers[0])
            assert (described.tracking_id, described.tracking_uid) == (group.tracking_identifier, group.tracking_uid)
        assert name


def test_doses_are_the_same_as_maps_and_as_planning_systems_read_them(trip: Trip) -> None:
    for cycle in (1, 2):
        (dose,) = trip.named(f"dose-cycle-{cycle}").values()
        (quantity,) = trip.named(f"dose-map-cycle-{cycle}").values()
        gray, image = _gray(dose)
        np.testing.assert_allclose(pydicom.dcmread(quantity).pixel_array, gray, rtol=1e-5, atol=1e-6 * gray.max())
        assert image.GetSpacing() == pytest.approx(
            [float(x) for x in (*pydicom.dcmread(dose).PixelSpacing[::-1], pydicom.dcmread(dose).SliceThickness)]
        )


def test_the_sum_is_that_of_both_cycles_on_the_first_body(trip: Trip) -> None:
    """SimpleITK adds up the two maps by the registrations that came back, and finds the same."""
    (total,) = trip.named("dose-sum").values()
    header = pydicom.dcmread(total)
    first, second = (next(iter(trip.named(f"dose-cycle-{cycle}").values())) for cycle in (1, 2))
    assert header.DoseSummationType == "MULTI_PLAN"
    assert header.FrameOfReferenceUID == pydicom.dcmread(first).FrameOfReferenceUID
    gray, image = _gray(total)
    frames = str(header.FrameOfReferenceUID), str(pydicom.dcmread(second).FrameOfReferenceUID)
    matrix = _between(trip, *frames)
    back = np.linalg.inv(matrix)  # points of the first body to the second
    to_second = SimpleITK.AffineTransform(back[:3, :3].ravel().tolist(), back[:3, 3].tolist())
    parts = []
    for path, transform in ((first, SimpleITK.Transform(3, SimpleITK.sitkIdentity)), (second, to_second)):
        values, one = _gray(path)
        of_gray = SimpleITK.GetImageFromArray(values)
        of_gray.CopyInformation(one)
        parts.append(SimpleITK.GetArrayFromImage(SimpleITK.Resample(of_gray, image, transform, SimpleITK.sitkLinear)))
    inner = (slice(2, -2),) * 3
    np.testing.assert_allclose(sum(parts)[inner], gray[inner], rtol=1e-3, atol=1e-3 * gray.max())


def _gray(path: Path) -> tuple[np.ndarray[Any, Any], SimpleITK.Image]:
    """Dose as SimpleITK reads it. [Gy] (slices, rows, columns)"""
    image = SimpleITK.ReadImage(str(path))
    values = SimpleITK.GetArrayFromImage(image)
    scaling = float(pydicom.dcmread(path, stop_before_pixels=True).DoseGridScaling)
    return values.astype(float) * (scaling if np.issubdtype(values.dtype, np.integer) else 1.0), image


def _between(trip: Trip, first: str, second: str) -> np.ndarray[Any, Any]:
    """Map of points of the second frame to the first, by the registrations of both to others."""
    links: dict[tuple[str, str], np.ndarray[Any, Any]] = {}
    for path in trip.named("").values():
        file = pydicom.dcmread(path, stop_before_pixels=True)
        if file.Modality == "REG":
            fixed, moving = (str(item.FrameOfReferenceUID) for item in file.RegistrationSequence)
            item = file.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence[0]
            links[fixed, moving] = np.reshape([float(x) for x in item.FrameOfReferenceTransformationMatrix], (4, 4))
    shared = {m for f, m in links if f == first} & {m for f, m in links if f == second}
    (middle,) = shared
    return links[first, middle] @ np.linalg.inv(links[second, middle])


def test_what_the_reader_locked_is_final_and_what_nobody_signed_is_not(trip: Trip) -> None:
    flags = {}
    for name, path in trip.named("sr-").items():
        file = pydicom.dcmread(path)
        flags[name] = (file.PreliminaryFlag, file.VerificationFlag)
        if file.VerificationFlag == "VERIFIED":
            assert file.VerifyingObserverSequence[0].VerifyingObserverName == READER
    by_dose = {flag for name, flag in flags.items() if "cycle" in name}
    by_reader = {flag for name, flag in flags.items() if "cycle" not in name}
    assert by_dose == {("PRELIMINARY", "UNVERIFIED")}
    assert by_reader == {("FINAL", "VERIFIED")}


@pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason="dicom3tools or dcmtk is not installed")
def test_validators_have_nothing_to_say(trip: Trip) -> None:
    """But of RTDOSE, see docs/dicom-export.md: dciodvfy stops at 32 bit pixels."""
    said = {}
    for uid, path in trip.sent.items():
        if path.name.startswith("dose-") and "map" not in path.name:
            continue
        ran = subprocess.run(["dciodvfy", str(trip.back[uid])], capture_output=True, text=True, check=False)
        errors = [line for line in ran.stderr.splitlines() if line.startswith("Error")]
        if errors or ran.returncode:
            said[path.name] = errors
        if path.name.startswith("sr-"):
            subprocess.run(["dsrdump", str(trip.back[uid])], capture_output=True, check=True)
    assert said == {}


def test_results_that_come_back_are_no_sources(trip: Trip, orthanc: Namespace) -> None:
    """Fetched again, the patient brings the study's own regions and registrations: the next run leaves them aside."""
    before = trip.study.records()
    ran = orthanc.lutra("study", "fetch", trip.study.root, "--url", URL, "--patient", PATIENT, "--json", **KNOWN)
    assert ran.json["new_instances"] == len(trip.sent), ran.err
    assert orthanc.lutra("run", trip.study.root, "--json", **KNOWN).json["computed"] == 0
    assert trip.study.records() == before
