r"""Where the points of the reference posture are during a scan: breathing, a bent spine, the patient laid down elsewhere.

The reference is end-expiration with a straight spine in the frame of the anatomy. A scan point is taken back in three steps,
each smooth and invertible:

1. rigid: :math:`p_1 = R^T (p - c - t) + c`;
2. bending: :math:`x_2 = x_1 - b_x s(z_1)`, :math:`y_2 = y_1 - b_y s(z_1)` with :math:`s = \sqrt{1 + (z/L)^2} - 1`, the height
unchanged:
   volume is kept exactly;
3. breathing: :math:`z_3 = z_2 + A\,w`, :math:`y_3 = y_2 + a\,w` with a weight `w` that is 1 in the liver, falls off towards
spine,
   chest wall, pelvis and apex, and is zero nowhere abruptly. Sliding along the chest wall is thereby a shear.

From the scan to the reference every step is explicit, which is what painting needs; the other direction is a fixed-point
iteration.
"""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import FloatArray, float64
from lutra.core.grid import Grid
from lutra.simulate.shapes import components, rotation

BEND_LENGTH_MM = 150.0
MAX_BREATH_MM = 35.0
"""Above this the weight's steepest fall would bring the Jacobian near zero. [mm]"""
FIXED_POINT_TOLERANCE_MM = 1e-6
MAX_ITERATIONS = 200

PLATEAU_MM = (-10.0, 120.0)
"""Heights between which breathing moves organs most: kidneys to the domes. [mm]"""
FALL_MM = (75.0, 80.0)
"""Standard deviation of the fall of the weight below and above it. [mm]"""
SPINE_MM, SPINE_Y_MM = 27.0, 52.0
"""Radius within which the spine holds everything in place, and where it is. [mm]"""
WALL_X_MM, WALL_Y_MM = 150.0, 112.0
"""Half-axes of the chest wall, where breathing moves half as much. [mm]"""
ANTERIOR_SHARE = 0.25
"""Anterior movement per cranio-caudal movement [keall2006: liver 8-25 mm cranio-caudal, 1-12 mm anterior-posterior]."""


