"""Pages: hostile text stays text, what is missing is said, and the drawer's data cannot end their script."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve

from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.report import write_report
from lutra.report.model import (
    CycleView,
    DoseView,
    LesionView,
    Number,
    ObservationView,
    Picture,
    Projection,
    SeriesView,
    StudyView,
    SubjectView,
    WhyChainItem,
)

EVIL = "</script><script>alert(1)</script>"
AT = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)


def number(estimate: Estimate | None) -> Number:
    return Number(
        "absorbed-dose", "Absorbed dose", estimate, "Gy", 1.0, "no mass", EVIL, (WhyChainItem(EVIL, EVIL),), "abc"
    )


def study(*subjects: SubjectView) -> StudyView:
    return StudyView("S", EVIL, "P", "d" * 64, "Europe/Brussels", "Lutra", "now", subjects, (), simulated=False)


def subject(*lesions: LesionView, findings: tuple[Finding, ...] = ()) -> SubjectView:
    series = SeriesView("1.2", "PT", "therapy-spect", EVIL, EVIL, AT, (1, 2, 3), (1, 1, 1), None, None, (), 1)
    cycle = CycleView(1, AT, None, "Lu-177", ())
    return SubjectView(EVIL, "evil", None, None, (series,), (cycle,), lesions, findings)


def test_hostile_names_stay_text_everywhere(tmp_path: Path) -> None:
    dose = DoseView(1, "sphere", number(Estimate(3, Unit.GY, FrozenMap({EVIL: 1.0}))), ())
    lesion = LesionView("L01", EVIL, (), (), (dose, DoseView(1, "local", number(None), ())), ())
    finding = Finding(Severity.WARNING, "x.y", EVIL)
    write_report(study(subject(lesion, findings=(finding,))), {}, tmp_path / "report")
    for page in (tmp_path / "report").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<script>alert" not in text
        assert text.count("<script") == 2  # the data and the module
        data = re.search(r'id="why-data">(.*?)</script>', text, re.DOTALL)
        assert data is not None
        assert "<" not in "".join(str(v) for v in json.loads(data[1].strip()).values())


def test_an_image_says_its_rule_and_a_subject_that_its_dates_are_moved(tmp_path: Path) -> None:
    plain = subject()
    told = evolve(plain, dates_moved=True, series=(evolve(plain.series[0], rules=("factor 2 by rule 'BQML'",)),))
    write_report(study(plain), {}, tmp_path / "plain")
    write_report(study(told), {}, tmp_path / "told")
    before, after = (
        (tmp_path / name / "subjects" / "evil.html").read_text(encoding="utf-8") for name in ("plain", "told")
    )
    assert "Dates are moved" in after
    assert "Dates are moved" not in before
    assert "factor 2 by rule &#39;BQML&#39;" in after


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    lesion = LesionView("L01", "x", (), (), (DoseView(1, "local", number(None), ()),), ())
    write_report(study(subject(lesion)), {}, tmp_path / "report")
    page = (tmp_path / "report" / "subjects" / "evil.html").read_text(encoding="utf-8")
    assert "Absorbed dose cannot be determined" in page
    assert "is-undet" in page
    assert "activity unknown" in page


def test_a_new_report_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    write_report(study(subject()), {"a.png": b"1"}, tmp_path / "report")
    write_report(study(subject()), {"b.png": b"2"}, tmp_path / "report")
    assert [p.name for p in (tmp_path / "report" / "images").iterdir()] == ["b.png"]
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_diameters_are_drawn_on_the_picture_and_a_person_is_named(tmp_path: Path) -> None:
    picture = Picture("a.png", (), "CT", (((0.25, 0.5), (0.75, 0.5)), ((0.5, 0.375), (0.5, 0.625))))
    texts = []
    for n, by in enumerate(("", EVIL)):
        seen = ObservationView("CT", "ct", AT, (), evolve(picture, drawn_by=by))
        write_report(study(subject(LesionView("L01", "x", (seen,), (), (), ()))), {}, tmp_path / str(n))
        texts.append((tmp_path / str(n) / "subjects" / "evil.html").read_text(encoding="utf-8"))
    assert all('<line class="len" x1="25.00" y1="50.00" x2="75.00" y2="50.00"/>' in text for text in texts)
    assert "diameters drawn by the program" in texts[0]
    assert ">drawn by" not in texts[0]
    assert ">drawn by &lt;/script" in texts[1]


def test_projections_name_their_lesions_beside_the_outline(tmp_path: Path) -> None:
    """An outline that ends at 60 % of 200 pixels, half way down 100: its name begins 3 pixels further."""
    outline = ((0.4, 0.4), (0.6, 0.5), (0.4, 0.6))
    shown = Projection("mip.png", "FDG PET", "SUV 0 to 7", 200, 100, ((EVIL, (outline,)), ("L02", ())))
    write_report(study(evolve(subject(), projections=(shown,))), {}, tmp_path / "report")
    text = (tmp_path / "report" / "subjects" / "evil.html").read_text(encoding="utf-8")
    assert '<text x="123.0" y="54.0">&lt;/script' in text
    assert "L02</text>" not in text
