"""Documents on paper."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from io import BytesIO
from random import Random
from types import ModuleType

import pytest
from attrs import evolve

from lutra.core.decision import Decision, Reason, Signature, Verdict
from lutra.core.errors import MissingExtra
from lutra.core.finding import Finding, Severity
from lutra.core.tumour import Endpoints, LesionEndpoint, ReaderResponse, RecistTimepoint
from lutra.report.course import CourseView
from lutra.report.model import RegionDoseView, StudyView
from lutra.report.paper import (
    Document,
    Grid,
    Section,
    decision_sheet,
    dosimetry_report,
    recist_sheet,
    typeset,
)

HOSTILE = (
    "#let x = 1",
    "$ sum $",
    "*bold*",
    "]#panic()[",
    "\\ \\u{41}",
    "<label> @ref",
    "= heading",
    '"quoted"',
    "µ ± ⁻³ ≥ é",
)


def _document(**more: object) -> Document:
    words = {"title": "T", "subtitle": "S", "subject": "P-1", "footer": "F", "on": date(2026, 2, 3), "sections": ()}
    return Document(**{**words, **more})  # type: ignore[arg-type]


def test_a_document_is_pdf_a_of_its_day() -> None:
    pytest.importorskip("typst")
    made = typeset(_document(sections=(Section("One", ("words",)),)))
    assert made.startswith(b"%PDF-1.7")
    assert b"<pdfaid:part>2</pdfaid:part>" in made
    assert b"<pdfaid:conformance>B</pdfaid:conformance>" in made
    assert b"D:20260203" in made


def test_what_people_wrote_is_text_and_never_markup() -> None:
    """Whatever would end, call or format something in the typesetter's language comes out as it went in."""
    pytest.importorskip("typst")
    grid = Grid(("a", "b"), [(words, "x") for words in HOSTILE], (), (0,))
    for said in (
        _text(_document(title=HOSTILE[3], sections=(Section("h", HOSTILE),))),
        _text(_document(sections=(Section(HOSTILE[0], (), (grid,)),))),
    ):
        for words in HOSTILE:
            assert words in said


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("\u6f22\u5b57 Li", "[U+6F22][U+5B57] Li"),
        ("\U0001f600", "[U+1F600]"),
        ("\U0001f468\u200d\U0001f469", "[U+1F468][U+200D][U+1F469]"),
        ("a\x00b\x07", "a[U+0000]b[U+0007]"),
        ("\ud800", "[U+D800]"),
        ("a\u202eb", "a[U+202E]b"),
        ("Ł ő Ж Ω µ", "Ł ő Ж Ω µ"),
    ],
)
def test_a_character_without_a_glyph_is_written_as_its_number(written: str, printed: str) -> None:
    pytest.importorskip("typst")
    assert printed in _text(_document(title=written))


def test_no_characters_end_the_program() -> None:
    pytest.importorskip("typst")
    random = Random(5)  # noqa: S311  (of a test)
    joining = "\u200d\ufe0f\u0301]\U0001f468"
    for _ in range(25):
        words = "".join(random.choice([chr(random.randrange(0x110000)), *joining]) for _ in range(30))
        assert typeset(_document(title=words, sections=(Section(words, (words,)),))).startswith(b"%PDF")


def test_a_missing_typesetter_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["lutra.report.paper.typeset"], "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install"):
        typeset(_document())


def test_long_tables_go_on_over_pages_with_their_heads() -> None:
    pytest.importorskip("typst")
    rows = [(str(n), "words " * 20) for n in range(150)]
    pages = _pages(_document(sections=(Section("Long", (), (Grid(("n", "of words"), rows, (0,), (1,)),)),)))
    assert len(pages) > 3
    assert all("of words" in page and "Research use only" in page for page in pages)


def _pages(document: Document) -> list[str]:
    reader = pytest.importorskip("pypdf").PdfReader(BytesIO(typeset(document)))
    return [page.extract_text() for page in reader.pages]


def _text(document: Document) -> str:
    return "\n".join(_pages(document))


def test_the_dosimetry_of_a_subject_says_what_it_has_and_what_it_has_not(study: StudyView) -> None:
    report = dosimetry_report(study, study.subjects[0])
    headings = [s.heading for s in report.sections]
    assert headings[:3] == ["Administrations", "Images", "Absorbed dose by region"]
    assert "What a dosimetry report should say, and where it is" in headings
    items = next(s for s in report.sections if s.heading.startswith("What a dosimetry"))
    assert len(items.tables[0].rows) == 10
    assert all(where for _, where in items.tables[0].rows)
    assert report.subject == study.subjects[0].subject_id


def test_doubts_of_a_kind_stand_once_with_their_number(study: StudyView) -> None:
    many = tuple(Finding(Severity.WARNING, "quantify.small-lesion", f"L{n} is small") for n in range(7))
    note = Finding(Severity.INFO, "ingest.note", "nothing")
    report = dosimetry_report(study, evolve(study.subjects[0], findings=(*many, note)))
    (found,) = (s for s in report.sections if s.heading == "Findings")
    assert found.tables[0].rows == (("warning", "quantify.small-lesion", "7", "L0 is small"),)


