"""Reconstruction: what it keeps, what it converges to, and how bias and noise go with the iterations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attrs import evolve

from lutra.core.errors import OutsideValidity
from lutra.physics.recovery import FWHM_PER_SIGMA, sphere_recovery
from lutra.simulate.spect.acquire import Acquisition, acquire, from_square, model_of
from lutra.simulate.spect.camera import gamma_camera, gaussian_camera
from lutra.simulate.spect.image import full_image, mean_decay, measured_factor
from lutra.simulate.spect.osem import osem, osem_iterates
from lutra.simulate.spect.phantom import sphere_phantom

CAMERA = gamma_camera("symbia-melp")


def test_a_pure_gaussian_camera_gives_the_closed_form() -> None:
    """Every view blurred by the same 10 mm, no attenuation, no noise: without a resolution model, the image becomes the truth
    blurred by 10 mm. Spheres of 22 mm and more recover what the closed form says within 2 %. For smaller ones voxels matter: object
    and border are both blurred by a voxel, which adds a sixth of its square to the variance; with that, within 6 %.
    """
    fwhm = 10.0
    camera = gaussian_camera(fwhm)
    how = Acquisition(
        views=64, radius_mm=250, attenuation=False, scatter=False, noise=False, model_resolution=False, iterations=5
    )
    phantom = sphere_phantom(3.0, water=False)
    views = acquire(phantom.activity, phantom.attenuation, camera, how, 0)
    system = model_of(views, phantom.attenuation, camera, how)
    counts = from_square(osem(system, views.counts, None, how.iterations, how.subsets), phantom.activity.grid.shape)
    duration = how.duration_s(camera)
    per_bq_ml = 1e-6 * 2 * camera.cps_per_mbq * duration * mean_decay(duration) * phantom.activity.grid.voxel_volume_ml
    found = phantom.recoveries(counts / np.float32(per_bq_ml))
    with_voxel = (fwhm**2 + FWHM_PER_SIGMA**2 * 3.0**2 / 6) ** 0.5
    for diameter, recovery in zip(phantom.diameters_mm, found, strict=True):
        if diameter >= 22:
            assert recovery == pytest.approx(sphere_recovery(diameter, fwhm), rel=0.02), diameter
        else:
            assert recovery == pytest.approx(sphere_recovery(diameter, with_voxel), rel=0.06), diameter
    assert counts.sum() / per_bq_ml == pytest.approx(phantom.activity.values.sum(), rel=2e-3)


def test_total_activity_comes_back_through_attenuation_and_scatter() -> None:
    """With scatter known and nothing lost to tails, all counts of the spheres in water become their activity, within 0.5 %."""
    how = Acquisition(views=60, noise=False, tails=False, dead_time=False, scatter_correction="exact")
    phantom = sphere_phantom(8.0)
    factor = measured_factor(CAMERA, how, 8.0)
    image = full_image(phantom.activity, phantom.attenuation, CAMERA, how, 0, factor)
    assert factor.value == pytest.approx(2 * CAMERA.cps_per_mbq, rel=5e-3)
    assert image.volume.integral() == pytest.approx(phantom.activity.integral(), rel=5e-3)


def test_bias_falls_and_noise_grows_with_iterations() -> None:
    """Recovery of small spheres rises from iteration to iteration; the scatter of voxels between noisy scans rises too."""
    how = Acquisition(views=60, scatter=False, tails=False, dead_time=False, noise=False)
    phantom = sphere_phantom(8.0, 3e5, 0.05)

    def iterates(seed: int, *, noise: bool) -> np.ndarray:
        views = acquire(phantom.activity, phantom.attenuation, CAMERA, evolve(how, noise=noise), seed)
        system = model_of(views, phantom.attenuation, CAMERA, how)
        return np.array(
            [from_square(x, phantom.activity.grid.shape) for x in osem_iterates(system, views.counts, None, 6, 6)]
        )

    recoveries = np.array([phantom.recoveries(image) for image in iterates(0, noise=False)])
    small = recoveries[:, :4]  # larger ones overshoot and come down again
    assert (np.diff(small, axis=0) > 0).all()
    scans = np.array([iterates(seed, noise=True) for seed in range(5)])
    background = (phantom.activity.values > 0) & (phantom.activity.values < 0.06 * 3e5)
    spread = scans.std(axis=0, ddof=1)[:, background].mean(axis=1) / scans.mean(axis=0)[:, background].mean(axis=1)
    assert (np.diff(spread) > 0).all()


def test_resolution_model_recovers_more() -> None:
    """The whole point of it: at equal iterations, spheres of 17 mm and more come out higher than without."""
    how = Acquisition(views=60, noise=False, scatter=False, tails=False, dead_time=False)
    phantom = sphere_phantom(8.0)
    with_model, without = (
        phantom.recoveries(
            full_image(
                phantom.activity, phantom.attenuation, CAMERA, given, 0, measured_factor(CAMERA, given, 8.0)
            ).volume.values
        )
        for given in (how, evolve(how, model_resolution=False))
    )
    assert all(a > b + 0.02 for a, b in zip(with_model[2:], without[2:], strict=True))


def test_scatter_that_is_not_corrected_adds_activity() -> None:
    """A third of the primary counts, spread wide: the mean of the large sphere rises by 5 % or more, relative to true scatter."""
    how = Acquisition(views=60, noise=False, tails=False, dead_time=False, scatter_correction="exact")
    phantom = sphere_phantom(8.0, background=0.1)
    factor = measured_factor(CAMERA, how, 8.0)
    right, wrong = (
        full_image(phantom.activity, phantom.attenuation, CAMERA, given, 0, factor).volume
        for given in (how, evolve(how, scatter_correction="none"))
    )
    assert phantom.recoveries(wrong.values)[-1] > 1.05 * phantom.recoveries(right.values)[-1]
    assert wrong.integral() > 1.2 * right.integral()


def test_nothing_in_nothing_out(trunk: Any) -> None:
    how = Acquisition(views=16, iterations=1, subsets=4)
    nothing = trunk.activity(0.0 * trunk.body)
    image = full_image(nothing, trunk.attenuation, CAMERA, how, 0, measured_factor(CAMERA, how, 8.0))
    assert not image.volume.values.any()
    assert image.total_counts == 0


def test_too_many_subsets_are_refused(trunk: Any) -> None:
    how = Acquisition(views=12, iterations=1, subsets=8)
    views = acquire(trunk.activity(1.0 * trunk.body), trunk.attenuation, CAMERA, how, 0)
    with pytest.raises(OutsideValidity, match="two views in each subset"):
        osem(model_of(views, trunk.attenuation, CAMERA, how), views.counts, None, 1, 8)
