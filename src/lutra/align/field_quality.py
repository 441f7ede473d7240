"""What can be told of a displacement field without knowing the truth.

A field that folds, or swells an organ to twice its volume, moves in no way a body does. One that does not lead back to where it
came from, when the images change places, has followed noise. And images that still differ where it ends have not been explained
by it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.finding import Finding, Severity
from lutra.core.transform import DisplacementField

MOST_POINTS = 40_000
"""Points a field is followed there and back from. [1]"""
ERROR_FLOOR_MM, ERROR_PER_MISS, ERROR_PER_UNLIKE_MM, ALIKE = 1.0, 0.45, 150.0, 0.98
"""Of the line for the error. [mm], [1], [mm], [1]"""
Mask = npt.NDArray[np.bool_]


@frozen
class FieldLimits:
    """Where a displacement field stops being believed.

    Between what seeded warps of a real CT reach (correlation .97, skeletons .87, directions 4 mm apart at most) and what wrong
    anatomy, a start 40 mm and more away and warps beyond reach leave (correlation .935 at best; at .96 a warp of 19 mm was still
    5 mm off), see bench/align/deformable_accuracy.py.

    Parameters
    ----------
    jacobian_low, jacobian_high
        Local volume ratio, 1st and 99th percentile, beyond which a change of volume is implausible. [1]
    folded
        Share of the region that may fold. [1]
    inverse_consistency_mm
        95th percentile up to which the two directions agree. [mm]
    correlation
        Of the images where the field ends, at least. [1]
    body_dice, bone_dice
        Overlap of the bodies and skeletons where the field ends, at least. [1]
    """

    jacobian_low: float = 0.5
    jacobian_high: float = 1.8
    folded: float = 1e-4
    inverse_consistency_mm: float = 8.0
    correlation: float = 0.955
    body_dice: float = 0.95
    bone_dice: float = 0.75


def jacobian(field: DisplacementField) -> npt.NDArray[np.float64]:
    """Volume a small piece of the fixed image has in the moving one, over the one it has here. [1] (i, j, k)

    Only the bent part counts: 1 for a field that is the same everywhere.
    """
    if min(field.grid.shape) < 2:  # one voxel thick says nothing of how the field changes across
        return np.ones(field.grid.shape)
    u_mm = field.lps_mm.astype(np.float64)
    per_index = np.stack([np.gradient(u_mm, axis=axis) for axis in range(3)], axis=-1)
    per_mm = per_index @ np.linalg.inv(field.grid.affine_lps_mm[:3, :3])
    return np.asarray(np.linalg.det(per_mm + np.eye(3)))


def volume_ratios(field: DisplacementField, region: Mask) -> dict[str, float]:
    """Percentiles of the Jacobian and the folded share over a region of the field's grid."""
    ratio = jacobian(field)[region]
    low, high = np.percentile(ratio, (1, 99))
    return {"jacobian_low": float(low), "jacobian_high": float(high), "folded": float(np.mean(ratio <= 0))}


def there_and_back_mm(there: DisplacementField, back: DisplacementField, region: Mask) -> npt.NDArray[np.float64]:
    """Distance by which points miss themselves after both of two independent registrations. [mm] (n,)

    Parameters
    ----------
    there, back
        Found with the images in either role, both stated in the fixed frame.
    """
    index = np.argwhere(region)
    points = there.grid.to_lps_mm(index[:: max(1, len(index) // MOST_POINTS)])
    middle = points + there.at(points)
    return np.asarray(np.linalg.norm(middle + back.at(middle) - points, axis=-1))


def error_mm(quality: Mapping[str, float]) -> float:
    """Estimate the error of a point from how far two directions miss each other and how alike the images are. [mm]

    Both directions share what misleads both, so their distance alone is not the error. The line goes through warps of a real CT
    with known displacement that were registered by demons, well and badly (bench/align/deformable_accuracy.py); more noise than
    there makes images less alike, and the error overstated.
    """
    unlike = max(0.0, ALIKE - quality["correlation"])
    return ERROR_FLOOR_MM + ERROR_PER_MISS * quality["inverse_consistency_mm"] + ERROR_PER_UNLIKE_MM * unlike


def dice(one: Mask, other: Mask, region: Mask) -> float | None:
    """Overlap of two masks within a region; None where neither is. [1]"""
    total = int((one & region).sum()) + int((other & region).sum())
    return 2 * float((one & other & region).sum()) / total if total else None


def field_doubts(quality: dict[str, float], limits: FieldLimits) -> tuple[Finding, ...]:
    """Say which checks a deformable registration fails; any of them takes its value away."""
    found = []
    folded = quality["folded"]
    if folded > limits.folded:
        found.append(
            ("align.folded", f"the displacement folds in {folded:.2%} of the region, where one place would become two")
        )
    low, high = quality["jacobian_low"], quality["jacobian_high"]
    if low < limits.jacobian_low or high > limits.jacobian_high:
        text = (
            f"it changes local volumes to between {low:.2f} and {high:.2f} times (1st and 99th percentile); between "
            f"{limits.jacobian_low:g} and {limits.jacobian_high:g} is plausible"
        )
        found.append(("align.implausible-volume-change", text))
    missed = quality.get("inverse_consistency_mm", 0.0)
    if missed > limits.inverse_consistency_mm:
        text = (
            f"registered both ways, points miss themselves by {missed:.1f} mm (95th percentile; up to "
            f"{limits.inverse_consistency_mm:g} mm is plausible)"
        )
        found.append(("align.directions-differ", text))
    alike = ("correlation", limits.correlation), ("body_dice", limits.body_dice), ("bone_dice", limits.bone_dice)
    unlike = [
        f"{name} {quality[name]:.2f} (at least {limit:g})" for name, limit in alike if quality.get(name, 1.0) < limit
    ]
    if unlike:
        found.append(("align.still-different", f"the images still differ where it ends: {', '.join(unlike)}"))
    evidence = {name: f"{value:.4g}" for name, value in quality.items()}
    return tuple(
        Finding(
            Severity.WARNING,
            code,
            f"A deformable registration was given up: {text}. The rigid one stands. Check that both images show this part of "
            "this person, or draw the regions on this image.",
            evidence,
        )
        for code, text in found
    )
