"""A SPECT acquisition: activity and attenuation in, counts of every view out."""

from __future__ import annotations

from math import ceil, pi

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from attrs.validators import ge, gt, in_, instance_of

from lutra.core.errors import OutsideValidity, UnitMismatch
from lutra.core.frozen import float32
from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.physics.dead_time import observed_rate
from lutra.physics.decay import decay_constant_per_s
from lutra.reference.nuclides import nuclide
from lutra.simulate.spect.camera import GammaCamera
from lutra.simulate.spect.projector import Projector, projector
from lutra.simulate.spect.scatter import IN_WINDOW, SCATTER_LENGTH_MM, SideWindows, side_windows, spread_exponentially

Image = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]

BQ_PER_MBQ = 1e6
MARGIN_VOXELS = 4
"""Around whatever is active or attenuates, so that little of its blur leaves the detector."""
BODY_PER_MM = 0.003
"""What attenuates more than this belongs to the body, for orbits that follow it; lung has 0.004/mm."""
SAME_SPACING = 1e-3


@frozen
class Acquisition:
    """How a scan is made and reconstructed; the defaults are those of a study, clinics count 10 to 30 s per view.

    Parameters
    ----------
    views
        Number of views of all heads together, over 360 degrees.
    s_per_view
        Counting time of a view. [s]
    radius_mm
        Distance of the collimator's face from the axis. [mm] None: it follows the body.
    clearance_mm
        Between face and body where it follows the body. [mm]
    attenuation, scatter, tails, dead_time, noise
        Which effects there are.
    iterations, subsets
        Of OSEM; their product is the number of updates, 48 to 80 in the clinic.
    model_resolution
        Whether the reconstruction knows the blur of the collimator.
    scatter_correction
        `windows` (from the windows beside the peak), `exact` (the true expectation) or `none`.
    filter_fwhm_mm
        Gaussian applied to the result. [mm]
    """

    views: int = field(default=120, validator=[instance_of(int), ge(4)])
    s_per_view: float = field(default=60.0, validator=gt(0.0))
    radius_mm: float | None = None
    clearance_mm: float = 30.0
    attenuation: bool = True
    scatter: bool = True
    tails: bool = True
    dead_time: bool = True
    noise: bool = True
    iterations: int = field(default=6, validator=ge(1))
    subsets: int = field(default=8, validator=ge(1))
    model_resolution: bool = True
    scatter_correction: str = field(default="windows", validator=in_(("windows", "exact", "none")))
    filter_fwhm_mm: float = field(default=0.0, validator=ge(0.0))

    def duration_s(self, camera: GammaCamera) -> float:
        """Time the scan takes, every head counting all the while. [s]"""
        return self.views / camera.heads * self.s_per_view


@frozen(eq=False)
class Views:
    """What was counted.

    Parameters
    ----------
    counts
        In the peak window. (views, n, nz)
    expected
        Mean of the counts, without scatter. (views, n, nz)
    scatter
        Mean of the scattered counts. (views, n, nz)
    beside
        Counts in the windows beside the peak; None without scatter.
    turns_rad, radii_mm
        Where the detector was. (views,)
    lost_share
        Counts lost to dead time. [1]
    """

    counts: Image = field(converter=float32)
    expected: Image = field(converter=float32)
    scatter: Image = field(converter=float32)
    beside: SideWindows | None
    turns_rad: Numbers
    radii_mm: Numbers
    lost_share: float


def acquire(activity: Volume, attenuation: Volume, camera: GammaCamera, how: Acquisition, seed: int) -> Views:
    """Count what a camera sees while it turns around the third axis of the grid, through the middle of the other two.

    Parameters
    ----------
    activity
        At the start of the scan; it decays with 177Lu. [Bq/mL]
    attenuation
        At 208 keV. [1/mm]
    seed
        Of the counting noise.

    Raises
    ------
    GridMismatch
        If activity and attenuation are not on one grid.
    OutsideValidity
        If the grid is oblique or its voxels are not square in the plane, or the attenuation cannot be in 1/mm.
    UnitMismatch
        If the activity is not in Bq/mL.
    """
    check(activity, attenuation)
    side = square_side(activity, attenuation)
    mu, content = (to_square(v.values, side) for v in (attenuation, activity))
    turns = 2 * pi * np.arange(how.views) / how.views
    radii = orbit(mu, activity.grid, turns, how)
    spacing = transaxial_and_axial_mm(activity.grid)
    see = projector(mu.shape, spacing, turns, radii, camera.sigma_mm, mu if how.attenuation else None)
    # Counts of every bin per decay: what the camera detects of a voxel's decays in one view.
    content = content * np.float32(activity.grid.voxel_volume_ml * camera.cps_per_mbq / BQ_PER_MBQ * how.s_per_view)
    primary = see.forward(content)
    scatter = np.zeros_like(primary)
    if how.scatter and how.attenuation:
        less = projector(mu.shape, spacing, turns, radii, camera.sigma_mm, mu * np.float32(1 - IN_WINDOW))
        scatter = spread_exponentially(np.maximum(less.forward(content) - primary, 0), SCATTER_LENGTH_MM, spacing)
    if how.tails and camera.tail_share:
        primary, scatter = (_with_tails(seen, camera, spacing) for seen in (primary, scatter))
    left = _decay(how, camera)
    rate = (primary + scatter).sum(axis=(1, 2), dtype=np.float64) * left / how.s_per_view
    counted = left
    if how.dead_time and camera.tau_s:
        wide = rate * camera.wide_over_peak
        counted = left * observed_rate(wide, camera.tau_s) / np.maximum(wide, 1e-300)
    primary, scatter = (seen * counted.astype(np.float32)[:, None, None] for seen in (primary, scatter))
    beside = side_windows(scatter, camera) if how.scatter else None
    lost = 1 - float(np.sum(rate * counted / left)) / max(float(np.sum(rate)), 1e-300)
    counts = primary + scatter
    if how.noise:
        counts = _counted(counts, seed, "peak")
        beside = beside and SideWindows(_counted(beside.lower, seed, "below"), _counted(beside.upper, seed, "above"))
    return Views(counts, primary, scatter, beside, turns, radii, lost)


