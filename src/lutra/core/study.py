"""Who was scanned, when in the course of treatment, and what the files say about it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from attrs import field, frozen

from lutra.core.frozen import FrozenMap, frozen_map
from lutra.core.grid import Grid
from lutra.core.units import HOUR_S

SIMULATED_BY = "Lutra simulate"
"""Manufacturer (0008,0070) of images that show no person; the report says so on every page."""


class Role(StrEnum):
    """What an image is for in this study."""

    THERAPY_SPECT = "therapy-spect"
    FDG_PET = "fdg-pet"
    SSTR_PET = "sstr-pet"
    OTHER_PET = "other-pet"
    ADC = "adc"
    DWI = "dwi"
    CT = "ct"
    OTHER_MR = "other-mr"


class DecayCorrection(StrEnum):
    """DICOM (0054,1102): the instant a decay-corrected image is stated for."""

    START = "START"
    """Start of the acquisition of the series."""
    ADMIN = "ADMIN"
    """Administration of the radiopharmaceutical."""
    NONE = "NONE"
    """Not corrected: each frame is stated for its own time."""


@frozen
class Radiopharmaceutical:
    """One administration as an image header tells it.

    Parameters
    ----------
    nuclide
        Mass-number name, such as `Lu-177`; None if the header does not say or the code is unknown.
    name
        Agent as written in the header.
    activity_bq
        Administered activity, stated for `administered_at`. [Bq]
    administered_at
        Start of the administration.
    half_life_s
        Physical half-life the scanner used. [s]
    residual_activity_bq
        Activity left in the syringe, stated for `residual_measured_at`; None if the header does not give one. [Bq]
    """

    nuclide: str | None
    name: str | None
    activity_bq: float | None
    administered_at: datetime | None
    half_life_s: float | None
    residual_activity_bq: float | None = None
    residual_measured_at: datetime | None = None


@frozen
class EnergyWindow:
    """Range of photon energies a camera counted. [keV]

    Parameters
    ----------
    further_kev
        Lower and upper end of more ranges that were counted into the same window. [keV]
    """

    name: str
    lower_kev: float
    upper_kev: float
    further_kev: tuple[tuple[float, float], ...] = ()


@frozen
class VolumeKey:
    """What tells one volume of a series from the others on the same grid; None where it does not vary or is not known.

    Parameters
    ----------
    b_value_s_per_mm2
        Diffusion weighting. [s/mm2]
    gradient_lps
        Unit vector of the diffusion gradient; None at b = 0, for a trace image, or if the file does not say.
    energy_window
        Index into the header's `energy_windows`, from 0.
    detector
        Number of the detector as the file counts, from 1.
    time_slot
        Number of the time slot or frame in time, from 1.
    """

    b_value_s_per_mm2: float | None = None
    gradient_lps: tuple[float, float, float] | None = None
    energy_window: int | None = None
    detector: int | None = None
    time_slot: int | None = None


@frozen
class RealWorldMap:
    """Real world value = slope x stored value + intercept, (0040,9096); stands in place of the rescale.

    Parameters
    ----------
    unit
        UCUM code of the result, as the file writes it.
    """

    slope: float
    intercept: float
    unit: str


@frozen
class Camera:
    """Which machine made an image: by this a calibration is found. Empty where the file does not say."""

    manufacturer: str = ""
    model: str = ""
    serial_number: str = ""
    station: str = ""
    collimator: str = ""


@frozen(eq=False)
class SeriesHeader:
    """What one image series says about itself, free of DICOM types. Missing means None, never a default.

    Parameters
    ----------
    grid
        Geometry of the image; None for objects without voxels.
    stored_unit
        (0054,1001) Units of PET-type images (`BQML`, `CNTS`, `GML`), (0028,1054) Rescale Type of CT; None if absent.
    series_started_at, acquired_at
        Series date and time; earliest acquisition date and time of its slices.
    scan_reference_at
        Private scan time of GE (0009,100D) or decay correction time of Siemens (0071,1022): the time decay correction START
        refers to, where it is given.
    slice_acquired_at
        Acquisition date and time of each slice, in slice order.
    frame_reference_time_s, frame_duration_s
        Of the first slice in slice order. [s]
    vendor_factors
        `philips_suv` (7053,1000) and `philips_activity` (7053,1009), where given. [1]
    instances
        SOP Instance UID of every plane, volume after volume and slice after slice: where every number comes from. Planes of a
        multi-frame object repeat its UID.
    frame_indices
        Frame of its file that each plane is, from 0; empty where every file has one.
    volumes
        One key per volume of the series, in the order :func:`lutra.ingest.read_volumes` gives them; a single empty key for
        an ordinary image.
    real_world
        Real world value mapping, where the file has one for all its pixels.
    energy_windows
        Windows of a gamma camera.
    camera
        The machine.
    acquisition_duration_s
        How long a gamma camera counted: angular views of a detector times the time of each. [s]
    suv_type
        (0054,1006) SUV Type, of images stored as SUV; None if absent, which the standard reads as body weight.
    slice_frame_reference_s, slice_frame_duration_s
        (0054,1300) and (0018,1242) of each slice, in slice order; empty where a slice does not say. [s]
    reconstruction
        How the image was made, as the scanner names it: (0054,1103) and (0018,1210); empty if the file does not say.
    dates_moved
        (0028,0303) says that the dates are not the true ones: intervals hold, nothing can be dated against the calendar.
    """

    series_uid: str
    study_uid: str
    subject_id: str
    modality: str
    sop_class_uid: str
    description: str
    manufacturer: str
    model: str
    image_type: tuple[str, ...]
    frame_of_reference: str
    instances: tuple[str, ...]
    grid: Grid | None = None
    stored_unit: str | None = None
    has_rescale: bool = False
    decay_correction: DecayCorrection | None = None
    corrected_image: tuple[str, ...] = ()
    decay_factor: float | None = None
    series_started_at: datetime | None = None
    acquired_at: datetime | None = None
    scan_reference_at: datetime | None = None
    slice_acquired_at: tuple[datetime, ...] = ()
    frame_reference_time_s: float | None = None
    frame_duration_s: float | None = None
    radiopharmaceutical: Radiopharmaceutical | None = None
    patient_weight_kg: float | None = None
    patient_height_m: float | None = None
    patient_sex: str | None = None
    slice_thickness_mm: float | None = None
    vendor_factors: FrozenMap[str, float] = field(factory=FrozenMap, converter=frozen_map)
    frame_indices: tuple[int, ...] = ()
    volumes: tuple[VolumeKey, ...] = field(factory=lambda: (VolumeKey(),))
    real_world: RealWorldMap | None = None
    energy_windows: tuple[EnergyWindow, ...] = ()
    camera: Camera = field(factory=Camera)
    acquisition_duration_s: float | None = None
    suv_type: str | None = None
    slice_frame_reference_s: tuple[float, ...] = ()
    slice_frame_duration_s: tuple[float, ...] = ()
    reconstruction: str = ""
    dates_moved: bool = False


@frozen
class Administration:
    """One infusion of the therapy.

    Parameters
    ----------
    cycle
        Number of the cycle, from 1, in the order of the known administrations.
    started_at
        Start of the administration; time zero of the cycle's kinetics.
    activity_bq
        Administered activity. [Bq]
    """

    cycle: int
    nuclide: str
    started_at: datetime
    activity_bq: float | None


@frozen
class Timepoint:
    """One image in the course of treatment.

    Parameters
    ----------
    label
        Short name, unique within the subject: `cycle 1, 27.7 h`, `FDG PET 3 Mar 2026`.
    cycle
        Cycle the image belongs to; 0 before the first administration, None if no administration is known.
    since_administration_s
        Time from the start of that cycle's administration to the start of the acquisition. [s]
    """

    series_uid: str
    role: Role
    label: str
    cycle: int | None
    acquired_at: datetime | None
    since_administration_s: float | None

    @property
    def since_administration_h(self) -> float | None:
        """Time from the start of administration, as doors show it. [h]"""
        return None if self.since_administration_s is None else self.since_administration_s / HOUR_S


@frozen
class Subject:
    """A person in the study: administrations in order, time points in order of acquisition."""

    subject_id: str
    sex: str | None
    administrations: tuple[Administration, ...]
    timepoints: tuple[Timepoint, ...]
