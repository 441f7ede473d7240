"""Which regions the cross-dose of a region comes from, so that it is as uncertain as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import hypot

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.curve import TacFit
from lutra.core.dose import DoseProblem
from lutra.core.estimate import Draws
from lutra.dose.tia_map import TiaMap
from lutra.physics.point_kernel import EDGES_G_PER_CM2, point_kernel

Array = npt.NDArray[np.float64]

CROSS_DOSE = "cross-dose"
SOURCE_POINTS, TARGET_POINTS = 400, 32
"""Points that stand for a region that sends, and for one that receives."""
MM_PER_CM = 10.0


@frozen(eq=False)
class Sender:
    """A region with decays.

    Parameters
    ----------
    target
        Its place among the targets; None for the remainder.
    points_mm
        Middles of equal parts of its decays. [mm] (n, 3)
    """

    target: int | None
    fit: TacFit
    points_mm: Array


def senders(problem: DoseProblem, tia: TiaMap) -> tuple[Sender, ...]:
    """Take every region with decays as some points."""
    spacing = np.array(problem.image.grid.spacing_mm)
    found, rest = [], tia.decays.copy()
    for n, (target, share) in enumerate(zip(problem.targets, tia.shares, strict=True)):
        rest[share.box] -= share.decays
        if target.fit is not None and share.decays.any():
            points = _points(share.decays, SOURCE_POINTS) + share.start_ijk
            found.append(Sender(n, target.fit, points * spacing))
    rest = np.maximum(rest, 0.0)
    if problem.remainder is not None and rest.any():
        found.append(Sender(None, problem.remainder, _points(rest, SOURCE_POINTS) * spacing))
    return tuple(found)


def cross_budget(
    problem: DoseProblem, n: int, crossing_gy: float, of: Sequence[Sender], own: Draws | None
) -> Mapping[str, float | None]:
    """Uncertainty of what comes from elsewhere: that of the activity there, by name where it can be. [Gy]

    A transport for every source would take as long as all the rest. The cross-dose, which *is* followed, is divided among its
    sources as photons between some points of both regions would be in endless soft tissue: a rough division, of a number that is
    not rough. What a source holds as draws, or the own dose holds as draws by the same name, is summed up as "cross-dose"; so is
    what was not evaluated, which would otherwise hide behind many names.

    Parameters
    ----------
    n
        The target that receives.
    own
        Draws that the own dose of the target carries.
    """
    others = [sender for sender in of if sender.target != n]
    if crossing_gy <= 0 or not others:
        return {}
    weights = _weights(problem, n, others)
    carried = set() if own is None else set(own.sources)
    named: dict[str, float] = {}
    apart: list[float] = []
    complete = problem.remainder is not None
    for sender, weight in zip(others, weights, strict=True):
        decays = sender.fit.time_integrated_activity
        drawn = carried | (set() if decays.draws is None else set(decays.draws.sources))
        for name, sd in decays.budget.items():
            part = None if sd is None else crossing_gy * weight * sd / decays.value
            if part is None:
                complete = False
            elif name in drawn:
                apart.append(part)
            else:
                named[name] = named.get(name, 0.0) + part
    return named | ({CROSS_DOSE: hypot(*apart) if complete else None} if apart or not complete else {})


def _weights(problem: DoseProblem, n: int, others: Sequence[Sender]) -> list[float]:
    """Share of each sender in the cross-dose of a target. [1]"""
    region, spacing = problem.targets[n].region, np.array(problem.image.grid.spacing_mm)
    points = (_points(region.fraction.astype(np.float64), TARGET_POINTS) + region.start_ijk) * spacing
    sent = [
        sender.fit.time_integrated_activity.value
        * _photon_density(problem.nuclide, sender.points_mm, points, float(spacing.min()) / 2)
        for sender in others
    ]
    return [part / sum(sent) for part in sent]


def _points(weights: Array, n: int) -> Array:
    """Voxels at the middles of n equal parts of a map, taken in order of the voxels. (n, 3)"""
    cumulated = np.cumsum(weights.ravel())
    at = np.searchsorted(cumulated, (np.arange(n) + 0.5) / n * cumulated[-1])
    return np.stack(np.unravel_index(at, weights.shape), axis=-1).astype(np.float64)


def _photon_density(nuclide: str, one_mm: Array, other_mm: Array, least_mm: float) -> float:
    """Mean photon energy per volume between points of two regions, in arbitrary units."""
    kernel = point_kernel(nuclide, "soft_tissue")
    edges = EDGES_G_PER_CM2[1:]
    density = kernel.photon_kev[1:] / np.diff(edges**3)
    apart = np.linalg.norm(one_mm[:, None] - other_mm[None], axis=-1)
    return float(np.interp(np.maximum(apart, least_mm) / MM_PER_CM, np.sqrt(edges[1:] * edges[:-1]), density).mean())
