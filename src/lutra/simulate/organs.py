"""The soft organs: each from a few surfaces, brought to a wanted volume.

Liver and spleen lie against the diaphragm and the wall, so they are cut from the cavity and grow downwards or inwards; kidneys
are beans with a hilum. What an organ must not touch is cut out of it, so that its volume is what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.frozen import FloatArray
from lutra.simulate.combine import FAR_MM, HalfSpace, Intersection, Offset, Outside, Scaled, Union, smooth_minimum
from lutra.simulate.shapes import Ellipsoid, Shape, Tube, components, rotation, smooth_line, some, volume_ml
from lutra.simulate.trunk import Build, Trunk

GAP_MM = 2.5
"""Fat and membranes between organs. [mm]"""


HOLLOW_MM = 420.0
"""Radius of curvature of the lower face of the liver. [mm]"""


def solved(make: Callable[[float], Shape], wanted_ml: float, low: float, high: float, samples: int = 40) -> Shape:
    """Find the parameter at which a shape, growing with it, has the wanted volume; the nearest end if none has.

    Regula falsi with the Illinois rule: ends by chance of rounding after at most 12 steps, within 0.3 %.
    """
    errors = [volume_ml(make(p), samples) - wanted_ml for p in (low, high)]
    if errors[0] >= 0 or errors[1] <= 0:
        return make(low if errors[0] >= 0 else high)
    (a, b), (fa, fb) = (low, high), errors
    for _ in range(12):
        middle = b - fb * (b - a) / (fb - fa)
        shape = make(middle)
        error = volume_ml(shape, samples) - wanted_ml
        if abs(error) < 0.003 * wanted_ml:
            break
        if error * fb < 0:
            a, fa = b, fb
        else:
            fa /= 2
        b, fb = middle, error
    return shape


def ellipsoid(
    build: Build,
    centre: tuple[float, float, float],
    half: tuple[float, float, float],
    **more: float | npt.NDArray[np.float64],
) -> Ellipsoid:
    """Place an ellipsoid given in millimetres of the 1.75 m adult."""
    return Ellipsoid("", build.place(*centre), np.multiply(half, build.girth), **more)  # type: ignore[arg-type]


def tube(
    name: str, build: Build, corners: Sequence[tuple[float, float, float]], radii: Sequence[float], pieces: int = 3
) -> Tube:
    """Place a smooth tube given in millimetres of the 1.75 m adult."""
    line, radius = smooth_line([build.place(*corner) for corner in corners], np.multiply(radii, build.girth), pieces)
    return Tube(name, line, radius)


def domes(build: Build) -> tuple[Shape, Shape]:
    """Right and left dome of the diaphragm at end-expiration, as bodies."""
    across, high = build.size * build.wide, build.size
    right = Ellipsoid("", build.place(-66, -6, 54), (78 * across, 94 * across, 100 * high), lower=1.9)
    left = Ellipsoid("", build.place(68, -2, 44), (76 * across, 92 * across, 94 * high))
    return right, left


def lungs(build: Build, cavity: Trunk, heart: Shape, spine: Shape) -> tuple[Shape, Shape]:
    """Left and right lung: the chest above the domes, beside the mediastinum."""
    right_dome, left_dome = domes(build)
    base = build.place(0, 0, 30)
    walls: tuple[Shape, ...] = (
        HalfSpace(base, (0, 0, 1)),
        Offset("", cavity, 2.5),
        Outside(Offset("", heart, -GAP_MM)),
        Outside(Offset("", spine, -6)),
    )
    left: tuple[Shape, ...] = (HalfSpace((20 * build.size, 0, 0), (1, 0, 0)), *walls, Outside(left_dome))
    right: tuple[Shape, ...] = (HalfSpace((-20 * build.size, 0, 0), (-1, 0, 0)), *walls, Outside(right_dome))
    return Intersection("left lung", left, 7), Intersection("right lung", right, 7)


def heart(build: Build) -> Shape:
    """Heart with its sac, lying on the middle of the diaphragm."""
    size = build.size
    return Ellipsoid("heart", build.place(20, -32, 186), np.multiply((62, 43, 50), size), rotation(y_deg=24, z_deg=28))


def liver(build: Build, cavity: Trunk, keep_clear: tuple[Shape, ...], cava: Shape, wanted_ml: float) -> Shape:
    """Right lobe under the right dome, left lobe before the stomach; the lower face is moved until the volume is right."""
    right_dome, _ = domes(build)
    left_lobe = ellipsoid(build, (22, -50, 104), (72, 34, 40), axes=rotation(y_deg=14, x_deg=-12), taper=0.2)
    lobes = Union("", (Offset("", right_dome, 1.5), left_lobe), 18)
    fissure = Outside(ellipsoid(build, (-6, -72, 52), (5, 30, 40), axes=rotation(z_deg=12)))
    hilum = Outside(ellipsoid(build, (-22, 2, 46), (26, 17, 17)))

    def down_to(depth_mm: float) -> Shape:
        edge = np.asarray(build.place(-100, -20, -depth_mm)) - HOLLOW_MM * np.array([-0.52, -0.27, 0.81])
        visceral = Outside(Ellipsoid("", edge, np.full(3, HOLLOW_MM)))  # hollow, as the right colic flexure leaves it
        parts: tuple[Shape, ...] = (
            lobes,
            visceral,
            Offset("", cavity, 1.5),
            Outside(cava),
            fissure,
            hilum,
            *(Outside(Offset("", s, -GAP_MM)) for s in keep_clear),
        )
        return Intersection("liver", parts, 9)

    return solved(down_to, wanted_ml, -60, 160)


def spleen(build: Build, cavity: Trunk, keep_clear: tuple[Shape, ...], wanted_ml: float) -> Shape:
    """Crescent between stomach, kidney and the left wall."""
    _, left_dome = domes(build)
    turn = rotation(x_deg=32, z_deg=-32)
    centre = np.asarray(build.place(100, 34, 92))
    hollow_of = Ellipsoid("", build.place(72, 8, 96), np.multiply((34, 50, 56), build.girth), turn)

    def grown(factor: float) -> Shape:
        outer = Ellipsoid("", centre, np.multiply((33, 44, 64), build.girth * factor), turn)
        clear = (Outside(Offset("", s, -GAP_MM)) for s in keep_clear)
        return Intersection(
            "spleen", (outer, Offset("", cavity, 3), Offset("", left_dome, 1), Outside(hollow_of), *clear), 7
        )

    return solved(grown, wanted_ml, 0.4, 2.6)


@frozen(eq=False)
class Kidney:
    """One kidney: the bean, what of it is medulla, and the pelvis in the hilum."""

    bean: Shape
    medulla: Shape
    pelvis: Shape


def kidney(build: Build, side: str, wanted_ml: float, drop_mm: float, slender: float) -> Kidney:
    """Make a kidney whose cortex and medulla together have the wanted volume.

    Parameters
    ----------
    drop_mm
        How far its centre is below the disc of L1. [mm]
    slender
        Length over that of an average kidney of this volume. [1]
    """
    left = side == "left"
    sign = 1 if left else -1
    axes = rotation(x_deg=7, y_deg=9 * sign, z_deg=(28 if left else -28))
    centre = np.asarray(build.place(62 * sign, 49, -drop_mm))
    half = np.array([27 / np.sqrt(slender), 23 / np.sqrt(slender), 54 * slender])
    bean = Ellipsoid("", centre, half, axes, bend_per_mm=-sign * 0.0026)
    inwards = -sign * axes[:, 0]
    sinus = Ellipsoid("", centre + 17 * inwards, (15, 8.5, 17), axes)
    notch = Ellipsoid("", centre + 37 * inwards, (14, 11, 15), axes)
    organ = Intersection("", (bean, Outside(notch)), 5)
    pelvis = Intersection("", (sinus, Offset("", bean, -1.5)), 3)
    parenchyma = Intersection("", (organ, Outside(pelvis)))
    factor = (wanted_ml / volume_ml(parenchyma, 72)) ** (1 / 3)
    medulla = Pyramids("", organ, pelvis, centre, axes, 54 * slender)
    of = f"{side} kidney"
    return Kidney(
        *(
            Scaled(f"{of} {part}", shape, centre, factor)
            for part, shape in (("cortex", organ), ("medulla", medulla), ("pelvis", pelvis))
        )
    )


@frozen(eq=False)
class Pyramids:
    """Medulla of a kidney: deeper than the cortex, parted by columns of it, around the pelvis."""

    name: str
    organ: Shape
    pelvis: Shape
    centre_lps_mm: npt.NDArray[np.float64]
    axes: npt.NDArray[np.float64]
    half_length_mm: float
    cortex_mm: float = 6.5
    columns_mm: float = 5.0
    pitch_mm: float = 21.0

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        return self.organ.bounds_lps_mm

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        x, y, z = (p - float(c) for p, c in zip(components(points_lps_mm), self.centre_lps_mm, strict=True))
        (ax, ay, az), (bx, by, bz) = self.axes[:, 2].tolist(), self.axes[:, 1].tolist()
        along, across = ax * x + ay * y + az * z, bx * x + by * y + bz * z
        wave = np.cos(along * (2 * np.pi / self.pitch_mm)) * np.cos(across * (np.pi / self.pitch_mm))
        deep = self.organ.level_mm(points_lps_mm) - self.cortex_mm - self.columns_mm * (0.5 - 0.5 * wave)
        around = 15.0 + self.pelvis.level_mm(points_lps_mm)  # pyramids reach 15 mm out from the pelvis
        return smooth_minimum(deep, around, 4.0)


@frozen(eq=False)
class Loops:
    """Small bowel: the loops of a warped gyroid, a surface that winds through space without end, inside a body.

    Parameters
    ----------
    inside
        Where the loops lie.
    pitch_mm
        Distance after which the pattern repeats; loops are about 0.45 of it thick. [mm]
    phase
        Shift and warp of the pattern. [rad] (6,)
    """

    name: str
    inside: Shape
    pitch_mm: float
    phase: tuple[float, ...]
    fill: float = 0.25

    @property
    def bounds_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of a box that holds it. [mm] (2, 3)"""
        return self.inside.bounds_lps_mm

    def level_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        """Depth below the surface, negative outside. [mm] (...)"""
        level = np.array(self.inside.level_mm(points_lps_mm))
        near = level > -FAR_MM
        level[near] = smooth_minimum(level[near], self._pattern_mm(some(points_lps_mm, near)), 6.0)
        return level

    def _pattern_mm(self, points_lps_mm: FloatArray) -> FloatArray:
        k = 2 * np.pi / self.pitch_mm
        x, y, z = (p * k for p in components(points_lps_mm))
        a, b, c, d, e, f = self.phase
        u = x + a + 0.8 * np.sin(0.43 * y + d)
        v = y + b + 0.8 * np.sin(0.39 * z + e)
        w = z + c + 0.8 * np.sin(0.41 * x + f)
        pattern = np.sin(u) * np.cos(v) + np.sin(v) * np.cos(w) + np.sin(w) * np.cos(u) + self.fill
        return np.asarray(pattern * (1 / (1.4 * k)))  # its gradient on the surface is about 1.4 k


