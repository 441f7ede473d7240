"""A transform moved by hand: a shift and a turn as a person sees them on the fixed image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import evolve

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap
from lutra.core.transform import Transform


def nudged(
    transform: Transform,
    shift_lps_mm: npt.ArrayLike,
    rotation_deg: npt.ArrayLike = (0.0, 0.0, 0.0),
    about_lps_mm: npt.ArrayLike = (0.0, 0.0, 0.0),
    *,
    by: str = "",
) -> Transform:
    """Move the moving image, as it lies on the fixed one, by a turn about a point and then a shift.

    A displacement field moves with the image. The error of the result is not evaluated, and the checks made before do not hold
    for it.

    Parameters
    ----------
    shift_lps_mm
        Shift in the fixed frame: left, posterior, superior. [mm] (3,)
    rotation_deg
        Right-handed turns about the left, then the posterior, then the superior axis of the fixed frame. [deg] (3,)
    about_lps_mm
        Point of the fixed frame that a turn leaves in place. [mm] (3,)
    by
        Who did it, for the transform's `method`.

    Raises
    ------
    UsageError
        If these are not three finite numbers each.
    """
    shift, angles, centre = (np.asarray(numbers, float) for numbers in (shift_lps_mm, rotation_deg, about_lps_mm))
    if not all(numbers.shape == (3,) and np.isfinite(numbers).all() for numbers in (shift, angles, centre)):
        raise UsageError(
            "a shift, a turn and a point need three finite numbers each", required="left, posterior, superior"
        )
    turn = _turn(np.radians(angles))
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, centre - turn @ centre + shift
    step = Transform(transform.fixed_frame, transform.fixed_frame, matrix, None, _words(shift, angles, centre, by))
    return evolve(step.after(transform), quality=FrozenMap())


def _turn(radians: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    turn = np.eye(3)
    for axis, angle in enumerate(radians):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        one = np.eye(3)
        one[first, first] = one[second, second] = np.cos(angle)
        one[second, first] = np.sin(angle)
        one[first, second] = -np.sin(angle)
        turn = one @ turn
    return turn


def _words(
    shift: npt.NDArray[np.float64], angles: npt.NDArray[np.float64], centre: npt.NDArray[np.float64], by: str
) -> str:
    shifted, turned, about = (" ".join(f"{x:g}" for x in numbers) for numbers in (shift, angles, centre))
    words = f"nudged by {by or 'hand'}: {shifted} mm (L P S)"
    return words + (f", turned {turned}° about {about} mm" if angles.any() else "")
