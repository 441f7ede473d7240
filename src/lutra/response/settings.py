"""What a study may choose about response."""

from __future__ import annotations

from attrs import asdict, frozen

from lutra.core.frozen import FrozenMap
from lutra.ports import Settings


@frozen
class ResponseSettings:
    """Thresholds of the lesion-level criterion, those of RECIST 1.1 applied to one lesion [eisenhauer2009].

    Parameters
    ----------
    pr_relative
        Change from baseline at or below which a lesion responds. [1] Default -0.30.
    pd_relative
        Change from nadir at or above which it progresses, if the next is met as well. [1] Default +0.20.
    pd_absolute_mm
        Growth from nadir required with it. [mm] Default 5.
    """

    pr_relative: float = -0.30
    pd_relative: float = 0.20
    pd_absolute_mm: float = 5.0

    def options(self) -> Settings:
        """Give the table a criterion is handed."""
        return FrozenMap(asdict(self))
