"""How much tumour there is in the whole body."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen

from lutra.core.estimate import Estimate
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.core.region import Region
from lutra.core.study import Role
from lutra.core.units import Unit


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


@frozen(eq=False)
class BurdenComponent:
    """One connected piece of tumour.

    Parameters
    ----------
    volume, uptake
        Its volume [mL], and SUVmean times volume [mL{SUVbw}].
    suv_max
        Its highest voxel. [SUV]
    lesions
        Names of the lesions of the user's list that it overlaps; none for what is not on the list.
    """

    region: Region
    volume: Estimate
    uptake: Estimate
    suv_max: float
    lesions: tuple[str, ...] = field(default=(), converter=_names)


def _components(components: Iterable[BurdenComponent]) -> tuple[BurdenComponent, ...]:
    return tuple(components)


@frozen(eq=False)
class TumourBurden:
    """SSTR-TV and TL-SSTR, or MTV and TLG, of the whole body.

    Parameters
    ----------
    role
        SSTR or FDG PET.
    rule
        How tumour was told from the rest, in one line.
    threshold_suv, liver_threshold_suv
        Least SUV of tumour, outside and inside the liver; the latter None if no liver was given. [SUV]
    excluded_ml
        Volume above the threshold that was taken as an organ's own, by its name. [mL]
    missing_organs
        Organs with uptake of their own that were not given, and may be in the burden.
    left_out_ml
        Volume of components below the floor. [mL]
    """

    role: Role = field(converter=Role)
    rule: str
    threshold_suv: float
    liver_threshold_suv: float | None
    components: tuple[BurdenComponent, ...] = field(converter=_components)
    excluded_ml: FrozenMap[str, float] = field(converter=frozen_map)
    missing_organs: tuple[str, ...] = field(default=(), converter=_names)
    left_out_ml: float = 0.0

    @property
    def volume(self) -> Estimate:
        """SSTR-TV or MTV. [mL]"""
        return sum((c.volume for c in self.components), Estimate(0.0, Unit.ML))

    @property
    def uptake(self) -> Estimate:
        """TL-SSTR or TLG. [mL{SUVbw}]"""
        return sum((c.uptake for c in self.components), Estimate(0.0, Unit.SUV_BW_ML))

    @property
    def listed(self) -> tuple[BurdenComponent, ...]:
        """Components that overlap a lesion of the user's list."""
        return tuple(c for c in self.components if c.lesions)

    @property
    def unlisted(self) -> tuple[BurdenComponent, ...]:
        """Components that no lesion of the list overlaps."""
        return tuple(c for c in self.components if not c.lesions)
