"""Writes the digital patient as a small study in DICOM, with the truth beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from attrs import evolve, frozen

from lutra.core.grid import Grid
from lutra.core.region import ContourSet
from lutra.core.study import SIMULATED_BY, DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.core.time import seconds_between
from lutra.core.units import HOUR_S, Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series, write_rtstruct
from lutra.export.dicom_image import STORAGE
from lutra.physics.decay import decay_factor
from lutra.reference.nuclides import nuclide
from lutra.simulate.anatomy import BODY, ORGANS, Ellipsoid, paint
from lutra.simulate.patient import LESION_DENSITY_G_PER_ML, DigitalLesion, DigitalPatient, Tissue, digital_patient
from lutra.simulate.scanner import blur, emission

ZONE = ZoneInfo("Europe/Brussels")
SPECT_FWHM_MM, PET_FWHM_MM, CT_FWHM_MM = 12.0, 6.0, 1.5
THERAPY_BQ, FDG_BQ, SSTR_BQ = 7.4e9, 250e6, 150e6
SCAN_HOURS = (4.0, 24.0, 72.0, 168.0)
CYCLES = (datetime(2026, 1, 12, 9, 5, tzinfo=ZONE), datetime(2026, 4, 7, 9, 20, tzinfo=ZONE))
"""Twelve weeks apart, the second after the change to summer time."""
SCAN_DELAY = timedelta(minutes=13)
"""How much later than planned every SPECT starts."""
ORGANS_DRAWN = {"liver", "spleen", "left kidney", "right kidney"}
KEV_J = 1.602176634e-16

FIELD_MM = ((-176.0, 176.0), (-116.0, 116.0), (-118.0, 130.0))
"""Part of the body that is imaged: x, y, z in LPS. [mm]"""

Progress = Callable[[int, int, str], None]


@frozen
class WrittenPatient:
    """Where the patient and its truth are."""

    dicom: Path
    truth: Path
    files: int


def write_patient(
    out: Path, seed: int, subject_id: str = "SIM-001", progress: Progress | None = None
) -> WrittenPatient:
    """Write one patient: baseline CT, FDG PET, SSTR PET and ADC; two cycles with four SPECT and a CT each; a follow-up CT.

    Every image or session has an RTSTRUCT with the lesions, in its own frame of reference. The same seed gives the same bytes.
    """
    writer = _Writer(out / "dicom", digital_patient(seed), seed, subject_id, progress or (lambda *_: None))
    truth = writer.write()
    path = out / "truth" / "truth.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(truth, indent=1, sort_keys=True), encoding="utf-8")
    return WrittenPatient(out / "dicom", path, writer.files)


class _Writer:
    """Goes through the visits in order."""

    def __init__(self, folder: Path, patient: DigitalPatient, seed: int, subject_id: str, progress: Progress) -> None:
        self.files = 0
        self._folder, self._patient, self._seed, self._progress = folder, patient, seed, progress
        self._root = f"{subject_id}/{seed}"
        self._identity = PatientIdentity(
            subject_id, f"{subject_id}^Digital", patient.sex, patient.weight_kg, patient.height_m
        )
        self._done = 0

    def write(self) -> dict[str, Any]:
        lesions = self._patient.lesions
        baseline = tuple(lesion.shape for lesion in lesions)
        day = CYCLES[0] - timedelta(days=7)
        self._ct("baseline-ct", "CT abdomen", day, "baseline", baseline, draw=True)
        self._pet("fdg-pet", "FDG PET", day + timedelta(days=1, hours=2), "F-18", "Fluorodeoxyglucose", FDG_BQ)
        self._pet("sstr-pet", "DOTATATE PET", day + timedelta(days=2, hours=1), "Ga-68", "DOTATATE", SSTR_BQ)
        self._adc("adc", day + timedelta(days=3, hours=4))
        for n, started_at in enumerate(CYCLES, start=1):
            self._cycle(n, started_at)
        grown = tuple(lesion.shape.scaled(lesion.growth) for lesion in lesions)
        self._ct("follow-up-ct", "CT abdomen", CYCLES[-1] + timedelta(weeks=12), "follow-up", grown, draw=True)
        return self._truth()

    # ---- visits ----
    def _cycle(self, number: int, started_at: datetime) -> None:
        shapes = tuple(lesion.shape for lesion in self._patient.lesions)
        session = f"cycle-{number}"
        self._ct(f"{session}-ct", "CT low dose", started_at + timedelta(hours=4.7), session, shapes, draw=True)
        grid = self._grid(session, 4.8, 4.8)
        half_life_s = nuclide("Lu-177").half_life_s
        correction = DecayCorrection.ADMIN if number == 1 else DecayCorrection.START
        agent = Radiopharmaceutical("Lu-177", "177Lu-octreotate", THERAPY_BQ, started_at, half_life_s)
        for hours in SCAN_HOURS:
            acquired_at = _scan_at(started_at, hours)
            since_s = seconds_between(started_at, acquired_at)
            values = {name: t.concentration_bq_per_ml(since_s) for name, t in self._tissues(number).items()}
            name = f"{session}-spect-{hours:.0f}h"
            truth = paint(grid, values, (BODY, *ORGANS, *shapes), 0)
            seen = emission(truth, SPECT_FWHM_MM, grid.spacing_mm, 0.04, self._rng(name))
            factor = 1 / decay_factor(since_s, half_life_s) if correction is DecayCorrection.ADMIN else 1.0
            header = self._header(name, "PT", f"177Lu SPECT {hours:.0f} h", session, grid, acquired_at)
            header = _nuclear(header, agent, correction, factor, duration_s=1500)
            self._image(name, header, Volume(seen * np.float32(factor), grid, Unit.BQ_PER_ML))

    def _ct(
        self, name: str, description: str, at: datetime, session: str, lesions: tuple[Ellipsoid, ...], *, draw: bool
    ) -> None:
        grid = self._grid(session, 2.2, 3.0)
        shapes = (BODY, *ORGANS, *lesions)
        air_to_tissue = paint(grid, {s.name: s.hu for s in shapes}, shapes, -1000)
        noise = self._rng(name).normal(0, 12, grid.shape)
        volume = Volume(blur(air_to_tissue, CT_FWHM_MM, grid.spacing_mm) + noise, grid, Unit.HU)
        header = self._header(name, "CT", description, session, grid, at)
        self._image(name, header, volume)
        if draw:
            organs = tuple(o for o in ORGANS if o.name in ORGANS_DRAWN)
            self._contours(f"{name}-rtstruct", header, (*lesions, *organs))

    def _pet(
        self, name: str, description: str, at: datetime, isotope: str, agent_name: str, activity_bq: float
    ) -> None:
        grid = self._grid(name, 4.0, 4.0)
        suv = {tissue: (t.fdg_suv if isotope == "F-18" else t.sstr_suv) for tissue, t in self._tissues(1).items()}
        half_life_s = nuclide(isotope).half_life_s
        started_at = at - timedelta(minutes=61)
        bq_per_ml = activity_bq * decay_factor(61 * 60, half_life_s) / (self._patient.weight_kg * 1000)
        shapes = (BODY, *ORGANS, *(lesion.shape for lesion in self._patient.lesions))
        truth = paint(grid, {n: v * bq_per_ml for n, v in suv.items()}, shapes, 0)
        seen = emission(truth, PET_FWHM_MM, grid.spacing_mm, 0.04, self._rng(name))
        header = self._header(name, "PT", description, name, grid, at)
        agent = Radiopharmaceutical(isotope, agent_name, activity_bq, started_at, half_life_s)
        header = _nuclear(header, agent, DecayCorrection.START, 1.0, duration_s=600)
        self._image(name, header, Volume(seen, grid, Unit.BQ_PER_ML))
        self._contours(f"{name}-rtstruct", header, tuple(lesion.shape for lesion in self._patient.lesions))

    def _adc(self, name: str, at: datetime) -> None:
        grid = self._grid(name, 3.0, 5.0)
        shapes = (BODY, *ORGANS, *(lesion.shape for lesion in self._patient.lesions))
        truth = paint(grid, {n: t.adc_mm2_per_s for n, t in self._tissues(1).items()}, shapes, 0)
        noise = self._rng(name).normal(0, 0.06e-3, grid.shape) * (truth > 0)
        volume = Volume(np.maximum(blur(truth, 4.0, grid.spacing_mm) + noise, 0), grid, Unit.MM2_PER_S)
        header = self._header(name, "MR", "ADC", name, grid, at)
        self._image(name, header, volume)
        self._contours(f"{name}-rtstruct", header, tuple(lesion.shape for lesion in self._patient.lesions))

    # ---- pieces ----
    def _tissues(self, cycle: int) -> dict[str, Tissue]:
        """Uptake in one cycle, by name of the shape."""
        lesions = {lesion.shape.name: _in_cycle(lesion, cycle) for lesion in self._patient.lesions}
        return self._patient.tissues | lesions

    def _grid(self, session: str, in_plane_mm: float, slice_mm: float) -> Grid:
        spacing = (in_plane_mm, in_plane_mm, slice_mm)
        shape = [round((high - low) / s) for (low, high), s in zip(FIELD_MM, spacing, strict=True)]
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = [low + s / 2 for (low, _), s in zip(FIELD_MM, spacing, strict=True)]
        return Grid((shape[0], shape[1], shape[2]), affine, stable_uid(self._root, "frame", session))

    def _header(
        self, name: str, modality: str, description: str, session: str, grid: Grid, acquired_at: datetime
    ) -> SeriesHeader:
        slices = range(grid.shape[2])
        return SeriesHeader(
            series_uid=stable_uid(self._root, name),
            study_uid=stable_uid(self._root, "study", session),
            subject_id=self._identity.patient_id,
            modality=modality,
            sop_class_uid=str(STORAGE[modality]),
            description=description,
            manufacturer=SIMULATED_BY,
            model="glasshouse",
            image_type=("DERIVED", "PRIMARY", "DIFFUSION MAP", "ADC")
            if modality == "MR"
            else ("ORIGINAL", "PRIMARY", "AXIAL"),
            frame_of_reference=grid.frame_of_reference,
            instances=tuple(stable_uid(self._root, name, str(k)) for k in slices),
            grid=grid,
            series_started_at=acquired_at,
            acquired_at=acquired_at,
        )

    def _image(self, name: str, header: SeriesHeader, volume: Volume) -> None:
        assert header.acquired_at is not None  # noqa: S101  (set by _header)
        paths = write_image_series(self._folder / name, header, volume, self._identity, header.acquired_at)
        self._count(len(paths), name)

    def _contours(self, name: str, drawn_on: SeriesHeader, shapes: tuple[Ellipsoid, ...]) -> None:
        assert drawn_on.grid is not None and drawn_on.acquired_at is not None  # noqa: S101, PT018  (set by _header)
        uid = stable_uid(self._root, name, "instance")
        sets = [
            ContourSet(s.name, s.contours(drawn_on.grid), drawn_on.frame_of_reference, drawn_on.series_uid, uid)
            for s in shapes
        ]
        write_rtstruct(
            self._folder / name / "rtstruct.dcm",
            sets,
            drawn_on,
            self._identity,
            series_uid=stable_uid(self._root, name),
            instance_uid=uid,
            drawn_at=drawn_on.acquired_at + timedelta(days=1),
        )
        self._count(1, name)

    def _count(self, files: int, what: str) -> None:
        self.files += files
        self._done += 1
        self._progress(self._done, 22, what)

    def _rng(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self._seed, *name.encode()])

    def _truth(self) -> dict[str, Any]:
        """Gather true values by lesion: what a perfect analysis of these images would find."""
        electron_j = nuclide("Lu-177").electron_kev_per_decay or 0.0
        lesions = {}
        for lesion in self._patient.lesions:
            cycles = {}
            for n, started_at in enumerate(CYCLES, start=1):
                tissue = _in_cycle(lesion, n)
                integral = tissue.integral_bq_s_per_ml()
                since_s = [seconds_between(started_at, _scan_at(started_at, hours)) for hours in SCAN_HOURS]
                cycles[f"cycle-{n}"] = {
                    "time_integrated_activity_bq_s": integral * lesion.shape.volume_ml,
                    "absorbed_dose_electrons_gy": integral * electron_j * KEV_J / (LESION_DENSITY_G_PER_ML * 1e-3),
                    "effective_half_life_h": tissue.half_life_h,
                    "scans_since_administration_h": [t / HOUR_S for t in since_s],
                    "activity_bq": [tissue.concentration_bq_per_ml(t) * lesion.shape.volume_ml for t in since_s],
                }
            lesions[lesion.shape.name] = {
                "volume_ml": lesion.shape.volume_ml,
                "longest_diameter_mm": lesion.shape.longest_axial_diameter_mm,
                "longest_diameter_follow_up_mm": lesion.shape.scaled(lesion.growth).longest_axial_diameter_mm,
                "fdg_suv": lesion.tissue.fdg_suv,
                "sstr_suv": lesion.tissue.sstr_suv,
                "adc_mm2_per_s": lesion.tissue.adc_mm2_per_s,
                **cycles,
            }
        return {"seed": self._seed, "spect_fwhm_mm": SPECT_FWHM_MM, "lesions": lesions}


def _scan_at(started_at: datetime, hours: float) -> datetime:
    return started_at + timedelta(hours=hours) + SCAN_DELAY


def _in_cycle(lesion: DigitalLesion, cycle: int) -> Tissue:
    t = lesion.tissue
    scale = lesion.per_cycle ** (cycle - 1)
    return Tissue(t.lu177_bq_per_ml * scale, t.half_life_h, t.fdg_suv, t.sstr_suv, t.adc_mm2_per_s)


def _nuclear(
    header: SeriesHeader,
    agent: Radiopharmaceutical,
    correction: DecayCorrection,
    factor: float,
    *,
    duration_s: float,
) -> SeriesHeader:
    return evolve(
        header,
        stored_unit="BQML",
        decay_correction=correction,
        corrected_image=("DECY", "ATTN", "SCAT"),
        decay_factor=factor,
        frame_reference_time_s=duration_s / 2,
        frame_duration_s=duration_s,
        radiopharmaceutical=agent,
    )
