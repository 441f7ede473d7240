"""Documents on paper."""

from __future__ import annotations

import re
import zlib
from datetime import date

import pytest
from attrs import evolve

from lutra.core.finding import Finding, Severity
from lutra.report.model import StudyView
from lutra.report.paper import Document, Grid, Section, dosimetry_report, typeset

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
    plain = Grid(("a", "b"), [("w" * len(words), "x") for words in HOSTILE], (), (0,))
    made = typeset(_document(title=HOSTILE[3], sections=(Section(HOSTILE[0], HOSTILE, (grid,)),)))
    assert made.startswith(b"%PDF")
    assert len(_pages(made)) == len(_pages(typeset(_document(sections=(Section("w", (), (plain,)),)))))


def test_long_tables_go_on_over_pages() -> None:
    pytest.importorskip("typst")
    rows = [(str(n), "words " * 20) for n in range(150)]
    assert (
        len(_pages(typeset(_document(sections=(Section("Long", (), (Grid(("n", "words"), rows, (0,), (1,)),)),))))) > 3
    )


def _pages(pdf: bytes) -> list[bytes]:
    """Page objects, in streams or outside of them."""
    unpacked = [pdf]
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            unpacked.append(zlib.decompress(stream))
        except zlib.error:
            continue
    return [match for part in unpacked for match in re.findall(rb"/Type\s*/Page\b(?!s)", part)]


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
