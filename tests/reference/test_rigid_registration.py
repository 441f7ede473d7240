"""Our maximum of mutual information against that of another program: ITK's Mattes metric with its gradient descent."""

from __future__ import annotations

import numpy as np
import SimpleITK
from scipy import ndimage

from lutra.align.rigid import RigidRegistration
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.itk import image_of, itk_transform, transform_of
from lutra.simulate.moved import moved, noisy, other_contrast


def test_itk_finds_the_same_place() -> None:
    """Another contrast and noise, voxels of 5 mm: within a tenth of a voxel, of which both have some to the truth."""
    rng = np.random.default_rng(5)
    grid = Grid((56, 48, 50), np.diag([5.0, 5, 5, 1]), "1")
    x, y, z = np.moveaxis(grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    values = np.where(((x - 140) / 115) ** 2 + ((y - 120) / 95) ** 2 < 1, -90.0, -1000.0)
    for hu in np.tile([30.0, 120, 50, 350, 140], 5):
        place, size = rng.uniform((60, 60, 20), (220, 180, 230)), rng.uniform(15, 40, 3)
        values[(((x, y, z) - place.reshape(3, 1, 1, 1)) ** 2 / size.reshape(3, 1, 1, 1) ** 2).sum(axis=0) < 1] = hu
    fixed = noisy(Volume(ndimage.gaussian_filter(values, 0.7), grid, Unit.HU), 15.0, 1)
    scan, truth = moved(fixed, (4, -3, 5), (20, -15, 10), "2", 6)
    moving = noisy(other_contrast(scan), 20.0, 2)
    ours = RigidRegistration().register(fixed, moving, FrozenMap(), 1).value
    assert ours is not None

    method = SimpleITK.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.4, 3)
    method.SetInterpolator(SimpleITK.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 60, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    begin = SimpleITK.Euler3DTransform(itk_transform(truth))
    begin.SetTranslation(np.add(begin.GetTranslation(), (2.0, -1.0, 1.5)).tolist())
    method.SetInitialTransform(begin, inPlace=True)
    images = (SimpleITK.Cast(image_of(volume), SimpleITK.sitkFloat32) for volume in (fixed, moving))
    method.Execute(*images)
    theirs = transform_of(begin, "1", "2", None, "ITK")

    points = grid.to_lps_mm(rng.uniform((15, 12, 8), (40, 36, 42), (50, 3)))
    apart = np.linalg.norm(ours.moving_points(points) - theirs.moving_points(points), axis=1)
    assert np.median(apart) < 0.5
