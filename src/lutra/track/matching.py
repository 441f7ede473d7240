"""Which region is which lesion, between a list and one image, by place and size."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from lutra.track import hypotheses, likelihood
from lutra.track.association import Beliefs, beliefs, believed
from lutra.track.hypotheses import NONE, Hypotheses
from lutra.track.local_shift import UNKNOWN_MM2, Shift, shift_at, shift_without_own, unknown_shift
from lutra.track.spots import Array, Spots

SHIFT_ROUNDS = 2
GIVEN_LOG_WEIGHT = 15.0
"""Advantage of a match that is given over all that are not; of two that hold it, geometry still prefers one. [log 1]"""
LEAST_MATCHED = 1e-3
COLUMNS = ((0, 0), (0, 1), (1, 0), (1, 1))
PROBABLE, FEW, MISFIT, DOUBLING = 0.8, 4, 1.6, 3.0
"""Where so few or more matches of this probability are off by so many times the variance that is stated [1], the registration may
be worse than it says: twice its error is tried, and believed where that makes matches so much more probable [log 1]."""
Pairs = Sequence[tuple[int, int]]


class EdgeKind(StrEnum):
    """What joins a lesion and a region."""

    SAME = "same"
    SPLIT = "split"
    MERGED = "merged"


@frozen
class Edge:
    """A region that is a lesion, one of the parts a lesion fell into, or a mass that a lesion is part of.

    Parameters
    ----------
    probability
        Of this pair belonging together in any way. [1]
    confidence
        By how much that exceeds the next best explanation of either. [1]
    rival_lesion, rival_region
        What that explanation is: another lesion for the region, or another region for the lesion; both None where it is that the
        region is new.
    """

    lesion: int
    region: int
    kind: EdgeKind = field(converter=EdgeKind)
    probability: float
    confidence: float
    rival_lesion: int | None = None
    rival_region: int | None = None


@frozen(eq=False)
class Matching:
    """Everything between a list and an image.

    Parameters
    ----------
    edges
        In order of lesions and regions.
    probability
        Of every pair. [1] (lesions, regions)
    lesion_alone, region_alone
        Probability that a lesion is not there, and that a region is new. [1]
    shift
        By how much the image is off at each lesion, as the others tell it.
    regions_shift
        The same at each region. For a new one it says where it would be in the list's frame. Both empty where there is nothing
        to match.
    evidence
        Log likelihood ratio of the matches against there being none. [log 1]
    error_doubled
        Whether that is with twice the error that was stated, because lesions are off by more.
    """

    edges: tuple[Edge, ...]
    probability: Array
    lesion_alone: Array
    region_alone: Array
    shift: Shift
    regions_shift: Shift
    evidence: float
    error_doubled: bool = False


@frozen(eq=False)
class Given:
    """What is known of an image before geometry is asked.

    Parameters
    ----------
    closed
        Pairs that are decided: neither takes part in anything else.
    fixed
        Pairs that belong together; other lesions may have grown into the region.
    barred
        Pairs that do not belong together, nor as parts. (lesions, regions)
    """

    closed: Pairs = ()
    fixed: Pairs = ()
    barred: npt.NDArray[np.bool_] | None = None


def match(lesions: Spots, regions: Spots, given: Given | None = None) -> Matching:
    """Match the regions of one image with the lesions of a list.

    Parameters
    ----------
    lesions, regions
        In one frame. The errors of both may share a smooth part, which is found and taken off. Where matches show that the
        registration is worse than it states, twice its error is used.
    """
    given = given or Given()
    found = _matched(lesions, regions, given)
    if _misfit(lesions, regions, found.edges) < MISFIT:
        return found
    doubled = _matched(lesions, evolve(regions, error_mm=2 * regions.error_mm), given)
    return evolve(doubled, error_doubled=True) if doubled.evidence > found.evidence + DOUBLING else found


def _misfit(lesions: Spots, regions: Spots, edges: Sequence[Edge]) -> float:
    """Squared distance over its expectation, of matches that are probable; 0 where they are too few to say."""
    sure = [(e.lesion, e.region) for e in edges if e.kind is EdgeKind.SAME and e.probability > PROBABLE]
    if len(sure) < FEW:
        return 0.0
    i, j = np.array(sure).T
    squared = ((regions.position_mm[j] - lesions.position_mm[i]) ** 2).sum(axis=1)
    stated = lesions.error_mm[i] ** 2 + regions.error_mm[j] ** 2 + likelihood.own_variance_mm2(lesions)[i]
    return float((squared / (3 * stated)).mean())


def _matched(lesions: Spots, regions: Spots, given: Given) -> Matching:
    """Match as far as the errors go that are stated."""
    n, m = len(lesions), len(regions)
    if not n or not m:
        nowhere = Shift(np.zeros((0, 3)), np.zeros(0))
        return Matching((), np.zeros((n, m)), np.ones(n), np.ones(m), nowhere, nowhere, 0.0)
    asked = _asked(lesions, regions, given)
    held = _held(asked, given)
    # Three rows are enough: no hypothesis has two lesions and two regions.
    second = np.where(asked.lesions[:, 1] != NONE, asked.lesions[:, 1], asked.regions[:, 1] + n)
    one_to_one = (asked.lesions[:, 1] == NONE) & (asked.regions[:, 1] == NONE)
    nodes = np.stack([asked.lesions[:, 0], asked.regions[:, 0] + n, np.where(one_to_one, n + m, second)])
    error = np.hypot(lesions.error_mm, np.median(regions.error_mm))
    shift, messages = unknown_shift(error), None
    for turn in range(SHIFT_ROUNDS + 1):
        weight, usual = _weights(asked, shift, held)
        found = beliefs(nodes, weight, n + m, messages)
        messages = found.messages
        observed, noise = _observed(asked, found.hypothesis * usual, n)
        if turn < SHIFT_ROUNDS:
            shift = shift_without_own(lesions.position_mm, error, observed, noise)
    probability = np.zeros((n, m))
    for a, b in COLUMNS:
        both = (asked.lesions[:, a] != NONE) & (asked.regions[:, b] != NONE)
        np.add.at(probability, (asked.lesions[both, a], asked.regions[both, b]), found.hypothesis[both])
    region_error = np.hypot(regions.error_mm, np.median(lesions.error_mm))
    at_regions = shift_at(regions.position_mm, region_error, lesions.position_mm, error, observed, noise)
    chosen = believed(found, nodes)
    edges = _edges(asked, chosen, probability, found)
    evidence = float(weight[chosen].sum())
    return Matching(edges, probability, found.alone[:n], found.alone[n:], shift, at_regions, evidence)


def _asked(lesions: Spots, regions: Spots, given: Given) -> Hypotheses:
    """Every hypothesis that what is given leaves open, and those that are given."""
    new = likelihood.log_new(lesions, regions)
    every = (
        hypotheses.same(lesions, regions, new)
        + hypotheses.split(lesions, regions, new)
        + hypotheses.merged(lesions, regions, new)
    )
    keep = np.ones(len(every), bool)
    if given.barred is not None:
        for a, b in COLUMNS:
            both = (every.lesions[:, a] != NONE) & (every.regions[:, b] != NONE)
            keep &= ~(both & given.barred[every.lesions[:, a], every.regions[:, b]])
    for pairs, sharing in ((given.closed, False), (given.fixed, True)):
        for lesion, region in pairs:
            has_lesion, has_region = (every.lesions == lesion).any(axis=1), (every.regions == region).any(axis=1)
            merges = has_lesion & has_region & (every.lesions[:, 1] != NONE)
            keep &= ~(has_lesion | has_region) | (merges if sharing else False)
    return every.where(keep) + hypotheses.same(lesions, regions, new, [*given.closed, *given.fixed])


def _held(asked: Hypotheses, given: Given) -> npt.NDArray[np.bool_]:
    """Which hypotheses hold a pair that is given."""
    pairs = [*given.closed, *given.fixed]
    held = np.zeros(len(asked), bool)
    for lesion, region in pairs:
        held |= (asked.lesions == lesion).any(axis=1) & (asked.regions[:, 0] == region)
    return held


def _weights(asked: Hypotheses, shift: Shift, held: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Log likelihood ratios where lesions are shifted so, and the share of each that is no outlier."""
    second = np.where(asked.lesions[:, 1] == NONE, asked.lesions[:, 0], asked.lesions[:, 1])
    both = np.stack([asked.lesions[:, 0], second])
    off = asked.target_mm - asked.source_mm - shift.mean_mm[both].mean(axis=0)
    variance = asked.own_mm2 + shift.variance_mm2[both].mean(axis=0)
    place, usual = likelihood.log_position((off**2).sum(axis=1), variance)
    weight = asked.log_weight + place
    # A given pair holds even where geometry cannot believe it.
    alone = held & (asked.lesions[:, 1] == NONE)
    weight = np.where(alone, np.maximum(weight, 0), weight)
    return weight + GIVEN_LOG_WEIGHT * held, usual


