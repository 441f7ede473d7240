"""What a reader of response may see of a subject."""

from __future__ import annotations

from datetime import UTC, datetime

from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import Unit
from lutra.report.blinding import blinded, pictures_of
from lutra.report.model import (
    CurveView,
    CycleView,
    DoseView,
    LesionView,
    Number,
    ObservationView,
    Picture,
    RegionDoseView,
    SeriesView,
    SubjectView,
)

AT = datetime(2026, 1, 5, tzinfo=UTC)


def number(quantity: str) -> Number:
    return Number(quantity, quantity, Estimate(1.0, Unit.MM, FrozenMap()), "mm", 1.0, "", f"S/{quantity}", (), "r")


def series(label: str, role: str, *, beside: bool = False) -> SeriesView:
    return SeriesView(
        f"uid of {label}", "CT", role, label, "", AT, None, None, None, None, (number("suv-max"),), 0, (), beside
    )


def seen(label: str, role: str, *quantities: str, beside: bool = False) -> ObservationView:
    picture = Picture(f"{label}.png", (), "")
    return ObservationView(label, role, AT, tuple(number(q) for q in quantities), picture, beside_spect=beside)


def subject() -> SubjectView:
    dose = DoseView(1, "hybrid", number("absorbed-dose"), ())
    curve = CurveView(1, "mono", True, (), (), (), (), ())
    lesion = LesionView(
        "L01",
        "liver",
        (
            seen("CT one", "ct", "longest-diameter", "hu-mean"),
            seen("SPECT one", "therapy-spect", "activity"),
            seen("FDG one", "fdg-pet", "suv-max"),
            seen("CT of SPECT", "ct", "longest-diameter", beside=True),
        ),
        (curve,),
        (dose,),
        (),
    )
    findings = (
        Finding(Severity.WARNING, "dose.no-ct", "no CT"),
        Finding(Severity.WARNING, "response.below-measurable", "small on CT one"),
        Finding(Severity.WARNING, "response.below-measurable", "small on SPECT one"),
        Finding(Severity.INFO, "response.readers-differ", "S: readers differ"),
    )
    return SubjectView(
        "S",
        "S",
        "F",
        70.0,
        (series("CT one", "ct"), series("SPECT one", "therapy-spect"), series("CT of SPECT", "ct", beside=True)),
        (CycleView(1, AT, 7400.0, "Lu-177", ()),),
        (lesion,),
        findings,
        regions=(RegionDoseView("left kidney", False, ((1, number("absorbed-dose.hybrid")),)),),
    )


def test_nothing_of_dose_uptake_or_other_readers_is_left() -> None:
    view = blinded(subject())
    assert view.blinded
    assert [s.label for s in view.series] == ["CT one"]
    assert not any(s.numbers for s in view.series)
    (lesion,) = view.lesions
    assert [(o.series_label, [n.quantity for n in o.numbers]) for o in lesion.observations] == [
        ("CT one", ["longest-diameter"])
    ]
    assert lesion.curves == lesion.doses == ()
    assert view.regions == view.cycles == view.projections == ()
    assert view.course.decisions == view.course.responses == ()
    assert [f.text for f in view.findings] == ["small on CT one"]


def test_only_the_pictures_that_are_shown_are_kept() -> None:
    images = {f"{name}.png": b"" for name in ("CT one", "SPECT one", "FDG one", "CT of SPECT")}
    assert set(pictures_of((blinded(subject()),), images)) == {"CT one.png"}