def stomach(build: Build, fullness: float) -> Tube:
    """Fundus under the left dome, body, antrum and pylorus."""
    corners = [(66, 14, 112), (64, 0, 92), (60, -28, 62), (46, -52, 36), (16, -56, 24), (-14, -42, 24), (-26, -28, 22)]
    return tube("stomach", build, corners, [27, 30 * fullness, 25 * fullness, 21 * fullness, 18, 13, 10])


def colon(build: Build) -> tuple[Tube, ...]:
    """Four stretches from the caecum to the rectum."""
    ascending = [(-88, 10, -158), (-96, 14, -120), (-99, 18, -80), (-94, 16, -44)]
    transverse = [(-90, 0, -40), (-66, -46, -46), (-20, -64, -62), (30, -64, -56), (72, -46, -16), (98, -4, 34)]
    descending = [(102, 14, 28), (106, 26, -20), (103, 24, -80), (94, 18, -140)]
    sigmoid = [(90, 12, -150), (66, -6, -190), (24, 10, -212), (-6, 34, -205), (0, 48, -240), (0, 40, -285)]
    return (
        tube("bowel", build, ascending, [27, 25, 24, 22], 1),
        tube("bowel", build, transverse, [21, 20, 19, 19, 18, 16], 2),
        tube("bowel", build, descending, [15, 15, 14, 14], 1),
        tube("bowel", build, sigmoid, [14, 15, 15, 15, 18, 17], 2),
    )


