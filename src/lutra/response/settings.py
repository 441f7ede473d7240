"""What a study may choose about response."""

from __future__ import annotations

from attrs import field, frozen

from lutra.core.frozen import FrozenMap
from lutra.ports import Settings
from lutra.response.recist.endpoints import EndpointSettings


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
    outcome_after_days
        From the start of the last cycle to the CT that a lesion's outcome is taken from, at least. [d] Default 28: the shortest
        time after which RECIST 1.1 confirms a response.
    endpoints
        Conventions of best response and survival.
    """

    pr_relative: float = -0.30
    pd_relative: float = 0.20
    pd_absolute_mm: float = 5.0
    outcome_after_days: int = 28
    endpoints: EndpointSettings = field(factory=EndpointSettings)

    def options(self) -> Settings:
        """Give the table the lesion-level criterion is handed."""
        names = ("pr_relative", "pd_relative", "pd_absolute_mm")
        return FrozenMap({name: getattr(self, name) for name in names})
