"""Laws of kernels: no energy is lost, none is made, and neither voxels nor nuclides matter to that."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.physics.homogeneous_dose import KEV_PER_G_IN_GY, sphere_s, voxel_kernel
from lutra.physics.point_kernel import EDGES_G_PER_CM2, electron_spectrum, point_kernel
from lutra.reference.emissions import CHAINS, emission, emissions

NUCLIDES = ["Lu-177", "Y-90", "I-131", "Tb-161", "Ac-225 chain"]


@pytest.mark.parametrize("medium", ["water", "soft_tissue", "lung", "bone"])
@pytest.mark.parametrize("nuclide", NUCLIDES)
def test_energy_of_electrons_and_bremsstrahlung_is_what_is_emitted(nuclide: str, medium: str) -> None:
    kernel, emitted = point_kernel(nuclide, medium), emission(nuclide)
    radiated = kernel.emitted_photon_kev - emitted.photon_kev
    assert kernel.electron_kev.sum() + radiated == pytest.approx(emitted.electron_kev + emitted.alpha_kev, rel=1e-9)
    assert 0 <= radiated < 0.02 * emitted.electron_kev


@pytest.mark.parametrize("nuclide", NUCLIDES)
def test_photons_are_absorbed_at_last(nuclide: str) -> None:
    """Within 2 m of water all but 0.3 % of the energy is: the drawn kernels have that much noise."""
    kernel = point_kernel(nuclide, "water")
    assert kernel.photon_kev.sum() == pytest.approx(kernel.emitted_photon_kev, rel=0.003)


@pytest.mark.parametrize("voxel_mm", [(2.0, 2.0, 2.0), (4.8, 4.8, 4.8), (2.0, 3.0, 5.0)])
def test_a_kernel_that_holds_the_range_holds_all_the_energy(voxel_mm: tuple[float, float, float]) -> None:
    energy = point_kernel("Lu-177", "soft_tissue").electron_kev
    kernel = voxel_kernel(energy, voxel_mm, 1.0, (7, 7, 7))
    mass_g = np.prod(voxel_mm) * 1e-3
    assert kernel.energy_kev == pytest.approx(energy.sum(), rel=1e-9)
    assert kernel.gy_per_bq_s.sum() * mass_g / KEV_PER_G_IN_GY == pytest.approx(energy.sum(), rel=1e-9)


def test_a_kernel_has_the_symmetry_of_its_voxels() -> None:
    point = point_kernel("Lu-177", "soft_tissue")
    kernel = voxel_kernel(point.electron_kev + point.photon_kev, (3.0, 3.0, 5.0), 1.0, (9, 9, 9)).gy_per_bq_s
    for axis in range(3):
        np.testing.assert_array_equal(kernel, np.flip(kernel, axis))
    np.testing.assert_allclose(kernel, kernel.transpose(1, 0, 2), rtol=1e-2)


def test_near_and_far_meet() -> None:
    """Where energy is no longer spread but read off at points, the kernel goes on without a step."""
    point = point_kernel("Lu-177", "soft_tissue")
    axis = voxel_kernel(point.photon_kev, (3.0, 3.0, 3.0), 1.0, (25, 25, 25)).gy_per_bq_s[12, 12, 12:]
    scaled = axis[4:] * np.arange(4, 13) ** 2
    np.testing.assert_allclose(np.diff(np.log(scaled)), np.diff(np.log(scaled)).mean(), atol=0.02)


def test_axes_can_be_exchanged() -> None:
    energy = point_kernel("Lu-177", "soft_tissue").electron_kev
    one = voxel_kernel(energy, (2.0, 3.0, 5.0), 1.0, (5, 7, 9)).gy_per_bq_s
    other = voxel_kernel(energy, (5.0, 2.0, 3.0), 1.0, (9, 5, 7)).gy_per_bq_s
    np.testing.assert_allclose(one, other.transpose(1, 2, 0), rtol=5e-3, atol=1e-6 * one.max())


def test_eight_small_voxels_are_one_large_one() -> None:
    """Dose of a block of eight source voxels to itself, whatever it is cut into."""
    energy = point_kernel("Lu-177", "soft_tissue").electron_kev
    large = voxel_kernel(energy, (4.0, 4.0, 4.0), 1.0, (5, 5, 5)).gy_per_bq_s[2, 2, 2]
    small = voxel_kernel(energy, (2.0, 2.0, 2.0), 1.0, (9, 9, 9)).gy_per_bq_s
    pairs = np.array([[small[4 + a, 4 + b, 4 + c] for a in (-1, 0, 1)] for b in (-1, 0, 1) for c in (-1, 0, 1)]).ravel()
    weights = np.array(
        [(2 - abs(a)) * (2 - abs(b)) * (2 - abs(c)) for b in (-1, 0, 1) for c in (-1, 0, 1) for a in (-1, 0, 1)]
    )
    # 64 pairs of source and target among the eight, of which each target has the mean over all sources.
    assert (pairs * weights).sum() / 8 / 8 == pytest.approx(large, rel=2e-3)


def test_density_only_scales_lengths() -> None:
    kernel = point_kernel("Lu-177", "lung")
    dense, thin = sphere_s(kernel, 8.0, 1.0), sphere_s(kernel, 8.0 / 0.25**2, 0.25)
    # The radius times the density is the same, so is the absorbed share; the mass is not.
    assert thin.s_gy_per_bq_s * 8.0 / 0.25**2 == pytest.approx(dense.s_gy_per_bq_s * 8.0, rel=1e-12)


@pytest.mark.parametrize("chain", CHAINS)
def test_a_chain_emits_what_its_members_do(chain: str) -> None:
    whole, parts = emission(chain), [(emission(name), share) for name, share in CHAINS[chain].items()]
    for of in ("electron_kev", "photon_kev", "alpha_kev", "betas"):
        assert getattr(whole, of) == pytest.approx(sum(getattr(e, of) * share for e, share in parts), rel=1e-6), of


def test_every_nuclide_has_a_kernel() -> None:
    for name, emitted in emissions().items():
        kernel = point_kernel(name, "water")
        assert kernel.electron_kev.min() >= -1e-9
        assert kernel.electron_kev.size == EDGES_G_PER_CM2.size - 1
        energies, numbers = electron_spectrum(emitted)
        assert energies.size == numbers.size