def pancreas(build: Build, wanted_ml: float) -> Shape:
    """Head in the loop of the duodenum, neck before the great vessels, body and tail towards the spleen."""
    corners = [(-30, -10, -22), (-26, -14, 0), (-4, -24, 16), (22, -18, 28), (50, 6, 40), (78, 22, 58)]
    shape = tube("", build, corners, [13, 15, 9, 10, 10, 8], 3)
    middle = shape.line_lps_mm.mean(axis=0)
    factor = (wanted_ml / volume_ml(shape)) ** (1 / 3)
    return Tube("pancreas", middle + (shape.line_lps_mm - middle) * factor, shape.radii_mm * factor)


def adrenals(build: Build, tops_mm: dict[str, FloatArray]) -> tuple[Tube, ...]:
    """Two limbs above each kidney, open to the back; at the given upper poles. [mm]"""
    limbs = []
    for side, top in tops_mm.items():
        sign = 1 if side == "left" else -1
        for inwards in (0, 1):
            ends = np.array(
                [(-9 * sign, -12, 3), (-5 * sign - 6 * sign * inwards, 6, -1), (1 * sign - 12 * sign * inwards, 20, -6)]
            )
            radii = np.array([3.9, 3.6, 2.8]) * build.size
            limbs.append(Tube("adrenals", top + ends * build.size, radii))
    return tuple(limbs)


