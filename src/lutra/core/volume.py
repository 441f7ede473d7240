"""Voxel values that know their geometry, unit and clock."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import GridMismatch
from lutra.core.frozen import float32
from lutra.core.grid import Grid
from lutra.core.units import Unit


@frozen(eq=False)
class Volume:
    """A three-dimensional image.

    Parameters
    ----------
    values
        Voxel values. [unit] (i, j, k)
    grid
        Where the voxels are.
    unit
        Unit of the values.
    acquired_at
        Start of the acquisition; None if the file does not say.
    decay_referenced_to
        Instant for which radioactive content is stated; None where decay has no meaning (CT, MR) or is not known.
    """

    values: npt.NDArray[np.float32] = field(converter=float32)
    grid: Grid
    unit: Unit = field(converter=Unit)
    acquired_at: datetime | None = None
    decay_referenced_to: datetime | None = None

    def __attrs_post_init__(self) -> None:
        if self.values.shape != self.grid.shape:
            raise GridMismatch(f"values of shape {self.values.shape} do not fit a grid of {self.grid.shape}")

    def integral(self) -> float:
        """Sum of all voxels times the voxel volume; Bq for an image in Bq/mL. [unit.mL]"""
        return float(self.values.sum(dtype=np.float64)) * self.grid.voxel_volume_ml
