"""Lesions and regions as geometry sees them: arrays in one frame."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.frozen import float64, read_only

Array = npt.NDArray[np.float64]
MM3_PER_ML = 1000.0


def _flags(values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    return read_only(values, np.bool_)


@frozen(eq=False)
class Spots:
    """Where some lesions are, how large, and how far that can be trusted.

    Parameters
    ----------
    position_mm
        Centres of gravity in one frame. [mm] (n, 3)
    error_mm
        Registration error of each, one standard deviation along each axis. Neighbours share it. [mm] (n,)
    volume_ml
        Volumes, above 0. [mL] (n,)
    spread_mm2
        Covariance of the points of each about its centre. [mm2] (n, 3, 3)
    size_log_sd
        Spread of the logarithm of the volume that a later image is expected to show; asked of lesions only. [1] (n,)
    lost
        Whether it was not seen when looked for last. (n,)
    """

    position_mm: Array = field(converter=float64)
    error_mm: Array = field(converter=float64)
    volume_ml: Array = field(converter=float64)
    spread_mm2: Array = field(converter=float64)
    size_log_sd: Array = field(converter=float64)
    lost: npt.NDArray[np.bool_] = field(converter=_flags)

    def __len__(self) -> int:
        return len(self.volume_ml)

    @cached_property
    def radius_mm(self) -> Array:
        """Radius of the ball of the same volume. [mm] (n,)"""
        return ball_radius_mm(self.volume_ml)

    def reach_mm(self, which: npt.NDArray[np.intp], direction: Array) -> Array:
        """How far spots reach from their centres in a direction, as ellipsoids of the same spread. [mm]

        The covariance of a full ellipsoid is a fifth of the square of its half axes.
        """
        length = np.linalg.norm(direction, axis=-1)
        unit = direction / np.where(length > 0, length, 1)[..., None]
        along = np.einsum("...a,...ab,...b->...", unit, self.spread_mm2[which], unit)
        return np.where(length > 0, np.sqrt(5 * along), self.radius_mm[which])


def ball_radius_mm(volume_ml: npt.ArrayLike) -> Array:
    """Radius of a ball. [mm]"""
    return np.asarray(np.cbrt(3 * MM3_PER_ML * np.asarray(volume_ml, float) / (4 * np.pi)))


def ball_spread_mm2(volume_ml: npt.ArrayLike) -> Array:
    """Covariance of the points of a ball. [mm2] (..., 3, 3)"""
    return np.asarray(ball_radius_mm(volume_ml)[..., None, None] ** 2 / 5 * np.eye(3))
