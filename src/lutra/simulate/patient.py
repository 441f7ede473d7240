"""What is true of the digital patient: lesions, uptake, kinetics, growth."""

from __future__ import annotations

from math import exp, log

import numpy as np
from attrs import frozen

from lutra.core.units import HOUR_S
from lutra.simulate.anatomy import Ellipsoid

UPTAKE_HALF_TIME_H = 1.2
"""Time in which tissue takes up half of what it will hold."""
LESION_HU, LESION_DENSITY_G_PER_ML = 45.0, 1.04
"""CT number of every lesion and the density that belongs to it: soft tissue, a little denser than the 1.03 g/mL of ICRU 44."""


@frozen
class Tissue:
    """Uptake of one tissue.

    Parameters
    ----------
    lu177_bq_per_ml
        Back-extrapolated concentration at the first administration of 7.4 GBq. [Bq/mL]
    half_life_h
        Effective half-life of 177Lu. [h]
    fdg_suv, sstr_suv
        SUV in the two PETs. [g/mL]
    adc_mm2_per_s
        Apparent diffusion coefficient. [mm2/s]
    """

    lu177_bq_per_ml: float
    half_life_h: float
    fdg_suv: float
    sstr_suv: float
    adc_mm2_per_s: float

    def concentration_bq_per_ml(self, since_s: float) -> float:
        """Concentration at a time after administration, physical decay included. [Bq/mL]"""
        out, up = (log(2) / (h * HOUR_S) for h in (self.half_life_h, UPTAKE_HALF_TIME_H))
        return self.lu177_bq_per_ml * (exp(-out * since_s) - exp(-up * since_s))

    def integral_bq_s_per_ml(self) -> float:
        """Time integral of the concentration, to infinity. [Bq.s/mL]"""
        return self.lu177_bq_per_ml * (self.half_life_h - UPTAKE_HALF_TIME_H) * HOUR_S / log(2)


@frozen(eq=False)
class DigitalLesion:
    """A lesion: where, what it takes up, and how it changes.

    Parameters
    ----------
    growth
        Factor of every diameter from baseline to follow-up. [1]
    per_cycle
        Factor of the uptake from one cycle to the next. [1]
    """

    shape: Ellipsoid
    tissue: Tissue
    growth: float
    per_cycle: float


@frozen(eq=False)
class DigitalPatient:
    """A patient whose truth is known."""

    sex: str
    weight_kg: float
    height_m: float
    tissues: dict[str, Tissue]
    lesions: tuple[DigitalLesion, ...]


def digital_patient(seed: int) -> DigitalPatient:
    """Draw a patient with three lesions: one that shrinks, one that stays, one that grows.

    Values vary around the population medians of somatostatin-receptor therapy by about 10 %.
    """
    rng = np.random.default_rng(seed)

    def around(value: float, spread: float = 0.1) -> float:
        return float(value * np.exp(rng.normal(0, spread)))

    tissues = {
        "body": Tissue(around(12e3), around(45), 0.8, 0.6, 1.5e-3),
        "spine": Tissue(around(14e3), around(45), 1.0, 1.0, 0.5e-3),
        "liver": Tissue(around(110e3), around(67), 2.2, 6.0, 1.28e-3),
        "spleen": Tissue(around(600e3), around(67), 1.9, 20.0, 0.85e-3),
    }
    kidney = Tissue(around(650e3), around(51), 2.5, 15.0, 1.94e-3)
    lung = Tissue(4e3, 45.0, 0.5, 0.4, 0.0)  # no ADC: echo-planar images have no signal in air
    tissues |= {"left kidney": kidney, "right kidney": kidney, "left lung": lung, "right lung": lung}

    def lesion(
        name: str, centre: tuple[float, ...], axes: tuple[float, ...], tissue: Tissue, growth: float
    ) -> DigitalLesion:
        size = around(1.0, 0.03)
        shape = Ellipsoid(name, centre, np.multiply(axes, size), LESION_HU)
        return DigitalLesion(shape, tissue, growth, around(0.9, 0.03))

    lesions = (
        lesion(
            "lesion 1 liver dome",
            (-85, -18, 62),
            (27, 23, 24),
            Tissue(around(1.1e6), around(85), 4.8, 24, 1.0e-3),
            0.62,
        ),
        lesion(
            "lesion 2 liver hilum", (-38, 8, 22), (16, 15, 15), Tissue(around(1.6e6), around(92), 3.6, 30, 0.9e-3), 0.95
        ),
        lesion("lesion 3 node", (14, -2, -42), (15, 14, 14), Tissue(around(0.7e6), around(66), 7.0, 15, 1.1e-3), 1.3),
    )
    return DigitalPatient("F", 66.0, 1.68, tissues, lesions)
