"""From image to dose, drawn again and again, against the budget that is carried along once (Gear 2018).

A blurred sphere is measured with contours, resolutions, camera factors, counts and densities as wrong as their stated uncertainties
say, fitted and turned into a dose each time. What the names in the budget add up to must be how far the doses scatter.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pytest
from attrs import frozen
from scipy.ndimage import gaussian_filter

from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.dose import DoseProblem, DoseTarget
from lutra.core.estimate import Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.volume import Volume
from lutra.dose import DoseSettings, SphereModel
from lutra.dose.mass import mass_from_volume
from lutra.kinetics.monoexponential import Monoexponential
from lutra.physics.recovery import FWHM_PER_SIGMA
from lutra.quantify import QuantifySettings, measure

N, SPACING_MM, FWHM_MM, BQ_PER_ML, HALF_LIFE_H = 25, 2.5, 9.0, 5e6, 70.0
TIMES_H = np.array([24.0, 72.0, 168.0])
CAMERA, FWHM_SD_MM, COUNTS, DENSITY = 0.05, 0.5, 0.03, 0.03
GRID = Grid((N, N, N), np.diag([SPACING_MM] * 3 + [1]), "1")
ALONE, TOGETHER = 100, 250


@frozen
class Wrong:
    """What is wrong in one drawing: factors of the radius, the camera and the density; the resolution; factors of the scans."""

    radius: float = 1.0
    camera: float = 1.0
    density: float = 1.0
    fwhm_mm: float = FWHM_MM
    scans: tuple[float, ...] = (1.0, 1.0, 1.0)


def sphere(radius_mm: float) -> npt.NDArray[np.float64]:
    """Fraction of each voxel inside, smooth in the radius."""
    at = (np.arange(N) - N // 2) * SPACING_MM
    distance = np.sqrt(at[:, None, None] ** 2 + at[:, None] ** 2 + at**2)
    inside: npt.NDArray[np.float64] = np.clip((radius_mm - distance) / SPACING_MM + 0.5, 0, 1)
    return inside


@lru_cache
def blurred(radius_mm: float) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = gaussian_filter(sphere(radius_mm), FWHM_MM / FWHM_PER_SIGMA / SPACING_MM)
    return values


def settings(fwhm_mm: float) -> QuantifySettings:
    return QuantifySettings(
        camera_calibration_relative_sd=CAMERA,
        spect_fwhm_mm=fwhm_mm,
        spect_fwhm_sd_mm=FWHM_SD_MM,
        delineation_fwhm_mm=1.5,
        partial_volume="sphere",
        minimum_volume_ml=0.1,
    )


def dose(radius_mm: float, wrong: Wrong) -> Estimate:
    """Measure, fit and divide by the mass, as a run does."""
    region = Region(
        "r", RegionKind.LESION, GRID, (0, 0, 0), sphere(radius_mm * wrong.radius), None, RegionOrigin.DRAWN, ""
    )
    image = Volume(BQ_PER_ML * wrong.camera * blurred(radius_mm), GRID, Unit.BQ_PER_ML)
    found = measure(image, region, "L01", "1", settings(wrong.fwhm_mm)).value
    assert found is not None
    first = found.values["activity"]
    points = tuple(
        first.scaled(0.5 ** (t / HALF_LIFE_H) * factor).with_sources({f"counts: {t:g} h": COUNTS})
        for t, factor in zip(TIMES_H, wrong.scans, strict=True)
    )
    curve = TimeActivityCurve("L01", "Lu-177", TIMES_H * 3600, points)
    fitted: TacFit | None = Monoexponential().fit(curve, FrozenMap(), 1).value
    assert fitted is not None
    known = DoseSettings(soft_tissue_density_g_per_ml=1.03 * wrong.density, soft_tissue_density_relative_sd=DENSITY)
    mass = mass_from_volume(found.values["volume"], known, "assumed").value
    assert mass is not None
    target = DoseTarget(region, fitted, mass, "L01")
    doses = SphereModel().dose(DoseProblem("Lu-177", image, (target,)), FrozenMap(), 1).value
    assert doses is not None
    return doses.results[0].absorbed_dose


def drawn(rng: np.random.Generator, u_volume: float, names: str) -> Wrong:
    """Draw what is named: v(olume), r(esolution), c(amera), d(ensity), n(oise)."""
    z = rng.normal(size=7)
    return Wrong(
        float(np.exp(u_volume / 3 * z[0])) if "v" in names else 1.0,
        float(np.exp(CAMERA * z[1])) if "c" in names else 1.0,
        float(np.exp(DENSITY * z[2])) if "d" in names else 1.0,
        FWHM_MM + FWHM_SD_MM * float(z[3]) if "r" in names else FWHM_MM,
        tuple(np.exp(COUNTS * z[4:])) if "n" in names else (1.0, 1.0, 1.0),
    )


SOURCES = {"v": "volume: ", "r": "recovery: ", "c": "camera", "d": "tissue density", "n": "counts: "}


@pytest.mark.parametrize("radius_mm", [11.0, 16.0])
def test_the_budget_is_how_far_drawn_doses_scatter(radius_mm: float) -> None:
    stated = dose(radius_mm, Wrong())
    relative = stated.relative()
    rng = np.random.default_rng(7)
    for names in (*SOURCES, "".join(SOURCES)):
        of_names = [sd or 0.0 for name, sd in relative.items() if name.startswith(tuple(SOURCES[n] for n in names))]
        assert of_names, names
        u_volume = volume_sd(radius_mm)
        doses = [
            dose(radius_mm, drawn(rng, u_volume, names)).value for _ in range(TOGETHER if len(names) > 1 else ALONE)
        ]
        scatter = float(np.std(np.log(doses)))
        assert float(np.hypot.reduce(of_names)) == pytest.approx(scatter, rel=0.15), names


def volume_sd(radius_mm: float) -> float:
    region = Region("r", RegionKind.LESION, GRID, (0, 0, 0), sphere(radius_mm), None, RegionOrigin.DRAWN, "")
    image = Volume(blurred(radius_mm), GRID, Unit.BQ_PER_ML)
    found = measure(image, region, "L01", "1", settings(FWHM_MM)).value
    assert found is not None
    (sd,) = found.values["volume"].relative().values()
    assert sd is not None
    return sd
