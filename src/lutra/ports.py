"""SOCKETS: the five places where another method plugs in.

A plugin is a class with these methods, constructed without arguments and named by an entry point of the group
`lutra.registrar`, `.segmenter`, `.kinetics`, `.dose` or `.response`. It is pure: values in, an Outcome out. Its name in
receipts is `distribution.name@version`.
"""

from __future__ import annotations

from typing import Protocol

from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.dose import CycleDoses, DoseProblem
from lutra.core.finding import Outcome
from lutra.core.frozen import FrozenMap
from lutra.core.region import Region
from lutra.core.response import ResponseAssessment, VisitValues
from lutra.core.transform import Transform
from lutra.core.volume import Volume

Settings = FrozenMap[str, float | str | bool]
"""A plugin's own table of the protocol, `[kinetics.options.population-tail]` for example."""


class Registrar(Protocol):
    """Finds how one image maps to another."""

    def register(
        self,
        fixed: Volume,
        moving: Volume,
        settings: Settings,
        seed: int,
        start: Transform | None = None,
        fixed_mask: Region | None = None,
    ) -> Outcome[Transform]:
        """Return the transform from `moving` to `fixed` with its own error estimate, or say why there is none.

        Parameters
        ----------
        start
            What is known already: a registrar that refines, as a deformable one does, begins there.
        fixed_mask
            Part of the fixed image that has to agree; None for all of it.
        """


class Segmenter(Protocol):
    """Finds regions in an image."""

    def segment(self, image: Volume, settings: Settings) -> Outcome[tuple[Region, ...]]:
        """Return the regions found, or say why there are none."""


class KineticsModel(Protocol):
    """Turns activities at some times into a time-integrated activity."""

    def fit(self, curve: TimeActivityCurve, settings: Settings, seed: int) -> Outcome[TacFit]:
        """Return the fit, or say why these points do not identify this model."""


class DoseEngine(Protocol):
    """Turns time-integrated activity into absorbed dose of every region of a cycle."""

    def dose(self, problem: DoseProblem, settings: Settings, seed: int) -> Outcome[CycleDoses]:
        """Return the doses of the targets; one that cannot be given leaves a Finding and the others go on."""


class ResponseCriterion(Protocol):
    """Turns values over time into categories."""

    def assess(
        self, what: str, visits: tuple[VisitValues, ...], settings: Settings
    ) -> Outcome[tuple[ResponseAssessment, ...]]:
        """Return one assessment per follow-up, each with the rule that fired.

        Parameters
        ----------
        what
            Lesion, or subject for criteria that look at the whole patient.
        visits
            In time order; the first is the baseline.
        """
