"""What a wrong contour does to the numbers of a blurred sphere, measured, against what the budget says it does."""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter

from lutra.core.estimate import Estimate
from lutra.core.finding import Severity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.physics.recovery import FWHM_PER_SIGMA
from lutra.quantify import QuantifySettings, measure

SPACING_MM, FWHM_MM, RADIUS_MM, BQ_PER_ML = 2.0, 12.0, 14.0, 5000.0
GRID = Grid((41, 41, 41), np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1]), "1")


def sphere(radius_mm: float) -> npt.NDArray[np.float64]:
    """Fraction of each voxel inside, by 5 x 5 x 5 sub-voxels."""
    n = 5
    fine = (np.arange(41 * n) + 0.5) / n * SPACING_MM - 41
    inside = fine[:, None, None] ** 2 + fine[:, None] ** 2 + fine**2 <= radius_mm**2
    return inside.reshape(41, n, 41, n, 41, n).mean(axis=(1, 3, 5))


@pytest.fixture(scope="module")
def blurred() -> Volume:
    values = gaussian_filter(BQ_PER_ML * sphere(RADIUS_MM), FWHM_MM / FWHM_PER_SIGMA / SPACING_MM)
    return Volume(values, GRID, Unit.BQ_PER_ML)


def measured(image: Volume, radius_mm: float, partial_volume: str) -> dict[str, Estimate]:
    region = Region("r", RegionKind.LESION, GRID, (0, 0, 0), sphere(radius_mm), None, RegionOrigin.DRAWN, "test")
    settings = QuantifySettings(
        camera_calibration_relative_sd=0.05,
        spect_fwhm_mm=FWHM_MM,
        delineation_fwhm_mm=3.0,
        partial_volume=partial_volume,
    )
    found = measure(image, region, "L01", "1", settings).value
    assert found is not None
    return dict(found.values)


def test_corrected_activity_is_the_true_one(blurred: Volume) -> None:
    """11.494 mL of 5000 Bq/mL. 1 %: the 2 mm voxels."""
    activity = measured(blurred, RADIUS_MM, "sphere")["activity"]
    assert activity.value == pytest.approx(4 / 3 * np.pi * 1.4**3 * BQ_PER_ML, rel=0.01)


@pytest.mark.parametrize("partial_volume", ["none", "sphere"])
@pytest.mark.parametrize("quantity", ["activity", "concentration"])
def test_budget_tells_what_a_larger_contour_does(blurred: Volume, partial_volume: str, quantity: str) -> None:
    """Central difference over +-3 % of the radius; 0.02 is the error of the voxels. The four answers are 0.2 apart."""
    small, true, large = (measured(blurred, RADIUS_MM * k, partial_volume) for k in (0.97, 1.0, 1.03))
    slope = log(large[quantity].value / small[quantity].value) / log(large["volume"].value / small["volume"].value)
    of_volume, of_quantity = (true[name].relative()["volume: L01"] for name in ("volume", quantity))
    assert of_volume is not None
    assert of_quantity is not None
    assert of_quantity / of_volume == pytest.approx(slope, abs=0.02)


def test_a_correction_asked_for_and_impossible_leaves_no_activity(blurred: Volume) -> None:
    region = Region("r", RegionKind.LESION, GRID, (0, 0, 0), sphere(RADIUS_MM), None, RegionOrigin.DRAWN, "test")
    outcome = measure(blurred, region, "L01", "1", QuantifySettings(partial_volume="sphere"))
    assert outcome.value is not None
    assert set(outcome.value.values) == {"volume"}
    (finding,) = [f for f in outcome.findings if f.code == "quantify.no-recovery"]
    assert finding.severity is Severity.UNDETERMINED
    assert "spect_fwhm_mm" in finding.text
