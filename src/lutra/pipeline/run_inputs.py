"""What a run takes from the study folder beside the images."""

from __future__ import annotations

from attrs import field, frozen

from lutra.core.calibration import CalibrationFile
from lutra.core.clinical import ClinicalRecord
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.pipeline.protocol import Protocol
from lutra.reference.decision_tables import DecisionTable


@frozen
class RunInputs:
    """The same for all subjects of a run.

    Parameters
    ----------
    table
        Rules of the protocol for the next cycle.
    clinical
        What the clinic's tables say, by subject; empty where the study has none.
    """

    protocol: Protocol
    table: DecisionTable
    calibrations: tuple[CalibrationFile, ...] = ()
    clinical: FrozenMap[str, ClinicalRecord] = field(factory=FrozenMap, converter=frozen_map)
