"""Decays of every voxel: the image says where within a region, the fits say how many."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.dose import DoseProblem, DoseTarget
from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Outcome, Severity, few
from lutra.core.frozen import float32, float64

Array = npt.NDArray[np.float64]


@frozen(eq=False)
class Share:
    """What one target owns of the grid.

    Parameters
    ----------
    start_ijk
        First voxel of the box.
    owned
        Share of each voxel of the box that is the target's. [1] (i, j, k)
    decays
        Decays in that share. [Bq.s] (i, j, k)
    activity
        Their sum, by the target's curve; None where it has none. [Bq.s]
    """

    start_ijk: tuple[int, int, int]
    owned: npt.NDArray[np.float32] = field(converter=float32)
    decays: npt.NDArray[np.float64] = field(converter=float64)
    activity: Estimate | None = None

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Where it lies."""
        i, j, k = (slice(first, first + n) for first, n in zip(self.start_ijk, self.owned.shape, strict=True))
        return i, j, k


@frozen(eq=False)
class TiaMap:
    """Decays per voxel and by whom.

    Parameters
    ----------
    decays
        All of them. [Bq.s] (i, j, k)
    shares
        One per target, in their order.
    """

    decays: npt.NDArray[np.float64] = field(converter=float64)
    shares: tuple[Share, ...]


def tia_map(problem: DoseProblem) -> Outcome[TiaMap]:
    """Spread the time-integrated activity of every target, and of the rest, over the voxels.

    Within a target voxels share the decays in proportion to the image, as if each of them washed out as the whole does. A
    voxel that several targets hold belongs to the first; of a voxel that a target holds in part, the rest is left for the next.
    What nobody owns belongs to the remainder. A target without a fit owns nothing: its voxels are part of the remainder, which is
    what the image holds outside all curves, so that nothing is lost and nothing counted twice.

    Returns
    -------
    Outcome
        None and `dose.no-decays` if there is nothing to spread.
    """
    image = np.nan_to_num(problem.image.values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    negative = -float(image[image < 0].sum())
    positive = np.maximum(image, 0.0)
    findings = _negative(negative, float(positive.sum()))
    left = np.ones(image.shape)
    decays = np.zeros(image.shape)
    shares: list[Share] = []
    even = []
    for target in problem.targets:
        region = target.region
        held = region.fraction.astype(np.float64)
        activity = _activity(target)
        owned = np.zeros_like(held) if activity is None else np.minimum(held, left[region.box])
        if target.fit is not None and not owned.any():
            findings.append(_nowhere(target, activity))
            activity = None
        own, spread_evenly = _spread(owned, positive[region.box], 0.0 if activity is None else activity.value)
        even += [target.name] if spread_evenly else []
        left[region.box] -= owned
        decays[region.box] += own
        shares.append(Share(region.start_ijk, owned, own, activity))
    if problem.remainder is not None:
        own, _ = _spread(left, positive, max(0.0, problem.remainder.time_integrated_activity.value))
        decays += own
    else:
        text = (
            "activity outside the regions is not known, so that what it sends into them is not counted: photon doses are "
            "lower bounds. Required: the total activity in the field of view of each scan"
        )
        findings.append(Finding(Severity.WARNING, "dose.no-remainder", text))
    if even:
        text = f"the image shows no activity in {few(even)}, whose dose is taken as even; check the region on the SPECT"
        findings.append(Finding(Severity.WARNING, "dose.no-distribution", text))
    if not decays.sum() > 0:
        text = "no region and no remainder has decays to spread; check the curves of this cycle"
        return Outcome(None, (*findings, Finding(Severity.UNDETERMINED, "dose.no-decays", text)))
    return Outcome(TiaMap(decays, tuple(shares)), findings)


def _activity(target: DoseTarget) -> Estimate | None:
    """Time-integrated activity of a target's own curve; None where it has none, or none that can be one. [Bq.s]"""
    if target.fit is None:
        return None
    decays = target.fit.time_integrated_activity
    return decays if np.isfinite(decays.value) and decays.value >= 0 else None


def _nowhere(target: DoseTarget, activity: Estimate | None) -> Finding:
    if activity is None and target.fit is not None:
        value = target.fit.time_integrated_activity.value
        why = f"a time-integrated activity of {value:g} Bq.s is not possible; required: 0 or more; check the fit"
    else:
        why = "regions before it hold all of its voxels, or it has none; check the regions and their order"
    return Finding(Severity.UNDETERMINED, "dose.no-own-activity", f"{target.name}: no dose is given: {why}")


def _spread(owned: Array, image: Array, total_bq_s: float) -> tuple[Array, bool]:
    """Share a total over owned parts of voxels by the image; evenly, and True, where the image shows nothing there."""
    weights = owned * image
    if weights.sum() > 0:
        return weights * (total_bq_s / weights.sum()), False
    if owned.sum() > 0 and total_bq_s > 0:
        return owned * (total_bq_s / owned.sum()), True
    return np.zeros_like(owned), False


def _negative(negative: float, positive: float) -> list[Finding]:
    if negative <= NEGATIVE_FLAG * positive:
        return []
    text = (
        f"{negative / (negative + positive):.1%} of the activity image is below zero and was taken as none; "
        f"more than {NEGATIVE_FLAG:.0%} is unusual for a reconstruction: check the image"
    )
    return [Finding(Severity.WARNING, "dose.negative-activity", text)]


NEGATIVE_FLAG = 0.02
"""Share of negative activity above which a Finding says so. [1] Our own choice."""
