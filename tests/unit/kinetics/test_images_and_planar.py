"""Washouts of voxels against those of regions, and planar curves scaled by a SPECT, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.curve import TimeActivityCurve
from lutra.core.errors import InputError, OutsideValidity
from lutra.core.estimate import Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics import Monoexponential, fit_voxels, scaled_by_spect

TIMES_S = np.array([24.0, 96.0, 168.0]) * HOUR_S


def test_a_voxel_is_a_region_of_one() -> None:
    """The same points and noise as a region: the same integral and uncertainty."""
    rng = np.random.default_rng(1)
    half_life = rng.uniform(30, 120, (2, 3, 4)) * HOUR_S
    images = 1e5 * np.exp2(-TIMES_S[:, None, None, None] / half_life) * (1 + 0.03 * rng.standard_normal((3, 2, 3, 4)))
    sds = np.full_like(images, 3e3)
    found = fit_voxels(TIMES_S, images, "Lu-177", sds)
    for voxel in ((0, 0, 0), (1, 2, 3)):
        points = tuple(Estimate(v, Unit.BQ, {f"noise: {n}": 3e3}) for n, v in enumerate(images[:, *voxel]))
        fit = Monoexponential().fit(TimeActivityCurve("v", "Lu-177", TIMES_S, points), FrozenMap(), 0).value
        assert fit is not None
        assert found.tia[voxel] == pytest.approx(fit.time_integrated_activity.value, rel=1e-8)
        stated = found.tia_sd[voxel] * max(1, fit.time_integrated_activity.sd / found.tia_sd[voxel])  # type: ignore[operator]
        assert stated == pytest.approx(fit.time_integrated_activity.sd, rel=1e-6)
    assert found.fitted.all()


def test_empty_voxels_are_not_fitted_and_slow_ones_are_marked() -> None:
    images = np.zeros((3, 2, 2))
    images[:, 0, 1] = [1.0, 0.9, 0.85]
    images[:, 1, 0] = [-1.0, -1, 0.01]
    found = fit_voxels(TIMES_S, images, "Lu-177")
    assert found.fitted.tolist() == [[False, True], [False, False]]
    assert found.at_decay[0, 1]
    assert found.tia[0, 0] == 0
    assert np.isnan(found.rate_per_s[0, 0])
    assert np.isnan(found.tia_sd[0, 1])


@pytest.mark.parametrize("times_h", [(24.0, 96.0), (24.0, 96.0, 90.0), (0.0, 96.0, 168.0), (24.0, 96.0, 168.0, 200.0)])
def test_images_that_cannot_be_fitted(times_h: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="at least three images"):
        fit_voxels(np.multiply(times_h, HOUR_S), np.ones((min(len(times_h), 3), 2)), "Lu-177")


def counts(value: float, noise: float) -> Estimate:
    return Estimate(value, Unit.STORED, {f"noise: {value:g}": noise * value, "attenuation": 0.2 * value})


def test_a_planar_curve_passes_through_the_spect() -> None:
    """Counts 400, 100 at 24, 72 h; the SPECT at 48 h says 50 MBq where the curve has 200: a quarter MBq per count."""
    spect = Estimate(50e6, Unit.BQ, {"camera": 2.5e6})
    planar = (counts(400, 0.02), counts(100, 0.04))
    curve = scaled_by_spect("kidney", "Lu-177", [24 * HOUR_S, 72 * HOUR_S], planar, spect, 48 * HOUR_S)
    assert curve.activities_bq == pytest.approx([100e6, 25e6])
    first, last = curve.activities
    assert first.budget["camera"] == pytest.approx(5e6)
    assert first.budget["noise: 400"] == pytest.approx(0.02 * 100e6)
    assert last.budget["planar curve at the SPECT: kidney"] == pytest.approx(25e6 * np.hypot(0.01, 0.02))
    assert "attenuation" not in first.budget  # common to the planar images: the SPECT takes it away


def test_a_spect_outside_the_planar_times_scales_nothing() -> None:
    with pytest.raises(OutsideValidity, match="within the planar times"):
        scaled_by_spect(
            "kidney", "Lu-177", [86400.0, 2e5], (counts(4, 0.1), counts(1, 0.1)), Estimate(1.0, Unit.BQ), 3e5
        )
