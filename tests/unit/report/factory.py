"""Makes a study as the conductor would gather it: a patient of two cycles, one with gaps, a PET alone, nothing at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from math import cos, exp, pi, sin

import numpy as np
from PIL import Image

from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Severity
from lutra.core.units import Unit
from lutra.report.model import (
    CurveView,
    CycleView,
    DoseView,
    LesionView,
    Number,
    ObservationView,
    Picture,
    ResponseView,
    SeriesView,
    StudyView,
    SubjectView,
    WhyChainItem,
)

FIRST = datetime(2026, 3, 9, 9, 30, tzinfo=UTC)
CYCLES = (FIRST, FIRST + timedelta(weeks=11))
SCANS_H = (4.2, 24.1, 72.3, 168.2)
HOSTILE = '<script>alert("x")</script>'
CIRCLE = tuple((0.5 + 0.2 * cos(a), 0.5 + 0.17 * sin(a)) for a in np.linspace(0, 2 * pi, 40, endpoint=False))
UNITS = {"Gy": Unit.GY, "MBq": Unit.BQ, "mm": Unit.MM, "": Unit.SUV_BW, "10⁻³ mm²/s": Unit.MM2_PER_S, "h": Unit.S}
FACTORS = {"MBq": 1e-6, "10⁻³ mm²/s": 1e3, "h": 1 / 3600}


def number(
    quantity: str,
    value: float | None,
    unit: str,
    budget: dict[str, float | None] | None = None,
    *,
    key: str = "",
    label: str = "",
    reason: str = "",
) -> Number:
    """Number given in the shown unit, as is its budget."""
    factor = FACTORS.get(unit, 1.0)
    inside = {name: None if sd is None else sd / factor for name, sd in (budget or {}).items()}
    return Number(
        quantity=quantity,
        label=label or quantity.replace("-", " ").capitalize(),
        estimate=None if value is None else Estimate(value / factor, UNITS[unit], inside),
        unit_shown=unit,
        factor=factor,
        reason=reason,
        key=key or quantity,
        chain=(
            WhyChainItem("absorbed dose", "sphere model & time-integrated activity"),
            WhyChainItem("read series", "NM series …41.7.2, 1 instance"),
        ),
        receipt="7b1e09aa" * 8,
    )


def observation(
    subject: str, lesion: str, role: str, label: str, at: datetime | None, *numbers: Number
) -> ObservationView:
    name = f"{subject}-{lesion}-{label}.png".replace(" ", "-").replace(",", "")
    window = {"ct": "CT −60 to 160 HU", "fdg-pet": "SUV 0 to 7", "therapy-spect": "900 kBq/mL at the top"}
    lines = (((0.3, 0.5), (0.7, 0.5)), ((0.5, 0.35), (0.5, 0.65))) if role == "ct" else ()
    text = f"{window.get(role, 'ADC 0 to 3')}, field 100 mm"
    return ObservationView(label, role, at, numbers, Picture(name, (CIRCLE,), text, lines, white="pet" in role))


def curve(cycle: int, top_mbq: float, *, identifiable: bool = True, scans: int = 4) -> CurveView:
    def at(t: float) -> float:
        return top_mbq * exp(-0.693 * t / 80) * (1 - exp(-t / 2))

    measured = tuple((t, at(t), 0.08 * at(t)) for t in SCANS_H[:scans])
    times = [2.0 * n for n in range(101)]
    return CurveView(
        cycle=cycle,
        model="lutra.monoexponential@1" if identifiable else "lutra.population-tail@1",
        identifiable=identifiable,
        times_h=tuple(t for t, *_ in measured),
        activity_mbq=tuple(a for _, a, _ in measured),
        measured=measured,
        band=tuple((t, at(t), 0.85 * at(t), 1.15 * at(t)) for t in times),
        numbers=(number("effective-half-life", 80.0, "h", {"tail half-life": 9.0}, key=f"half-life-{cycle}"),),
    )


def dose(
    cycle: int, engine: str, value: float | None, budget: dict[str, float | None], reason: str = "", lesion: str = "L01"
) -> DoseView:
    key = f"S-012/{lesion}/cycle-{cycle}/absorbed-dose.{engine}"
    n = number("absorbed-dose", value, "Gy", budget, key=key, label=f"Absorbed dose, {engine}", reason=reason)
    return DoseView(cycle, engine, n, ())


def series(role: str, label: str, at: datetime | None, unit: str | None, findings: int = 0) -> SeriesView:
    modality = {"therapy-spect": "NM", "ct": "CT", "adc": "MR"}.get(role, "PT")
    shown = (number("total-activity", 1820.0, "MBq", key=f"image/{label}"),) if role == "therapy-spect" else ()
    uid = f"1.2.3.{abs(hash(label)) % 9973}"
    return SeriesView(
        uid, modality, role, label, "as scanned", at, (128, 128, 90), (4.42, 4.42, 4.42), unit, at, shown, findings
    )


def full_subject() -> SubjectView:
    """Two cycles, two lesions: one with everything, one with an incomplete budget, an undetermined dose and a hole."""
    baseline, follow_up = FIRST - timedelta(days=7), CYCLES[1] + timedelta(weeks=9)
    scans = {c: tuple((f"cycle {c}, {t} h", t) for t in SCANS_H) for c in (1, 2)}
    images = [
        series("ct", "CT 2 Mar 2026", baseline, "[hnsf'U]"),
        series("fdg-pet", "FDG PET 2 Mar 2026", baseline, "g/mL{SUVbw}"),
        series("adc", "ADC 3 Mar 2026", baseline + timedelta(days=1), "mm2/s"),
        series("ct", "CT 27 Jul 2026", follow_up, "[hnsf'U]"),
        series("fdg-pet", "FDG PET 27 Jul 2026", follow_up, None, findings=1),
    ]
    for c, start in enumerate(CYCLES, start=1):
        images += [series("therapy-spect", label, start + timedelta(hours=t), "Bq/mL") for label, t in scans[c]]
    lesions = (_complete_lesion(baseline, follow_up), _doubtful_lesion(baseline))
    cycles = tuple(CycleView(c, start, 7400.0, "Lu-177", scans[c]) for c, start in enumerate(CYCLES, start=1))
    return SubjectView("S-012", "S-012", "F", 64.0, tuple(images), cycles, lesions, _findings())


def _complete_lesion(baseline: datetime, follow_up: datetime) -> LesionView:
    s, l01 = "S-012", "L01"
    seen = [
        observation(
            s, l01, "ct", "CT 2 Mar 2026", baseline, number("longest-diameter", 34.0, "mm", {"voxel": 1.1}, key="a")
        ),
        observation(
            s, l01, "ct", "CT 27 Jul 2026", follow_up, number("longest-diameter", 22.0, "mm", {"voxel": 1.1}, key="b")
        ),
        observation(
            s, l01, "fdg-pet", "FDG PET 2 Mar 2026", baseline, number("suv-max", 6.2, "", label="SUVmax", key="c")
        ),
        observation(
            s,
            l01,
            "adc",
            "ADC 3 Mar 2026",
            baseline + timedelta(days=1),
            number("adc-mean", 1.02, "10⁻³ mm²/s", key="d"),
        ),
    ]
    for c, start in enumerate(CYCLES, start=1):
        for t in SCANS_H:
            n = number("activity", 60.0 * exp(-t / 115) / c, "MBq", {"recovery: L01": 4.0 / c}, key=f"e{c}{t}")
            seen.append(observation(s, l01, "therapy-spect", f"cycle {c}, {t} h", start + timedelta(hours=t), n))
    budget: dict[str, float | None] = {"camera calibration": 1.2, "volume: L01": 0.8, "recovery: L01": 0.5}
    doses = (
        dose(1, "sphere", 13.04, budget),
        dose(1, "local", 12.61, budget),
        dose(2, "sphere", 9.2, budget),
        dose(2, "local", 8.8, budget),
    )
    answer = ResponseView("CT 27 Jul 2026", -0.353, "PR", "−35 % from baseline, at most −30 %", 22.0, 34.0)
    return LesionView(l01, "liver, segment VII", tuple(seen), (curve(1, 60), curve(2, 41)), doses, (answer,))


def _doubtful_lesion(baseline: datetime) -> LesionView:
    seen = (
        observation("S-012", "L02", "ct", "CT 2 Mar 2026", baseline, number("longest-diameter", 14.0, "mm", key="f")),
        observation(
            "S-012",
            "L02",
            "therapy-spect",
            "cycle 1, 24.1 h",
            CYCLES[0] + timedelta(hours=24.1),
            number("activity", 3.1, "MBq", {"noise: L02": 0.4, "recovery: L02": None}, key="g"),
        ),
    )
    reason = (
        "The volume of 0.2 mL is below what the recovery curve was measured for; a smaller sphere has to be measured."
    )
    doses = (
        dose(1, "sphere", None, {}, reason, "L02"),
        dose(1, "local", 4.1, {"camera calibration": 1.2, "recovery: L02": None}, lesion="L02"),
    )
    return LesionView("L02", "node", seen, (curve(1, 3.4, identifiable=False, scans=2),), doses, ())


def _findings() -> tuple[Finding, ...]:
    w, u, i = Severity.WARNING, Severity.UNDETERMINED, Severity.INFO
    return (
        Finding(i, "quantify.decay-reference", "Activities of cycle 1 were stated for the administration."),
        Finding(w, "kinetics.extrapolated", "L01: 32 % of the time-integrated activity lies after the last scan."),
        Finding(w, "kinetics.extrapolated", "L02: 41 % of the time-integrated activity lies after the last scan."),
        Finding(u, "dose.outside-recovery", "L02: recovery is not known below 0.5 mL; measure a smaller sphere."),
    )


def pet_subject() -> SubjectView:
    """A PET alone: no cycle, no dose, no weight; its name is hostile."""
    at = datetime(2026, 5, 4, 11, 0, tzinfo=UTC)
    suv = number(
        "suv-max", None, "", key="h", label="SUVmax", reason="No weight in (0010,1030); enter it in subjects.csv."
    )
    seen = (observation("pet", "L01", "fdg-pet", "FDG PET 4 May 2026", at, suv),)
    lesion = LesionView("L01", HOSTILE, seen, (), (), ())
    images = (
        series("fdg-pet", "FDG PET 4 May 2026", at, None, findings=1),
        series("fdg-pet", "FDG PET undated", None, None),
    )
    doubt = Finding(Severity.ERROR, "ingest.truncated", f"{HOSTILE} is cut off at byte 8192; send it again.")
    return SubjectView(HOSTILE, "pet", None, None, images, (), (lesion,), (doubt,))


def empty_subject() -> SubjectView:
    return SubjectView("S-030", "S-030", "M", None, (), (), (), ())


def study() -> StudyView:
    return StudyView(
        name="SIM-01",
        title="177Lu-octreotate in progressive NET",
        protocol_name="SIM-01",
        protocol_digest="33865c8e3d73" * 5,
        time_zone="Europe/Vienna",
        program="Lutra 0.1.0",
        made_at="2026-11-24 02:51 UTC",
        subjects=(full_subject(), pet_subject(), empty_subject()),
        findings=(Finding(Severity.ERROR, "ingest.not-dicom", "notes.txt is not DICOM; remove it."),),
        simulated=True,
    )


def images(view: StudyView) -> dict[str, bytes]:
    """A picture for every crop the view refers to."""
    y, x = np.mgrid[0:96, 0:96] / 95 - 0.5
    blob = np.exp(-((x / 0.2) ** 2 + (y / 0.17) ** 2))
    with BytesIO() as file:
        Image.fromarray((40 + 200 * blob).astype(np.uint8)).save(file, "PNG")
        png = file.getvalue()
    seen = (o for s in view.subjects for lesion in s.lesions for o in lesion.observations)
    return {o.picture.file: png for o in seen if o.picture}
