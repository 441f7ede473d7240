"""Volumes of a diffusion series gathered into shells: one log signal per b-value, averaged over gradient directions.

Three orthogonal directions, or many even ones, are averaged so that the mean is the trace of the diffusion tensor: in the log
signal a direction g counts g.D.g, so weights w with sum w g g' = 1/3 of the unit matrix give exactly the mean diffusivity. The
weights of smallest norm that do so are used; for an even scheme they are all 1/n, the geometric mean of the signals.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.study import VolumeKey

Floats = npt.NDArray[np.float64]
Vector = tuple[float, float, float]

SAME_SHELL = 0.02
"""Relative difference of b-values that are one shell: Siemens and UIH write what the gradients add up to, 995 and 1005."""
SAME_SHELL_S_PER_MM2 = 0.5
"""The same, absolute, for the smallest ones: Philips tells repeated b = 0 apart by writing 0.001, 0.002 and so on."""
UNWEIGHTED_S_PER_MM2 = 2.0
"""Below this the direction does not matter: even in free water (3e-3 mm2/s) the signal changes by 0.6 %."""
SAME_DIRECTION = 1e-3
"""1 - |cosine| of directions that are one (2.6 degrees); a gradient and its opposite weight alike."""
TRACE_TOLERANCE = 0.01
"""How far sum w g g' may stay from a third of the unit matrix, element by element, and still be called the trace."""

NEARLY_DEPENDENT = 0.02
"""Share of the largest singular value below which directions do not determine a component: its weights would be all noise."""


@frozen
class Direction:
    """Volumes with one gradient direction: repetitions that are averaged before the logarithm.

    Parameters
    ----------
    weight
        Share in the log signal of the shell. [1]
    gradient_lps
        Unit vector; None where there is none or it is not known.
    volumes
        Indices of the volumes.
    """

    weight: float
    gradient_lps: tuple[float, float, float] | None
    volumes: tuple[int, ...]


@frozen
class Shell:
    """One b-value.

    Parameters
    ----------
    b_s_per_mm2
        Mean of the b-values of its volumes. [s/mm2]
    directions
        What is averaged.
    is_trace
        Whether the average is the mean diffusivity; True for b = 0 and for a single volume without direction, which scanners
        write as trace image.
    left_out
        Volumes not used: trace images the scanner derived from the directions of this very shell.
    """

    b_s_per_mm2: float
    directions: tuple[Direction, ...]
    is_trace: bool = True
    left_out: tuple[int, ...] = ()


def shells_of(keys: Sequence[VolumeKey]) -> tuple[Shell, ...]:
    """Group the volumes of a series by b-value, in rising order.

    Parameters
    ----------
    keys
        Keys of the volumes; each has a b-value.
    """
    order = sorted(range(len(keys)), key=lambda n: _b(keys[n]))
    groups: list[list[int]] = []
    for n in order:
        b = _b(keys[n])
        first = _b(keys[groups[-1][0]]) if groups else -np.inf
        if b - first > max(SAME_SHELL_S_PER_MM2, SAME_SHELL * b):
            groups.append([])
        groups[-1].append(n)
    return tuple(_shell(group, keys) for group in groups)


def log_signal(shell: Shell, volumes: Sequence[npt.NDArray[np.floating]]) -> tuple[Floats, Floats]:
    r"""Logarithm of the signal of a shell, and its weight.

    The variance of ln S is (sigma/S)^2, that of the weighted mean :math:`\sum w_k^2 / (r_k S_k^2)` with r repetitions; the
    weight is its inverse, in units of 1/sigma^2: S^2 for a single volume.

    Parameters
    ----------
    volumes
        Signals of the whole series. (n) of (voxels)

    Returns
    -------
    tuple
        Log signal and weight, both 0 where a signal is not positive. (voxels)
    """
    size = volumes[0].size
    mean_log, variance, usable = np.zeros(size), np.zeros(size), np.ones(size, bool)
    for direction in shell.directions:
        signal = np.asarray(volumes[direction.volumes[0]], np.float64)
        for n in direction.volumes[1:]:
            signal = signal + volumes[n]
        repetitions = len(direction.volumes)
        positive = np.isfinite(signal) & (signal > 0)
        usable &= positive
        signal = np.where(positive, signal / repetitions, 1.0)
        mean_log += direction.weight * np.log(signal)
        variance += direction.weight**2 / (repetitions * signal**2)
    return np.where(usable, mean_log, 0.0), np.where(usable, 1 / variance, 0.0)