def model_of(views: Views, attenuation: Volume, camera: GammaCamera, how: Acquisition) -> Projector:
    """Projector that the reconstruction of these views uses."""
    n, nz = views.counts.shape[1:]
    mu = to_square(attenuation.values, n) if how.attenuation else None
    sigma = camera.sigma_mm if how.model_resolution else np.zeros_like
    spacing = transaxial_and_axial_mm(attenuation.grid)
    return projector((n, n, nz), spacing, views.turns_rad, views.radii_mm, sigma, mu)


def orbit(mu: Image, grid: Grid, turns: Numbers, how: Acquisition) -> Numbers:
    """Distance of the collimator's face from the axis at each turn. [mm] (views,)"""
    if how.radius_mm is not None:
        return np.full(len(turns), how.radius_mm)
    across = np.argwhere((mu > BODY_PER_MM).any(axis=2)) - (mu.shape[0] - 1) / 2
    if not len(across):
        raise OutsideValidity("nothing attenuates, so there is no body to follow", do="give radius_mm")
    direction = np.stack([np.cos(turns), np.sin(turns)])
    surface: Numbers = (across @ direction).max(axis=0) * grid.spacing_mm[0]
    return surface + how.clearance_mm


def square_side(activity: Volume, attenuation: Volume) -> int:
    """Voxels along a side of the square that holds whatever is active or attenuates, at every turn."""
    ni, nj, _ = activity.grid.shape
    there = np.argwhere((activity.values > 0).any(axis=2) | (attenuation.values > 0).any(axis=2))
    middle = (np.array([ni, nj]) - 1) / 2
    reach = float(np.linalg.norm(there - middle, axis=1).max(initial=0.0))
    return max(ni, nj, ceil(2 * (reach + MARGIN_VOXELS)))


def to_square(values: npt.NDArray[np.float32], side: int) -> Image:
    """Put a volume into the middle of a square. (side, side, nz)"""
    square = np.zeros((side, side, values.shape[2]), np.float32)
    square[_inside(values.shape, side)] = values
    return square


def from_square(square: Image, shape: tuple[int, int, int]) -> Image:
    """Take back what :func:`to_square` put in. (i, j, k)"""
    return square[_inside(shape, square.shape[0])][:, :, : shape[2]]


def _inside(shape: tuple[int, ...], side: int) -> tuple[slice, slice]:
    at = [(side - n) // 2 for n in shape[:2]]
    return slice(at[0], at[0] + shape[0]), slice(at[1], at[1] + shape[1])


def transaxial_and_axial_mm(grid: Grid) -> tuple[float, float]:
    """Edge of a voxel in the plane and along the axis. [mm]"""
    return grid.spacing_mm[0], grid.spacing_mm[2]


def check(activity: Volume, attenuation: Volume) -> None:
    """Raise unless a camera can turn around this; see :func:`acquire`."""
    if activity.unit != Unit.BQ_PER_ML:
        raise UnitMismatch(f"activity in {activity.unit}", required=str(Unit.BQ_PER_ML))
    activity.grid.require_match(attenuation.grid, "activity and attenuation")
    axes = activity.grid.affine_lps_mm[:3, :3] / activity.grid.spacing_mm
    edges = activity.grid.spacing_mm
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4) or abs(edges[0] / edges[1] - 1) > SAME_SPACING:
        raise OutsideValidity(
            f"a SPECT on {activity.grid.describe()}", required="orthogonal axes and voxels that are square in the plane"
        )
    if float(activity.values.min(initial=0.0)) < 0:
        raise OutsideValidity(f"an activity of {float(activity.values.min()):.3g} Bq/mL", required="none below zero")


def _with_tails(seen: Image, camera: GammaCamera, spacing_mm: tuple[float, float]) -> Image:
    share = np.float32(camera.tail_share)
    return (1 - share) * seen + share * spread_exponentially(seen, camera.tail_length_mm, spacing_mm)


def _decay(how: Acquisition, camera: GammaCamera) -> Numbers:
    """Mean activity during each view over that at the start; the heads count at the same time, each its own arc."""
    per_head = how.views // camera.heads
    decayed = decay_constant_per_s(nuclide("Lu-177").half_life_s) * how.s_per_view
    number = np.arange(how.views) % max(per_head, 1)
    left: Numbers = np.exp(-decayed * number) * -np.expm1(-decayed) / decayed
    return left


def _counted(expected: Image, seed: int, name: str) -> Image:
    rng = np.random.default_rng([seed, *b"spect ", *name.encode()])
    return rng.poisson(expected.astype(np.float64)).astype(np.float32)
