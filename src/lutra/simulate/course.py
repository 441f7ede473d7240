"""The course of lesions: volumes, diameters and shapes over the days of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import float64
from lutra.simulate.lesions import DigitalLesion
from lutra.simulate.response import Array, Tissue, TruthScenario, effective_dose_gy, tissue_over_days
from lutra.simulate.shapes import Blob

HALF_LIFE_H = {1: 78.0, 2: 68.0, 3: 68.0}
"""Effective half-life of 177Lu in lesions by grade, where kinetics give none. [h]"""
ADC_OF_DEAD_MM2_PER_S = 0.6e-3
"""By how much dead tissue exceeds living: with a third of the volume dead, ADC is .2e-3 higher, as it is in
responders [M]."""


@frozen(eq=False)
class LesionCourse:
    """One lesion over the days of a study; nothing of it is there before it appears.

    Parameters
    ----------
    days
        Day 0 is that of the first treatment. [d] (days)
    live_ml, dead_ml, inert_ml
        Volumes of the three parts. [mL] (days)
    """

    lesion: DigitalLesion
    days: Array = field(converter=float64)
    live_ml: Array = field(converter=float64)
    dead_ml: Array = field(converter=float64)
    inert_ml: Array = field(converter=float64)

    @property
    def volume_ml(self) -> Array:
        """Whole volume, the necrotic core being part of it. [mL] (days)"""
        return np.asarray(self.live_ml + self.dead_ml + self.inert_ml)

    @property
    def scale(self) -> Array:
        """Factor of every length, against the lesion's own shape. [1] (days)"""
        return np.asarray(np.cbrt(self.volume_ml / self.lesion.volume_ml))

    @property
    def diameter_mm(self) -> Array:
        """Longest axial diameter. [mm] (days)"""
        return np.asarray(self.lesion.longest_axial_diameter_mm * self.scale)

    def at(self, series: Array, day: float) -> float:
        """Value of one of the series on a day, between two days linearly.

        Raises
        ------
        UsageError
            For a day that was not simulated.
        """
        if not self.days[0] <= day <= self.days[-1]:
            raise UsageError(f"day {day:g}", required=f"a day from {self.days[0]:g} to {self.days[-1]:g}")
        return float(np.interp(day, self.days, series))

    def shape_at(self, day: float) -> Blob | None:
        """Outer surface on a day; None before it appears."""
        scale = self.at(self.scale, day)
        return self.lesion.shape.scaled(scale) if scale > 0 else None

    def core_at(self, day: float) -> Blob | None:
        """Necrotic core on a day; it keeps its share of the volume."""
        scale = self.at(self.scale, day)
        return self.lesion.core.scaled(scale) if self.lesion.core and scale > 0 else None

    def live_factor_at(self, day: float) -> float:
        """Share of living tissue, against that on the first day: what uptake per volume follows. [1]"""
        volume = self.at(self.volume_ml, day)
        living = 1 - self.lesion.growth.inert_share
        return self.at(self.live_ml, day) / volume / living if volume > 0 else 0.0

    def uptake_volume_ml(self, day: float) -> float:
        """Volume that takes up as the whole lesion did at first: volume times :meth:`live_factor_at`. [mL]"""
        return self.at(self.volume_ml, day) * self.live_factor_at(day)

    def adc_at(self, day: float) -> float:
        """Diffusion coefficient, which rises with the share of dead tissue. [mm2/s]"""
        volume = self.at(self.volume_ml, day)
        dead = self.at(self.dead_ml, day) / volume if volume > 0 else 0.0
        return self.lesion.adc_mm2_per_s + ADC_OF_DEAD_MM2_PER_S * dead


def courses(
    lesions: Sequence[DigitalLesion],
    dose_gy: Mapping[str, npt.ArrayLike],
    cycle_days: Sequence[float],
    days: npt.ArrayLike,
    scenario: TruthScenario = TruthScenario.STRONG,
    half_life_h: Mapping[str, float] | None = None,
) -> tuple[LesionCourse, ...]:
    """Follow lesions over the days of a study.

    Parameters
    ----------
    lesions
        New ones among them; each starts on its day and is reached by later cycles only.
    dose_gy
        Mean dose to the living part by lesion identity, one number per cycle; a lesion that is not named gets none. [Gy]
    cycle_days
        Days of the administrations, the first on day 0 or later. [d]
    days
        Ascending, in steps of a day or so; they may begin before day 0. [d]
    half_life_h
        Effective half-life by lesion identity, where it is known. [h]
    """
    t = np.asarray(days, float)
    first = [lesion for lesion in lesions if lesion.appears_day is None]
    found = {}
    if first:
        tissue = _tissue(first, dose_gy, cycle_days, t, scenario, half_life_h or {})
        found = {le.lesion_id: _course(le, t, tissue, row) for row, le in enumerate(first)}
    for lesion in lesions:
        if (day := lesion.appears_day) is not None:
            since = t[t >= day] - day
            if since.size < 2:
                nothing = np.zeros_like(t)
                found[lesion.lesion_id] = LesionCourse(lesion, t, nothing, nothing, nothing)
                continue
            later = [c for c, at in enumerate(cycle_days) if at >= day]
            doses = np.asarray(dose_gy.get(lesion.lesion_id, np.zeros(len(cycle_days))), float)[later]
            shifted = [cycle_days[c] - day for c in later]
            own = _tissue([lesion], {lesion.lesion_id: doses}, shifted, since, scenario, half_life_h or {})
            found[lesion.lesion_id] = _course(lesion, t, own, 0)
    return tuple(found[lesion.lesion_id] for lesion in lesions)


def course(
    lesion: DigitalLesion,
    dose_gy_by_cycle: npt.ArrayLike,
    cycle_days: Sequence[float],
    days: npt.ArrayLike,
    scenario: TruthScenario = TruthScenario.STRONG,
    half_life_h: float | None = None,
) -> LesionCourse:
    """Follow one lesion; see :func:`courses`."""
    known = {} if half_life_h is None else {lesion.lesion_id: half_life_h}
    return courses([lesion], {lesion.lesion_id: dose_gy_by_cycle}, cycle_days, days, scenario, known)[0]


def _tissue(
    lesions: Sequence[DigitalLesion],
    dose_gy: Mapping[str, npt.ArrayLike],
    cycle_days: Sequence[float],
    days: Array,
    scenario: TruthScenario,
    half_life_h: Mapping[str, float],
) -> Tissue:
    none = np.zeros(len(cycle_days))
    dose = [effective_dose_gy(scenario, dose_gy.get(le.lesion_id, none), le.grade) for le in lesions]
    half_lives = [half_life_h.get(le.lesion_id, HALF_LIFE_H[le.grade]) for le in lesions]
    growth = [lesion.growth for lesion in lesions]
    return tissue_over_days(growth, np.reshape(dose, (len(lesions), len(cycle_days))), cycle_days, half_lives, days)


def _course(lesion: DigitalLesion, days: Array, tissue: Tissue, row: int) -> LesionCourse:
    """Volumes of one lesion, nothing on the days before its own."""
    parts = np.zeros((3, days.size))
    there = days.size - tissue.days.size
    parts[:, there:] = np.stack([tissue.live[row], tissue.dead[row], tissue.inert[row]]) * lesion.volume_ml
    return LesionCourse(lesion, days, *parts)
