"""Uptake over time: activity of every organ and lesion after one administration."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Literal

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy.signal import lfilter

from lutra.core.errors import UsageError
from lutra.core.frozen import float64
from lutra.core.units import HOUR_S
from lutra.physics.decay import decay_constant_per_s
from lutra.reference.nuclides import nuclide as nuclide_named
from lutra.simulate.fast_kinetics import fast_nodes
from lutra.simulate.pbpk import ORGANS, Array, Nodes, Parameters, nodes_of, solve
from lutra.simulate.pbpk_population import KineticPatient, KineticSettings, population
from lutra.simulate.pbpk_visit import PEPTIDE_G_PER_MOL, parameters_at

ORGAN_DENSITY_G_PER_ML = 1.05
"""Soft organs, rounded from ICRU 44; lesions have their own."""
EARLY_S, LATE_S = 24 * HOUR_S, 168 * HOUR_S
"""An effective half-life is that between these two times."""
GAUSS_X, GAUSS_W = np.polynomial.legendre.leggauss(5)


@frozen(eq=False)
class UptakeCurves:
    """Activity in every region after one administration.

    Between nodes that carry value and slope, the fraction of the dose without decay is a cubic; beyond the last it keeps
    its last rate of fall. Decay is applied afterwards, and integrals are of the product.

    Parameters
    ----------
    nuclide, administered_bq, cycle
        What was given; activity at the start of the infusion. [Bq]
    parameters
        The patient at this visit.
    nodes
        Fractions of the dose in each region, in plasma per litre, and passed with the urine.
    settings
        For the emptying of the bladder.
    """

    nuclide: str
    administered_bq: float
    cycle: int
    parameters: Parameters
    nodes: Nodes
    settings: KineticSettings
    _voids: tuple[Array, Array] = field(init=False, repr=False)

    @_voids.default
    def _empty_bladder(self) -> tuple[Array, Array]:
        """Return times of emptying [s] and what is in the bladder right after. [1]"""
        times = np.arange(0, 2 * self.nodes.times_s[-1], self.settings.void_interval_h * HOUR_S)
        passed = self._row("urine", times)
        residual = self.settings.void_residual
        return float64(times), float64(lfilter([residual], [1, -residual], np.diff(passed, prepend=0)))

    @property
    def regions(self) -> tuple[str, ...]:
        """Organs, lesions, `blood` outside them, `bladder`."""
        return (*self.parameters.names, "blood", "bladder")

    @property
    def lesions(self) -> tuple[str, ...]:
        """Identities of the lesions that are there."""
        return self.parameters.names[len(ORGANS) :]

    @property
    def decay_per_s(self) -> float:
        """Decay constant. [1/s]"""
        return decay_constant_per_s(nuclide_named(self.nuclide).half_life_s)

    @property
    def valid_from_s(self) -> float:
        """Before this time the curves only join zero to their first meaningful value. [s]"""
        return self.nodes.valid_from_s

    def fraction(self, region: str, since_s: npt.ArrayLike) -> Array:
        """Fraction of the administered label in a region, decay removed. [1]

        Raises
        ------
        UsageError
            If there is no such region.
        """
        t = np.asarray(since_s, dtype=np.float64)
        if region == "bladder":
            times, after = self._voids
            t = np.clip(t, 0, times[-1])
            k = np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 1)
            return np.asarray(after[k] + self._row("urine", t) - self._row("urine", times)[k])
        if region not in self.regions:
            raise UsageError(f"no region {region!r} in the model", required=", ".join(self.regions))
        return self._row(region, t)

    def activity_bq(self, region: str, since_s: npt.ArrayLike) -> Array:
        """Activity of a region at times since the start of the infusion. [Bq]"""
        return self.fraction(region, since_s) * self._left_bq(since_s)

    def concentration(self, region: str, since_s: npt.ArrayLike) -> Array:
        """Mean activity concentration; of a lesion, in its living part. [Bq/mL]"""
        return self.activity_bq(region, since_s) / self.volume_ml(region)

    def suv(self, region: str, since_s: npt.ArrayLike, weight_kg: float) -> Array:
        """Mean SUV by body weight; of a lesion, in its living part. [g/mL]"""
        return self.fraction(region, since_s) * weight_kg * 1e3 / self.volume_ml(region)

    def time_integrated_bq_s(self, region: str) -> float:
        """Time integral of the activity, to infinity. [Bq.s]"""
        t = self.nodes.times_s
        if region == "bladder":  # a sawtooth between emptyings: its own nodes
            t = np.union1d(t, self._voids[0])
        width, middle = np.diff(t) / 2, (t[1:] + t[:-1]) / 2
        at = middle[:, None] + width[:, None] * GAUSS_X
        body = float((self.activity_bq(region, at) * GAUSS_W * width[:, None]).sum())
        value, fall = self._tail(region)
        return body + value * float(self._left_bq(t[-1])) / (self.decay_per_s + fall)

    def half_life_eff_s(self, region: str) -> float:
        """Effective half-life between 24 h and 168 h. [s]"""
        early, late = self.activity_bq(region, (EARLY_S, LATE_S))
        return float((LATE_S - EARLY_S) * log(2) / np.log(early / late))

    def mass_g(self, region: str) -> float:
        """Mass of an organ, or of the living part of a lesion. [g]

        Raises
        ------
        UsageError
            For blood and bladder, which have none in the model.
        """
        if region not in self.parameters.names:
            raise UsageError(f"{region!r} has no mass in the model", required=", ".join(self.parameters.names))
        return float(self.parameters.mass_kg[self.parameters.names.index(region)] * 1e3)

    def volume_ml(self, region: str) -> float:
        """Volume of an organ, or of the living part of a lesion. [mL]"""
        lesion = population()["lesion"]["density_g_per_ml"].value
        return self.mass_g(region) / (lesion if region in self.lesions else ORGAN_DENSITY_G_PER_ML)

    def plasma_bq_per_ml(self, since_s: npt.ArrayLike) -> Array:
        """Concentration in plasma, intact peptide and metabolites. [Bq/mL]"""
        return self._row("plasma", since_s) * self._left_bq(since_s) * 1e-3

    def blood_bq_per_ml(self, since_s: npt.ArrayLike) -> Array:
        """Concentration in whole blood: cells take nothing up. [Bq/mL]"""
        return np.asarray(self.plasma_bq_per_ml(since_s) * (1 - self.parameters.haematocrit))

    def intact_fraction(self, since_s: npt.ArrayLike) -> Array:
        """Share of the plasma's label that is intact peptide; NaN where plasma holds none. [1]"""
        intact, whole = np.broadcast_arrays(self._row("intact", since_s), self._row("plasma", since_s))
        share = np.divide(intact, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
        return np.asarray(np.clip(share, 0, 1))  # two closed curves may cross where nearly all is intact

    def urine_fraction(self, since_s: npt.ArrayLike) -> Array:
        """Fraction of the dose that has passed into urine, decay removed, voided or not. [1]"""
        return self._row("urine", since_s)

    def _left_bq(self, since_s: npt.ArrayLike) -> Array:
        return np.asarray(self.administered_bq * np.exp(-self.decay_per_s * np.asarray(since_s, dtype=np.float64)))

    def _tail(self, region: str) -> tuple[float, float]:
        """Last fraction and its relative rate of fall. [1], [1/s]"""
        if region == "bladder":
            return float(self.fraction(region, self.nodes.times_s[-1])), 0.0
        row = self.nodes.names.index(region)
        value, slope = self.nodes.fraction[row, -1], self.nodes.slope[row, -1]
        return float(value), max(float(-slope / value), 0.0) if value > 0 else 0.0

    def _row(self, name: str, since_s: npt.ArrayLike) -> Array:
        row, times = self.nodes.names.index(name), self.nodes.times_s
        y, dy = self.nodes.fraction[row], self.nodes.slope[row]
        t = np.maximum(np.asarray(since_s, dtype=np.float64), 0.0)
        k = np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 2)
        h = times[k + 1] - times[k]
        x = np.minimum((t - times[k]) / h, 1.0)
        inside = (
            (1 + 2 * x) * (1 - x) ** 2 * y[k]
            + x * (1 - x) ** 2 * h * dy[k]
            + x**2 * (3 - 2 * x) * y[k + 1]
            + x**2 * (x - 1) * h * dy[k + 1]
        )
        if not np.any(t > times[-1]):
            return np.asarray(inside)
        beyond = np.maximum(t - times[-1], 0.0)
        if name == "urine":
            return np.asarray(np.minimum(inside + dy[-1] * beyond, 1.0))
        return np.asarray(inside * np.exp(-self._tail(name)[1] * beyond))


