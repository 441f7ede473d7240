"""Deformable registration of two CT by demons: every voxel is pushed along the edges until the images agree, and smoothed.

The fast symmetric forces of [vercauteren2009] over three levels of resolution, with the field smoothed after each step as in
[thirion1998]. It compares values, so it is for two images of one kind. What contrast medium adds to an organ as a whole is taken
out after a rough registration; what is left of it costs accuracy, and bench/align/deformable_accuracy.py prints how much.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import SimpleITK
from attrs import evolve

from lutra.align.deformable import refined
from lutra.align.harmonise import without_medium
from lutra.align.settings import numbers
from lutra.core.finding import Outcome
from lutra.core.region import Region
from lutra.core.transform import Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.itk import image_of
from lutra.imaging.sample import sampled
from lutra.ports import Settings

ROUGH, LEVELS = ((4, 60), (2, 40)), ((4, 60), (2, 40), (1, 30))
"""Shrinking of the grid, and iterations: five times as many change the error by less than 0.1 mm."""
THREADS = 2
"""The result does not depend on it."""
SPACING_MM, SMOOTHING_VOXELS = 4.0, 1.5
ROUGH_SMOOTHING_VOXELS = 2.0


class Demons:
    """Registrar for images of one kind whose organs moved."""

    def register(
        self,
        fixed: Volume,
        moving: Volume,
        settings: Settings,
        seed: int,  # noqa: ARG002 part of the port: nothing is drawn
        start: Transform | None = None,
        fixed_mask: Region | None = None,
    ) -> Outcome[Transform]:
        """Bend what `start` leaves unexplained.

        Settings: `spacing_mm`, of the displacement field [mm] (4: organs are followed to half of it, at an eighth of the time
        of 2); `smoothing_voxels`, standard deviation of the smoothing of the field after each step (1.5: the least at which noise
        of a low-dose CT folds nothing).

        Parameters
        ----------
        start
            Rigid; without one the images must share a frame of reference.
        fixed_mask
            Where the checks are made; the field is found everywhere.
        """
        options = numbers(settings, {"spacing_mm": SPACING_MM, "smoothing_voxels": SMOOTHING_VOXELS}, "demons")

        def engine(one: Volume, other: Volume, body: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
            return displacement(one, other, body, options["smoothing_voxels"])

        return refined(
            fixed,
            moving,
            start,
            fixed_mask,
            spacing_mm=options["spacing_mm"],
            engine=engine,
            method=f"fast symmetric demons, smoothed by {options['smoothing_voxels']:g} voxels",
        )


def displacement(
    fixed: Volume, moving: Volume, body: npt.NDArray[np.bool_], smoothing_voxels: float
) -> npt.NDArray[np.float32]:
    """Displacement that takes points of the fixed image to the moving one; both on one grid. [mm] (i, j, k, 3)

    In CT a rough registration shows by how much organs as a whole differ; without that difference it is made anew.
    """
    if fixed.unit == Unit.HU:
        rough = _run(fixed, moving, ROUGH, ROUGH_SMOOTHING_VOXELS)
        points = fixed.grid.to_lps_mm(np.moveaxis(np.indices(fixed.grid.shape), 0, -1))
        fixed = without_medium(fixed, evolve(moving, values=sampled(moving, points + rough)), body)
    return _run(fixed, moving, LEVELS, smoothing_voxels)


def _run(
    fixed: Volume, moving: Volume, levels: tuple[tuple[int, int], ...], smoothing_voxels: float
) -> npt.NDArray[np.float32]:
    here, there = image_of(fixed), image_of(moving)
    field = None
    for shrink, iterations in levels:
        one, other = (_coarser(image, shrink) for image in (here, there))
        demons = SimpleITK.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfThreads(THREADS)
        demons.SetNumberOfIterations(iterations)
        demons.SetSmoothDisplacementField(True)  # noqa: FBT003 theirs
        demons.SetStandardDeviations(smoothing_voxels)
        field = demons.Execute(one, other) if field is None else demons.Execute(one, other, _on(field, one))
    return np.asarray(SimpleITK.GetArrayFromImage(_on(field, here)).transpose(2, 1, 0, 3), np.float32)


def _coarser(image: SimpleITK.Image, factor: int) -> SimpleITK.Image:
    if factor == 1:
        return image
    smooth = SimpleITK.SmoothingRecursiveGaussian(image, 0.5 * factor * image.GetSpacing()[0])
    return SimpleITK.Shrink(smooth, [factor] * 3)


def _on(field: SimpleITK.Image, image: SimpleITK.Image) -> SimpleITK.Image:
    """Bring a field to the grid of the next level; beyond the outermost centres it goes on as it ends."""
    onto = SimpleITK.ResampleImageFilter()
    onto.SetReferenceImage(image)
    onto.SetInterpolator(SimpleITK.sitkLinear)
    onto.SetUseNearestNeighborExtrapolator(True)  # noqa: FBT003 theirs
    return onto.Execute(field)
