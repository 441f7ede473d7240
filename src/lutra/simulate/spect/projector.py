r"""What a gamma camera sees of a volume as it turns around it, and the exact transpose of that.

A view is the sum over planes parallel to the detector, each attenuated on its way out and blurred by what the collimator does at
its distance. The volume is turned by bilinear interpolation. Blur is applied in increments: a plane that lies deeper passes
through more of them, so that one pass from the far plane to the near one blurs every plane by its own width,

.. math:: p = G_0 \sum_i \Bigl(\prod_{k>i} E_k S_k\Bigr) R_\theta(f)_i

with :math:`E_k` the attenuation between two planes and :math:`S_k` nothing or steps (1/6, 2/3, 1/6) of variance 1/3,
which has the kurtosis of a Gaussian. Where the steps lie is shifted from view to view, so that over the views the variance of every
plane is what was asked; in one view it is off by up to one step.

Counts are conserved where nothing attenuates and nothing leaves the detector. Transmission is interpolated rather than the
attenuation coefficient; the two differ by the square of the attenuation in half a voxel (0.1 % at the border of bone, 4.8 mm).

References
----------
Zeng and Gullberg, IEEE Trans Nucl Sci 39:1072 (1992): blur layer by layer.
Di Bella et al., IEEE Trans Nucl Sci 43:3370 (1996): rotation.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.errors import GridMismatch, OutsideValidity
from lutra.simulate.spect import kernels

Image = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]

CHUNKS = 4
"""Views are worked on in this many parts, whose sums are added in order: any number of threads gives the same bytes."""
STEP_VARIANCE = 1 / 3
"""Variance of one blur step (1/6, 2/3, 1/6). [voxel2]"""
ROTATION_VARIANCE = 1 / 6
"""Blur that bilinear interpolation adds along the detector, averaged over places; taken off the last blur. [voxel2]"""
KERNEL_SIGMAS = 4.0
GOLDEN = (5**0.5 - 1) / 2
"""Its multiples, without their whole part, fill an interval evenly however many are taken."""
PLAUSIBLE_PER_MM = 0.1
"""Titanium has 0.06/mm at 208 keV; water in 1/cm would read 0.136."""


@frozen(eq=False)
class Projector:
    """A linear map from a volume (n, n, nz) to views (views, n, nz), and its transpose.

    Build one with :func:`projector`.
    """

    shape: tuple[int, int, int]
    turns: Numbers
    loss: Image
    steps: npt.NDArray[np.uint8]
    step_u: np.float32
    step_z: np.float32
    kernels_u: Image
    kernels_z: Image
    threads: int

    def forward(self, volume: npt.ArrayLike, views: npt.ArrayLike | None = None) -> Image:
        """Project a volume on all views or some of them.

        Parameters
        ----------
        volume
            Content of each voxel, such as counts per view. (n, n, nz)
        views
            Indices of the views; None: all.

        Returns
        -------
        Image
            What each bin of each view receives. (views, n, nz)
        """
        given = np.asarray(volume, np.float32)
        if given.shape != self.shape:
            raise GridMismatch(f"volume {given.shape} on a projector of {self.shape}")
        padded = _padded(given)
        chosen = self._chosen(views)
        seen = np.empty((len(chosen), *self.shape[1:]), np.float32)

        def work(part: slice) -> None:
            kernels.forward_views(padded, *self._arguments(chosen[part]), seen[part])

        self._in_parts(work, len(chosen))
        return seen

    def adjoint(self, seen: npt.ArrayLike, views: npt.ArrayLike | None = None) -> Image:
        """Apply the transpose of :meth:`forward`. (n, n, nz)"""
        given = np.ascontiguousarray(seen, np.float32)
        chosen = self._chosen(views)
        if given.shape != (len(chosen), *self.shape[1:]):
            raise GridMismatch(f"views {given.shape} of a projector with {len(chosen)} views of {self.shape[1:]}")

        def work(part: slice) -> Image:
            n, _, nz = self.shape
            volume = np.zeros((n + 2, n + 2, nz), np.float32)
            kernels.back_views(given[part], *self._arguments(chosen[part]), volume)
            return volume

        return np.ascontiguousarray(sum(self._in_parts(work, len(chosen)))[1:-1, 1:-1])

    def _chosen(self, views: npt.ArrayLike | None) -> npt.NDArray[np.intp]:
        return np.arange(len(self.turns)) if views is None else np.asarray(views, np.intp)

    def _arguments(self, chosen: npt.NDArray[np.intp]) -> tuple[Image, Numbers, tuple[Any, ...]]:
        blurs = (self.steps[chosen], self.step_u, self.step_z, self.kernels_u[chosen], self.kernels_z[chosen])
        return self.loss, self.turns[chosen], blurs

    def _in_parts(self, work: Callable[[slice], Any], count: int) -> list[Any]:
        edges = np.linspace(0, count, min(CHUNKS, count) + 1).astype(int)
        parts = [slice(int(a), int(b)) for a, b in pairwise(edges)]
        if self.threads == 1:
            return [work(part) for part in parts]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(work, parts))


def projector(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float],
    turns_rad: npt.ArrayLike,
    radii_mm: npt.ArrayLike,
    sigma_mm: Callable[[Numbers], Numbers],
    attenuation: npt.ArrayLike | None = None,
    threads: int | None = None,
) -> Projector:
    """Prepare a projector.

    Parameters
    ----------
    shape
        Voxels of the volume (n, n, nz); views have (n, nz) bins of the same size.
    spacing_mm
        Voxel edge in the transaxial plane and along the axis. [mm]
    turns_rad
        Direction of the detector, from the first axis of the volume to the second. [rad] (views,)
    radii_mm
        Distance of the detector's face from the axis. [mm] (views,) or one number
    sigma_mm
        Standard deviation of the blur at distances from the face; non-decreasing. [mm]
    attenuation
        Linear attenuation coefficient. [1/mm] (n, n, nz) None: nothing attenuates.
    threads
        How many views are worked on at once; None: one per core. Results do not depend on it.

    Raises
    ------
    GridMismatch
        If volume and attenuation differ in shape.
    OutsideValidity
        If the plane is not square, or the attenuation cannot be in 1/mm.
    """
    n, other, _ = shape
    if n != other:
        raise OutsideValidity(f"a transaxial plane of {n} x {other} voxels", required="a square", do="pad it")
    turns = np.asarray(turns_rad, np.float64)
    radii = np.broadcast_to(np.asarray(radii_mm, np.float64), turns.shape)
    transaxial, axial = spacing_mm
    depth_mm = np.maximum(radii[:, None] - (np.arange(n) - (n - 1) / 2) * transaxial, 0.0)
    variance = np.asarray(sigma_mm(depth_mm), np.float64) ** 2
    step_mm2 = STEP_VARIANCE * min(transaxial, axial) ** 2
    steps = _steps(variance, step_mm2)
    last = variance[:, -1]
    turned = ~np.isclose(np.sin(2 * turns), 0.0, atol=1e-6)
    return Projector(
        shape=shape,
        turns=turns,
        loss=_loss(attenuation, shape, transaxial),
        steps=steps,
        step_u=np.float32(step_mm2 / transaxial**2 / 2),
        step_z=np.float32(step_mm2 / axial**2 / 2),
        kernels_u=_half_kernels(np.maximum(last / transaxial**2 - ROTATION_VARIANCE * turned, 0.0)),
        kernels_z=_half_kernels(last / axial**2),
        threads=threads or min(CHUNKS, os.cpu_count() or 1),
    )


def _steps(variance: Numbers, step: float) -> npt.NDArray[np.uint8]:
    """How many steps are passed between plane i - 1 and i. (views, n)"""
    phase = (np.arange(len(variance)) * GOLDEN + 0.5) % 1.0
    wanted = np.floor((variance - variance[:, -1:]) / step + phase[:, None])
    counts = np.zeros(variance.shape)
    counts[:, 1:] = wanted[:, :-1] - wanted[:, 1:]
    return counts.astype(np.uint8)


def _half_kernels(variances: Numbers) -> Image:
    """Gaussians of these variances [voxel2], from the centre outwards, of sum 1 in full. (views, taps)"""
    reach = int(np.ceil(KERNEL_SIGMAS * np.sqrt(variances.max(initial=0.25))))
    m = np.arange(reach + 1)
    wide = np.exp(-(m**2) / (2 * np.maximum(variances, 1e-3)[:, None]))
    # A sampled Gaussian narrower than 0.7 voxels has not the variance it is named after; three taps have.
    narrow = np.where(m == 0, 1 - variances[:, None], np.where(m == 1, variances[:, None] / 2, 0.0))
    taps = np.where(variances[:, None] < 0.5, narrow, wide)
    total = taps[:, :1] + 2 * taps[:, 1:].sum(axis=1, keepdims=True)
    return np.asarray(taps / total, np.float32)


def _loss(attenuation: npt.ArrayLike | None, shape: tuple[int, int, int], spacing_mm: float) -> Image:
    """Share of photons lost in half a voxel, with an empty border."""
    if attenuation is None:
        return np.zeros((1, 1, 1), np.float32)
    per_mm = np.asarray(attenuation, np.float32)
    if per_mm.shape != shape:
        raise GridMismatch(f"attenuation of shape {per_mm.shape}, activity of {shape}")
    highest = float(per_mm.max(initial=0.0))
    if highest > PLAUSIBLE_PER_MM or float(per_mm.min(initial=0.0)) < 0:
        raise OutsideValidity(
            f"attenuation from {float(per_mm.min()):.3g} to {highest:.3g}/mm",
            required=f"0 to {PLAUSIBLE_PER_MM}/mm (water at 208 keV: 0.0136)",
            do="divide by 10 if it is in 1/cm",
        )
    return _padded(-np.expm1(-per_mm * spacing_mm / 2))


def _padded(volume: npt.NDArray[Any]) -> Image:
    return np.ascontiguousarray(np.pad(volume, ((1, 1), (1, 1), (0, 0))), np.float32)