def test_the_sum_over_cycles_has_its_interval_and_its_largest_doubt(study: StudyView, factory: ModuleType) -> None:
    whole = factory.number("absorbed-dose.hybrid", 13.0, "Gy", {"volume: kidney": 0.9, "calibration": 0.4})
    partly = factory.number("absorbed-dose.hybrid", 40.0, "Gy", {"volume: L01": 4.0, "recovery: L01": None})
    regions = (RegionDoseView("left kidney", False, ((None, whole),)), RegionDoseView("L01", True, ((None, partly),)))
    report = dosimetry_report(study, evolve(study.subjects[0], regions=regions))
    (sums,) = (s for s in report.sections if s.heading == "All cycles")
    kidney, lesion = sums.tables[0].rows
    assert kidney == (
        "left kidney",
        "13.0 ± 1.0 Gy".replace(" ", "\u00a0"),
        "11.1 to 14.9",
        "",
        "",
        "volume: kidney, 84%",
    )
    assert lesion[2] == "not evaluated"
    assert "at\u00a0least" in lesion[1]
    assert report.sign


def test_doses_by_share_of_the_volume_stand_cycle_by_cycle(study: StudyView, factory: ModuleType) -> None:
    mean = factory.number("absorbed-dose.hybrid", 3.2, "Gy", {"calibration": 0.1})
    doses = [
        factory.number(f"d{p}.hybrid", v, "Gy", {"calibration": 0.1, "resolution": None})
        for p, v in ((98, 1.1), (2, 4.2))
    ]
    regions = (RegionDoseView("left kidney", False, ((1, mean), *((1, d) for d in doses), (None, mean))),)
    report = dosimetry_report(study, evolve(study.subjects[0], regions=regions))
    (found,) = (s for s in report.sections if s.heading == "Doses by share of the volume")
    assert found.tables[0].header == ("Region, Gy by hybrid", "Cycle", "D98", "D2")
    assert found.tables[0].rows == (("left kidney", "1", "1.10", "4.20"),)


# ---- the other sheets ----
def _decided(**more: object) -> Decision:
    reasons = (
        Reason("age of blood", Verdict.PROCEED, "3 d", "at most 14 d", "protocol"),
        Reason("thrombocytopenia", Verdict.DELAY, "platelets 70", "wait below 75", "protocol"),
    )
    words = {
        "subject_id": "S-012",
        "cycle": 3,
        "decided_on": date(2026, 6, 1),
        "verdict": Verdict.DELAY,
        "reasons": reasons,
    }
    return Decision(**{**words, **more})  # type: ignore[arg-type]


def test_the_decision_sheet_has_every_rule_the_signatures_and_a_line(study: StudyView) -> None:
    subject = study.subjects[0]
    assert decision_sheet(study, subject) is None
    signed = Signature("dr-a", datetime(2026, 6, 2, 8, 5, tzinfo=UTC), "read", Verdict.PROCEED, "counts recovered")
    course = CourseView(decisions=(_decided(cycle=2), _decided(activity_bq=7.4e9)), signatures=((3, signed, False),))
    sheet = decision_sheet(study, evolve(subject, course=course))
    assert sheet is not None
    assert sheet.title == "DELAY, 7.40 GBq"
    assert "cycle 3 of S-012" in sheet.subtitle
    signatures, rules = sheet.sections
    assert signatures.text == (
        "Cycle 3: proceed, signed by dr-a on 2026-06-02 08:05 UTC, of an earlier state. counts recovered",
    )
    assert [row[0] for row in rules.tables[0].rows] == ["thrombocytopenia", "age of blood"]
    assert sheet.sign
    unsigned = decision_sheet(study, evolve(subject, course=CourseView(decisions=(_decided(),))))
    assert unsigned is not None
    assert unsigned.sections[0].text == ("Nobody has signed.",)


def test_the_sheet_of_response_has_each_reader_and_the_rule_of_each_visit(study: StudyView) -> None:
    subject = study.subjects[0]
    assert recist_sheet(study, subject) is None
    point = RecistTimepoint(
        "S-012", "A", "week 12", date(2026, 6, 1), "PR", None, False, "PR", 61.0, 61.0, "30 % below baseline"
    )
    lesion = LesionEndpoint("T1", "target", "liver", 90.0, 61.0, (("week 12", -0.322),), -0.322, "PR", None, False)
    read = ReaderResponse("S-012", "A", (point,), Endpoints("S-012", "A", "PR", "SD", None, None), (lesion,))
    event = evolve(read, reader="B", endpoints=Endpoints("S-012", "B", "PD", "PD", 88, True))
    sheet = recist_sheet(study, evolve(subject, course=CourseView(responses=(read, event))))
    assert sheet is not None
    first, second = sheet.sections
    assert first.text == ("Best response PR, confirmed SD. Progression-free survival not determined.",)
    assert second.text == ("Best response PD, confirmed PD. Progression-free survival 88 d, event.",)
    assert first.tables[0].rows[0] == (
        "week 12",
        "2026-06-01",
        "PR",
        "none",
        "no",
        "PR",
        "61.0",
        "61.0",
        "30 % below baseline",
    )
    assert first.tables[1].rows[0] == ("T1", "target", "liver", "90.0", "61.0", "-32 %")
