"""How points of one image map to another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.frozen import float64


@frozen(eq=False)
class Transform:
    """Rigid or affine map between two frames of reference, named after what it does to a point.

    Parameters
    ----------
    fixed_from_moving
        Moving to fixed patient coordinates, LPS. [mm] (4, 4)
    error_mm
        Expected registration error of a point; None if not evaluated. [mm]
    method
        How it was found.
    """

    fixed_frame: str
    moving_frame: str
    fixed_from_moving: npt.NDArray[np.float64] = field(converter=float64)
    error_mm: float | None
    method: str
