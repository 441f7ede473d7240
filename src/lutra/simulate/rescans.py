"""Two scans of one patient as lists of lesions with true correspondences: what matching of lesions is tested on.

There are two generators, built differently on purpose, so that a method is not tuned to one of them. In both the registration
error is smooth, with a standard deviation that is given along each axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from attrs import define, field, frozen

from lutra.core.frozen import float64
from lutra.simulate.response import Array

MM3_PER_ML = 1000.0
Edge = tuple[int, int]


@frozen(eq=False)
class LesionScan:
    """Lesions as one scan shows them.

    Parameters
    ----------
    position_mm
        Centres of gravity. [mm] (n, 3)
    volume_ml
        Volumes. [mL] (n,)
    spread_mm2
        Covariance of the points of each about its centre. [mm2] (n, 3, 3)
    """

    position_mm: Array = field(converter=float64)
    volume_ml: Array = field(converter=float64)
    spread_mm2: Array = field(converter=float64)


@frozen(eq=False)
class Rescan:
    """Two scans and what became of the lesions of the first.

    Parameters
    ----------
    edges
        Pairs of a lesion before and a lesion after that are the same, or part of it.
    shift_mm
        True error of the registration at the lesions after: what their positions are off by. [mm] (n, 3)
    """

    before: LesionScan
    after: LesionScan
    edges: tuple[Edge, ...]
    shift_mm: Array = field(converter=float64)


@define
class _After:
    """The second scan while it is made: true places, volumes, spreads, and edges to the first."""

    place: list[Array] = field(factory=list)
    volume: list[float] = field(factory=list)
    spread: list[Array] = field(factory=list)
    edges: list[Edge] = field(factory=list)

    def add(
        self, origins: Sequence[int], place: Array, volume_ml: npt.ArrayLike, spread_mm2: Array | None = None
    ) -> None:
        self.edges += [(i, len(self.place)) for i in origins]
        self.place.append(place)
        self.volume.append(float(np.asarray(volume_ml)))
        self.spread.append(_ball(volume_ml) if spread_mm2 is None else spread_mm2)

    def seen(
        self, before: LesionScan, error: Callable[[Array], Array], rng: np.random.Generator, noise_mm: float
    ) -> Rescan:
        places = np.array(self.place).reshape(-1, 3)
        shift = error(places)
        order = rng.permutation(len(places))
        rank = np.argsort(order)
        seen = places + shift + rng.normal(0, noise_mm, places.shape)
        after = LesionScan(seen[order], np.array(self.volume)[order], np.array(self.spread).reshape(-1, 3, 3)[order])
        edges = tuple(sorted((i, int(rank[j])) for i, j in self.edges))
        return Rescan(before, after, edges, shift[order])


def clustered_rescan(rng: np.random.Generator, count: int, error_mm: float) -> Rescan:
    """Draw crowded lesions as balls: clusters as in a liver, where anything happens to any lesion.

    15 % vanish, 6 % of those above 7 mm radius fall into halves, 6 % of close neighbours become one ball, 12 % are new, anywhere
    around the clusters. The registration error is a sine of 140 mm along each axis.

    Parameters
    ----------
    count
        Lesions drawn for the first scan; those that would overlap others are left out.
    error_mm
        Along each axis, one standard deviation. [mm]
    """
    clusters = rng.normal(size=(max(3, count // 5), 3)) * (50, 40, 90)
    centres = clusters[rng.integers(len(clusters), size=count)] + rng.normal(size=(count, 3)) * 14
    radii = np.clip(rng.lognormal(np.log(8), 0.5, count), 3, 30)
    kept: list[int] = []
    for i in range(count):
        if all(np.linalg.norm(centres[i] - centres[k]) > radii[i] + radii[k] + 2 for k in kept):
            kept.append(i)
    centres, radii = centres[kept], radii[kept]
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    after, done = _After(), set[int]()
    for i, radius in enumerate(radii):
        fate, nearest = rng.random(), int(apart[i].argmin()) if len(radii) > 1 else i
        grown = radius * np.exp(rng.normal(-0.1, 0.22))
        if i in done or fate < 0.15:
            continue
        if fate < 0.21 and radius > 7:
            along = _direction(rng) * 0.72 * radius
            for side in (1, -1):
                after.add([i], centres[i] + side * along, _volume(0.62 * grown))
        elif fate < 0.27 and nearest > i and nearest not in done and apart[i, nearest] < radius + radii[nearest] + 8:
            weights = np.array([radius, radii[nearest]]) ** 3
            middle = weights @ centres[[i, nearest]] / weights.sum()
            after.add([i, nearest], middle, _volume(1.05 * weights.sum() ** (1 / 3)))
            done.add(nearest)
        else:
            after.add([i], centres[i] + rng.normal(size=3) * 0.08 * radius, _volume(grown))
    for _ in range(rng.poisson(0.12 * len(radii))):
        place = clusters[rng.integers(len(clusters))] + rng.normal(size=3) * 25
        after.add([], place, _volume(rng.uniform(3, 8)))
    waves, phases = rng.normal(size=(3, 3)), rng.normal(size=3)
    waves *= 2 * np.pi / 140 / np.linalg.norm(waves, axis=1, keepdims=True)

    def error(places: Array) -> Array:
        return np.asarray(error_mm * 2**0.5 * np.sin(places @ waves.T + phases))

    volumes = _volume(radii)
    return after.seen(LesionScan(centres, volumes, _ball(volumes)), error, rng, 1.0)


def treated_rescan(rng: np.random.Generator, count: int, error_mm: float) -> Rescan:
    """Draw ellipsoids in liver, spine and nodes that answer to treatment together, and meet or vanish by their size.

    All shrink or grow by a factor of the patient and one of their own; below 4 mm diameter they vanish. Those that then touch are
    one, of two or more. Long ones may fall into unequal parts along their length. New ones are small. The registration error is
    rigid by a half of its variance, and breathing and local changes of 35 mm by the rest.

    Parameters
    ----------
    count
        Lesions of the first scan.
    error_mm
        Along each axis, one standard deviation over the lesions. [mm]
    """
    places: list[Array] = []
    axes: list[Array] = []
    while len(places) < count:
        place, half = _organ_point(rng), np.clip(rng.lognormal(np.log(7), 0.45), 2.5, 28) * rng.lognormal(0, 0.18, 3)
        apart = np.linalg.norm(np.array(places).reshape(-1, 3) - place, axis=1)
        if np.all(apart > 0.95 * (half.max() + np.array(axes).reshape(-1, 3).max(axis=1, initial=0))):
            places.append(place)
            axes.append(half)
    turns = [_rotation(rng) for _ in places]
    spreads = np.array([t @ np.diag(a**2 / 5) @ t.T for t, a in zip(turns, axes, strict=True)])
    volumes = np.array([4 / 3 * np.pi * a.prod() / MM3_PER_ML for a in axes])
    answer = rng.normal(-0.25, 0.35)
    scale = np.exp((answer + rng.normal(0, 0.45, count)) / 3)
    there = [i for i in range(count) if scale[i] * (axes[i].prod()) ** (1 / 3) > 2 and rng.random() > 0.03]
    after = _After()
    for group in _touching(there, places, axes, scale):
        drawn = np.exp(rng.normal(0, 0.08))
        now = np.array([volumes[i] * scale[i] ** 3 for i in group])
        middle = now @ np.array([places[i] for i in group]) / now.sum()
        off = [places[i] - middle for i in group]
        spread = sum(
            w * (scale[i] ** 2 * spreads[i] + np.outer(o, o))
            for w, i, o in zip(now / now.sum(), group, off, strict=True)
        )
        i = group[0]
        if len(group) == 1 and axes[i].max() > 8 and rng.random() < 0.15 * (axes[i].max() / axes[i].min() > 1.3):
            along = turns[i][:, axes[i].argmax()] * axes[i].max() * scale[i]
            share = rng.uniform(0.25, 0.75)
            for part, where in ((share, 1 - share), (1 - share, -share)):
                after.add([i], middle + 1.15 * where * along, float(now[0] * part * 0.85 * drawn))
            continue
        moved = middle + rng.normal(size=3) * 0.05 * np.cbrt(now.sum() * MM3_PER_ML)
        after.add(group, moved, float(now.sum() * drawn), np.asarray(spread))
    for _ in range(rng.poisson(0.1 * count)):
        after.add([], _organ_point(rng), _volume(rng.lognormal(np.log(4), 0.3)))
    return after.seen(LesionScan(np.array(places), volumes, spreads), _body_error(rng, error_mm), rng, 0.5)


def _body_error(rng: np.random.Generator, error_mm: float) -> Callable[[Array], Array]:
    """Error of a rigid registration of a breathing body, scaled to its standard deviation over the places asked for."""
    offset, turn = rng.normal(size=3), rng.normal(size=3) / 150
    breath, centres, weights = rng.normal(), rng.normal(size=(60, 3)) * (80, 60, 160), rng.normal(size=(60, 3))

    def error(places: Array) -> Array:
        rigid = offset + np.cross(turn, places)
        liver = np.exp(-(((places - (-60, 0, 40)) / 70) ** 2).sum(axis=1))
        bumps = np.exp(-((places[:, None] - centres) ** 2).sum(axis=-1) / (2 * 35**2)) @ weights
        local = bumps + np.outer(2 * breath * liver, (0.1, 0.3, 1.0))
        parts = [p / max(float(np.sqrt((p**2).mean())), 1e-9) for p in (rigid, local)]
        return np.asarray(error_mm * (parts[0] + parts[1]) / 2**0.5)

    return error


def _organ_point(rng: np.random.Generator) -> Array:
    organ = rng.random()
    if organ < 0.6:  # liver: an ellipsoid
        reach = rng.random() ** (1 / 3) * np.array((85.0, 65, 70))
        return np.asarray((-60.0, 0, 40) + _direction(rng) * reach)
    if organ < 0.85:  # spine: a column
        return np.array((0.0, 70, rng.uniform(-250, 250))) + rng.normal(size=3) * (9, 9, 4)
    return np.array((0.0, 20, -60)) + rng.normal(size=3) * (35, 20, 80)


def _touching(there: Sequence[int], places: Sequence[Array], axes: Sequence[Array], scale: Array) -> list[list[int]]:
    """Put together those whose mean radii meet."""
    groups = {i: i for i in there}
    radius = {i: scale[i] * axes[i].prod() ** (1 / 3) for i in there}
    for a in there:
        for b in there:
            if a < b and np.linalg.norm(places[a] - places[b]) < radius[a] + radius[b]:
                keep, drop = sorted((groups[a], groups[b]))
                groups = {i: keep if g == drop else g for i, g in groups.items()}
    return [[i for i in there if groups[i] == g] for g in sorted(set(groups.values()))]


def _volume(radius_mm: npt.ArrayLike) -> Array:
    return np.asarray(4 / 3 * np.pi * np.asarray(radius_mm, float) ** 3 / MM3_PER_ML)


def _ball(volume_ml: npt.ArrayLike) -> Array:
    radius = np.cbrt(3 * MM3_PER_ML * np.asarray(volume_ml, float) / (4 * np.pi))
    return np.asarray(radius[..., None, None] ** 2 / 5 * np.eye(3))


def _direction(rng: np.random.Generator) -> Array:
    vector = rng.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def _rotation(rng: np.random.Generator) -> Array:
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return np.asarray(turn)
