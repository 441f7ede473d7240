"""Patients of a virtual trial: images, tables and truth, in processes of their own.

What a patient is follows from the seed of the trial and the number of the patient alone, so any number of processes writes the same
bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from zoneinfo import ZoneInfo

from attrs import evolve, field, frozen

from lutra import __version__
from lutra.core.errors import UsageError
from lutra.pipeline.given_files import empty_folder
from lutra.simulate import truth
from lutra.simulate.clinic_record import clinic_record, lab_rows, patient_row, visit_names
from lutra.simulate.clinic_tables import ClinicRecord, write_tables
from lutra.simulate.drawn import Hand, drawn_lesions, drawn_organs, lesion_regions
from lutra.simulate.fields import keep_fields
from lutra.simulate.images import (
    ACQUISITION,
    Mode,
    Site,
    camera_error,
    ct_image,
    dwi_images,
    held,
    painted,
    pet_image,
    scene_for,
    spect_image,
    spect_scene,
)
from lutra.simulate.missing import Missing, MissingSettings, missing
from lutra.simulate.patient import DigitalPatient, PatientSettings, digital_patient, patient_seed
from lutra.simulate.scene import Scene
from lutra.simulate.sizes import SMALL, Size
from lutra.simulate.spect import Acquisition, calibration_toml
from lutra.simulate.truth import Row
from lutra.simulate.visits import Kind, Scan, planned_scans
from lutra.simulate.write import SpectWay, Writer

ZONE = ZoneInfo("Europe/Brussels")
FIRST_MONDAY = datetime(2026, 1, 12, tzinfo=ZONE)
WEEKS_BETWEEN_PATIENTS = 2
CALIBRATED_BEFORE = timedelta(days=60)
CAMERA_RELATIVE_SD = 0.03
"""Between nominally equal cameras; what `camera_calibration_relative_sd` of the demo protocol says. [1]"""
WAYS = tuple(SpectWay)
PET_MODELS = ("Biograph mCT Flow", "Discovery 690", "Ingenuity TF")
MISSING_KINDS = {
    Kind.FDG_PET: "fdg",
    Kind.SSTR_PET: "sstr",
    Kind.DWI: "dwi",
    Kind.SPECT: "spect",
    Kind.LOW_DOSE_CT: "spect",
    Kind.CT: "ct",
}
NEVER_MISSING = ("baseline-ct",)
"""Without it nobody enters the study."""

Tables = dict[str, list[Row]]
Progress = Callable[[str, int, int], None]
"""Called with what was done, how many patients are done, and how many there are."""


@frozen
class TrialSettings:
    """What is simulated.

    Parameters
    ----------
    patient
        Population and treatment.
    missing
        Which scans are not there; None: everybody has all of them.
    hand
        How the reader draws on CT.
    mode
        How the SPECT is simulated: `fast`, or `full` with projections and reconstruction.
    fields
        Also keep label maps and displacement fields of every scan: large.
    acquisition
        Views, counting time and reconstruction of the SPECT. The fast mode has measured those of the default; with others it
        measures itself on phantoms first, which takes up to a minute.
    """

    size: Size = SMALL
    patient: PatientSettings = field(factory=PatientSettings)
    missing: MissingSettings | None = None
    hand: Hand = field(factory=Hand)
    mode: Mode = "fast"
    fields: bool = False
    acquisition: Acquisition = ACQUISITION


@frozen(eq=False)
class Simulated:
    """What is known of a patient beside the images: the rows of the truth, and the record of the clinic."""

    tables: Tables
    record: ClinicRecord


@frozen
class WrittenTrial:
    """Where a trial is: images, files to calibrate them, tables, truth; and how many files."""

    dicom: Path
    calibration: Path
    tables: Path
    truth: Path
    files: int


def simulate_trial(
    out: Path,
    patients: int,
    seed: int,
    settings: TrialSettings | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> WrittenTrial:
    """Simulate patients SIM-001, SIM-002, ... into a new folder.

    Raises
    ------
    UsageError
        If there is something in the folder already, or no patient is asked for.
    """
    if patients < 1:
        raise UsageError(f"{patients} patients", required="1 or more")
    settings, say = _fitted(settings or TrialSettings()), progress or (lambda *_: None)
    _make(out)
    jobs = [(out, number, patient_seed(seed, number), settings) for number in range(1, patients + 1)]
    found: dict[int, Simulated] = {}
    for number, simulated in _each(jobs, workers):
        found[number] = simulated
        say(subject_of(number), len(found), patients)
    return _finish(out, [found[number] for number in sorted(found)], {"patients": patients, "seed": seed}, settings)


def simulate_patient(
    out: Path, seed: int, settings: TrialSettings | None = None, progress: Progress | None = None
) -> WrittenTrial:
    """Simulate one patient, SIM-001, from a seed of his own."""
    settings = _fitted(settings or TrialSettings())
    _make(out)
    simulated = one_patient(out, 1, seed, settings, progress)
    return _finish(out, [simulated], {"patients": 1, "patient_seed": seed}, settings)


def one_patient(
    out: Path, number: int, seed: int, settings: TrialSettings, progress: Progress | None = None
) -> Simulated:
    """Simulate a patient and write the images."""
    first_day = FIRST_MONDAY + timedelta(weeks=WEEKS_BETWEEN_PATIENTS * (number - 1))
    patient = digital_patient(subject_of(number), seed, first_day, settings.patient)
    return _Session(out, patient, number, settings).run(progress or (lambda *_: None))


def subject_of(number: int) -> str:
    """Name of a patient."""
    return f"SIM-{number:03d}"


class _Session:
    """Scans one patient after the other scan."""

    def __init__(self, out: Path, patient: DigitalPatient, number: int, settings: TrialSettings) -> None:
        self._out, self._patient, self._settings = out, patient, settings
        self._site = Site(
            patient.seed, PET_MODELS[number % len(PET_MODELS)], mode=settings.mode, acquisition=settings.acquisition
        )
        way = WAYS[(number - 1) % len(WAYS)]
        folder = out / "dicom" / patient.subject_id
        error = camera_error(patient, CAMERA_RELATIVE_SD)
        self._writer = Writer(folder, patient, self._site, way, error)
        self._tables: Tables = {name: [] for name in truth.SCHEMAS}
        self.files = 0

    def run(self, progress: Progress) -> Simulated:
        """Make every scan that takes place."""
        patient, tables = self._patient, self._tables
        planned = planned_scans(patient)
        lost = {scan: reason for scan in planned if (reason := self._missing(scan))}
        scans = [scan for scan in planned if scan not in lost]
        session: Scene | None = None
        for n, scan in enumerate(scans):
            session = self._scan(scan, session)
            progress(scan.name, n + 1, len(scans))
        tables["cycles"] += truth.cycle_rows(patient)
        tables["organs"] += truth.organ_dose_rows(patient)
        tables["lesions"] += truth.lesion_rows(patient, scans)
        tables["responses"] += truth.response_rows(tables["scans"])
        record = clinic_record(patient, lost, self._settings.missing)
        tables["labs"] += lab_rows(patient, record.samples)
        tables["patients"].append(patient_row(patient))
        if self._writer.way is SpectWay.COUNTS:
            measured_on = (patient.first_day - CALIBRATED_BEFORE).date()
            path = self._out / "calibration" / f"{measured_on}-{patient.subject_id}.toml"
            spacing_mm = self._settings.size.low_dose_ct_mm[0] * self._settings.size.ct_voxels_per_spect
            camera, found = self._site.gamma_camera, self._site.calibrated(spacing_mm)
            text = calibration_toml(found, camera, measured_on, patient.seed, named=self._writer.camera)
            path.write_text(text, encoding="utf-8")
        return Simulated(tables, record)

    def _missing(self, scan: Scan) -> Missing | None:
        if self._settings.missing is None or scan.name in NEVER_MISSING:
            return None
        names = visit_names(self._patient)
        item = f"visit {names.index(scan.name)}" if scan.name in names else scan.session
        return missing(MISSING_KINDS[scan.kind], item, self._patient.seed, self._settings.missing)

    def _scan(self, scan: Scan, before: Scene | None) -> Scene:
        """Make one image and what is drawn on it; the CT of a SPECT is painted for both."""
        write, seed = self._writer, self._seed(scan)
        if (
            scan.kind is Kind.SPECT
            and before is not None
            and before.grid.frame_of_reference == write.frame(scan.session)
        ):
            scene = spect_scene(before, self._settings.size)
        else:
            scene = scene_for(self._patient, scan, self._settings.size, write.frame(scan.session))
            scene = spect_scene(scene, self._settings.size) if scan.kind is Kind.SPECT else scene
        holds = held(scene, scan)
        activity = suv = None
        match scan.kind:
            case Kind.CT | Kind.LOW_DOSE_CT:
                header, paths = write.ct(scan, ct_image(scene, scan.kind, seed))
                uid = write.contours_uid(scan)
                drawn = drawn_lesions(scene, header, scan.name, self._settings.hand, uid)
                paths += write.contours(scan, header, (*drawn, *drawn_organs(scene, header, uid)))
            case Kind.SPECT:
                activity = painted(scene, scan, holds)
                header, paths = write.spect(scan, spect_image(activity, scene, self._site, seed))
            case Kind.DWI:
                header, paths = write.dwi(scan, dwi_images(scene, seed))
                paths += write.segmentation(scan, header, paths, lesion_regions(scene, write.root))
            case _:
                suv = painted(scene, scan, holds)
                header, paths = write.pet(scan, pet_image(suv, self._patient, scan, self._site, seed))
                paths += write.segmentation(scan, header, paths, lesion_regions(scene, write.root))
        self.files += len(paths)
        self._tables["scans"] += truth.scan_rows(scene, scan, header.series_uid, holds, activity)
        if self._settings.fields:
            kept = keep_fields(scene, self._out / "truth", suv if activity is None else activity)
            self._tables["fields"].append(
                {"subject": self._patient.subject_id, "scan": scan.name, "series_uid": header.series_uid, "key": kept}
            )
        if scan.kind is not Kind.DWI:
            self._tables["organs"] += truth.organ_rows(scene, scan, header.series_uid, holds)
        return scene

    def _seed(self, scan: Scan) -> int:
        return patient_seed(self._patient.seed, int.from_bytes(scan.name.encode(), "big"))


def _each(jobs: list[tuple[Path, int, int, TrialSettings]], workers: int) -> Iterator[tuple[int, Simulated]]:
    if workers == 1 or len(jobs) == 1:
        for job in jobs:
            yield job[1], one_patient(*job)
        return
    with ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn")) as pool:
        futures = {pool.submit(one_patient, *job): job[1] for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _fitted(settings: TrialSettings) -> TrialSettings:
    """Cut the field of view to what a given anatomy shows."""
    anatomy = settings.patient.anatomy
    return settings if anatomy is None else evolve(settings, size=anatomy.within(settings.size))


def _make(out: Path) -> None:
    empty_folder(out)
    for folder in ("dicom", "calibration", "tables", "truth"):
        (out / folder).mkdir(parents=True, exist_ok=True)


def _finish(out: Path, patients: list[Simulated], what: dict[str, int], settings: TrialSettings) -> WrittenTrial:
    for name in truth.SCHEMAS:
        truth.write_table(out / "truth", name, [row for patient in patients for row in patient.tables[name]])
    write_tables(out / "tables", [patient.record for patient in patients])
    record: dict[str, object] = {
        **what,
        "size": settings.size.name,
        "spect_mode": settings.mode,
        "scenario": settings.patient.scenario.value,
        "program": f"lutra {__version__}",
    }
    if (anatomy := settings.patient.anatomy) is not None:
        record |= {"anatomy": anatomy.source, "field_mm": settings.size.field_mm, "cut_organs": anatomy.cut_organs}
    (out / "truth" / "trial.json").write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
    files = sum(1 for _ in (out / "dicom").rglob("*.dcm"))
    return WrittenTrial(out / "dicom", out / "calibration", out / "tables", out / "truth", files)
