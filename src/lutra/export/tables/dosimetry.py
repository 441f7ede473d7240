"""Rows of XD, the sponsor's domain of dosimetry, and what its tests mean. SDTM has no domain for absorbed doses."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date, datetime

from attrs import frozen

from lutra.core.estimate import Estimate
from lutra.core.units import HOUR_S, Unit
from lutra.export.tables.domain import LONGEST_TEXT, Row, iso, keys, number_text, numbered, study_day


@frozen
class DosimetryTest:
    """One quantity of the domain.

    Parameters
    ----------
    code, name
        XDTESTCD and XDTEST.
    unit
        Standard unit: the one results are kept in.
    shown, factor
        Unit of the original result, as the report shows it, and the factor that leads to it from the standard unit.
    meaning
        One sentence.
    """

    code: str
    name: str
    unit: Unit
    shown: str
    factor: float
    meaning: str


TESTS = {
    "activity": DosimetryTest(
        "ACTIVITY",
        "Activity at a Scan",
        Unit.BQ,
        "MBq",
        1e-6,
        "Activity of the region at the time of one scan, not decay corrected",
    ),
    "time-integrated-activity": DosimetryTest(
        "TIA",
        "Time-Integrated Activity",
        Unit.BQ_S,
        "MBq.h",
        1e-6 / HOUR_S,
        "Integral of the fitted activity from the start of the administration to infinity",
    ),
    "effective-half-life": DosimetryTest(
        "TEFF",
        "Effective Half-Life",
        Unit.S,
        "h",
        1 / HOUR_S,
        "Half-life of the last phase of the fitted activity, physical decay included",
    ),
    "mass": DosimetryTest("MASS", "Mass", Unit.G, "g", 1.0, "Mass that the absorbed energy is divided by"),
    "absorbed-dose": DosimetryTest(
        "ABSDOSE",
        "Mean Absorbed Dose",
        Unit.GY,
        "Gy",
        1.0,
        "Mean absorbed dose of the region by the engine of XDMETHOD; without a cycle: the sum over cycles",
    ),
    "bed": DosimetryTest(
        "BED",
        "Biologically Effective Dose",
        Unit.GY,
        "Gy",
        1.0,
        "Of the mean absorbed dose by the linear-quadratic model with repair during delivery",
    ),
    "eqd2": DosimetryTest(
        "EQD2",
        "Equivalent Dose in 2 Gy Fractions",
        Unit.GY,
        "Gy",
        1.0,
        "The biologically effective dose as dose in fractions of 2 Gy",
    ),
    "eud-bed": DosimetryTest(
        "EUDBED",
        "Equivalent Uniform BED",
        Unit.GY,
        "Gy",
        1.0,
        "Biologically effective dose that, given evenly, leaves as many cells alive as the doses of the voxels",
    ),
    **{
        f"d{percent}": DosimetryTest(
            f"D{percent}",
            f"D{percent}",
            Unit.GY,
            "Gy",
            1.0,
            f"Absorbed dose that at least {percent} % of the volume receives",
        )
        for percent in (98, 90, 50, 2)
    },
}
"""By the name that a quantity has in results."""
DEFINITION = ("XDTESTCD", "XDTEST", "XDORRESU", "XDSTRESU", "Factor to standard unit", "Definition")


@frozen
class DosimetryNumber:
    """One number of dosimetry.

    Parameters
    ----------
    region
        Lesion id or organ.
    lesion
        Whether it is a lesion.
    cycle
        None for the sum over cycles.
    quantity
        One of :data:`TESTS`.
    method
        Engine of a dose, model of a fit; empty where there is one way only.
    estimate
        None where it could not be determined.
    path
        Its path for `lutra why`; empty for what has none.
    at
        When it was measured; None for what is not of one time.
    hours
        From the start of the administration to then. [h]
    reason
        Why there is no estimate.
    """

    region: str
    lesion: bool
    cycle: int | None
    quantity: str
    method: str
    estimate: Estimate | None
    path: str = ""
    at: datetime | None = None
    hours: float | None = None
    reason: str = ""


def xd_rows(study: str, subject: str, numbers: Iterable[DosimetryNumber], start: date | None = None) -> list[Row]:
    """One row per number with its uncertainty and where it comes from; one with a reason where it could not be determined."""
    return numbered((_row(study, subject, number, start) for number in numbers), "XDSEQ")


def _row(study: str, subject: str, number: DosimetryNumber, start: date | None) -> Row:
    test = TESTS[number.quantity]
    row: Row = {
        **keys(study, "XD", subject),
        "XDLNKID": number.region if number.lesion else "",
        "XDCAT": "LESION" if number.lesion else "NORMAL TISSUE",
        "XDLOC": "" if number.lesion else number.region.upper(),
        "XDTESTCD": test.code,
        "XDTEST": test.name,
        "XDMETHOD": number.method.upper(),
        "XDCYCLE": number.cycle,
        "XDDTC": iso(number.at),
        "XDDY": study_day(number.at.date() if number.at else None, start),
        "XDHOURS": number.hours,
        "XDPATH": number.path,
    }
    estimate = number.estimate
    if estimate is None:
        return row | {"XDSTAT": "NOT DONE", "XDREASND": number.reason[:LONGEST_TEXT]}
    if estimate.unit is not test.unit:
        raise ValueError(f"{number.quantity} in {estimate.unit.value} instead of {test.unit.value}")
    return row | {
        "XDORRES": f"{estimate.value * test.factor:.6g}",
        "XDORRESU": test.shown,
        "XDSTRESC": number_text(estimate.value),
        "XDSTRESN": estimate.value,
        "XDSTRESU": test.unit.value,
        "XDSTRU": estimate.least_sd,
        "XDUNEVAL": "; ".join(estimate.not_evaluated)[:LONGEST_TEXT],
    }


def xd_definition() -> str:
    """Say what every test of the domain means, in which units, as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(DEFINITION)
    for test in TESTS.values():
        writer.writerow((test.code, test.name, test.shown, test.unit.value, number_text(1 / test.factor), test.meaning))
    return text.getvalue()
