r"""PET scanners in image space: what they blur, how noisy they are, and how each maker states the result.

The truth is blurred by the reconstructed resolution. Noise of one resolution width is added with

.. math:: \sigma(x) = CV\,\sqrt{x\,x_{liver}}, \qquad CV \propto \bigl(A\,t\,e^{-0.01 (m - 70)}\bigr)^{-1/2}

for concentration x, activity A in the body at the start, time t per bed and body weight m in kg: in the liver it is the coefficient
of variation that quality programmes measure. Scatter, randoms and attenuation are taken as corrected.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from math import exp, sqrt

import numpy as np
from attrs import evolve, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.core.time import in_utc, seconds_between
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.physics.decay import decay_factor, mean_activity_time_s
from lutra.reference.nuclides import nuclide
from lutra.simulate.point_spread import blurred, grains

BED_MM = 150.0
"""Advance from bed to bed: an axial field of 16-22 cm less the overlap. [mm]"""
POSITRON_RANGE_MM = {"F-18": 0.0, "Ga-68": 1.0}
"""By how much the reconstructed resolution is worse than for 18F: mean range in water .6 and 2.9 mm [M]. [mm]"""
PHILIPS_COUNTS_PER_BQ_ML = 0.4
"""Any scale will do; that of real series is of this order."""
CALIBRATION_CV_SITE, CALIBRATION_CV_DAY = 0.03, 0.02
"""Error of the calibration between sites, and between days at one [M]."""
G_PER_KG = 1000.0


class HeaderWay(StrEnum):
    """How a maker states activity."""

    SIEMENS = "siemens"
    """Bq/mL at the start of the scan, which is the series time; each bed with its own time."""
    GE = "ge"
    """Bq/mL at the start of the scan, which is in a private element; one time for all beds, the administration without its date."""
    PHILIPS = "philips"
    """Counts with two private factors, to SUV and to Bq/mL."""


@frozen
class PetScanner:
    """A scanner.

    Parameters
    ----------
    nema_fwhm_mm
        Radial resolution 1, 10 and 20 cm from the axis by the NEMA standard; None where not published. [mm]
    fwhm_mm
        Reconstructed resolution of a clinical 18F image in the middle of the field. [mm]
    sensitivity_cps_per_kbq, time_of_flight_ps
        By the NEMA standard.
    """

    model: str
    way: HeaderWay
    nema_fwhm_mm: tuple[float, float | None, float | None]
    fwhm_mm: float
    sensitivity_cps_per_kbq: float
    time_of_flight_ps: float

    @property
    def relative_noise(self) -> float:
        """Noise against that of the Biograph mCT: counts, and gain by time of flight. [1]"""
        counts = SCANNERS["Biograph mCT Flow"].sensitivity_cps_per_kbq / self.sensitivity_cps_per_kbq
        return sqrt(counts * self.time_of_flight_ps / SCANNERS["Biograph mCT Flow"].time_of_flight_ps)

    def resolution_mm(self, nuclide_name: str) -> float:
        """Reconstructed resolution for a nuclide. [mm]"""
        return self.fwhm_mm + POSITRON_RANGE_MM[nuclide_name]


SCANNERS = {
    s.model: s
    for s in (
        PetScanner("Discovery 690", HeaderWay.GE, (4.7, 5.3, None), 6.0, 7.4, 544),
        PetScanner("Biograph mCT Flow", HeaderWay.SIEMENS, (4.3, 5.2, 5.6), 5.5, 9.6, 555),
        PetScanner("Ingenuity TF", HeaderWay.PHILIPS, (4.8, 5.3, None), 6.5, 7.4, 502),
        PetScanner("Vereos", HeaderWay.PHILIPS, (4.0, None, 5.8), 5.0, 5.5, 322),
        PetScanner("Discovery MI", HeaderWay.GE, (4.1, 5.5, 7.5), 5.0, 13.7, 375),
    )
}
"""NEMA values of one published comparison, but for the sensitivities of the Discovery 690 and the Philips scanners [M].
Clinical resolution 5-6.5 mm, in the order of the intrinsic one [M]: between the limits of EARL 2 and 1."""


@frozen
class LiverNoise:
    """What the coefficient of variation in the liver is measured at. [1], [Bq], [s], [g/mL]"""

    cv: float
    activity_bq: float
    bed_s: float
    liver_suv: float


LIVER_NOISE = {
    "F-18": LiverNoise(0.10, 210e6 * 0.685, 150.0, 2.2),
    "Ga-68": LiverNoise(0.15, 150e6 * 0.541, 180.0, 5.7),
}
"""8-12 % with 3 MBq/kg of FDG, 12-18 % with 150 MBq of 68Ga [M]; activities 60 min after their administration."""


@frozen
class PetScan:
    """One scan of one person.

    Parameters
    ----------
    activity_bq
        Administered, at `administered_at`. [Bq]
    started_at
        Start of the first bed.
    bed_s
        Time per bed. [s]
    correction
        START, or ADMIN as a few sites have it.
    calibration
        Factor by which the scanner reads wrong; :func:`calibration_of` draws one. [1]
    reconstructed_after
        When GE's series time is later than the scan: images made again. None: the series time is that of the scan.
    """

    nuclide: str
    agent: str
    activity_bq: float
    administered_at: datetime
    started_at: datetime
    weight_kg: float
    bed_s: float = 150.0
    correction: DecayCorrection = DecayCorrection.START
    calibration: float = 1.0
    reconstructed_after: timedelta | None = None

    def __attrs_post_init__(self) -> None:
        if self.nuclide not in LIVER_NOISE:
            raise UsageError(f"PET of {self.nuclide}", required=f"one of {', '.join(LIVER_NOISE)}")
        if self.correction is DecayCorrection.NONE or self.uptake_s < 0:
            raise UsageError(
                f"a scan {self.uptake_s:g} s after the administration, corrected to {self.correction}",
                required="a scan after the administration, corrected to START or ADMIN",
            )

    @property
    def half_life_s(self) -> float:
        """Physical half-life. [s]"""
        return nuclide(self.nuclide).half_life_s

    @property
    def uptake_s(self) -> float:
        """From administration to scan. [s]"""
        return seconds_between(self.administered_at, self.started_at)

    @property
    def activity_at_start_bq(self) -> float:
        """What is left at the start of the scan. [Bq]"""
        return self.activity_bq * decay_factor(self.uptake_s, self.half_life_s)

    @property
    def bq_per_ml_per_suv(self) -> float:
        """Concentration of an SUV of 1, at the start of the scan. [Bq/mL]"""
        return self.activity_at_start_bq / (self.weight_kg * G_PER_KG)


def calibration_of(site_seed: int, day: str) -> float:
    """Draw the calibration error of a site on a day: 3 % lasting, 2 % from day to day. [1]"""
    site = np.random.default_rng([site_seed, *b"pet calibration"]).normal()
    of_day = np.random.default_rng([site_seed, *f"pet calibration {day}".encode()]).normal()
    return exp(CALIBRATION_CV_SITE * float(site) + CALIBRATION_CV_DAY * float(of_day))


def liver_cv(scanner: PetScanner, scan: PetScan) -> float:
    """Coefficient of variation of voxels in the liver. [1]"""
    usual = LIVER_NOISE[scan.nuclide]
    exposure = scan.activity_at_start_bq * scan.bed_s * exp(-0.01 * (scan.weight_kg - 70))
    return usual.cv * scanner.relative_noise * sqrt(usual.activity_bq * usual.bed_s / exposure)


def simulate_pet(truth: Volume, scanner: PetScanner, scan: PetScan, seed: int) -> Volume:
    """See a distribution through a scanner.

    Parameters
    ----------
    truth
        SUVbw; or Bq/mL, stated for the instant the volume says, or else for the start of the scan.
    seed
        Of this image.

    Returns
    -------
    Volume
        Bq/mL, stated for the start of the scan or the administration, as `scan.correction` says; not negative.

    Raises
    ------
    UsageError
        If the truth has another unit.
    """
    spacing, fwhm = truth.grid.spacing_mm, (scanner.resolution_mm(scan.nuclide),) * 3
    seen = np.maximum(blurred(truth.values * np.float32(_bq_per_ml(truth, scan)), fwhm, spacing), 0)
    liver = LIVER_NOISE[scan.nuclide].liver_suv * scan.bq_per_ml_per_suv
    noise = grains(truth.grid.shape, fwhm, spacing, np.random.default_rng([seed, *b"pet noise"]))
    seen += np.float32(liver_cv(scanner, scan)) * np.sqrt(seen * np.float32(liver)) * noise
    factor = scan.calibration
    if scan.correction is DecayCorrection.ADMIN:
        factor /= decay_factor(scan.uptake_s, scan.half_life_s)
    at = scan.administered_at if scan.correction is DecayCorrection.ADMIN else scan.started_at
    return Volume(np.maximum(seen, 0) * np.float32(factor), truth.grid, Unit.BQ_PER_ML, scan.started_at, at)


def _bq_per_ml(truth: Volume, scan: PetScan) -> float:
    """Bq/mL at the start of the scan per unit of the truth."""
    if truth.unit is Unit.SUV_BW:
        return scan.bq_per_ml_per_suv
    if truth.unit is not Unit.BQ_PER_ML:
        raise UsageError(f"a truth in {truth.unit}", required=f"{Unit.SUV_BW} or {Unit.BQ_PER_ML}")
    stated_at = truth.decay_referenced_to or scan.started_at
    return float(decay_factor(seconds_between(stated_at, scan.started_at), scan.half_life_s))


def pet_header(plain: SeriesHeader, grid: Grid, scanner: PetScanner, scan: PetScan) -> SeriesHeader:
    """Add to a header what the maker of a scanner says about activity and time.

    The names of makers are not written: images that show no person keep the name of the program that made them.

    Parameters
    ----------
    plain
        Identities, description and grid.
    grid
        Of the image; its slices are shared out over the beds, from the feet to the head.
    """
    beds = _beds(grid)
    counted_to = mean_activity_time_s(scan.bed_s, scan.half_life_s)
    starts_s = [bed * scan.bed_s for bed in beds]
    agent = Radiopharmaceutical(scan.nuclide, scan.agent, scan.activity_bq, scan.administered_at, scan.half_life_s)
    admin = scan.correction is DecayCorrection.ADMIN
    header = evolve(
        plain,
        modality="PT",
        model=f"glasshouse {scanner.model}",
        stored_unit="BQML",
        decay_correction=scan.correction,
        corrected_image=("DECY", "ATTN", "SCAT", "RADL", "NORM"),
        decay_factor=1 / decay_factor(scan.uptake_s + counted_to if admin else counted_to, scan.half_life_s),
        series_started_at=scan.started_at,
        acquired_at=scan.started_at,
        slice_acquired_at=tuple(_later(scan.started_at, s) for s in starts_s),
        frame_reference_time_s=counted_to + starts_s[0],
        frame_duration_s=scan.bed_s,
        slice_frame_reference_s=tuple(s + counted_to for s in starts_s),
        slice_frame_duration_s=(scan.bed_s,) * len(starts_s),
        radiopharmaceutical=agent,
        patient_weight_kg=scan.weight_kg,
    )
    match scanner.way:
        case HeaderWay.SIEMENS:
            return header
        case HeaderWay.GE:
            later = scan.reconstructed_after or timedelta(0)
            return evolve(
                header,
                series_started_at=_later(scan.started_at, later.total_seconds()),
                scan_reference_at=scan.started_at,
                slice_acquired_at=(scan.started_at,) * len(starts_s),
                slice_frame_reference_s=tuple(starts_s),
                frame_reference_time_s=starts_s[0],
            )
        case HeaderWay.PHILIPS:
            stated = scan.activity_bq if admin else scan.activity_at_start_bq
            to_bq_per_ml = 1 / PHILIPS_COUNTS_PER_BQ_ML
            factors = {
                "philips_suv": to_bq_per_ml * scan.weight_kg * G_PER_KG / stated,
                "philips_activity": to_bq_per_ml,
            }
            return evolve(header, stored_unit="CNTS", vendor_factors=FrozenMap(factors))


def _beds(grid: Grid) -> list[int]:
    """Bed that each slice is seen in, from 0 at the feet."""
    heights = grid.to_lps_mm([(0, 0, k) for k in range(grid.shape[2])])[:, 2]
    return [int(bed) for bed in (heights - heights.min()) // BED_MM]


def _later(moment: datetime, seconds: float) -> datetime:
    """Move an instant on, in its own zone, across a change of the clocks too."""
    return (in_utc(moment) + timedelta(seconds=seconds)).astimezone(moment.tzinfo)
