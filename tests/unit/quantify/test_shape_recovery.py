"""Regions of known activity in known surroundings, blurred by a known resolution."""

from __future__ import annotations

from math import log, pi, sqrt

import numpy as np
import numpy.typing as npt
import pytest

from lutra.core.finding import Severity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.blur import blurred
from lutra.physics.recovery import sphere_recovery
from lutra.quantify import QuantifySettings, measure
from lutra.quantify.shape_recovery import shape_recovery

GRID = Grid((44, 44, 44), np.diag([3.0, 3.0, 3.0, 1.0]), "frame")
FWHM_MM = 9.0


def painted(level_mm: npt.NDArray[np.float64]) -> Region:
    share = np.clip(level_mm / 3.0 + 0.5, 0, 1)
    return Region("kidney", RegionKind.ORGAN, GRID, (0, 0, 0), share, None, RegionOrigin.DRAWN, "by hand")


def points() -> npt.NDArray[np.float64]:
    return GRID.to_lps_mm(np.moveaxis(np.indices(GRID.shape), 0, -1)) - GRID.to_lps_mm(np.array(GRID.shape) / 2 - 0.4)


def ball(radius_mm: float) -> Region:
    return painted(radius_mm - np.linalg.norm(points(), axis=-1))


def bean() -> Region:
    """An ellipsoid of 110 mL with a hilum cut out: far from a sphere."""
    whole = (1 - np.linalg.norm(points() / (26.0, 20.0, 52.0), axis=-1)) * 20.0
    return painted(np.minimum(whole, np.linalg.norm(points() - (26.0, 0, 0), axis=-1) - 18.0))


def image(region: Region, concentration: float, around: float, fwhm_mm: float = FWHM_MM) -> Volume:
    share = np.zeros(GRID.shape)
    share[region.box] = region.fraction
    truth = (concentration * share + around * (1 - share)).astype(np.float32)
    # Edge voxels would lose to the air beyond the image; the surroundings go on there.
    values = blurred(truth - np.float32(around), fwhm_mm, GRID.spacing_mm) + around
    return Volume(values, GRID, Unit.BQ_PER_ML)


@pytest.mark.parametrize("radius_mm", [12.0, 20.0, 33.0])
def test_a_sphere_in_cold_surroundings_has_the_closed_form(radius_mm: float) -> None:
    """Within 0.3 %, where voxels blur too: the ball is averaged over them, and so is what is counted in it, s2/12 each."""
    found = shape_recovery(image(ball(radius_mm), 1e5, 0.0), ball(radius_mm), FWHM_MM)
    with_voxels_mm = sqrt(FWHM_MM**2 + 2 * 3.0**2 / 12 * 8 * log(2))
    assert found == pytest.approx(sphere_recovery(2 * radius_mm, with_voxels_mm), rel=3e-3)


@pytest.mark.parametrize("around", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("shape", [bean(), ball(20.0)])
def test_two_uniform_compartments_come_back_exactly(shape: Region, around: float) -> None:
    volume = image(shape, 1e5, around * 1e5)
    recovery = shape_recovery(volume, shape, FWHM_MM)
    assert recovery is not None
    mean = float(np.average(volume.values[shape.box], weights=shape.fraction))
    assert mean / recovery == pytest.approx(1e5, rel=1e-4)
    assert (recovery > 1 + 1e-6) == (around > 1)


def test_a_bean_is_not_a_sphere_of_its_volume() -> None:
    """More surface, less recovery: by the sphere its activity would be some percent too low."""
    region = bean()
    of_sphere = sphere_recovery((6 * region.volume_ml * 1000 / pi) ** (1 / 3), FWHM_MM)
    own = shape_recovery(image(region, 1e5, 0.0), region, FWHM_MM)
    assert own is not None
    assert 0.86 < own / of_sphere < 0.97


def test_measured_by_the_protocol() -> None:
    """Activity of 1e5 Bq/mL, and an uncertainty that is half of what 1 mm of resolution changes."""
    region = bean()
    volume = image(region, 1e5, 2e4)
    settings = QuantifySettings(partial_volume="shape", spect_fwhm_mm=FWHM_MM)
    outcome = measure(volume, region, "K", "1.2", settings)
    assert outcome.value is not None
    activity = outcome.value.values["activity"]
    assert activity.value == pytest.approx(1e5 * region.volume_ml, rel=1e-4)
    others = [shape_recovery(volume, region, FWHM_MM + shift) for shift in (-1.0, 1.0)]
    low, high = (activity.value * (shape_recovery(volume, region, FWHM_MM) or 0) / (other or 1) for other in others)
    assert activity.budget["recovery: K"] == pytest.approx(abs(high - low) / 2, rel=1e-6)


def test_what_cannot_be_told_from_its_surroundings_has_no_activity() -> None:
    """A ball of 2 mm radius under 9 mm; one colder than what spills into it; and no resolution given."""
    settings = QuantifySettings(partial_volume="shape", spect_fwhm_mm=FWHM_MM)
    negative = image(ball(20.0), 0.0, 1e5)
    sunk = Volume(negative.values - 2e4, GRID, Unit.BQ_PER_ML)
    for volume, region, chosen in (
        (image(ball(2.0), 1e5, 0.0), ball(2.0), settings),
        (sunk, ball(20.0), settings),
        (negative, ball(20.0), QuantifySettings(partial_volume="shape")),
    ):
        outcome = measure(volume, region, "K", "1.2", chosen)
        assert outcome.value is not None
        assert set(outcome.value.values) == {"volume"}
        assert ("quantify.no-recovery", Severity.UNDETERMINED) in [(f.code, f.severity) for f in outcome.findings]


@pytest.mark.parametrize("around", [0.0, 0.2])
def test_a_region_smaller_than_the_resolution_is_corrected_against_what_lies_further_out(around: float) -> None:
    """A ball of 8 mm under 9 mm: a sixth of it is seen."""
    region = ball(4.0)
    volume = image(region, 1e5, around * 1e5)
    recovery = shape_recovery(volume, region, FWHM_MM)
    assert recovery is not None
    mean = float(np.average(volume.values[region.box], weights=region.fraction))
    assert mean / recovery == pytest.approx(1e5, rel=0.02)
