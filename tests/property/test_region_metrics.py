"""Laws that hold for the metrics of any region in any image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify import QuantifySettings, measure, measure_features

SHAPE, START = (22, 20, 18), (6, 6, 6)
SPACING = st.tuples(*[st.floats(1.5, 6.0)] * 3)
SCALE_FREE = ("stat.skew", "stat.kurt", "stat.cov", "stat.qcod", "morph.com")

Case = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], tuple[float, float, float]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """An image of positive values, the fractions of a region, and voxel sizes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    fraction = rng.random((8, 7, 6)) * (rng.random((8, 7, 6)) < draw(st.floats(0.1, 1)))
    fraction[3, 3, 3] = 1  # never empty
    return rng.gamma(2.0, 2.0, SHAPE), fraction, draw(SPACING)


def region(
    fraction: npt.NDArray[np.float64], spacing: tuple[float, ...], start: tuple[int, int, int] = START
) -> Region:
    grid = Grid(SHAPE, np.diag([*spacing, 1.0]), "1")
    return Region("r", RegionKind.LESION, grid, start, fraction, None, RegionOrigin.DRAWN, "test")


def values(image: npt.NDArray[np.float64], where: Region) -> dict[str, float]:
    found = measure(Volume(image, where.grid, Unit.SUV_BW), where, "L", "1", QuantifySettings(pet_fwhm_mm=6.0)).value
    assert found is not None
    return {name: estimate.value for name, estimate in found.values.items()}


def features(image: npt.NDArray[np.float64], where: Region, unit: Unit = Unit.ONE) -> dict[str, float]:
    found = measure_features(Volume(image, where.grid, unit), where, "L", "1").value
    assert found is not None
    return dict(found.values)


@given(case=cases(), factor=st.floats(0.01, 100))
@settings(max_examples=25, deadline=None)
def test_scaling_the_image_scales_uptake_and_leaves_shape(case: Case, factor: float) -> None:
    image, fraction, spacing = case
    where = region(fraction, spacing)
    before, after = values(image, where), values(image * factor, where)
    for name in ("suv_max", "suv_mean", "suv_peak", "tlg"):
        assert after[name] == pytest.approx(before[name] * factor, rel=1e-5)
    assert after["volume"] == before["volume"] == after["mtv"]
    shape, scaled = features(image, where), features(image * factor, where)
    assert shape.keys() == scaled.keys()
    for tag in shape:
        if (tag.startswith("morph.") and tag != "morph.integ_int") or tag in SCALE_FREE:
            assert scaled[tag] == pytest.approx(shape[tag], rel=1e-4, abs=1e-4)
    assert scaled["stat.var"] == pytest.approx(shape["stat.var"] * factor**2, rel=1e-4)
    assert scaled["loc.peak_glob"] == pytest.approx(shape["loc.peak_glob"] * factor, rel=1e-5)


@given(case=cases(), shift=st.tuples(*[st.integers(-4, 4)] * 3))
@settings(max_examples=25, deadline=None)
def test_whole_voxels_further_all_is_the_same(case: Case, shift: tuple[int, int, int]) -> None:
    image, fraction, spacing = case
    moved = region(fraction, spacing, tuple(s + d for s, d in zip(START, shift, strict=True)))  # type: ignore[arg-type]
    rolled = np.roll(image, shift, (0, 1, 2))
    here, there = values(image, region(fraction, spacing)), values(rolled, moved)
    near, far = features(image, region(fraction, spacing)), features(rolled, moved)
    for name in here.keys() - {"suv_peak"}:
        assert there[name] == pytest.approx(here[name], rel=1e-9)
    for tag in near.keys() - {"loc.peak_loc", "loc.peak_glob"}:
        assert far[tag] == pytest.approx(near[tag], rel=1e-6, abs=1e-6)


@given(case=cases(), shift=st.tuples(*[st.integers(-1, 1)] * 3))
@settings(max_examples=25, deadline=None)
def test_peaks_move_with_the_image_where_their_sphere_stays_inside(case: Case, shift: tuple[int, int, int]) -> None:
    image, fraction, _ = case
    spacing = (2.0, 2.0, 2.0)  # 3 voxels to each side; 5 are there
    moved = region(fraction, spacing, tuple(s + d for s, d in zip(START, shift, strict=True)))  # type: ignore[arg-type]
    here, there = values(image, region(fraction, spacing)), values(np.roll(image, shift, (0, 1, 2)), moved)
    assert there["suv_peak"] == pytest.approx(here["suv_peak"], rel=1e-6)


@given(case=cases())
@settings(max_examples=40, deadline=None)
def test_order_of_what_is_ordered(case: Case) -> None:
    """The peak is a mean of image voxels, so it lies within the image's values; it may exceed the region's own maximum."""
    image, fraction, spacing = case
    where = region(fraction, spacing)
    found, all_of = features(image, where), values(image, where)
    assert image.min() <= all_of["suv_peak"] * (1 + 1e-6)
    assert all_of["suv_peak"] <= image.max() * (1 + 1e-6)
    assert all_of["suv_mean"] <= image[where.box].max()
    steps = [found[f"stat.{word}"] for word in ("min", "p10", "median", "p90", "max")]
    assert steps == sorted(steps)
    assert 0 <= found["stat.rmad"] <= found["stat.range"]
    assert found["stat.medad"] <= found["stat.mad"] * (1 + 1e-9)  # the median is the closest point to all
    assert 0 < found["morph.sphericity"] <= 1
    assert found["morph.vol_dens_conv_hull"] <= 1 + 1e-9


@given(case=cases(), cut=st.integers(1, 7))
@settings(max_examples=25, deadline=None)
def test_two_parts_add_up_to_the_whole(case: Case, cut: int) -> None:
    image, fraction, spacing = case
    fraction[0, 0, 0] = fraction[-1, -1, -1] = 0.7  # neither part is empty
    parts = fraction.copy(), fraction.copy()
    parts[0][cut:], parts[1][:cut] = 0, 0
    whole = values(image, region(fraction, spacing))
    first, second = (values(image, region(part, spacing)) for part in parts)
    for name in ("volume", "mtv", "tlg"):
        assert first[name] + second[name] == pytest.approx(whole[name], rel=1e-6)
    assert max(first["suv_peak"], second["suv_peak"]) >= whole["suv_peak"] * (1 - 1e-9)


@given(case=cases())
@settings(max_examples=25, deadline=None)
def test_a_voxel_counts_by_its_share_however_it_is_cut(case: Case) -> None:
    """Half the share everywhere halves volume and total and leaves the mean."""
    image, fraction, spacing = case
    whole, half = values(image, region(fraction, spacing)), values(image, region(fraction / 2, spacing))
    assert half["volume"] == pytest.approx(whole["volume"] / 2, rel=1e-6)
    assert half["tlg"] == pytest.approx(whole["tlg"] / 2, rel=1e-6)
    assert half["suv_mean"] == pytest.approx(whole["suv_mean"], rel=1e-6)
