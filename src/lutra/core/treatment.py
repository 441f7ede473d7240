"""How a study treats: activity, cycles and their distance, the infusion day, and the doses that limit it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from lutra.core.errors import ProtocolError
from lutra.core.frozen import FrozenMap, frozen_map


def _pair(given: tuple[float, float] | list[float]) -> tuple[float, float]:
    low, high = given
    return float(low), float(high)


@frozen
class TreatmentPlan:
    """The treatment as planned; every deviation from it is logged, none is an error.

    Parameters
    ----------
    cycles
        Planned number.
    activity_gbq
        Planned for every cycle. [GBq]
    activity_tolerance
        Share by which the activity given may differ. [1]
    reduced_share
        Share of it that is given after a dose-limiting toxicity. [1]
    weeks_between
        Least and most time between the starts of two cycles. [week]
    amino_acids_before_min
        Least and most time from the start of the amino acids to that of the radiopharmaceutical. [min]
    infusion_min
        Shortest and longest infusion of the radiopharmaceutical. [min]
    amino_acids_h
        Shortest and longest infusion of the amino acids. [h]
    premedication
        Drugs given before the amino acids.
    """

    cycles: int = 4
    activity_gbq: float = 7.4
    activity_tolerance: float = 0.10
    reduced_share: float = 0.5
    weeks_between: tuple[float, float] = field(converter=_pair, default=(11.0, 13.0))
    amino_acids_before_min: tuple[float, float] = field(converter=_pair, default=(20.0, 45.0))
    infusion_min: tuple[float, float] = field(converter=_pair, default=(15.0, 30.0))
    amino_acids_h: tuple[float, float] = field(converter=_pair, default=(4.0, 6.0))
    premedication: tuple[str, ...] = ("ondansetron", "methylprednisolone", "metoclopramide")

    def __attrs_post_init__(self) -> None:
        if self.cycles < 1 or not self.activity_gbq > 0 or not 0 < self.reduced_share < 1:
            raise ProtocolError(
                f"{self.cycles} cycles of {self.activity_gbq} GBq, reduced to {self.reduced_share}",
                where="treatment",
                required="at least 1 cycle, an activity above 0 GBq, a reduced share between 0 and 1",
            )
        for name in ("weeks_between", "amino_acids_before_min", "infusion_min", "amino_acids_h"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ProtocolError(
                    f"{name} = [{low:g}, {high:g}]", where="treatment", required="least and most, in order"
                )

    @property
    def activity_bq(self) -> float:
        """Planned activity. [Bq]"""
        return self.activity_gbq * 1e9


def _windows(given: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple(_pair((low, high)) for low, high in given)


@frozen
class Schedule:
    """When images are planned.

    Parameters
    ----------
    spect_h
        Windows after the start of each infusion, one SPECT in each. [h]
    baseline_days
        By role of the image, most days before cycle 1 on which it may be taken. [d]
    follow_up_weeks
        Windows after cycle 1, one diagnostic CT in each. [week]
    """

    spect_h: tuple[tuple[float, float], ...] = field(converter=_windows, default=())
    baseline_days: FrozenMap[str, float] = field(converter=frozen_map, factory=FrozenMap)
    follow_up_weeks: tuple[tuple[float, float], ...] = field(converter=_windows, default=())

    def __attrs_post_init__(self) -> None:
        for name in ("spect_h", "follow_up_weeks"):
            if any(not 0 <= low <= high for low, high in getattr(self, name)):
                raise ProtocolError(
                    f"{name} = {getattr(self, name)}", where="schedule", required="windows, least and most"
                )


@frozen
class Limits:
    """Where treatment ends, whatever else is planned.

    Parameters
    ----------
    kidney_dose_gy
        Absorbed dose of a kidney over all cycles. [Gy] 23: of external beams [emami1991]; shown beside the BED.
    kidney_bed_gy, kidney_bed_with_risk_gy
        BED of a kidney over all cycles, without and with a risk factor. [Gy] [bodei2008]
    marrow_dose_gy
        Of red marrow over all cycles; advisory, blood counts decide. [Gy]
    exceedance_probability
        A cycle fits while the probability that the limit is exceeded after it is not above this. [1] .5: the best value decides.
    labs_within_days
        Blood older than this before a cycle does not count. [d]
    ctcae_version
        4.03, 5 or 6.
    rules
        Decision table: name of a shipped one, or a TOML file of the study.

    References
    ----------
    [emami1991] Emami et al., Int J Radiat Oncol Biol Phys 21:109.
    [bodei2008] Bodei et al., Eur J Nucl Med Mol Imaging 35:1847.
    """

    kidney_dose_gy: float = 23.0
    kidney_bed_gy: float = 40.0
    kidney_bed_with_risk_gy: float = 28.0
    marrow_dose_gy: float = 2.0
    exceedance_probability: float = 0.5
    labs_within_days: float = 28.0
    ctcae_version: str = "5"
    rules: str = "label"

    def __attrs_post_init__(self) -> None:
        wrong = [
            name
            for name in (
                "kidney_dose_gy",
                "kidney_bed_gy",
                "kidney_bed_with_risk_gy",
                "marrow_dose_gy",
                "labs_within_days",
            )
            if not getattr(self, name) > 0
        ]
        if wrong or not 0 < self.exceedance_probability < 1:
            name = wrong[0] if wrong else "exceedance_probability"
            raise ProtocolError(
                f"{name} = {getattr(self, name)!r}",
                where="limits",
                required="doses and days above 0, a probability between 0 and 1",
                do="correct this setting",
            )


@frozen
class Deviation:
    """Something that was not as the protocol plans it. It is written down; nothing is refused for it.

    Parameters
    ----------
    cycle
        None for what is not about one.
    rule
        Short name of what was planned: `infusion duration`.
    saw, required
        What happened, and what was planned, in words.
    row
        Where it stands in the tables.
    """

    subject_id: str
    cycle: int | None
    rule: str
    saw: str
    required: str
    row: str = ""