def _observed(asked: Hypotheses, trust: Array, n_lesions: int) -> tuple[Array, Array]:
    """Shift of every lesion by its hypotheses, as far as they are trusted, and its variance. [mm] (n, 3), [mm2] (n,)"""
    trusted, own, squared = np.zeros(n_lesions), np.zeros(n_lesions), np.zeros(n_lesions)
    total = np.zeros((n_lesions, 3))
    moved = asked.target_mm - asked.source_mm
    for column in asked.lesions.T:
        there = column != NONE
        which, share = column[there], trust[there]
        trusted += np.bincount(which, share, n_lesions)
        own += np.bincount(which, share * asked.own_mm2[there], n_lesions)
        squared += np.bincount(which, share * (moved[there] ** 2).sum(axis=1), n_lesions)
        np.add.at(total, which, share[:, None] * moved[there])
    known = trusted > LEAST_MATCHED
    weight = np.where(known, trusted, 1)
    mean = total / weight[:, None]
    scatter = np.maximum(squared / weight - (mean**2).sum(axis=1), 0) / 3
    return np.where(known[:, None], mean, 0), np.where(known, (own / weight + scatter) / weight, UNKNOWN_MM2)


def _edges(asked: Hypotheses, chosen: Sequence[int], probability: Array, found: Beliefs) -> tuple[Edge, ...]:
    """Pairs of the chosen hypotheses, each with what else it could have been."""
    pairs = []
    for h in chosen:
        own_lesions, own_regions = (row[h][row[h] != NONE].tolist() for row in (asked.lesions, asked.regions))
        kind = EdgeKind.SPLIT if len(own_regions) > 1 else EdgeKind.MERGED if len(own_lesions) > 1 else EdgeKind.SAME
        pairs += [(i, j, kind) for i in own_lesions for j in own_regions]
    rivals = probability.copy()
    for i, j, _ in pairs:
        rivals[i, j] = 0
    n = len(probability)
    other_lesion, other_region = rivals.argmax(axis=0).tolist(), rivals.argmax(axis=1).tolist()
    alone = found.alone.tolist()
    edges = []
    for i, j, kind in sorted(pairs):
        lesion, region = other_lesion[j], other_region[i]
        next_best, *rival = max(
            (alone[n + j], None, None), (rivals[lesion, j], lesion, None), (rivals[i, region], None, region),
            key=lambda option: option[0],
        )  # fmt: skip
        own = float(min(probability[i, j], 1))
        edges.append(Edge(i, j, kind, own, max(own - float(next_best), 0.0), *rival))
    return tuple(edges)
