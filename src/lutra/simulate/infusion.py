"""One administration: what was drawn up, what went in, and the clock of the day."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from attrs import frozen

from lutra.core.errors import OutsideValidity
from lutra.simulate.labs import stream

PREPARED_SPREAD = 0.025
"""A vial is not exactly 7.4 GBq: calibration of the maker and the hour of injection."""
RESIDUAL = (0.012, 0.5)
"""Median and log-SD of the share left in vial and line; of the order of 1 %."""
CALIBRATOR_SITE_SD, CALIBRATOR_READING_SD = 0.015, 0.004
"""Of a dose calibrator: one factor per site, and what varies from reading to reading."""
PREMEDICATION = (("ondansetron 8 mg", 30), ("methylprednisolone 40 mg", 25), ("metoclopramide 10 mg", 20))
"""Drug and minutes before the amino acids. The drugs are the study's; doses and minutes are usual."""
THERAPY_AFTER_MIN, INFUSION_MIN, AMINO_ACIDS_H = (30.0, 5.0), (15, 30), (4.0, 6.0)
"""Start after the amino acids (mean, spread), duration of the infusion, duration of the amino acids."""


@frozen
class Administration:
    """One cycle as given. All times are aware and in whole minutes, as written on a chart.

    Parameters
    ----------
    cycle, day
        Number from 1 on; days since the first.
    prescribed_bq
        What the plan says. [Bq]
    prepared_bq, residual_bq, administered_bq
        The truth: in the vial, left behind, gone in; at the start of the infusion. [Bq]
    measured_bq, measured_residual_bq
        What the dose calibrator showed for the first two. [Bq]
    premedication
        Drug and time.
    """

    cycle: int
    day: int
    prescribed_bq: float
    prepared_bq: float
    residual_bq: float
    measured_bq: float
    measured_residual_bq: float
    premedication: tuple[tuple[str, datetime], ...]
    amino_acids_from: datetime
    infusion_from: datetime
    infusion_to: datetime
    amino_acids_to: datetime

    @property
    def administered_bq(self) -> float:
        """What went in. [Bq]"""
        return self.prepared_bq - self.residual_bq

    @property
    def measured_administered_bq(self) -> float:
        """What the record says went in. [Bq]"""
        return self.measured_bq - self.measured_residual_bq


def administer(
    cycle: int, day: int, first_day: datetime, prescribed_bq: float, seed: int, site_seed: int = 0
) -> Administration:
    """Give one cycle.

    Parameters
    ----------
    first_day
        Midnight of the day of cycle 1, aware.
    site_seed
        Of the dose calibrator, which errs alike for all patients of a site.

    Raises
    ------
    OutsideValidity
        If nothing is prescribed or the day has no time zone.
    """
    if prescribed_bq <= 0 or first_day.tzinfo is None:
        raise OutsideValidity(
            f"{prescribed_bq:g} Bq on {first_day}", required="a positive activity and an aware datetime"
        )
    r = stream(seed, f"infusion {cycle}")
    prepared = prescribed_bq * float(np.clip(r.normal(1, PREPARED_SPREAD), 0.9, 1.1))
    residual = prepared * RESIDUAL[0] * float(np.exp(RESIDUAL[1] * r.normal()))
    shown = (1 + CALIBRATOR_SITE_SD * stream(site_seed, "dose calibrator").normal()) * (
        1 + CALIBRATOR_READING_SD * r.normal(size=2)
    )
    amino_from = first_day + timedelta(days=day, hours=9, minutes=int(r.integers(-30, 61)))
    start = amino_from + timedelta(minutes=round(float(np.clip(r.normal(*THERAPY_AFTER_MIN), 20, 60))))
    end = start + timedelta(minutes=int(r.integers(INFUSION_MIN[0], INFUSION_MIN[1] + 1)))
    amino_to = amino_from + timedelta(minutes=round(60 * r.uniform(*AMINO_ACIDS_H)))
    return Administration(
        cycle,
        day,
        prescribed_bq,
        prepared,
        residual,
        prepared * float(shown[0]),
        residual * float(shown[1]),
        tuple((drug, amino_from - timedelta(minutes=before)) for drug, before in PREMEDICATION),
        amino_from,
        start,
        end,
        amino_to,
    )
