"""STAGE 8, doses + blood + history -> what to do with the next cycle."""

from lutra.safety.decide import decide
from lutra.safety.deviations import deviations
from lutra.safety.facts import BED, BED_WITH_RISK, DOSE, MARROW
from lutra.safety.projection import Outlook, project
from lutra.safety.scan_deviations import scan_deviations

__all__ = ["BED", "BED_WITH_RISK", "DOSE", "MARROW", "Outlook", "decide", "deviations", "project", "scan_deviations"]