def directions_of(
    shells: Sequence[Shell], keys: Sequence[VolumeKey]
) -> list[tuple[Vector | None, list[tuple[float, tuple[int, ...]]]]]:
    """Gather what was measured along each direction: b-value and volumes, those without direction counting for all of them.

    Returns
    -------
    list
        Gradient, and its b-values with their volumes; one entry without gradient if there are no directions.
    """
    everywhere = [(s.b_s_per_mm2, s.directions[0].volumes) for s in shells if s.directions[0].gradient_lps is None]
    along: list[tuple[int, list[tuple[float, tuple[int, ...]]]]] = []
    for shell in shells:
        for direction in shell.directions:
            if direction.gradient_lps is None:
                continue
            n = direction.volumes[0]
            same = next((found for first, found in along if _same_direction(keys[first], keys[n])), None)
            if same is None:
                along.append((n, [*everywhere, (shell.b_s_per_mm2, direction.volumes)]))
            else:
                same.append((shell.b_s_per_mm2, direction.volumes))
    return [(keys[n].gradient_lps, found) for n, found in along] or [(None, everywhere)]


def trace_weights(gradients: npt.ArrayLike) -> tuple[Floats, bool]:
    """Weights that turn signals along these directions into the mean diffusivity.

    Parameters
    ----------
    gradients
        Unit vectors. (n, 3)

    Returns
    -------
    tuple
        Weights that sum to 1, and whether the mean is the trace; if no weights up to 1 make it so, all are 1/n.
    """
    g = np.asarray(gradients, float)
    products = np.array(
        [g[:, 0] ** 2, g[:, 1] ** 2, g[:, 2] ** 2, g[:, 0] * g[:, 1], g[:, 0] * g[:, 2], g[:, 1] * g[:, 2]]
    )
    third = np.array([1, 1, 1, 0, 0, 0]) / 3
    weights = np.linalg.lstsq(products, third, rcond=NEARLY_DEPENDENT)[0]
    if np.abs(weights).max() > 1 or np.abs(products @ weights - third).max() > TRACE_TOLERANCE:
        return np.full(len(g), 1 / len(g)), False
    return weights / weights.sum(), True


def _b(key: VolumeKey) -> float:
    return key.b_value_s_per_mm2 or 0.0


def _shell(group: list[int], keys: Sequence[VolumeKey]) -> Shell:
    b = float(np.mean([_b(keys[n]) for n in group]))
    if b <= UNWEIGHTED_S_PER_MM2:
        return Shell(b, (Direction(1.0, None, tuple(group)),))
    directed = [n for n in group if keys[n].gradient_lps is not None]
    if not directed:
        return Shell(b, (Direction(1.0, None, tuple(group)),))
    repeats: list[list[int]] = []
    for n in directed:
        same = next((r for r in repeats if _same_direction(keys[r[0]], keys[n])), None)
        if same is None:
            repeats.append([n])
        else:
            same.append(n)
    gradients = [g for r in repeats if (g := keys[r[0]].gradient_lps) is not None]
    weights, is_trace = trace_weights(gradients)
    directions = tuple(Direction(float(w), g, tuple(r)) for w, g, r in zip(weights, gradients, repeats, strict=True))
    return Shell(b, directions, is_trace, tuple(n for n in group if keys[n].gradient_lps is None))


def _same_direction(one: VolumeKey, other: VolumeKey) -> bool:
    assert one.gradient_lps is not None and other.gradient_lps is not None  # noqa: S101, PT018  (directed volumes only)
    return abs(float(np.dot(one.gradient_lps, other.gradient_lps))) > 1 - SAME_DIRECTION
