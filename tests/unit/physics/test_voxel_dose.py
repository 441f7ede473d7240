"""Engines against each other and against what cannot be otherwise: no energy is lost, and in water all of them agree."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lutra.core.errors import OutsideValidity, UsageError
from lutra.physics import convolution
from lutra.physics.convolution import Convolver
from lutra.physics.homogeneous_dose import KEV_PER_G_IN_GY
from lutra.physics.point_kernel import point_kernel
from lutra.physics.voxel_dose import DRAWN, ENGINES, Body, body_of_ct, body_of_density, voxel_dose
from lutra.reference.emissions import emission

VOXEL_MM = (4.0, 4.0, 5.0)


def water(shape: tuple[int, int, int]) -> Body:
    return body_of_density(np.full(shape, 1.03), VOXEL_MM)


def block() -> tuple[np.ndarray, np.ndarray]:
    """Return decays in a block and the block itself."""
    decays = np.zeros((24, 22, 20))
    decays[8:16, 7:15, 6:14] = 1e9
    return decays, decays > 0


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("size", [(7, 3, 11), (3, 3, 5), (11, 1, 1), (7, 9, 11)])
def test_convolution_is_the_sum_it_stands_for(
    size: tuple[int, int, int], even: bool, single: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of kernels that are added up and of those that are transformed, in several blocks; larger and smaller than the image."""
    monkeypatch.setattr(convolution, "BLOCK", 3)
    rng = np.random.default_rng(1)
    image, kernel = rng.random((5, 4, 6)), rng.random(size)
    if even:
        kernel = sum(np.flip(kernel, axes) for axes in ((), 0, 1, 2, (0, 1), (0, 2), (1, 2), (0, 1, 2)))
    direct = np.zeros(image.shape)
    for at in np.ndindex(image.shape):
        for to in np.ndindex(image.shape):
            place = tuple(t - a + m // 2 for t, a, m in zip(to, at, kernel.shape, strict=True))
            if all(0 <= p < m for p, m in zip(place, kernel.shape, strict=True)):
                direct[to] += image[at] * kernel[place]
    np.testing.assert_allclose(
        Convolver(kernel, image.shape, single=single)(image), direct, rtol=1e-5 if single else 1e-12
    )


def test_engines_agree_in_a_body_of_tissue() -> None:
    """Mean dose of a 20 mL block of 177Lu: hybrid, kernels and full Monte Carlo within 0.5 %; local near it."""
    decays, inside = block()
    mean = {
        name: voxel_dose(name, decays, water(decays.shape), "Lu-177", 200_000).gy[inside].mean() for name in ENGINES
    }
    for one, other in itertools.combinations(("hybrid", "fft", "full-mc"), 2):
        assert mean[one] == pytest.approx(mean[other], rel=0.005), (one, other)
    assert mean["local"] == pytest.approx(mean["hybrid"], rel=0.04)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("nuclide", ["Lu-177", "Y-90", "Ac-225 chain"])
def test_every_kev_is_accounted_for(engine: str, nuclide: str) -> None:
    """Exactly where nothing is drawn; where the lines of the photons are drawn, to their spread."""
    decays, _ = block()
    body = body_of_ct(np.where(np.arange(20) < 3, -1000.0, 40.0) * np.ones(decays.shape), VOXEL_MM)
    dose = voxel_dose(engine, decays, body, nuclide, 20_000)
    emitted = emission(nuclide)
    whole = emitted.electron_kev + emitted.photon_kev + emitted.alpha_kev
    drawn = point_kernel(nuclide, "soft_tissue").emitted_photon_kev + (
        emitted.electron_kev if engine == "full-mc" else 0.0
    )
    slack = 0.05 * drawn if engine in DRAWN else 1e-6 * whole
    assert sum(dose.audit_kev.values()) == pytest.approx(whole, abs=slack)
    absorbed = (dose.gy * body.mass_g).sum() / KEV_PER_G_IN_GY / decays.sum()
    known = sum(kev for name, kev in dose.audit_kev.items() if name in ("electrons", "photons"))
    assert absorbed == pytest.approx(known, rel=1e-5)
    assert (dose.gy[:, :, :3] == 0).all()


def test_dose_scales_with_activity_and_lung_gets_more_of_it() -> None:
    decays, inside = block()
    thin = body_of_density(np.full(decays.shape, 0.26), VOXEL_MM)
    one, twice = (voxel_dose("hybrid", n * decays, thin, "Lu-177", 20_000).gy[inside].mean() for n in (1, 2))
    assert twice == pytest.approx(2 * one, rel=1e-9)
    assert one == pytest.approx(voxel_dose("full-mc", decays, thin, "Lu-177", 200_000).gy[inside].mean(), rel=0.02)


def test_what_is_no_problem_of_dosimetry() -> None:
    decays, _ = block()
    with pytest.raises(UsageError, match="hybrid, fft"):
        voxel_dose("magic", decays, water(decays.shape), "Lu-177")
    with pytest.raises(OutsideValidity, match="none below 0"):
        voxel_dose("fft", -decays, water(decays.shape), "Lu-177")
    with pytest.raises(OutsideValidity, match="one grid"):
        voxel_dose("fft", decays, water((5, 5, 5)), "Lu-177")