def curves(
    patient: KineticPatient,
    nuclide: str,
    cycle: int,
    activity_bq: float,
    peptide_ug: float,
    form: Literal["ode", "fast"] = "ode",
    lesion_volumes_ml: Mapping[str, float] | None = None,
) -> UptakeCurves:
    """Follow one administration through the patient.

    Parameters
    ----------
    patient
        Before the first therapy.
    nuclide
        `Lu-177` (infusion over 30 min, amino acids) or `Ga-68` (bolus).
    cycle
        Therapy cycle from 1. For a PET, the number of the cycle it precedes: 1 (or 0) at baseline, 5 after four cycles.
    activity_bq
        At the start of the infusion. [Bq]
    peptide_ug
        Peptide in the syringe, labelled and not. [ug]
    form
        `ode` solves the equations; `fast` takes closed curves fitted to them, valid from one hour.
    lesion_volumes_ml
        Volumes at this visit where they differ from those at baseline; 0 for a lesion that is not there. [mL]

    Raises
    ------
    UsageError
        For a nuclide the model does not know, or a negative activity.
    """
    study = population().get(f"study.{nuclide}")
    if study is None or activity_bq < 0:
        raise UsageError(f"{activity_bq:g} Bq of {nuclide}", required="an activity of Lu-177 or Ga-68")
    p = parameters_at(patient, nuclide, cycle, lesion_volumes_ml)
    nmol = peptide_ug / PEPTIDE_G_PER_MOL * 1e3
    nodes = fast_nodes(p, nuclide, nmol) if form == "fast" else nodes_of(solve(p, nmol, study["infusion_min"].value))
    return UptakeCurves(nuclide, activity_bq, cycle, p, nodes, patient.settings)
