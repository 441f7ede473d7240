"""Dose maps of several cycles added up on the body of one of them.

Each map is taken, as dose and not as energy, at the point that a voxel of the reference grid has in that cycle's body: linear
between its voxel centres. Under a rigid motion the mass of a piece of tissue stays, so that doses of the same piece add. What
shrinks or swells between cycles does not keep its mass: the sum is there one of doses, not of energy over one mass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import evolve

from lutra.core.dose import CycleDoses, CycleSum, DoseMap
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.transform import Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.sample import sampled

EDGE = 0.5
"""A map reaches half a voxel beyond the centres of its outermost voxels. [voxels]"""


def sum_of_cycles(
    doses: Sequence[CycleDoses], cycles: Sequence[int], given: Sequence[int], transforms: Sequence[Transform] = ()
) -> Outcome[CycleSum]:
    """Add up the dose maps of all cycles in the frame of reference of the first.

    A sum that lacked a cycle, or the dose of one in part of the grid, would be read as the dose of all: it is not given
    there.

    Parameters
    ----------
    doses
        Answers of one engine, one per cycle, each with a map.
    cycles
        Their numbers.
    given
        Every cycle that was given.
    transforms
        Maps between frames of reference; they are chained and, where they have no displacement field, inverted.
    """
    maps = [(cycle, answer.dose) for cycle, answer in zip(cycles, doses, strict=True) if answer.dose is not None]
    missing = sorted(set(given) - {cycle for cycle, _ in maps})
    if missing or not maps:
        return Outcome(None, (_missing(missing),))
    (first, reference), *others = maps
    grid = reference.dose.grid
    total = np.asarray(reference.dose.values, np.float64)
    covered = np.ones(grid.shape, bool)
    points = grid.to_lps_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    errors: list[float | None] = []
    for cycle, made in others:
        chain = chained(transforms, grid.frame_of_reference, made.dose.grid.frame_of_reference)
        if chain is None:
            return Outcome(None, (_apart(first, cycle),))
        there = points
        for step, forwards in chain:
            there = step.moving_points(there) if forwards else step.fixed_points(there)
        total += sampled(made.dose, there)
        covered &= _within(made.dose.grid, there)
        errors += [step.error_mm for step, _ in chain]
    return _boxed(reference, total, covered, tuple(cycle for cycle, _ in maps), errors)


def chained(transforms: Sequence[Transform], start: str, goal: str) -> tuple[tuple[Transform, bool], ...] | None:
    """Find the fewest maps that take points of one frame of reference to another.

    Returns
    -------
    tuple or None
        Maps in the order of use, each with whether its `moving_points` is meant (else `fixed_points`); None without a way.
    """
    if not start or not goal:
        return None  # two frames without a name are not one
    ways: dict[str, tuple[tuple[Transform, bool], ...]] = {start: ()}
    waiting = deque([start])
    while waiting and goal not in ways:
        here = waiting.popleft()
        for step in transforms:
            for this, other, forwards in (
                (step.fixed_frame, step.moving_frame, True),
                (step.moving_frame, step.fixed_frame, False),
            ):
                if this == here and other not in ways:
                    ways[other] = (*ways[here], (step, forwards))
                    waiting.append(other)
    return ways.get(goal)


def _within(grid: Grid, points_lps_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    ijk = grid.to_ijk(points_lps_mm)
    inside: npt.NDArray[np.bool_] = np.all((ijk >= -EDGE) & (ijk <= np.subtract(grid.shape, 1) + EDGE), axis=-1)
    return inside


def _boxed(
    reference: DoseMap,
    total: npt.NDArray[np.float64],
    covered: npt.NDArray[np.bool_],
    cycles: tuple[int, ...],
    errors: Sequence[float | None],
) -> Outcome[CycleSum]:
    """Cut the sum to a box within which every cycle has a dose, taking off the face that lacks most until none does."""
    low, high = [0, 0, 0], list(covered.shape)
    box = tuple(map(slice, low, high))
    while covered[box].size and not covered[box].all():
        faces = [(axis, end) for axis in range(3) for end in (0, -1)]
        axis, end = min(faces, key=lambda face: np.take(covered[box], face[1], face[0]).mean())
        if end:
            high[axis] -= 1
        else:
            low[axis] += 1
        box = tuple(map(slice, low, high))
    if not covered[box].size:
        text = f"no voxel of the dose map of cycle {cycles[0]} lies in the maps of all other cycles: no sum is given"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "dose.sum-not-covered", text),))
    grid = reference.dose.grid
    affine = grid.affine_lps_mm.copy()
    affine[:3, 3] = grid.to_lps_mm(low)
    share = total[box].size / total.size
    error_mm = None if None in errors else max((e for e in errors if e is not None), default=0.0)
    dose = Volume(total[box], evolve(grid, shape=total[box].shape, affine_lps_mm=affine), Unit.GY)
    return Outcome(CycleSum(dose, cycles, share, error_mm, reference.engine), (_said(cycles, share, error_mm),))


def _said(cycles: tuple[int, ...], share: float, error_mm: float | None) -> Finding:
    error = "an error that was not evaluated" if error_mm is None else f"an error of up to {error_mm:.1f} mm"
    text = (
        f"dose maps of cycles {', '.join(map(str, cycles))} are added up on the body of cycle {cycles[0]}, on {share:.0%} of its "
        f"map, by transforms with {error}; beyond, another cycle has no dose, and the sum was not evaluated"
    )
    return Finding(Severity.INFO, "dose.sum-on-one-body", text)


def _missing(cycles: Sequence[int]) -> Finding:
    text = f"no engine gave a dose map of cycle {', '.join(map(str, cycles))}: no sum of all cycles is given"
    return Finding(Severity.UNDETERMINED, "dose.sum-cycle-missing", text)


def _apart(first: int, cycle: int) -> Finding:
    text = (
        f"no map is known between the bodies of cycle {first} and cycle {cycle}: their dose maps are not added up. To do: set "
        "when = “always” under [align] of the protocol and run again, or bring a registration with: lutra align import"
    )
    return Finding(Severity.UNDETERMINED, "dose.sum-no-transform", text, {"cycle": str(cycle)})
