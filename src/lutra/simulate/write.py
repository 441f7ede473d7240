"""Writes the images of a digital patient, and what was drawn on them, as DICOM files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import numpy as np
from attrs import evolve, field, frozen

from lutra.core.grid import Grid
from lutra.core.region import ContourSet, Region
from lutra.core.study import (
    SIMULATED_BY,
    Camera,
    DecayCorrection,
    Radiopharmaceutical,
    RealWorldMap,
    SeriesHeader,
    VolumeKey,
)
from lutra.core.volume import Volume
from lutra.export import (
    PatientIdentity,
    stable_uid,
    write_diffusion_series,
    write_image_series,
    write_nm_recon,
    write_rtstruct,
    write_segmentation,
)
from lutra.export.dicom_image import STORAGE
from lutra.export.nm import FULL_SCALE
from lutra.physics.decay import decay_factor, mean_activity_time_s
from lutra.reference.nuclides import nuclide
from lutra.simulate.dwi import volume_keys
from lutra.simulate.images import B_VALUES, Site, pet_scan
from lutra.simulate.patient import DigitalPatient
from lutra.simulate.pet import pet_header
from lutra.simulate.spect import SpectImage
from lutra.simulate.spect.camera import PEAK
from lutra.simulate.visits import CT_BEFORE_SPECT, Kind, Scan

THERAPY_AGENT = "177Lu-octreotate"
DRAWN_AFTER = timedelta(days=1)
NM_CLASS = "1.2.840.10008.5.1.4.1.1.20"
DESCRIPTIONS = {
    Kind.CT: "CT abdomen, portal venous",
    Kind.LOW_DOSE_CT: "CT low dose, attenuation",
    Kind.FDG_PET: "FDG PET",
    Kind.SSTR_PET: "DOTATATE PET",
    Kind.DWI: "DWI b 50, 400, 800",
    Kind.SPECT: "177Lu SPECT",
}


class SpectWay(StrEnum):
    """How a SPECT is stored."""

    PT_START = "pt-start"
    """As PET slices in Bq/mL, corrected to the start of the scan."""
    COUNTS = "nm-counts"
    """As one NM file in counts, which needs a calibration file."""
    PT_ADMIN = "pt-admin"
    """As PET slices in Bq/mL, corrected to the administration."""
    NM = "nm"
    """As one NM file in Bq/mL."""


@frozen
class Writer:
    """Writes under one folder per series, with identifiers that follow from subject and seed.

    Parameters
    ----------
    folder
        Of the patient.
    camera_error
        Factor by which images in Bq/mL from the SPECT are wrong. [1]
    """

    folder: Path
    patient: DigitalPatient
    site: Site
    way: SpectWay
    camera_error: float
    identity: PatientIdentity = field(init=False)

    @identity.default
    def _identity(self) -> PatientIdentity:
        body, subject = self.patient.body, self.patient.subject_id
        return PatientIdentity(subject, f"{subject}^Digital", body.sex, body.weight_kg, body.height_m)

    @property
    def root(self) -> str:
        """What all identifiers of the patient are made from."""
        return f"{self.patient.subject_id}/{self.patient.seed}"

    @property
    def camera(self) -> Camera:
        """The gamma camera as the images name it; its maker stays the program, for they show no person."""
        known = self.site.gamma_camera.identity
        serial = self.patient.subject_id  # a camera of its own for each patient, with its own error
        return Camera(SIMULATED_BY, known.model, serial, "", known.collimator)

    def frame(self, session: str) -> str:
        """Frame of reference of a session."""
        return stable_uid(self.root, "frame", session)

    def series_uid(self, scan: Scan) -> str:
        """Identify the series of a scan."""
        return stable_uid(self.root, scan.name)

    # ---- images ----
    def ct(self, scan: Scan, volume: Volume) -> tuple[SeriesHeader, tuple[Path, ...]]:
        """Write a CT."""
        header = self._header(scan, "CT", volume.grid, STORAGE["CT"])
        return header, write_image_series(
            self.folder / scan.name, header, volume, self.identity, _study_started_at(scan)
        )

    def pet(self, scan: Scan, volume: Volume) -> tuple[SeriesHeader, tuple[Path, ...]]:
        """Write a PET as its scanner states it."""
        plain = self._header(scan, "PT", volume.grid, STORAGE["PT"])
        console = pet_scan(self.patient, scan, self.site)
        header = pet_header(plain, volume.grid, self.site.scanner, console)
        return header, write_image_series(
            self.folder / scan.name, header, volume, self.identity, _study_started_at(scan)
        )

    def dwi(self, scan: Scan, volumes: tuple[Volume, ...]) -> tuple[SeriesHeader, tuple[Path, ...]]:
        """Write diffusion-weighted images of several b-values."""
        grid = volumes[0].grid
        header = self._header(scan, "MR", grid, STORAGE["MR"], planes=len(volumes) * grid.shape[2])
        header = evolve(header, image_type=("DERIVED", "PRIMARY", "DIFFUSION", "NONE"), volumes=volume_keys(B_VALUES))
        return header, write_diffusion_series(
            self.folder / scan.name, header, volumes, self.identity, _study_started_at(scan)
        )

    def spect(self, scan: Scan, image: SpectImage) -> tuple[SeriesHeader, tuple[Path, ...]]:
        """Write a SPECT in the way of this patient."""
        given = self.patient.treatment.administrations[(scan.cycle or 1) - 1]
        half_life_s = nuclide("Lu-177").half_life_s
        agent = Radiopharmaceutical(
            "Lu-177", THERAPY_AGENT, given.measured_administered_bq, given.infusion_from, half_life_s
        )
        if self.way in (SpectWay.PT_START, SpectWay.PT_ADMIN):
            return self._spect_slices(scan, image, agent)
        return self._spect_frames(scan, image, agent)

    def _spect_slices(
        self, scan: Scan, image: SpectImage, agent: Radiopharmaceutical
    ) -> tuple[SeriesHeader, tuple[Path, ...]]:
        half_life_s = agent.half_life_s or 0.0
        correction = DecayCorrection.START if self.way is SpectWay.PT_START else DecayCorrection.ADMIN
        counted_at_s = mean_activity_time_s(image.duration_s, half_life_s)
        before_s = (scan.since_s or 0.0) if correction is DecayCorrection.ADMIN else 0.0
        scale = self.camera_error / decay_factor(before_s, half_life_s)
        volume = evolve(image.volume, values=image.volume.values * np.float32(scale))
        plain = self._header(scan, "PT", volume.grid, STORAGE["PT"])
        header = evolve(
            plain,
            stored_unit="BQML",
            decay_correction=correction,
            corrected_image=("DECY", "ATTN", "SCAT"),
            decay_factor=1 / decay_factor(before_s + counted_at_s, half_life_s),
            frame_reference_time_s=counted_at_s,
            frame_duration_s=image.duration_s,
            radiopharmaceutical=agent,
        )
        return header, write_image_series(
            self.folder / scan.name, header, volume, self.identity, _study_started_at(scan)
        )

    def _spect_frames(
        self, scan: Scan, image: SpectImage, agent: Radiopharmaceutical
    ) -> tuple[SeriesHeader, tuple[Path, ...]]:
        counts = self.way is SpectWay.COUNTS
        volume = image.counts if counts else image.volume
        scale = 1.0 if counts else self.camera_error
        volume = evolve(volume, values=np.maximum(volume.values, 0) * np.float32(scale))
        highest = float(volume.values.max())
        mapped = counts and highest > FULL_SCALE
        header = evolve(
            self._header(scan, "NM", volume.grid, NM_CLASS, planes=1),
            camera=self.camera,
            decay_correction=DecayCorrection.NONE if counts else DecayCorrection.START,
            corrected_image=("ATTN", "SCAT") if counts else ("DECY", "ATTN", "SCAT"),
            frame_duration_s=self.site.acquisition.s_per_view,
            acquisition_duration_s=image.duration_s,
            radiopharmaceutical=agent,
            energy_windows=(PEAK,),
            volumes=(VolumeKey(),),
            real_world=RealWorldMap(highest / FULL_SCALE, 0.0, "{counts}") if mapped else None,
        )
        path = self.folder / scan.name / "spect.dcm"
        return header, (write_nm_recon(path, header, [volume], self.identity, _study_started_at(scan)),)

    # ---- what was drawn ----
    def contours(self, scan: Scan, on: SeriesHeader, sets: Sequence[ContourSet]) -> tuple[Path, ...]:
        """Write contours drawn on an image, if there are any."""
        if not sets:
            return ()
        path = self.folder / f"{scan.name}-rtstruct" / "rtstruct.dcm"
        series = stable_uid(self.root, scan.name, "rtstruct")
        write_rtstruct(
            path,
            sets,
            on,
            self.identity,
            series_uid=series,
            instance_uid=self.contours_uid(scan),
            drawn_at=scan.at + DRAWN_AFTER,
        )
        return (path,)

    def contours_uid(self, scan: Scan) -> str:
        """Identify the file with the contours of a scan."""
        return stable_uid(self.root, scan.name, "rtstruct", "instance")

    def segmentation(
        self, scan: Scan, on: SeriesHeader, images: Sequence[Path], regions: Sequence[Region]
    ) -> tuple[Path, ...]:
        """Write regions drawn on an image, if there are any."""
        if not regions:
            return ()
        path = self.folder / f"{scan.name}-seg" / "seg.dcm"
        write_segmentation(
            path,
            regions,
            images,
            on,
            series_uid=stable_uid(self.root, scan.name, "seg"),
            instance_uid=stable_uid(self.root, scan.name, "seg", "instance"),
            drawn_at=scan.at + DRAWN_AFTER,
            description=f"Lesions on {DESCRIPTIONS[scan.kind]}",
        )
        return (path,)

    def _header(self, scan: Scan, modality: str, grid: Grid, sop_class: str, planes: int | None = None) -> SeriesHeader:
        instances = tuple(
            stable_uid(self.root, scan.name, str(n)) for n in range(grid.shape[2] if planes is None else planes)
        )
        return SeriesHeader(
            series_uid=self.series_uid(scan),
            study_uid=stable_uid(self.root, "study", scan.session),
            subject_id=self.patient.subject_id,
            modality=modality,
            sop_class_uid=str(sop_class),
            description=_description(scan),
            manufacturer=SIMULATED_BY,
            model="glasshouse",
            image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
            frame_of_reference=grid.frame_of_reference,
            instances=instances,
            grid=grid,
            series_started_at=scan.at,
            acquired_at=scan.at,
        )


def _description(scan: Scan) -> str:
    words = DESCRIPTIONS[scan.kind]
    if scan.cycle is None:
        return words
    hours = scan.session.rpartition("-")[2].removesuffix("h")
    return f"{words} {hours} h, cycle {scan.cycle}"


def _study_started_at(scan: Scan) -> datetime:
    """When the first scan of the session began."""
    return scan.at - CT_BEFORE_SPECT if scan.kind is Kind.SPECT else scan.at
