"""Units as UCUM codes. One canonical unit per dimension inside; only the doors show others."""

from __future__ import annotations

from enum import StrEnum


class Unit(StrEnum):
    """What a number is counted in. The value is the UCUM code."""

    ONE = "1"
    BQ = "Bq"
    BQ_PER_ML = "Bq/mL"
    BQ_S = "Bq.s"
    G = "g"
    G_PER_ML = "g/mL"
    GY = "Gy"
    GY_PER_BQ_S = "Gy/(Bq.s)"
    HU = "[hnsf'U]"
    KEV = "keV"
    ML = "mL"
    MM = "mm"
    MM2_PER_S = "mm2/s"
    PER_MM = "/mm"
    PER_S = "/s"
    S = "s"
    SUV_BW = "g/mL{SUVbw}"
    SUV_BW_ML = "mL{SUVbw}"
    SUV_LBM = "g/mL{SUVlbm}"
    """By lean body mass of Janmahasatian."""
    SUV_LBM_JAMES = "g/mL{SUVlbm(James128)}"
    SUV_BSA = "cm2/mL{SUVbsa}"
    STORED = "{stored}"
    """Numbers as the file holds them, after its rescale; nothing is known of their unit."""


HOUR_S = 3600.0
"""Seconds per hour."""
DAY_S = 86400.0
"""Seconds per day."""
