"""The CT of a SPECT on the voxels of the SPECT: means are kept, and what is not seen is said."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.errors import GridMismatch
from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.dose.ct_on_grid import ct_on_grid


def grid(shape: tuple[int, int, int], spacing: float, first: float = 0.0, frame: str = "1.2") -> Grid:
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = first
    return Grid(shape, affine, frame)


def test_fine_structure_is_averaged_not_sampled() -> None:
    """Planes of 0 and 1000 HU, 1 mm each, are 500 HU in voxels of 4 mm."""
    fine = np.zeros((40, 40, 40))
    fine[::2] = 1000.0
    spect = Volume(np.ones((8, 8, 8)), grid((8, 8, 8), 4.0, 5.5), Unit.BQ_PER_ML)
    found = ct_on_grid(Volume(fine, grid((40, 40, 40), 1.0), Unit.HU), spect)
    assert found.findings == ()
    assert found.value is not None
    assert found.value.values[:8, 1:7, 1:7] == pytest.approx(500.0, abs=1.0)


def test_a_body_goes_on_beyond_the_last_slice_and_it_is_said() -> None:
    spect = Volume(np.ones((8, 8, 8)), grid((8, 8, 8), 4.0, 2.0), Unit.BQ_PER_ML)
    ct = np.full((40, 40, 16), 40.0)
    found = ct_on_grid(Volume(ct, grid((40, 40, 16), 1.0), Unit.HU), spect)
    assert found.value is not None
    assert found.value.values == pytest.approx(40.0)
    assert [f.code for f in found.findings] == ["dose.ct-does-not-reach"]
    assert "50%" in found.findings[0].text


def test_a_ct_elsewhere_or_in_another_frame() -> None:
    spect = Volume(np.ones((8, 8, 8)), grid((8, 8, 8), 4.0), Unit.BQ_PER_ML)
    far = Volume(np.zeros((8, 8, 8)), grid((8, 8, 8), 1.0, 500.0), Unit.HU)
    assert [f.code for f in ct_on_grid(far, spect).findings] == ["dose.ct-elsewhere"]
    with pytest.raises(GridMismatch):
        ct_on_grid(Volume(np.zeros((8, 8, 8)), grid((8, 8, 8), 1.0, frame="9"), Unit.HU), spect)
