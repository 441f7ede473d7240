"""What every deformable registration does around its own method: where it starts, what it works on, whether it is believed.

A registrar here finds a displacement on a coarse grid; this module puts it behind the rigid start, so that nothing is
resampled twice, states its error, and gives it up when it is not to be believed. The rigid transform then stands.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from attrs import evolve

from lutra.align.field_quality import FieldLimits, dice, error_mm, field_doubts, there_and_back_mm, volume_ratios
from lutra.align.harmonise import BODY_HU, BONE_HU, Comparable, comparable
from lutra.align.shared_frame import SharedFrame
from lutra.core.errors import OutsideValidity
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.region import Region
from lutra.core.transform import DisplacementField, Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.sample import sampled

Engine = Callable[[Volume, Volume, npt.NDArray[np.bool_]], npt.NDArray[np.float32]]
"""Fixed and moving image on one grid, and where they can be compared -> displacement that takes points of the first to the
second. [mm] (i, j, k, 3)"""


def refined(
    fixed: Volume,
    moving: Volume,
    start: Transform | None,
    fixed_mask: Region | None,
    *,
    spacing_mm: float,
    engine: Engine,
    method: str,
    limits: FieldLimits | None = None,
) -> Outcome[Transform]:
    """Bend what the start leaves unexplained, or say why that cannot be believed.

    It is registered a second time with the images exchanged, to see whether both agree.

    Parameters
    ----------
    start
        Rigid or affine; without one the images must share a frame of reference.

    Returns
    -------
    Outcome
        No value when there is nothing to start from, or a check fails: the start then stands.
    """
    if start is None:
        shared = SharedFrame().register(fixed, moving, FrozenMap(), 0)
        if shared.value is None:
            return shared
        start = shared.value
    if start.displacement is not None:
        return Outcome(None, (_not_started("its start is bent already, and only an affine one can be refined"),))
    try:
        pair = comparable(fixed, moving, start, spacing_mm, fixed_mask)
    except OutsideValidity as error:
        return Outcome(None, (_not_started(str(error)),))
    field = DisplacementField(pair.fixed.grid, engine(pair.fixed, pair.moving, pair.reached))
    back = DisplacementField(pair.fixed.grid, engine(pair.moving, pair.fixed, pair.reached))
    quality = checked(pair, field, back)
    doubts = field_doubts(quality, limits or FieldLimits())
    if doubts:
        return Outcome(None, doubts)
    how = f"{method} on {spacing_mm:g} mm; start: {start.method}"
    found = evolve(start, displacement=field, quality=quality, method=how, error_mm=error_mm(quality))
    return Outcome(found)


def checked(pair: Comparable, field: DisplacementField, back: DisplacementField) -> dict[str, float]:
    """Every check that can be made, by the names of :data:`lutra.core.transform.QUALITY`."""
    quality = volume_ratios(field, pair.body)
    quality["inverse_consistency_mm"] = float(np.percentile(there_and_back_mm(field, back, pair.body), 95))
    points = field.grid.to_lps_mm(np.moveaxis(np.indices(field.grid.shape), 0, -1))
    warped = sampled(pair.moving, points + field.lps_mm)
    here = pair.fixed.values
    quality["correlation"] = float(np.corrcoef(here[pair.body], warped[pair.body])[0, 1])
    if pair.fixed.unit == Unit.HU:
        around = pair.reached
        overlaps = {"body_dice": BODY_HU, "bone_dice": BONE_HU}
        for name, above in overlaps.items():
            overlap = dice(here > above, warped > above, around)
            if overlap is not None:
                quality[name] = overlap
    return quality


def _not_started(why: str) -> Finding:
    return Finding(
        Severity.UNDETERMINED,
        "align.not-deformable",
        f"No deformable registration was made: {why}. The rigid one stands.",
    )
