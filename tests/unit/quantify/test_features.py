"""Standardised features where the standard's phantoms do not reach: flat regions, gaps, units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lutra.core.errors import GridMismatch
from lutra.core.grid import Grid
from lutra.core.measurement import Features
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify import measure_features
from lutra.reference.ibsi import features

GRID = Grid((10, 10, 10), np.diag([2.0, 2.0, 3.0, 1.0]), "1")


def region(grid: Grid = GRID, fraction: Any = None) -> Region:
    share = np.ones((4, 4, 4)) if fraction is None else fraction
    return Region("r", RegionKind.LESION, grid, (3, 3, 3), share, None, RegionOrigin.THRESHOLD, "41 % of max")


def measured(values: Any, unit: Unit = Unit.SUV_BW, **given: Any) -> Features:
    found = measure_features(Volume(np.broadcast_to(values, GRID.shape), GRID, unit), region(), "L", "1", **given).value
    assert found is not None
    return found


def test_a_flat_region_has_no_shape_of_its_histogram() -> None:
    """The standard sets skewness and kurtosis of equal intensities to 0."""
    values = measured(1.7).values
    assert (values["stat.skew"], values["stat.kurt"], values["ih.entropy"]) == (0, 0, 0)
    assert values["stat.var"] == pytest.approx(0, abs=1e-12)
    assert values["ih.uniformity"] == 1


def test_what_would_divide_by_zero_is_left_out() -> None:
    left_out = features().keys() - measured(0.0).values.keys()
    assert left_out == {
        "morph.com",
        "stat.cov",
        "stat.qcod",
        "ih.max_grad",
        "ih.max_grad_g",
        "ih.min_grad",
        "ih.min_grad_g",
    }


@pytest.mark.parametrize(("unit", "width"), [(Unit.SUV_BW, 0.25), (Unit.HU, 25.0), (Unit.MM2_PER_S, None)])
def test_a_histogram_needs_a_bin_width(unit: Unit, width: float | None) -> None:
    found = measured(np.random.default_rng(0).random(GRID.shape), unit)
    assert found.bin_width == width
    assert any(tag.startswith("ih.") for tag in found.values) is (width is not None)


def test_bins_start_where_the_scale_does() -> None:
    """SUV 2.6 lies in bin 11 of 0.25; -1000 HU in bin 1 of 25 HU and water in bin 41."""
    assert measured(2.6).values["ih.mean"] == 11
    assert measured(-1000.0, Unit.HU).values["ih.mean"] == 1
    assert measured(0.0, Unit.HU).values["ih.mean"] == 41


def test_voxels_out_of_range_keep_their_place_and_lose_their_say() -> None:
    values = np.full(GRID.shape, 40.0)
    values[3] = 900
    cut, whole = measured(values, Unit.HU, intensity_range=(-500, 400)), measured(values, Unit.HU)
    assert cut.values["stat.max"] == 40
    assert whole.values["stat.max"] == 900
    assert cut.values["morph.volume"] == whole.values["morph.volume"]


def test_the_region_is_named_with_the_numbers() -> None:
    assert measured(1.0).delineation == "threshold: 41 % of max"


def test_a_region_without_values_has_no_features() -> None:
    outcome = measure_features(Volume(np.full(GRID.shape, np.nan), GRID, Unit.HU), region(), "L", "1")
    assert outcome.value is None
    assert outcome.findings[0].code == "quantify.empty-region"


def test_a_region_of_another_grid_is_refused() -> None:
    other = Grid(GRID.shape, GRID.affine_lps_mm, "2")
    with pytest.raises(GridMismatch):
        measure_features(Volume(np.zeros(GRID.shape), GRID, Unit.HU), region(other), "L", "1")


def test_a_single_voxel_has_every_shape_but_elongation() -> None:
    share = np.zeros((4, 4, 4))
    share[1, 1, 1] = 0.3  # the fullest voxel of a thin region
    volume = Volume(np.ones(GRID.shape), GRID, Unit.HU)
    found = measure_features(volume, region(GRID, share), "L", "1").value
    assert found is not None
    assert found.values["morph.vol_approx"] == pytest.approx(0.012)
    assert found.values["morph.volume"] == pytest.approx(0.002)
    assert "morph.pca_elongation" not in found.values


def test_units_follow_the_image() -> None:
    table = features()
    assert table["stat.mean"].unit_in(Unit.HU) == "[hnsf'U]"
    assert table["stat.var"].unit_in(Unit.BQ_PER_ML) == "(Bq/mL)2"
    assert table["morph.volume"].unit_in(Unit.HU) == "mL"
