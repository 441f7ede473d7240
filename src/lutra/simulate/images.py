"""One image of a patient: the scene of its day through the scanner of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import numpy as np
from attrs import evolve, frozen

from lutra.core.study import DecayCorrection
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.simulate import dwi, pet
from lutra.simulate.body import TABLE_MM
from lutra.simulate.ct import CtKind, attenuation_volume, hu_volume
from lutra.simulate.motion import Motion, sample_motion
from lutra.simulate.patient import FDG_BQ, SSTR_BQ, DigitalPatient, stream
from lutra.simulate.scene import (
    Scene,
    coarser_scene,
    concentrations,
    fdg_of_lesions,
    scene_of,
    sstr_of_lesions,
    suv_of_regions,
)
from lutra.simulate.sizes import Size, coarser, widened
from lutra.simulate.spect import (
    Acquisition,
    Calibrated,
    Character,
    GammaCamera,
    SpectImage,
    character_of,
    expected,
    gamma_camera,
    measured,
    simulate_spect,
)
from lutra.simulate.visits import Kind, Scan

PEAK_KEV = 208.0
BREATHING = {Kind.CT: "expiration", Kind.DWI: "expiration"}
"""How the patient breathes; else quietly. Diffusion is triggered by the breath."""
CAMERA = "symbia-melp"
ACQUISITION = Acquisition(s_per_view=20.0)
"""60 views of 20 s for each of two heads, as clinics have it."""
B_VALUES = (50.0, 400.0, 800.0)

Mode = Literal["fast", "full"]


@frozen
class Site:
    """Machines of one patient's hospital.

    Parameters
    ----------
    seed
        Of what errs alike in all scans: the calibration of the PET.
    pet_model
        A key of :data:`lutra.simulate.pet.SCANNERS`.
    acquisition
        How its SPECT are made and reconstructed, those of its phantoms too.
    """

    seed: int
    pet_model: str
    camera: str = CAMERA
    mode: Mode = "fast"
    acquisition: Acquisition = ACQUISITION

    @property
    def gamma_camera(self) -> GammaCamera:
        """Camera of the SPECT."""
        return gamma_camera(self.camera)

    @property
    def scanner(self) -> pet.PetScanner:
        """Scanner of the PET."""
        return pet.SCANNERS[self.pet_model]

    def character(self, spacing_mm: float) -> Character:
        """Look up what the fast mode does to a SPECT with voxels of this size."""
        return _character(self.camera, self.acquisition, spacing_mm)

    def calibrated(self, spacing_mm: float) -> Calibrated:
        """Image the phantoms of the gamma camera on voxels of this size, as the patients are imaged."""
        if self.mode == "full":
            return measured(self.gamma_camera, self.acquisition, spacing_mm)
        return expected(self.gamma_camera, self.character(spacing_mm), spacing_mm)


@lru_cache(maxsize=8)
def _character(camera: str, how: Acquisition, spacing_mm: float) -> Character:
    return character_of(gamma_camera(camera), how, spacing_mm)


def posture(patient: DigitalPatient, scan: Scan) -> Motion:
    """How the patient lies and breathes during a scan; echo-planar images lie beside that along the phase encoding."""
    breathing = BREATHING.get(scan.kind, "quiet")
    motion = sample_motion(patient.seed, scan.session, "", breathing, size=patient.body.build.size)
    if scan.kind is Kind.DWI:
        motion = motion.translated((0, dwi.sample_protocol(patient.seed).shift_mm, 0))
    return motion


def scene_for(patient: DigitalPatient, scan: Scan, size: Size, frame_of_reference: str) -> Scene:
    """Paint the patient for a scan, on the grid of its image; that of a SPECT is :func:`spect_scene`."""
    spacing, factor = {
        Kind.CT: (size.ct_mm, 1),
        Kind.LOW_DOSE_CT: (size.low_dose_ct_mm, size.ct_voxels_per_spect),
        Kind.SPECT: (size.low_dose_ct_mm, size.ct_voxels_per_spect),
        Kind.FDG_PET: (size.pet_mm, 1),
        Kind.SSTR_PET: (size.pet_mm, 1),
        Kind.DWI: (size.dwi_mm, 1),
    }[scan.kind]
    slow = scan.kind in (Kind.SPECT, Kind.FDG_PET, Kind.SSTR_PET)
    grid = size.grid(spacing, frame_of_reference, factor)
    return scene_of(patient, scan.day, grid, posture(patient, scan), size.breathing_phases if slow else 1)


def spect_scene(on_ct: Scene, size: Size) -> Scene:
    """Put the scene of a low-dose CT on the grid of the SPECT of its session."""
    factor = size.ct_voxels_per_spect
    grid, before = widened(coarser(on_ct.grid, factor), size.spect_shape)
    return coarser_scene(on_ct, grid, factor, before)


def ct_image(scene: Scene, kind: Kind, seed: int) -> Volume:
    """CT of a scene. [HU]"""
    how = CtKind.DIAGNOSTIC if kind is Kind.CT else CtKind.LOW_DOSE
    size = scene.patient.body.build.size
    return hu_volume(
        tuple(scene.regions.values()), scene.grid, scene.patient.body, how, seed, table_below_mm=TABLE_MM * size
    )


def held(scene: Scene, scan: Scan) -> dict[str, float]:
    """Fill regions: Bq/mL at the start of a SPECT, SUV by body weight [g/mL] at that of a PET; nothing for CT and MR."""
    patient = scene.patient
    if scan.since_s is None:
        return {}
    if scan.kind is Kind.SPECT:
        return concentrations(scene, patient.therapy[(scan.cycle or 1) - 1], scan.since_s)
    if scan.kind is Kind.FDG_PET:
        return suv_of_regions(scene, patient.fdg_suv, fdg_of_lesions(patient))
    return suv_of_regions(scene, patient.sstr_suv, sstr_of_lesions(patient, scan.since_s))


def painted(scene: Scene, scan: Scan, values: Mapping[str, float]) -> Volume:
    """Paint what the regions hold, for SPECT and PET."""
    unit = Unit.BQ_PER_ML if scan.kind is Kind.SPECT else Unit.SUV_BW
    return evolve(scene.filled(values, unit), acquired_at=scan.at, decay_referenced_to=scan.at)


def spect_image(activity: Volume, scene: Scene, site: Site, seed: int) -> SpectImage:
    """SPECT of a scene."""
    regions = tuple(scene.regions.values())
    attenuation = attenuation_volume(regions, scene.grid, PEAK_KEV, scene.patient.body)
    known = site.character(scene.grid.spacing_mm[0]) if site.mode == "fast" else None
    return simulate_spect(activity, attenuation, site.gamma_camera, site.acquisition, seed, site.mode, character=known)


def pet_scan(patient: DigitalPatient, scan: Scan, site: Site) -> pet.PetScan:
    """Return what the console of the PET is told."""
    assert scan.injected_at is not None  # noqa: S101  (a PET has an injection)
    fdg = scan.kind is Kind.FDG_PET
    return pet.PetScan(
        "F-18" if fdg else "Ga-68",
        "Fluorodeoxyglucose" if fdg else "DOTATATE",
        FDG_BQ if fdg else SSTR_BQ,
        scan.injected_at,
        scan.at,
        round(patient.body.weight_kg, 1),
        correction=DecayCorrection.START,
        calibration=pet.calibration_of(site.seed, scan.at.date().isoformat()),
    )


def pet_image(suv: Volume, patient: DigitalPatient, scan: Scan, site: Site, seed: int) -> Volume:
    """PET of a scene, in Bq/mL."""
    return pet.simulate_pet(suv, site.scanner, pet_scan(patient, scan, site), seed)


def dwi_images(scene: Scene, seed: int) -> tuple[Volume, ...]:
    """Diffusion-weighted images of a scene, one per b-value."""
    patient = scene.patient
    values = {name: dwi_tissue(scene, name) for name in scene.regions}
    weighted = {name: t.d_mm2_per_s * t.signal for name, t in values.items()}
    signal = scene.filled({n: t.signal for n, t in values.items()}, Unit.ONE, texture=False).values
    perfused = scene.filled({n: t.perfusion * t.signal for n, t in values.items()}, Unit.ONE, texture=False).values
    diffusion = scene.filled(weighted, Unit.MM2_PER_S, texture=False)
    there = np.where(signal > 0, signal, 1)  # where several tissues share a voxel, each counts by its signal
    diffusion = evolve(diffusion, values=diffusion.values / there)
    protocol = evolve(dwi.sample_protocol(patient.seed, b_s_per_mm2=B_VALUES), shift_mm=0.0)
    return dwi.simulate_dwi(diffusion, perfused / there, signal, protocol, seed)


def dwi_tissue(scene: Scene, region: str) -> dwi.DiffusionTissue:
    """How a region looks on diffusion images."""
    patient = scene.patient
    for lesion in patient.disease.seen(scene.day):
        if region == f"{lesion.lesion_id} core":
            return dwi.TISSUES["necrosis"]
        if region == lesion.lesion_id:
            return evolve(dwi.TISSUES["lesion"], d_mm2_per_s=lesion_adc(patient, lesion.parts, scene.day))
    tissue = patient.body.tissue(region)
    return dwi.TISSUES[_diffusion_name(region, tissue.kinetics)]


def lesion_adc(patient: DigitalPatient, parts: tuple[str, ...], day: float) -> float:
    """Diffusion coefficient of the living part of a lesion; of several digital ones, their mean by volume. [mm2/s]"""
    courses = [patient.disease.course(part) for part in parts]
    volumes = [course.at(course.volume_ml, day) for course in courses]
    return float(np.average([course.adc_at(day) for course in courses], weights=volumes))


def _diffusion_name(region: str, kinetics: str) -> str:
    if region in ("gas", "left lung", "right lung"):
        return "lung"
    if region in ("gallbladder", "spinal canal", "bladder") or "pelvis" in region:
        return "fluid"
    if region == "pancreas":
        return "pancreas"
    names = {"gut": "bowel", "endocrine": "rest", "blood": "lung", "rest": "rest"}  # flowing blood gives no signal
    return names.get(kinetics, kinetics)


def camera_error(patient: DigitalPatient, relative_sd: float) -> float:
    """Factor by which the camera of a patient reads wrong in every scan. [1]"""
    return float(np.exp(relative_sd * stream(patient.seed, "camera calibration").normal()))