def vessels(build: Build, spine_y: Callable[[float], float]) -> tuple[Shape, ...]:
    """Aorta and its two branches, inferior vena cava, portal vein."""
    s = build.size

    def beside(x: float, before: float, heights: list[float]) -> list[tuple[float, float, float]]:
        return [(x * s, (spine_y(z) - before) * s, z * s) for z in heights]

    def pipe(name: str, corners: Sequence[tuple[float, float, float]], radii: Sequence[float]) -> Tube:
        line, radius = smooth_line(corners, np.multiply(radii, s), 2)
        return Tube(name, line, radius)

    down = beside(14, 20, [250, 190]) + beside(11, 27, [130, 60]) + beside(7, 28, [-10, -90])
    legs = [
        [
            (sign * 5 * s, (spine_y(-95) - 28) * s, -92 * s),
            (sign * 28 * s, 12 * s, -140 * s),
            (sign * 62 * s, 4 * s, -225 * s),
        ]
        for sign in (1, -1)
    ]
    cava = [*beside(-19, 26, [-105, -40, 20, 70]), (-24 * s, 6 * s, 118 * s), (-22 * s, -2 * s, 160 * s)]
    portal = [build.place(*p) for p in ((6, -20, 8), (-14, -8, 30), (-34, -4, 52), (-58, -4, 66))]
    return (
        pipe("aorta", down, [12, 12, 11.5, 10.5, 9.5, 8.5]),
        *(pipe("iliac arteries", leg, [6.5, 5.5, 5]) for leg in legs),
        pipe("inferior vena cava", cava, [10, 10.5, 11, 12, 13, 13]),
        pipe("portal vein", portal, [6, 7, 6.5, 4]),
    )
