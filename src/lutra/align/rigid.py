"""Rigid registration by mutual information, from every start that could matter, with an error of its own.

1. All shifts of one image over the other, straight and turned, are scored on a coarse grid (:mod:`lutra.align.multistart`). The
   peaks are climbed from on few samples, the best distinct answers on more of them, the best of these on fine voxels.
2. Starts around the answer have to come back to it; its eight parts are shifted on their own, and what they differ by is the
   error (:mod:`lutra.align.quality`).
3. An answer that these checks speak against is not given (:mod:`lutra.align.failure`).

Everything runs in one thread and all random points follow from the seed: the result does not depend on the number of processors.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutra.align.failure import FAILED, impossible, judged
from lutra.align.multistart import peaks
from lutra.align.mutual_information import MutualInformation, points_in, samples_of
from lutra.align.pose import Pose
from lutra.align.pyramid import LEAST_VOXELS, Level, Pyramid, pyramid
from lutra.align.quality import body_dice, bone_dice, distance_mm, error_mm, overlap, spread_mm
from lutra.align.refine import COARSE_MM, Optimum, climb
from lutra.align.settings import numbers
from lutra.core.finding import Outcome
from lutra.core.frozen import FrozenMap, float64
from lutra.core.grid import Grid
from lutra.core.region import Region
from lutra.core.transform import Transform
from lutra.core.volume import Volume
from lutra.imaging.regrid import regrid
from lutra.ports import Settings

DEFAULTS = {"voxel_mm": 3.0}
"""Options: edge of the voxels of the last level, finer ones are averaged. [mm] At 3 mm a CT of the abdomen is found to 0.05 mm."""
STARTS = 30
"""Peaks of the scan that are climbed from."""
FEW_SAMPLES, SOME_SAMPLES, MANY_SAMPLES = 2_500, 12_000, 50_000
FEW_BINS, MANY_BINS = 16, 32
"""Bins of grey levels: few samples fill no more of them, and a histogram that is not filled favours small overlaps."""
KEPT, DISTINCT_MM = 5, 10.0
"""How many answers are followed up, and how far apart they are. [mm]"""
AGAIN, AGAIN_MM, SAME_MM = 8, 15.0, 5.0
"""Starts around the answer, how far each of their six numbers is off at most, and what still counts as the answer. [mm]"""
LEAST_SHARE = 0.25
"""Share of the smaller body that has to lie in both images. [1]"""


class RigidRegistration:
    """Registrar for images of one person that did not change shape."""

    def register(
        self,
        fixed: Volume,
        moving: Volume,
        settings: Settings,
        seed: int,
        start: Transform | None = None,
        fixed_mask: Region | None = None,
    ) -> Outcome[Transform]:
        """Return the rigid transform with its error and checks, or say that the registration failed.

        Parameters
        ----------
        start
            A further start; the others are tried all the same.
        fixed_mask
            The answer is searched with all of the fixed image, then found on this part of it alone, and its error is stated there.

        Raises
        ------
        ProtocolError
            If an option is not known.
        GridMismatch, OutsideValidity
            If the mask is in another frame of reference than the fixed image, or beside it.
        """
        options = numbers(settings, DEFAULTS, "rigid")
        if why := _unusable(fixed, "fixed") or _unusable(moving, "moving"):
            return Outcome(None, (impossible(why, fixed.grid, moving.grid),))
        one, other = (pyramid(image, options["voxel_mm"]) for image in (fixed, moving))
        if not (one.body.any() and other.body.any()):
            return Outcome(None, (impossible("one of them shows no body", fixed.grid, moving.grid),))
        pair = _Pair(one, other, seed)
        starts = [peak.pose for peak in peaks(pair.fixed, pair.moving, STARTS)]
        if not starts:
            return Outcome(None, (impossible("they have no contrast in common", fixed.grid, moving.grid),))
        if start is not None:
            starts.append(Pose.of(float64(np.linalg.inv(start.fixed_from_moving)), pair.centre_mm))
        answer, rival = pair.searched(starts)
        where = None if fixed_mask is None else _on(pair.fixed.coarse.grid, fixed_mask)
        return pair.concluded(answer, rival, where, fixed.grid, moving.grid)


class _Pair:
    """Two prepared images and the random points that measure how well they fit."""

    def __init__(self, fixed: Pyramid, moving: Pyramid, seed: int) -> None:
        self.fixed, self.moving = fixed, moving
        self._rng = np.random.default_rng([seed, *b"rigid registration"])
        body = np.argwhere(fixed.body)
        self.centre_mm = fixed.centre_mm
        some = body[:: max(1, len(body) // 300)]
        self._body_mm = fixed.coarse.grid.to_lps_mm(some) - self.centre_mm
        self._few = self._metric(fixed.around_body, "coarse", FEW_SAMPLES, FEW_BINS)

    def searched(self, starts: list[Pose]) -> tuple[Pose, float]:
        """Find the best answer from all starts, and what share of its mutual information the next one elsewhere has."""
        found = [climb(self._few, start, most=25, within_mm=COARSE_MM) for start in starts]
        distinct = self._distinct(found)[:KEPT]
        some = self._metric(self.fixed.around_body, "coarse", SOME_SAMPLES, MANY_BINS)
        best, *others = self._distinct([climb(some, answer.pose, most=40, within_mm=COARSE_MM) for answer in distinct])
        rival = max((other.value for other in others), default=1.0)
        return best.pose, (rival - 1) / (best.value - 1) if best.value > 1 else 1.0

    def concluded(
        self, answer: Pose, rival: float, where: npt.NDArray[np.bool_] | None, fixed: Grid, moving: Grid
    ) -> Outcome[Transform]:
        """Find the answer on fine voxels, in a part of the fixed image or all of it, check it and state its error."""
        where = self.fixed.around_body if where is None else where
        many = self._metric(where, "fine", MANY_SAMPLES, MANY_BINS)
        best = climb(many, answer, most=40)
        moving_from_fixed = best.pose.moving_from_fixed(self.centre_mm)
        back = self._back_from_around(best.pose, self._metric(where, "coarse", FEW_SAMPLES, FEW_BINS))
        quality = {
            "starts_agreeing": len(back) / AGAIN,
            "multi_start_agreement_mm": spread_mm([best.pose, *back], self._body_mm),
            "overlap": overlap(self.fixed.coarse.grid, self.moving.coarse.grid, moving_from_fixed),
            "mutual_information": best.value,
        }
        for name, dice in (("body_dice", body_dice), ("bone_dice", bone_dice)):
            share = dice(self.fixed, self.moving, moving_from_fixed)
            if share is not None:
                quality[name] = share
        expected_mm = error_mm(many, best, max(self.fixed.fine.grid.spacing_mm), self._rng)
        finding = judged({"error_mm": expected_mm, "rival": rival, **quality}, fixed, moving)
        if finding and finding.code == FAILED:
            return Outcome(None, (finding,))
        edges = " × ".join(f"{edge:.3g}" for edge in self.fixed.fine.grid.spacing_mm)
        transform = Transform(
            fixed.frame_of_reference,
            moving.frame_of_reference,
            np.linalg.inv(moving_from_fixed),
            expected_mm,
            f"rigid, by normalised mutual information on voxels of {edges} mm",
            None,
            FrozenMap(quality),
        )
        return Outcome(transform, (finding,) if finding else ())

    def _metric(self, where: npt.NDArray[np.bool_], level: str, n: int, bins: int) -> MutualInformation:
        fixed: Level = getattr(self.fixed, level)
        points = points_in(self.fixed.coarse.grid, where, n, self._rng)
        least = LEAST_SHARE * min(1.0, self.moving.body_ml / self.fixed.body_ml)
        return MutualInformation(
            samples_of(fixed, points, self.centre_mm, bins), getattr(self.moving, level), self.centre_mm, least
        )

    def _distinct(self, found: list[Optimum]) -> list[Optimum]:
        """Answers that are not the same as a better one, best first."""
        kept: list[Optimum] = []
        for answer in sorted(found, key=lambda answer: -answer.value):
            if all(distance_mm(answer.pose, better.pose, self._body_mm) > DISTINCT_MM for better in kept):
                kept.append(answer)
        return kept

    def _back_from_around(self, answer: Pose, few: MutualInformation) -> list[Pose]:
        """Where starts around the answer end, those that come back to it."""
        offs = self._rng.uniform(-AGAIN_MM, AGAIN_MM, (AGAIN, 6))
        ends = [climb(few, Pose(answer.numbers_mm + off), most=40, within_mm=COARSE_MM).pose for off in offs]
        return [end for end in ends if distance_mm(end, answer, self._body_mm) <= SAME_MM]


def _unusable(image: Volume, which: str) -> str | None:
    if min(image.values.shape) < LEAST_VOXELS:
        return f"the {which} image has fewer than {LEAST_VOXELS} voxels along an axis"
    if not np.isfinite(image.values).all():
        return f"the {which} image holds values that are not finite"
    return None


def _on(grid: Grid, region: Region) -> npt.NDArray[np.bool_]:
    """Voxels of a grid that a region touches."""
    start, fraction = regrid(region.start_ijk, region.fraction, region.grid, grid)
    touched = np.zeros(grid.shape, bool)
    box = tuple(slice(first, first + n) for first, n in zip(start, fraction.shape, strict=True))
    touched[box] = fraction > 0
    return touched
