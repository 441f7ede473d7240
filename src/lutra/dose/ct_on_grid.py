"""The CT of a SPECT on the voxels of the SPECT."""

from __future__ import annotations

import numpy as np
from attrs import evolve
from scipy.ndimage import distance_transform_edt, uniform_filter

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.transform import Transform
from lutra.core.volume import Volume
from lutra.imaging.itk import resampled

NOWHERE = -30000.0
"""Marks voxels that the CT does not reach. [HU]"""
SHARE_FLAG = 0.01
"""Share of the activity outside the CT above which it is a warning. [1] Our own choice."""


def ct_on_grid(ct: Volume, image: Volume) -> Outcome[Volume]:
    """Average the CT within each voxel of the image.

    Where the CT does not reach, the nearest voxel that it does reach stands in: a body goes on beyond the last slice, and beside
    the table is air.

    Parameters
    ----------
    ct
        [HU]
    image
        Activity in the same frame of reference. [Bq/mL]

    Raises
    ------
    GridMismatch
        If the frames differ.
    """
    ratio = [max(1, round(b / a)) for a, b in zip(_along(ct, image), image.grid.spacing_mm, strict=True)]
    order = _order(ct, image)
    size = [ratio[order.index(axis)] for axis in range(3)]
    smooth = evolve(ct, values=uniform_filter(ct.values, size, mode="nearest"))
    frame = ct.grid.frame_of_reference
    placed = resampled(smooth, image.grid, Transform(frame, frame, np.eye(4), 0.0, "same frame"), outside=NOWHERE)
    values = placed.values.copy()
    unknown = values < NOWHERE / 2
    if unknown.all():
        text = "the CT does not reach the field of the SPECT anywhere; check that the two belong together"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "dose.ct-elsewhere", text),))
    findings = []
    if unknown.any():
        nearest = distance_transform_edt(unknown, image.grid.spacing_mm, return_distances=False, return_indices=True)
        values = values[tuple(nearest)]
        activity = np.maximum(image.values, 0).astype(np.float64)
        share = float(activity[unknown].sum() / activity.sum()) if activity.sum() > 0 else 0.0
        text = (
            f"{unknown.mean():.0%} of the field of the SPECT, with {share:.1%} of its activity, lies outside the CT; the nearest "
            "voxel of the CT stands in there, so that photons from there are followed through a body that was not seen"
        )
        severity = Severity.WARNING if share > SHARE_FLAG else Severity.INFO
        findings.append(Finding(severity, "dose.ct-does-not-reach", text))
    return Outcome(evolve(placed, values=values), findings)


def _order(ct: Volume, image: Volume) -> list[int]:
    """Axis of the CT that runs along each axis of the image."""
    directions = ct.grid.affine_lps_mm[:3, :3] / np.linalg.norm(ct.grid.affine_lps_mm[:3, :3], axis=0)
    along = image.grid.affine_lps_mm[:3, :3] / np.linalg.norm(image.grid.affine_lps_mm[:3, :3], axis=0)
    found: list[int] = np.abs(along.T @ directions).argmax(axis=1).tolist()
    return found if len(set(found)) == 3 else [0, 1, 2]


def _along(ct: Volume, image: Volume) -> list[float]:
    return [ct.grid.spacing_mm[axis] for axis in _order(ct, image)]
