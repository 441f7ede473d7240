"""Six numbers for a rigid map, all in millimetres, so that a step in any of them moves the body about as far."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.frozen import float64

ARM_MM = 100.0
"""Distance from the centre of rotation at which a turn is measured: about the mean of an abdomen. [mm]"""


@frozen(eq=False)
class Pose:
    """Fixed to moving coordinates: turn about a centre in the fixed image, about x, then y, then z, then shift.

    Parameters
    ----------
    numbers_mm
        Three turns as arcs on an arm of 100 mm, and three shifts. [mm] (6,)
    """

    numbers_mm: npt.NDArray[np.float64] = field(converter=float64)

    @property
    def turn(self) -> npt.NDArray[np.float64]:
        """Rotation matrix. (3, 3)"""
        x, y, z = (_turn(axis, angle) for axis, angle in enumerate(self.numbers_mm[:3] / ARM_MM))
        return z @ y @ x

    @property
    def shift_mm(self) -> npt.NDArray[np.float64]:
        """[mm] (3,)"""
        return self.numbers_mm[3:]

    def moving_from_offset(self, centre_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Take points given relative to the centre to moving coordinates. (4, 4)"""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.turn, centre_mm + self.shift_mm
        return matrix

    def moving_from_fixed(self, centre_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Take fixed points to moving coordinates. (4, 4)"""
        matrix = self.moving_from_offset(centre_mm)
        matrix[:3, 3] -= self.turn @ centre_mm
        return matrix

    def chain(self, by_map: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Turn a derivative by the elements of :meth:`moving_from_offset` into one by the six numbers. (3, 4) -> (6,)"""
        angles = self.numbers_mm[:3] / ARM_MM
        turns = [_turn(axis, angle) for axis, angle in enumerate(angles)]
        slopes = []
        for axis in range(3):
            x, y, z = (_turn(axis, angles[axis], np.pi / 2) if n == axis else turns[n] for n in range(3))
            slopes.append(float(np.sum(by_map[:, :3] * (z @ y @ x))) / ARM_MM)
        return np.array([*slopes, *by_map[:, 3]])

    @classmethod
    def of(cls, moving_from_fixed: npt.NDArray[np.float64], centre_mm: npt.NDArray[np.float64]) -> Pose:
        """Find the six numbers of a rigid map. (4, 4) -> pose"""
        turn = moving_from_fixed[:3, :3]
        angles = [
            np.arctan2(turn[2, 1], turn[2, 2]),
            -np.arcsin(np.clip(turn[2, 0], -1, 1)),
            np.arctan2(turn[1, 0], turn[0, 0]),
        ]
        shift = turn @ centre_mm + moving_from_fixed[:3, 3] - centre_mm
        return cls(np.concatenate([np.multiply(angles, ARM_MM), shift]))


def _turn(axis: int, angle: float, ahead: float = 0.0) -> npt.NDArray[np.float64]:
    """Rotation about one axis; a quarter turn ahead and without the axis itself it is its own derivative. (3, 3)"""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((3, 3))
    matrix[axis, axis] = 0.0 if ahead else 1.0
    cosine, sine = np.cos(angle + ahead), np.sin(angle + ahead)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[second, first], matrix[first, second] = sine, -sine
    return matrix
