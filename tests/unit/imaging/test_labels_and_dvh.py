"""Label maps cut into boxes, and dose-volume histograms by hand."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from lutra.core.errors import GridMismatch, OutsideValidity, UnitMismatch
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.dvh import region_dose
from lutra.imaging.labels import regions_of_labels, trimmed


def test_each_label_gets_its_box() -> None:
    labels = np.zeros((5, 6, 7), np.int16)
    labels[1:3, 2, 3:5] = 2
    labels[2, 2, 3] = 40
    boxes = regions_of_labels(labels)
    assert set(boxes) == {2, 40}
    start, fraction = boxes[2]
    assert start == (1, 2, 3)
    np.testing.assert_array_equal(fraction[:, 0], [[1, 1], [0, 1]])


def test_labels_beyond_16_bits_are_refused() -> None:
    with pytest.raises(OutsideValidity, match="70000"):
        regions_of_labels(np.full((1, 1, 1), 70000))


def test_margins_are_taken_off() -> None:
    fraction = np.zeros((4, 4, 4), np.float32)
    fraction[1, 2, 3] = 0.5
    start, box = trimmed((10, 20, 30), fraction)
    assert (start, box.shape) == ((11, 22, 33), (1, 1, 1))
    assert trimmed((0, 0, 0), np.zeros((2, 2, 2), np.float32)) is None


FINE = Grid((8, 2, 2), np.diag([1.0, 1, 1, 1]), "frame")
DOSE = Volume(
    np.array([1.0, 2.0, 3.0, 4.0])[:, None, None] * np.ones((4, 2, 2)),
    Grid((4, 2, 2), np.array([[2.0, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "frame"),
    Unit.GY,
)
"""Four columns of 2 mm, 1 to 4 Gy; the region's voxels are 1 mm."""


def region(first: int, n: int) -> Region:
    return Region("r", RegionKind.OTHER, FINE, (first, 0, 0), np.ones((n, 2, 2)), None, RegionOrigin.DRAWN, "")


def test_half_voxels_count_by_half() -> None:
    """From 1 to 4 mm: half of the column of 1 Gy, all of 2 Gy: mean 5/3 Gy, two thirds get 2 Gy."""
    found = region_dose(DOSE, region(1, 3))
    assert found.mean_gy == pytest.approx(5 / 3)
    assert (found.min_gy, found.max_gy, found.covered) == (1, 2, pytest.approx(1))
    assert np.interp(1.5, found.dvh.dose_gy, found.dvh.volume_fraction) == pytest.approx(2 / 3, abs=1e-3)
    assert found.dvh.volume_fraction[0] == 1


def test_what_the_dose_grid_does_not_cover_is_said() -> None:
    """The dose ends after its second column: the region's last two of six millimetres are outside."""
    short = Volume(DOSE.values[:2], evolve(DOSE.grid, shape=(2, 2, 2)), Unit.GY)
    found = region_dose(short, region(0, 6))
    assert found.covered == pytest.approx(4 / 6)
    assert found.mean_gy == pytest.approx(1.5)


def test_what_is_no_dose_of_this_frame_is_refused() -> None:
    with pytest.raises(UnitMismatch, match="no dose"):
        region_dose(evolve(DOSE, unit=Unit.BQ_PER_ML), region(0, 2))
    with pytest.raises(GridMismatch, match="register"):
        region_dose(evolve(DOSE, grid=evolve(DOSE.grid, frame_of_reference="other")), region(0, 2))
