"""What may have become of lesions between a list and an image: the same, fallen apart, grown together.

A hypothesis takes one lesion to one region, one to two, or two to one. Its weight is how much more probable that is than all of
them being unrelated: the lesions gone and the regions new. Masses of more than two are left to what is left over.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.track import likelihood
from lutra.track.spots import Array, Spots

Indices = npt.NDArray[np.intp]
GATE_SD = 4.0
"""Farther than this from where it is expected, nothing is asked: one in a thousand of a normal error in space."""
NONE = -1
GAP_MM = 5 * likelihood.MERGED_GAP_MM
"""Lesions farther apart do not grow together from one image to the next. [mm]"""
SPLIT_ROOM = 2.5
"""Variance of the distance of two parts along each axis, of that of the points of the whole. [1]"""
VOLUME_RATIO = 8.0
"""Parts together have between this and its inverse of the volume of the whole. [1]"""


@frozen(eq=False)
class Hypotheses:
    """Hypotheses as rows of arrays.

    Parameters
    ----------
    lesions, regions
        Indices, the second :data:`NONE` where there is only one. (h, 2)
    log_weight
        Log likelihood ratio of everything but the position. (h,)
    source_mm, target_mm
        Centre of gravity of the lesions and of the regions, by volume. [mm] (h, 3)
    own_mm2, error_mm2
        Variance of their distance along each axis: their own, and that of the registration. [mm2] (h,)
    """

    lesions: Indices
    regions: Indices
    log_weight: Array
    source_mm: Array
    target_mm: Array
    own_mm2: Array
    error_mm2: Array

    def __len__(self) -> int:
        return len(self.log_weight)

    def where(self, keep: npt.NDArray[np.bool_]) -> Hypotheses:
        """Those of which `keep` holds."""
        return Hypotheses(*(values[keep] for values in self._columns))

    def __add__(self, other: Hypotheses) -> Hypotheses:
        return Hypotheses(*(np.concatenate(pair) for pair in zip(self._columns, other._columns, strict=True)))

    @property
    def _columns(self) -> tuple[Any, ...]:
        return (
            self.lesions, self.regions, self.log_weight, self.source_mm, self.target_mm, self.own_mm2, self.error_mm2,
        )  # fmt: skip

    def within_gate(self) -> Hypotheses:
        """Those whose regions are not too far from where their lesions are expected."""
        squared = ((self.target_mm - self.source_mm) ** 2).sum(axis=1)
        return self.where(squared < GATE_SD**2 * (self.own_mm2 + self.error_mm2))


def same(lesions: Spots, regions: Spots, new: Array, pairs: Sequence[tuple[int, int]] | None = None) -> Hypotheses:
    """One lesion, one region: of every pair within the gate, or of the pairs given, wherever they are.

    Parameters
    ----------
    new
        Logarithm of the density of new lesions at every region, here and below. [log 1/mm3] (regions,)
    """
    if pairs is None:
        i, j = (index.ravel() for index in np.indices((len(lesions), len(regions))))
    else:
        i, j = np.asarray(pairs, np.intp).reshape(-1, 2).T
    own = np.maximum(likelihood.own_variance_mm2(lesions)[i], likelihood.own_variance_mm2(regions)[j])
    ratio = np.log(regions.volume_ml[j] / lesions.volume_ml[i])
    weight = likelihood.log_stay(lesions)[i] + likelihood.log_size(ratio, lesions.size_log_sd[i]) - new[j]
    found = Hypotheses(
        _alone(i), _alone(j), weight, lesions.position_mm[i], regions.position_mm[j], own,
        lesions.error_mm[i] ** 2 + regions.error_mm[j] ** 2,
    )  # fmt: skip
    return found if pairs is not None else found.within_gate()


def split(lesions: Spots, regions: Spots, new: Array) -> Hypotheses:
    """One lesion, two regions: together at its place, of its volume, and not farther apart than it reached."""
    parts = _Pairs.of(regions)
    i, h = _parts_of_a_whole(lesions, regions, parts)
    two, share = parts.two[h], parts.share[h]
    # Cut in two, a ball has centres 1.7 standard deviations of its points apart; shrinking does not bring them together.
    grown = np.maximum(np.cbrt(parts.volume_ml[h] / lesions.volume_ml[i]) ** 2, 1)
    room = SPLIT_ROOM * grown[:, None, None] * lesions.spread_mm2[i] + 2 * likelihood.EDGE_MM**2 * np.eye(3)
    apart = regions.position_mm[two[:, 0]] - regions.position_mm[two[:, 1]]
    squared = np.einsum("ha,ha->h", apart, np.linalg.solve(room, apart[..., None])[..., 0])
    placed = -0.5 * (squared + np.linalg.slogdet(2 * np.pi * room)[1])
    weight = (
        log(likelihood.SPLIT / likelihood.GONE)
        + likelihood.log_size(np.log(parts.volume_ml[h] / lesions.volume_ml[i]), lesions.size_log_sd[i])
        + placed
        + np.log(12 * (share * (1 - share)) ** 2)  # shares as Beta(2, 2), of volumes in logarithms
        - new[two].sum(axis=1)
    )
    return Hypotheses(
        _alone(i), two, weight, lesions.position_mm[i], parts.position_mm[h],
        likelihood.own_variance_mm2(lesions)[i],
        lesions.error_mm[i] ** 2 + (regions.error_mm[two] ** 2).mean(axis=1),
    ).within_gate()  # fmt: skip


def merged(lesions: Spots, regions: Spots, new: Array) -> Hypotheses:
    """Two lesions, one region: neighbours before, and now at their common place with their common volume."""
    parts = _Pairs.of(lesions)
    j, h = _parts_of_a_whole(regions, lesions, parts)
    two = parts.two[h]
    weight = (
        log(likelihood.MERGED)
        - parts.gap_mm[h] / likelihood.MERGED_GAP_MM
        - 2 * log(likelihood.GONE)
        + likelihood.log_size(np.log(regions.volume_ml[j] / parts.volume_ml[h]), lesions.size_log_sd[two].max(axis=1))
        - new[j]
    )
    return Hypotheses(
        two, _alone(j), weight, parts.position_mm[h], regions.position_mm[j],
        likelihood.own_variance_mm2(regions)[j],
        (lesions.error_mm[two] ** 2).mean(axis=1) + regions.error_mm[j] ** 2,
    ).within_gate()  # fmt: skip


@frozen(eq=False)
class _Pairs:
    """Neighbours taken together."""

    two: Indices
    gap_mm: Array
    volume_ml: Array
    share: Array
    position_mm: Array

    @staticmethod
    def of(spots: Spots) -> _Pairs:
        """Pairs that are not too far apart."""
        farthest = np.sqrt(5 * np.trace(spots.spread_mm2, axis1=1, axis2=2))
        a, b = np.triu_indices(len(spots), k=1)
        apart = spots.position_mm[a] - spots.position_mm[b]
        worth = (apart**2).sum(axis=1) < (farthest[a] + farthest[b] + GAP_MM) ** 2
        a, b, apart = a[worth], b[worth], apart[worth]
        gap = np.linalg.norm(apart, axis=1) - spots.reach_mm(a, apart) - spots.reach_mm(b, apart)
        near = gap < GAP_MM
        a, b = a[near], b[near]
        volume = spots.volume_ml[a] + spots.volume_ml[b]
        share = spots.volume_ml[a] / volume
        middle = share[:, None] * spots.position_mm[a] + (1 - share)[:, None] * spots.position_mm[b]
        return _Pairs(np.stack([a, b], axis=1), np.maximum(gap[near], 0), volume, share, middle)


def _parts_of_a_whole(wholes: Spots, parts: Spots, pairs: _Pairs) -> tuple[Indices, Indices]:
    """Pick wholes and the pairs that may be their parts, by place and volume."""
    squared = ((wholes.position_mm[:, None] - pairs.position_mm[None]) ** 2).sum(axis=-1)
    error = wholes.error_mm[:, None] ** 2 + (parts.error_mm[pairs.two] ** 2).mean(axis=1)
    ratio = pairs.volume_ml[None] / wholes.volume_ml[:, None]
    near = squared < GATE_SD**2 * (error + likelihood.own_variance_mm2(wholes)[:, None])
    i, h = np.nonzero(near & (ratio < VOLUME_RATIO) & (ratio > 1 / VOLUME_RATIO))
    return i, h


def _alone(index: Indices) -> Indices:
    return np.stack([index, np.full_like(index, NONE)], axis=1)
