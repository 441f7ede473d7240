"""Absorbed dose: what is asked of an engine, and what it answers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.curve import TacFit
from lutra.core.errors import UnitMismatch
from lutra.core.estimate import Estimate
from lutra.core.frozen import FrozenMap, float64, frozen_map
from lutra.core.region import Region
from lutra.core.units import Unit
from lutra.core.volume import Volume


@frozen(eq=False)
class DoseTarget:
    """A region whose dose is asked for.

    Parameters
    ----------
    region
        Where it is, on the grid of the problem's image.
    fit
        Its curve with the time-integrated activity; None where it has none of its own and receives cross-dose only.
    mass
        [g]
    name
        Organ name or lesion id, as the curve has it.
    tissue
        What it is, as populations and tissues of radiobiology are named: `tumour`, `kidney`, `liver`, `marrow`.
    """

    region: Region
    fit: TacFit | None
    mass: Estimate
    name: str
    tissue: str = "tumour"


@frozen(eq=False)
class DoseProblem:
    """Everything that decides the absorbed doses of one cycle.

    Parameters
    ----------
    nuclide
        `Lu-177`.
    image
        Activity at one time: within each region its distribution, whose total is the region's fit. [Bq/mL]
    targets
        Where regions overlap, a voxel belongs to the first that holds it: lesions before organs.
    remainder
        Curve of all activity in the image outside the targets; None where it was not measured.
    ct
        CT of the same session on the grid of the image; None where there is none. [HU]

    Raises
    ------
    UnitMismatch, GridMismatch
        If the image is not in Bq/mL, the CT not in HU, or something lies on another grid.
    """

    nuclide: str
    image: Volume
    targets: tuple[DoseTarget, ...]
    remainder: TacFit | None = None
    ct: Volume | None = None

    def __attrs_post_init__(self) -> None:
        for volume, unit in ((self.image, Unit.BQ_PER_ML), (self.ct, Unit.HU)):
            if volume is not None and volume.unit is not unit:
                raise UnitMismatch(f"an image in {volume.unit.value}", required=unit.value)
        for target in self.targets:
            self.image.grid.require_match(target.region.grid, f"dose of {target.name}")
        if self.ct is not None:
            self.image.grid.require_match(self.ct.grid, "CT of the dose")


@frozen(eq=False)
class Dvh:
    """Cumulative dose-volume histogram.

    Parameters
    ----------
    dose_gy
        Dose levels, increasing from 0. [Gy] (n,)
    volume_fraction
        Share of the region's volume that receives at least that dose. [1] (n,)
    """

    dose_gy: npt.NDArray[np.float64] = field(converter=float64)
    volume_fraction: npt.NDArray[np.float64] = field(converter=float64)

    def d_percent(self, percent: float) -> float:
        """Dose that at least `percent` of the volume receives (D98, D90, D50, D2). [Gy]"""
        return float(np.interp(-percent / 100, -self.volume_fraction, self.dose_gy))

    @property
    def parts(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Doses between the levels and the share of the volume at each. [Gy, 1] (n - 1,)"""
        at = (self.dose_gy[1:] + self.dose_gy[:-1]) / 2
        share = -np.diff(self.volume_fraction)
        # What receives the highest level and more stands at that level.
        return np.append(at, self.dose_gy[-1]), np.append(share, self.volume_fraction[-1])


@frozen(eq=False)
class DoseResult:
    """Absorbed dose of a region by one engine.

    Parameters
    ----------
    region
        Name or lesion id.
    engine
        Qualified name, `distribution.name@version`.
    absorbed_dose
        Mean over the region. [Gy]
    mass
        Mass the energy was divided by. [g]
    dvh
        Distribution within the region, where the engine resolves voxels.
    parts
        What the best value is made of, by name: `electrons`, `photons`, or the regions it comes from. [Gy]
    """

    region: str
    engine: str
    absorbed_dose: Estimate
    mass: Estimate
    dvh: Dvh | None = None
    parts: FrozenMap[str, float] = field(factory=FrozenMap, converter=frozen_map)


@frozen(eq=False)
class DoseMap:
    """Absorbed dose of every voxel.

    Parameters
    ----------
    dose
        Volume in Gy.
    sd
        Standard error of what was drawn by Monte Carlo, in Gy; None where nothing was.
    engine
        Qualified name of the engine.
    audit
        Where the energy went, by name. [keV per decay] Whatever was emitted is in one of them.
    """

    dose: Volume
    sd: Volume | None
    engine: str
    audit: FrozenMap[str, float] = field(factory=FrozenMap, converter=frozen_map)


@frozen(eq=False)
class CycleDoses:
    """Answer of one engine for one cycle.

    Parameters
    ----------
    results
        One per target that could be given, in the order of the targets.
    dose
        Dose of every voxel, where the engine resolves voxels.
    """

    results: tuple[DoseResult, ...]
    dose: DoseMap | None = None


@frozen(eq=False)
class CumulativeDose:
    """Dose of a region over cycles by one engine.

    Parameters
    ----------
    cycles, missing
        Cycles that are in the sum, and given cycles whose dose is not known: the sum is then a lower bound.
    """

    region: str
    engine: str
    absorbed_dose: Estimate
    cycles: tuple[int, ...]
    missing: tuple[int, ...] = ()


@frozen(eq=False)
class CycleSum:
    """Absorbed dose of all cycles on part of the grid of the first.

    Parameters
    ----------
    dose
        [Gy] On the largest box found within which every cycle has a dose.
    cycles
        That are in it; the first is the one whose body it is.
    covered
        Share of the reference grid that the box holds. [1]
    error_mm
        Largest expected error of the maps between the cycles; None if one was not evaluated. [mm]
    engine
        Qualified name.
    """

    dose: Volume
    cycles: tuple[int, ...]
    covered: float
    error_mm: float | None
    engine: str


@frozen(eq=False)
class BiologicalDose:
    """What a dose is worth to a tissue, in one cycle or over several.

    Parameters
    ----------
    region, tissue
        Name or lesion id; tissue whose parameters were taken.
    alpha_beta_gy, repair_half_life_s
        Of the linear-quadratic model. [Gy, s]
    source
        Where the two come from.
    protraction
        Lea-Catcheside factor of the region's curve; None over several cycles. [1]
    bed, eqd2
        Of the mean dose. [Gy]
    voxel_bed_gy
        Mean of the biologically effective doses of the voxels; None where no voxels are resolved, or over several cycles.
    eud_bed_gy
        BED that, given evenly, leaves as many cells alive; None without an alpha. [Gy]
    cycles
        Cycles it holds for; empty for one.
    """

    region: str
    tissue: str
    alpha_beta_gy: float
    repair_half_life_s: float
    source: str
    protraction: float | None
    bed: Estimate
    eqd2: Estimate
    voxel_bed_gy: float | None = None
    eud_bed_gy: float | None = None
    cycles: tuple[int, ...] = ()


@frozen(eq=False)
class MarrowMethod:
    """Dose of red marrow by one method: its own activity, what others send (None: not known), and both. [Gy]"""

    name: str
    own: Estimate
    cross: Estimate | None
    total: Estimate


@frozen(eq=False)
class MarrowDose:
    """Dose of red marrow by every method there is, side by side."""

    methods: tuple[MarrowMethod, ...]

    @property
    def ratio(self) -> float | None:
        """Largest over smallest; None with one method alone. [1]"""
        values = [m.total.value for m in self.methods]
        return max(values) / min(values) if len(values) > 1 and min(values) > 0 else None
