r"""Ordered-subset expectation maximisation.

.. math:: x \leftarrow \frac{x}{A_b^T 1} \; A_b^T \frac{y_b}{A_b x + r_b}

one subset b of the views after another; r is the expected scatter. Likelihood grows, bias falls and noise rises with the updates.

References
----------
Hudson and Larkin, IEEE Trans Med Imaging 13:601 (1994).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lutra.core.errors import OutsideValidity
from lutra.simulate.spect.projector import Projector

Image = npt.NDArray[np.float32]

SEEN_AT_LEAST = 1e-4
"""Voxels that the views of a subset see by less than this share of the best seen one stay empty. [1]"""


def osem(system: Projector, counts: Image, additive: Image | None, iterations: int, subsets: int) -> Image:
    """Reconstruct; the last of :func:`osem_iterates`."""
    *_, last = osem_iterates(system, counts, additive, iterations, subsets)
    return last


def osem_iterates(
    system: Projector, counts: Image, additive: Image | None, iterations: int, subsets: int
) -> Iterator[Image]:
    """Reconstruct, giving the image after each iteration.

    Parameters
    ----------
    system
        Model of the views; its sum over a view is the content of the volume where nothing attenuates.
    counts
        (views, n, nz)
    additive
        Expected counts that do not come from the model, such as scatter. (views, n, nz) None: there are none.

    Yields
    ------
    Image
        Counts of all views, had nothing been attenuated; zero outside the circle every view sees. (n, n, nz)

    Raises
    ------
    OutsideValidity
        If there are fewer than two views for each subset.
    """
    views = len(system.turns)
    if views < 2 * subsets:
        raise OutsideValidity(f"{subsets} subsets of {views} views", required="two views in each subset")
    parts = [np.arange(b, views, subsets) for b in _spread_order(subsets)]
    sensitivity = [_seen(system.adjoint(np.ones_like(counts[part]), part)) for part in parts]
    estimate = _start(system.shape, float(counts.sum(dtype=np.float64)) / views)
    for _ in range(iterations):
        for part, seen in zip(parts, sensitivity, strict=True):
            expected = system.forward(estimate, part)
            if additive is not None:
                expected += additive[part]
            ratio = np.divide(counts[part], expected, out=np.zeros_like(expected), where=expected > 0)
            estimate *= system.adjoint(ratio, part)
            estimate *= seen
        yield estimate * np.float32(views)


def _seen(sensitivity: Image) -> Image:
    """One over the sensitivity, zero where there is none to speak of."""
    enough = sensitivity > SEEN_AT_LEAST * float(sensitivity.max())
    return np.divide(1.0, sensitivity, out=np.zeros_like(sensitivity), where=enough)


def _start(shape: tuple[int, int, int], total: float) -> Image:
    """Uniform in the circle that stays inside the square at every turn."""
    n, _, nz = shape
    across = (np.arange(n) - (n - 1) / 2) ** 2
    circle = (across[:, None] + across[None, :]) <= ((n - 1) / 2) ** 2
    level = max(total, 1.0) / (float(circle.sum()) * nz)
    return np.repeat((circle * level).astype(np.float32)[:, :, None], nz, axis=2)


def _spread_order(subsets: int) -> list[int]:
    """Order in which each subset lies far from those before it."""
    order, left = [0], set(range(1, subsets))
    while left:
        gaps = {b: min(min((b - a) % subsets, (a - b) % subsets) for a in order[-2:]) for b in left}
        nearest = max(left, key=lambda b: (gaps[b], -b))
        order.append(nearest)
        left.remove(nearest)
    return order
