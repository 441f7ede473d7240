"""Where lesions sit: in the liver, along the great vessels and in the mesentery, in vertebrae, elsewhere in the abdomen."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from lutra.core.errors import UsageError
from lutra.simulate.liver_segments import liver_segment
from lutra.simulate.shapes import Blob, Shape

Array = npt.NDArray[np.float64]

CANDIDATES, SURFACE_POINTS, TRIES = 3000, 240, 6
SHRINK = 0.85
"""A lesion that has no room anywhere is made this much smaller, and tried again. [1]"""
APART_MM = 4.0
"""Least distance between the surfaces of lesions that are no neighbours. [mm]"""
INSIDE_MM = 1.5
"""How far below the surface of its organ a lesion stays. [mm]"""
SKIN_MM = 15.0
KEEP_OFF = ("liver", "spleen", "kidney", "vertebra", "pancreas", "stomach", "lung", "heart", "bladder", "gallbladder")
"""Organs that a node, or a lesion of the peritoneum, does not grow into; by the beginning or end of their names."""
VERTEBRAE = frozenset({*(f"L{n}" for n in range(1, 6)), *(f"T{n}" for n in range(9, 13))})
"""Within a field of view of the trunk."""
NODES_MM = {"retroperitoneal": ((-32, 42), (-38, -4)), "mesenteric": ((-55, 55), (-88, -45))}
"""From the middle front of the lumbar spine: right to left and front to back. [mm]"""


class Site(StrEnum):
    """Kind of place."""

    LIVER = "liver"
    NODE = "node"
    BONE = "bone"
    OTHER = "other"


class Painted(Protocol):
    """Something with a name and a shape."""

    @property
    def name(self) -> str:
        """Name of the organ."""
        ...

    @property
    def shape(self) -> Shape:
        """Where it is."""
        ...


class Anatomy(Protocol):
    """A body: the outline first, then what is in it."""

    @property
    def organs(self) -> Sequence[Painted]:
        """In painting order."""
        ...


@frozen(eq=False)
class Placed:
    """A lesion in its place.

    Parameters
    ----------
    words
        The place as a reader writes it: `liver segment 6`.
    shrunk
        Factor by which it had to be made smaller to fit. [1]
    """

    shape: Blob
    words: str
    shrunk: float


def place_within(body: Anatomy, site: Site, blob: Blob, others: Sequence[Blob], rng: np.random.Generator) -> Placed:
    """Find a random place of a kind for a blob.

    Raises
    ------
    UsageError
        If the body has no organ of that kind, or it is full.
    """
    words, hold, low, high, off = _place(body, site, rng)
    shrunk = 1.0
    for _ in range(4 * TRIES):
        centres = rng.uniform(low, high, (CANDIDATES, 3))
        depth = hold.level_mm(centres)
        # A vertebra is smaller than many of its lesions: those are only held by their middle.
        wanted_mm = 2.0 if site is Site.BONE else 0.6 * blob.radius_mm * shrunk + INSIDE_MM
        deep = depth > wanted_mm
        for other in others:
            apart = np.linalg.norm(centres - other.centre_lps_mm, axis=1)
            deep &= apart > 0.7 * (other.radius_mm + blob.radius_mm * shrunk) + APART_MM
        for centre in centres[deep][:40]:
            moved = evolve(blob.scaled(shrunk), centre_lps_mm=centre)
            if _fits(moved, None if site is Site.BONE else hold, others, off):
                return Placed(moved, _words(site, words, centre, hold), shrunk)
        shrunk *= SHRINK
    raise UsageError(
        f"no room for a lesion of the kind {site.value!r}", do="give a body with larger organs, or fewer lesions"
    )


def place_beside(
    body: Anatomy,
    site: Site,
    blob: Blob,
    neighbour: Blob,
    gap_mm: float,
    others: Sequence[Blob],
    rng: np.random.Generator,
) -> Placed:
    """Put a blob next to another one, at a distance between their surfaces; below zero they overlap. [mm]

    Where there is no room beside it, the blob goes elsewhere in the same kind of place.
    """
    words, hold, _, _, off = _place(body, site, rng)
    for directions in (rng.normal(size=(60, 3)) * (1, 1, flat) for flat in (0.3, 1.0)):
        for direction in directions / np.linalg.norm(directions, axis=1)[:, None]:
            reach_mm = reach(neighbour, direction) + reach(blob, -direction) + gap_mm
            centre = neighbour.centre_lps_mm + reach_mm * direction
            moved = evolve(blob, centre_lps_mm=centre)
            clear = gap_mm < 0 or _depth_in(neighbour, moved) < -0.3 * gap_mm
            if clear and _fits(moved, hold, others, off):
                return Placed(moved, _words(site, words, centre, hold), 1.0)
    return place_within(body, site, blob, [*others, neighbour], rng)


def reach(blob: Blob, direction: npt.ArrayLike) -> float:
    """Radius of a blob in a direction. [mm]"""
    at = blob.centre_lps_mm + np.asarray(direction, float)
    return float(blob.level_mm(at)) + 1.0


def touching(
    one: Blob, other: Blob, scale: npt.ArrayLike = 1.0, other_scale: npt.ArrayLike = 1.0
) -> npt.NDArray[np.bool_]:
    """Tell whether two blobs meet on the line between their centres, each scaled about its own. [1] (...)"""
    line = other.centre_lps_mm - one.centre_lps_mm
    distance_mm = float(np.linalg.norm(line))
    towards = line / max(distance_mm, 1e-9)
    reached = reach(one, towards) * np.asarray(scale) + reach(other, -towards) * np.asarray(other_scale)
    return np.asarray(reached > distance_mm)


def surface_points(blob: Blob, n: int = SURFACE_POINTS) -> Array:
    """Points spread over the surface of a blob. [mm] (n, 3)"""
    z = 1 - (2 * np.arange(n) + 1) / n
    angle = np.arange(n) * np.pi * (3 - np.sqrt(5))
    directions = np.column_stack((np.sqrt(1 - z * z) * np.cos(angle), np.sqrt(1 - z * z) * np.sin(angle), z))
    radius = blob.level_mm(blob.centre_lps_mm + directions) + 1.0
    return np.asarray(blob.centre_lps_mm + directions * radius[:, None])


def _depth_in(other: Blob, blob: Blob) -> float:
    """How deep the surface of a blob reaches into another one; negative if it does not. [mm]"""
    return float(other.level_mm(surface_points(blob)).max())


def _fits(blob: Blob, hold: Shape | None, others: Sequence[Blob], off: Sequence[Shape]) -> bool:
    points = surface_points(blob)
    if hold is not None and hold.level_mm(points).min() < INSIDE_MM:
        return False
    if any(other.level_mm(points).max() > -APART_MM for other in others):
        return False
    box = blob.bounds_lps_mm
    near = (s for s in off if (s.bounds_lps_mm[0] < box[1]).all() and (s.bounds_lps_mm[1] > box[0]).all())
    return all(shape.level_mm(points).max() < 0 for shape in near)


def _place(body: Anatomy, site: Site, rng: np.random.Generator) -> tuple[str, Shape, Array, Array, list[Shape]]:
    """Words, shape that holds the lesion, box of candidate centres, and what to keep off."""
    match site:
        case Site.LIVER:
            liver = _organs(body, "liver")[0]
            return "liver", liver, *liver.bounds_lps_mm, []
        case Site.BONE:
            found = [o for o in body.organs if o.name.startswith("marrow ") and o.name.split()[1] in VERTEBRAE]
            found = found or [o for o in body.organs if o.name.startswith("vertebra ")]
            if not found:
                raise UsageError("the body has no vertebrae", required="organs named 'marrow L1' or 'vertebra L1'")
            bone = found[int(rng.integers(len(found)))]
            return f"bone {bone.name.split()[1]}", bone.shape, *bone.shape.bounds_lps_mm, []
        case Site.NODE:
            kind = "retroperitoneal" if rng.random() < 0.5 else "mesenteric"
            (x0, x1), (y0, y1) = NODES_MM[kind]
            middle, front, (z0, z1) = _spine(body)
            low = np.array([middle + x0, front + y0, z0])
            high = np.array([middle + x1, front + y1, z1])
            return f"node {kind}", _Below(body.organs[0].shape, SKIN_MM), low, high, _keep_off(body)
        case Site.OTHER:
            if (pancreas := _organs(body, "pancreas", required=False)) and rng.random() < 0.5:
                box = pancreas[0].bounds_lps_mm
                return "pancreas", _Below(pancreas[0], -12.0), *box, []
            middle, front, (z0, z1) = _spine(body)
            low, high = np.array([middle - 90, front - 105, z0 - 60]), np.array([middle + 90, front - 40, z1 - 40])
            return "peritoneum", _Below(body.organs[0].shape, SKIN_MM), low, high, _keep_off(body)


@frozen(eq=False)
class _Below:
    """What is so far below the surface of a shape; negative widens it. [mm]"""

    shape: Shape
    depth_mm: float
    name: str = ""

    @property
    def bounds_lps_mm(self) -> Array:
        return self.shape.bounds_lps_mm

    def level_mm(self, points_lps_mm: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        return np.asarray(self.shape.level_mm(points_lps_mm) - self.depth_mm)


def _organs(body: Anatomy, name: str, *, required: bool = True) -> list[Shape]:
    found = [organ.shape for organ in body.organs if organ.name == name]
    if required and not found:
        raise UsageError(f"the body has no {name}", required=f"an organ named {name!r}")
    return found


def _keep_off(body: Anatomy) -> list[Shape]:
    return [o.shape for o in body.organs if any(word in KEEP_OFF for word in o.name.split())]


def _spine(body: Anatomy) -> tuple[float, float, tuple[float, float]]:
    """Middle and front of the vertebral bodies, and the heights between L4 and L1. [mm]"""
    boxes = {
        f"{kind} {label}": organ.shape.bounds_lps_mm
        for organ in body.organs
        for kind in ("marrow", "vertebra")
        for label in ("L1", "L2", "L3", "L4")
        if organ.name == f"{kind} {label}"
    }
    if not boxes:
        raise UsageError("the body has no lumbar vertebrae", required="organs named 'vertebra L1' to 'vertebra L4'")
    bodies = [box for name, box in boxes.items() if name.startswith("marrow")] or list(boxes.values())
    every = np.array(bodies)
    middle = float(every[..., 0].mean())
    return middle, float(every[:, 0, 1].min()), (float(every[:, 0, 2].min()), float(every[:, 1, 2].max()))


def _words(site: Site, words: str, centre: Array, hold: Shape) -> str:
    return f"liver segment {liver_segment(centre, hold)}" if site is Site.LIVER else words
