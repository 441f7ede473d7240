"""Small things to scan."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.simulate.spect.phantom import WATER_PER_MM, centred_grid


class Trunk:
    """An elliptical trunk of water, 340 x 240 mm, with what is asked for in it."""

    def __init__(self, spacing_mm: float, extent_mm: tuple[float, float, float] = (368, 272, 304)) -> None:
        self.grid: Grid = centred_grid(extent_mm, spacing_mm)
        points = self.grid.to_lps_mm(np.stack(np.indices(self.grid.shape), axis=-1))
        self.x, self.y, self.z = np.moveaxis(points, -1, 0)
        self.body = (self.x / 170) ** 2 + (self.y / 120) ** 2 < 1

    def ball(self, centre: tuple[float, float, float], semi_axes: tuple[float, float, float]) -> np.ndarray:
        axes = ((p - c) / a for p, c, a in zip((self.x, self.y, self.z), centre, semi_axes, strict=True))
        return np.asarray(sum(a * a for a in axes) < 1)

    def activity(self, bq_per_ml: np.ndarray) -> Volume:
        return Volume(bq_per_ml, self.grid, Unit.BQ_PER_ML)

    @property
    def attenuation(self) -> Volume:
        return Volume(WATER_PER_MM * self.body, self.grid, Unit.ONE)


@pytest.fixture(scope="session")
def trunk() -> Trunk:
    return Trunk(8.0)
