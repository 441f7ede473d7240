"""True label maps, contents and displacement fields of scans, under the hash of their content: large, and only on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from attrs.converters import optional

from lutra.core.frozen import float32
from lutra.core.grid import Grid
from lutra.core.volume import Volume
from lutra.simulate.scene import Scene
from lutra.store import ArtifactStore

FOLDER = "arrays"


def _labels(given: npt.ArrayLike) -> npt.NDArray[np.int16]:
    array = np.array(given, np.int16)
    array.setflags(write=False)
    return array


@frozen(eq=False)
class ScanFields:
    """What is where in one scan.

    Parameters
    ----------
    names
        Of the regions.
    labels
        Number of the region that has most of a voxel, from 1 on in the order of `names`; 0 is air. (i, j, k)
    displacement_mm
        What to add to the centre of a voxel to come to its place in the reference posture. [mm] (i, j, k, 3)
    held
        What each voxel held, with the texture of the lesions, before any scanner saw it: Bq/mL at the start of a SPECT, SUV by body
        weight for PET [g/mL]; None for CT and MR. (i, j, k)
    """

    grid: Grid
    names: tuple[str, ...]
    labels: npt.NDArray[np.int16] = field(converter=_labels)
    displacement_mm: npt.NDArray[np.float32] = field(converter=float32)
    held: npt.NDArray[np.float32] | None = field(default=None, converter=optional(float32))


def fields_of(scene: Scene, painted: Volume | None = None) -> ScanFields:
    """Draw up the fields of a scene.

    Parameters
    ----------
    painted
        What its voxels hold.
    """
    labels = np.zeros(scene.grid.shape, np.int16)
    most: npt.NDArray[Any] = np.zeros(scene.grid.shape, np.float32)
    covered = np.zeros(scene.grid.shape, np.float32)
    for number, region in enumerate(scene.regions.values(), start=1):
        box, share = region.box, region.fraction
        wins = share > most[box]
        labels[box][wins] = number
        most[box] = np.maximum(most[box], share)
        covered[box] += share
    labels[1 - covered > most] = 0
    held = None if painted is None else painted.values
    return ScanFields(scene.grid, tuple(scene.regions), labels, scene.motion.displacement_on(scene.grid), held)


def store_of(truth: Path) -> ArtifactStore:
    """Open the shelf of a truth folder."""
    return ArtifactStore(truth / FOLDER, (ScanFields,))


def keep_fields(scene: Scene, truth: Path, painted: Volume | None = None) -> str:
    """Keep the fields of a scene and return their hash. [hex]"""
    return store_of(truth).put(fields_of(scene, painted))
