"""Dose maps of cycles added up on one body: against fields known everywhere, and SimpleITK's resampling."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK
from attrs import evolve

from lutra.core.dose import CycleDoses, DoseMap
from lutra.core.grid import Grid
from lutra.core.transform import Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.dose.cycle_sum import chained, sum_of_cycles

SHAPE = (20, 18, 16)
AFFINE = np.array([[4.0, 0, 0, -40], [0, 4.0, 0, -30], [0, 0, 5.0, 12.5], [0, 0, 0, 1]])
FIRST, SECOND, MIDDLE = "1.2.1", "1.2.2", "1.2.9"
Array = npt.NDArray[np.float64]


def turned(degrees: float, shift: tuple[float, float, float]) -> Array:
    """Points of the second body to the first: a turn about z, then a shift."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.eye(4)
    matrix[:2, :2], matrix[:3, 3] = [[c, -s], [s, c]], shift
    return matrix


def field(points: Array) -> Array:
    """Dose that is linear in space, which linear interpolation must not change. [Gy]"""
    return 20 + points @ np.array([0.05, -0.03, 0.02])


def points(grid: Grid) -> Array:
    return grid.to_lps_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))


def answer(values: Array, frame: str, affine: Array = AFFINE) -> CycleDoses:
    return CycleDoses((), DoseMap(Volume(values, Grid(values.shape, affine, frame), Unit.GY), None, "lutra.hybrid@1"))


def two(first_from_second: Array) -> tuple[CycleDoses, CycleDoses]:
    """The same body twice, laid down differently: every piece of it has the same dose in both cycles."""
    grid = Grid(SHAPE, AFFINE)
    moved = points(grid) @ first_from_second[:3, :3].T + first_from_second[:3, 3]
    return answer(field(points(grid)), FIRST), answer(field(moved), SECOND)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_body_laid_down_again_gets_twice_the_dose(backwards: bool) -> None:
    matrix = turned(7, (6, -4, 5))
    known = Transform(FIRST, SECOND, matrix, 1.5, "test")
    outcome = sum_of_cycles(two(matrix), (1, 2), (1, 2), (known.inverse() if backwards else known,))
    assert outcome.value is not None
    total = outcome.value
    # Beyond the outermost centres the nearest voxel stands in, half a voxel at most.
    expected = 2 * field(points(total.dose.grid))
    assert np.abs(total.dose.values - expected).max() < 0.5 * np.abs([0.05, -0.03, 0.02]) @ [4, 4, 5] + 1e-4
    inner = (slice(2, -2),) * 3
    assert np.abs(total.dose.values[inner] - expected[inner]).max() < 1e-4
    assert total.dose.grid.frame_of_reference == FIRST
    assert (total.cycles, total.error_mm) == ((1, 2), 1.5)
    assert 0.3 < total.covered < 1
    assert [f.code for f in outcome.findings] == ["dose.sum-on-one-body"]


def test_simpleitk_adds_up_the_same() -> None:
    matrix = turned(-5, (3, 8, -6))
    random = np.random.default_rng(3)
    maps = [answer(random.gamma(2.0, 5.0, SHAPE), frame) for frame in (FIRST, SECOND)]
    total = sum_of_cycles(maps, (1, 2), (1, 2), (Transform(FIRST, SECOND, matrix, None, "test"),)).value
    assert total is not None
    images = []
    for made in maps:
        assert made.dose is not None
        image = SimpleITK.GetImageFromArray(np.asarray(made.dose.dose.values, np.float64).transpose(2, 1, 0))
        image.SetSpacing((4, 4, 5))
        image.SetOrigin((-40, -30, 12.5))
        images.append(image)
    back = np.linalg.inv(matrix)
    to_second = SimpleITK.AffineTransform(back[:3, :3].ravel().tolist(), back[:3, 3].tolist())
    second = SimpleITK.Resample(images[1], images[0], to_second, SimpleITK.sitkLinear, 0.0)
    whole = SimpleITK.GetArrayFromImage(images[0] + second).transpose(2, 1, 0)
    start = np.rint(Grid(SHAPE, AFFINE, FIRST).to_ijk(total.dose.grid.to_lps_mm((0, 0, 0)))).astype(int)
    part = whole[tuple(slice(a, a + n) for a, n in zip(start, total.dose.grid.shape, strict=True))]
    assert np.abs(part - total.dose.values).max() < 1e-4
    assert total.error_mm is None


def test_every_voxel_that_is_given_has_the_dose_of_every_cycle() -> None:
    """The second map holds half of the body; what lies outside is no part of the sum."""
    grid = Grid(SHAPE, AFFINE)
    half = answer(np.ones((20, 18, 8)), SECOND)
    whole = answer(np.ones(SHAPE), FIRST)
    same = Transform(FIRST, SECOND, np.eye(4), 0.0, "test")
    outcome = sum_of_cycles((whole, half), (1, 2), (1, 2), (same,))
    assert outcome.value is not None
    assert outcome.value.dose.grid.shape == (20, 18, 8)
    assert np.all(outcome.value.dose.values == 2)
    assert outcome.value.covered == 0.5
    upper = answer(np.ones((20, 18, 8)), SECOND, evolve(grid, affine_lps_mm=_lifted(8)).affine_lps_mm)
    cut = sum_of_cycles((whole, upper), (1, 2), (1, 2), (same,)).value
    assert cut is not None
    assert cut.dose.grid.to_lps_mm((0, 0, 0))[2] == pytest.approx(12.5 + 8 * 5)


def _lifted(slices: int) -> Array:
    affine = AFFINE.copy()
    affine[2, 3] += slices * AFFINE[2, 2]
    return affine


def test_cycles_in_one_frame_need_no_map() -> None:
    outcome = sum_of_cycles((answer(np.ones(SHAPE), FIRST), answer(np.full(SHAPE, 2.0), FIRST)), (1, 2), (1, 2))
    assert outcome.value is not None
    assert outcome.value.error_mm == 0
    assert np.all(outcome.value.dose.values == 3)
    assert outcome.value.covered == 1


@pytest.mark.parametrize(
    ("given", "shift", "known", "code"),
    [
        ((1, 2, 3), 0.0, True, "dose.sum-cycle-missing"),
        ((1, 2), 0.0, False, "dose.sum-no-transform"),
        ((1, 2), 500.0, True, "dose.sum-not-covered"),
    ],
)
def test_no_sum_without_every_cycle(given: tuple[int, ...], shift: float, known: bool, code: str) -> None:
    matrix = turned(0, (shift, 0, 0))
    transforms = (Transform(FIRST, SECOND, matrix, 1.0, "test"),) if known else ()
    outcome = sum_of_cycles(two(np.eye(4)), (1, 2), given, transforms)
    assert outcome.value is None
    assert [f.code for f in outcome.findings] == [code]


def test_the_shortest_way_is_taken_and_links_are_used_both_ways() -> None:
    to_middle = Transform(FIRST, MIDDLE, turned(3, (1, 2, 3)), 1.0, "one")
    from_second = Transform(SECOND, MIDDLE, turned(-4, (5, 0, 1)), 1.0, "two")
    way = chained((to_middle, from_second), FIRST, SECOND)
    assert way == ((to_middle, True), (from_second, False))
    direct = Transform(FIRST, SECOND, np.eye(4), 1.0, "direct")
    assert chained((to_middle, from_second, direct), FIRST, SECOND) == ((direct, True),)
    assert chained((to_middle,), FIRST, SECOND) is None
    assert chained((), "", "") is None
