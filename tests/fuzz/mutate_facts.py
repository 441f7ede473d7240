"""Who was scanned, with what, and when: contradictions within a series, and changes that every slice agrees on."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from .case import CONTRADICTION, HONEST, NOT_SILENT, REFUSED, SAFE, SAME, TOLD, Case
from .mutation import classic, has, has_agent, in_bqml, is_nm, is_pt, mutation, stacked, without_private_factor
from .raw import Element, RawFile


@mutation("another patient's identifier in one slice", {REFUSED}, stacked, must_refuse=("image", "affine"))
def _(case: Case, rng: Random) -> None:
    case.one().set("PatientID", rng.choice(["OTHER", "0", "ä"]))


@mutation("another patient's identifier in every slice", {SAME, HONEST})
def _(case: Case, rng: Random) -> None:
    for file in case.all():
        file.set("PatientID", "OTHER")
    case.expected["subject_id"] = lambda _: "OTHER"


@mutation("another series, class, modality or frame of reference in one slice", fits=classic)
def _(case: Case, rng: Random) -> None:
    keyword = rng.choice(["SeriesInstanceUID", "SOPClassUID", "Modality", "FrameOfReferenceUID", "StudyInstanceUID"])
    value = rng.choice(
        ["1.2.3", "", "CT", "MR", "PT", "NM", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.128", "x" * 70]
    )
    case.note = f"{keyword} {value}"
    case.one().set(keyword, value)


@mutation("another class or modality in every slice", {REFUSED, TOLD, SAME})
def _(case: Case, rng: Random) -> None:
    keyword = rng.choice(["SOPClassUID", "Modality"])
    value = rng.choice(["", "OT", "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.481.1", "x", "1.2"])
    case.note = f"{keyword} {value}"
    for file in case.all():
        file.set(keyword, value)


@mutation("weight of one slice changed", NOT_SILENT, in_bqml, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    case.one().set("PatientWeight", rng.choice(["72.5", "0", "-70", "700", "NaN", "", "70000", "7O"]))


@mutation("weight of every slice changed", {SAME}, in_bqml)
def _(case: Case, rng: Random) -> None:
    before = float(case.base.images[0].text("PatientWeight") or 0)
    for file in case.all():
        file.set("PatientWeight", "55.5")
    if before:
        case.expected["suv"] = lambda factor: factor and factor * 55.5 / before


@mutation("weight missing or impossible", {REFUSED, SAME}, in_bqml, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["", "0", "-70", "NaN", "inf"])
    for file in case.all():
        file.set("PatientWeight", value)


def _agent(file: RawFile) -> list[Element]:
    return file.sequence("RadiopharmaceuticalInformationSequence")


@mutation("activity or half-life of one slice changed", NOT_SILENT, in_bqml, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    file, keyword = case.one(), rng.choice(["RadionuclideTotalDose", "RadionuclideHalfLife"])
    file.set(keyword, rng.choice(["1", "4.0e8", "0", "-1", "5000", ""]), _agent(file))


@mutation("activity of every slice changed", {SAME}, in_bqml)
def _(case: Case, rng: Random) -> None:
    before = next((e.text for e in _agent(case.base.images[0]) if e.keyword == "RadionuclideTotalDose"), "")
    for file in case.all():
        file.set("RadionuclideTotalDose", "1.5e8", _agent(file))
    if before:
        case.expected["suv"] = lambda factor: factor and factor * float(before) / 1.5e8


@mutation("half-life of every slice changed", NOT_SILENT, has_agent)
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["1000", "0", "-6586", "NaN", "109.77", "1e-300", "1e300", ""])
    case.note = value
    for file in case.all():
        file.set("RadionuclideHalfLife", value, _agent(file))


@mutation("administration time changed in one slice", NOT_SILENT, in_bqml, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    file.set("RadiopharmaceuticalStartTime", "010203.00", _agent(file))
    file.set(
        "RadiopharmaceuticalStartDateTime", rng.choice(["", "20010203040506", "29991231235959", "x"]), _agent(file)
    )


@mutation("administration after the scan, or years before", CONTRADICTION | {SAME, HONEST}, has_agent)
def _(case: Case, rng: Random) -> None:
    value = rng.choice(
        ["29990101000000", "20991231235959.9+0100", "00010101000000", "99991231235959-1200", "20260231000000"]
    )
    case.note = value
    for file in case.all():
        file.set("RadiopharmaceuticalStartDateTime", value, _agent(file))


@mutation("units of one slice changed", {REFUSED, TOLD, SAME}, is_pt, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    others = ["CNTS", "GML", "PROPCPS", "", "bqml", "KBQML", "Bq/ml"]
    file.set("Units", rng.choice([unit for unit in others if unit != file.text("Units")]))


@mutation(
    "units of every slice that are no activity", {REFUSED, TOLD, SAME}, without_private_factor, must_refuse=("suv",)
)
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["CNTS", "PROPCPS", "KBQML", "MBQML", "1CM", "é"])
    case.note = value
    for file in case.all():
        file.set("Units", value)


@mutation("decay correction of one slice changed", {REFUSED, TOLD, SAME}, is_pt, must_refuse=("suv",))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    file.set(
        "DecayCorrection",
        rng.choice([v for v in ("START", "ADMIN", "NONE", "", "NO") if v != file.text("DecayCorrection")]),
    )


@mutation("decay correction of every slice changed", SAFE, is_pt)
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["START", "ADMIN", "NONE", "", "SCAN"])
    case.note = value
    for file in case.all():
        file.set("DecayCorrection", value)


@mutation("date or time of one slice changed", NOT_SILENT | {HONEST})
def _(case: Case, rng: Random) -> None:
    file = case.one()
    keyword = rng.choice(["AcquisitionTime", "AcquisitionDate", "SeriesTime", "SeriesDate", "ContentTime"])
    value = rng.choice(
        ["", "240000", "000000", "235959.999999", "19000101", "29991231", "20260230", "10:20:30", "noon", "1020"]
    )
    case.note = f"{keyword} {value}"
    file.set(keyword, value)


@mutation(
    "acquisition of one slice a day or more away",
    CONTRADICTION,
    lambda b: stacked(b) and has("AcquisitionDate")(b),
    must_refuse=("acquired_at",),
)
def _(case: Case, rng: Random) -> None:
    file = case.one()
    day = datetime.strptime(file.text("AcquisitionDate"), "%Y%m%d")  # noqa: DTZ007
    file.set("AcquisitionDate", (day + timedelta(days=rng.choice([-400, -30, -1]))).strftime("%Y%m%d"))


@mutation("no acquisition time in one slice", NOT_SILENT, fits=classic)
def _(case: Case, rng: Random) -> None:
    file = case.one()
    file.drop("AcquisitionTime")
    file.drop("AcquisitionDateTime")


@mutation("dates and times of every slice changed", SAFE)
def _(case: Case, rng: Random) -> None:
    keyword = rng.choice(["AcquisitionTime", "AcquisitionDate", "SeriesTime", "SeriesDate"])
    value = rng.choice(["", "240000", "000000", "235959.999999", "19000101", "29991231", "20260230", "noon"])
    case.note = f"{keyword} {value}"
    for file in case.all():
        file.set(keyword, value)


@mutation("time zone of one slice changed", NOT_SILENT, fits=classic)
def _(case: Case, rng: Random) -> None:
    case.one().set("TimezoneOffsetFromUTC", rng.choice(["+0900", "-1100", "+9900", "CET", "0900", "+09"]))


@mutation("time zone of every slice changed", {SAME, HONEST, REFUSED, TOLD}, lambda b: classic(b) or is_nm(b))
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["+0900", "-1100", "+0530", "+2400", "-0000", "CET", "+99999"])
    case.note = value
    for file in case.all():
        file.set("TimezoneOffsetFromUTC", value)