@frozen(eq=False)
class Motion:
    """Deformation between the reference posture and one scan.

    Parameters
    ----------
    breath_mm
        How far the liver is below its place at end-expiration. [mm]
    translation_mm, turn_deg
        Patient moved, and turned about x, y and z around `centre_lps_mm`. [mm], [degree] (3,)
    bend_mm
        Spine bent sideways and to the back, 150 mm above and below the centre, over sqrt(2) - 1. [mm] (2,)
    centre_lps_mm
        Centre of the rotation; bending and breathing are stated relative to it. [mm]
    size
        Size of the patient relative to the adult whose heights and half-axes stand above. [1]
    """

    breath_mm: float = 0.0
    translation_mm: npt.NDArray[np.float64] = field(factory=lambda: np.zeros(3), converter=float64)
    turn_deg: npt.NDArray[np.float64] = field(factory=lambda: np.zeros(3), converter=float64)
    bend_mm: npt.NDArray[np.float64] = field(factory=lambda: np.zeros(2), converter=float64)
    centre_lps_mm: npt.NDArray[np.float64] = field(factory=lambda: np.zeros(3), converter=float64)
    size: float = 1.0

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.breath_mm <= MAX_BREATH_MM * self.size or np.abs(self.bend_mm).max() > 40:
            raise OutsideValidity(
                f"breathing of {self.breath_mm:g} mm and a spine bent by {self.bend_mm} mm",
                required=f"breathing from 0 to {MAX_BREATH_MM * self.size:g} mm, bending up to 40 mm",
            )

    @property
    def is_identity(self) -> bool:
        """Tell whether every point stays where it is."""
        return not (self.breath_mm or self.translation_mm.any() or self.turn_deg.any() or self.bend_mm.any())

    def translated(self, by_mm: npt.ArrayLike) -> Motion:
        """Lay the patient down elsewhere."""
        return evolve(self, translation_mm=self.translation_mm + np.asarray(by_mm, float))

    def reference_from_scan(self, points_lps_mm: npt.ArrayLike) -> FloatArray:
        """Where points of a scan are in the reference posture. [mm] (..., 3)"""
        points = _floating(points_lps_mm)
        if self.is_identity:
            return points
        x, y, z = self._relative(
            components(points), self.centre_lps_mm + self.translation_mm, rotation(*self.turn_deg).T
        )
        bend = self._bend(z)
        x, y = x - float(self.bend_mm[0]) * bend, y - float(self.bend_mm[1]) * bend
        dy, dz = self._breath(x, y, z)
        return _points(x, y + dy, z + dz, self.centre_lps_mm)

    def scan_from_reference(self, points_lps_mm: npt.ArrayLike) -> FloatArray:
        """Where points of the reference posture are in the scan. [mm] (..., 3)

        Raises
        ------
        OutsideValidity
            If the iteration does not settle to 1e-6 mm, which within the bounds of this class it does.
        """
        points = np.asarray(points_lps_mm, np.float64)
        if self.is_identity:
            return points
        x, y3, z3 = (p - c for p, c in zip(components(points), self.centre_lps_mm, strict=True))
        y, z = y3, z3
        for _ in range(MAX_ITERATIONS):
            dy, dz = self._breath(x, y, z)
            moved_mm = max(np.abs(y3 - dy - y).max(initial=0), np.abs(z3 - dz - z).max(initial=0))
            y, z = y3 - dy, z3 - dz
            if moved_mm < FIXED_POINT_TOLERANCE_MM:
                break
        else:
            raise OutsideValidity(f"breathing of {self.breath_mm:g} mm cannot be inverted: {moved_mm:g} mm left")
        bend = self._bend(z)
        x, y = x + float(self.bend_mm[0]) * bend, y + float(self.bend_mm[1]) * bend
        turned = self._relative((x, y, z), np.zeros(3), rotation(*self.turn_deg))
        return _points(*turned, self.centre_lps_mm + self.translation_mm)

    def displacement_on(self, grid: Grid) -> npt.NDArray[np.float64]:
        """Vector from the centre of each voxel of a scan to where it is in the reference. [mm] (i, j, k, 3)"""
        centres = grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
        return np.asarray(self.reference_from_scan(centres) - centres, np.float64)

    def jacobian(self, points_lps_mm: npt.ArrayLike, step_mm: float = 0.05) -> npt.NDArray[np.float64]:
        """Volume in the reference over volume in the scan, at points of the scan. [1] (...)"""
        points = np.asarray(points_lps_mm, np.float64)
        steps = np.eye(3) * step_mm
        columns = [
            (self.reference_from_scan(points + s) - self.reference_from_scan(points - s)) / (2 * step_mm) for s in steps
        ]
        return np.asarray(np.linalg.det(np.stack(columns, axis=-1)))

    @staticmethod
    def _relative(
        points: tuple[FloatArray, FloatArray, FloatArray], origin: FloatArray, turn: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        x, y, z = (p - float(o) for p, o in zip(points, origin, strict=True))
        a, b, c = (row[0] * x + row[1] * y + row[2] * z for row in turn.tolist())
        return a, b, c

    def _bend(self, z: FloatArray) -> FloatArray:
        return np.asarray(np.sqrt(1 + (z / (BEND_LENGTH_MM * self.size)) ** 2) - 1)

    def _breath(self, x: FloatArray, y: FloatArray, z: FloatArray) -> tuple[Any, Any]:
        if not self.breath_mm:
            return 0.0, 0.0
        x, y, z = (p * (1 / self.size) for p in (x, y, z))
        beyond = np.minimum(z - PLATEAU_MM[0], 0) / FALL_MM[0] + np.maximum(z - PLATEAU_MM[1], 0) / FALL_MM[1]
        held = np.exp(-((x * x + (y - SPINE_Y_MM) ** 2) * (1 / SPINE_MM**2)))
        wall = (x * (1 / WALL_X_MM)) ** 2 + (y * (1 / WALL_Y_MM)) ** 2
        wall = wall * wall
        weight = np.exp(-0.5 * beyond * beyond) * (1 - held) / (1 + wall * wall)
        return weight * (self.breath_mm * ANTERIOR_SHARE), weight * self.breath_mm


def _floating(points: npt.ArrayLike) -> FloatArray:
    found = np.asarray(points)
    return found if found.dtype.kind == "f" else found.astype(np.float64)


def _points(x: FloatArray, y: FloatArray, z: FloatArray, origin: FloatArray) -> FloatArray:
    return np.moveaxis(np.stack([p + float(o) for p, o in zip((x, y, z), origin, strict=True)]), 0, -1)


@frozen
class MotionSpread:
    """How much scans of one patient differ: standard deviations, and depths of breath.

    Sources: repositioning in hybrid imaging 3-5 mm and 1-2 degrees; liver cranio-caudal 8-25 mm in quiet breathing, up to 40
    mm in a deep breath [keall2006, AAPM task group 76]. Bending is our own choice.
    """

    translation_mm: float = 4.0
    turn_deg: float = 1.2
    bend_mm: float = 6.0
    quiet_breath_mm: float = 14.0
    quiet_breath_log_sd: float = 0.3
    held_breath_sd_mm: float = 2.0


QUIET_MEAN = 0.375
"""Mean of cos^4 over a period: share of its depth at which quiet breathing is on average [lujan1999]."""


def sample_motion(
    seed: int,
    session: str = "",
    scan: str = "",
    breathing: str = "quiet",
    spread: MotionSpread | None = None,
    size: float = 1.0,
) -> Motion:
    """Draw the posture of one scan.

    Parameters
    ----------
    session
        Scans of one session share how the patient lies.
    scan
        Scans of one name share the breath as well.
    breathing
        `quiet`: the mean of a free-breathing scan; `expiration`: held, near the reference; `none`.
    size
        Size of the patient relative to the reference adult. [1]
    """
    spread = spread or MotionSpread()
    lie = np.random.default_rng([seed, *f"posture {session}".encode()])
    breath = np.random.default_rng([seed, *f"breath {session} {scan}".encode()])
    translation, turn, bend = (
        lie.normal(0, spread.translation_mm, 3),
        lie.normal(0, spread.turn_deg, 3),
        lie.normal(0, spread.bend_mm, 2),
    )
    depth_mm = spread.quiet_breath_mm * exp(breath.normal(0, spread.quiet_breath_log_sd))
    held_mm = abs(breath.normal(0, spread.held_breath_sd_mm))
    by_kind = {"quiet": QUIET_MEAN * depth_mm, "expiration": held_mm, "none": 0.0}
    if breathing not in by_kind:
        raise OutsideValidity(f"breathing {breathing!r}", required=f"one of: {', '.join(by_kind)}")
    limit = MAX_BREATH_MM * size
    return Motion(min(by_kind[breathing], limit), translation, turn, np.clip(bend, -40, 40), size=size)


def breathing_phases(mean: Motion, phases: int = 4) -> tuple[Motion, ...]:
    """Equally likely moments of quiet breathing whose mean depth is that of `mean`; their average is the blur of a slow scan.

    The depth follows cos^4 of time, so that most of it is spent near expiration [lujan1999].
    """
    times = (np.arange(phases) + 0.5) / phases / 2
    depths = np.cos(np.pi * times) ** 4
    depths *= mean.breath_mm / depths.mean()
    limit = MAX_BREATH_MM * mean.size
    return tuple(evolve(mean, breath_mm=min(float(depth), limit)) for depth in depths)
