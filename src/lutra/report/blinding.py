"""What a reader of response may see: anatomy and its sizes, and nothing that tells dose, uptake or what others read."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from lutra.core.finding import Finding
from lutra.report.course import CourseView
from lutra.report.model import LesionView, Number, SubjectView

READ_ROLES = ("ct", "other-mr", "dwi", "adc")
SIZES = ("longest-diameter", "short-axis", "volume")
OPEN_CODES = ("response.", "segment.", "track.", "align.")
"""Stages whose Findings a reader may see; those on tables and on other readers are left out as well."""
HIDDEN_CODES = ("ingest.table-cell", "response.readers-differ")


def blinded(subject: SubjectView) -> SubjectView:
    """Take everything out of a subject's page but what a response reader needs."""
    anatomical = tuple(s for s in subject.series if s.role in READ_ROLES and not s.beside_spect)
    labels = {s.label for s in anatomical}
    return evolve(
        subject,
        series=tuple(evolve(s, numbers=()) for s in anatomical),
        cycles=(),
        lesions=tuple(_lesion(lesion) for lesion in subject.lesions),
        findings=tuple(f for f in subject.findings if _open(f, subject, labels)),
        transforms=(),
        correspondences=tuple(c for c in subject.correspondences if c.series_label in labels),
        projections=(),
        regions=(),
        course=CourseView(),
        blinded=True,
    )


def pictures_of(subjects: tuple[SubjectView, ...], images: Mapping[str, bytes]) -> dict[str, bytes]:
    """Take the pictures that the pages of some subjects refer to."""
    named = {o.picture.file for s in subjects for lesion in s.lesions for o in lesion.observations if o.picture}
    named |= {p.file for s in subjects for p in s.projections} | {
        t.picture_png for s in subjects for t in s.transforms if t.picture_png
    }
    return {name: png for name, png in images.items() if name in named}


def _lesion(lesion: LesionView) -> LesionView:
    return evolve(
        lesion,
        observations=tuple(
            evolve(o, numbers=_sizes(o.numbers), features=())
            for o in lesion.observations
            if o.role in READ_ROLES and not o.beside_spect
        ),
        curves=(),
        doses=(),
        changes=(),
    )


def _sizes(numbers: tuple[Number, ...]) -> tuple[Number, ...]:
    return tuple(n for n in numbers if n.quantity in SIZES)


def _open(finding: Finding, subject: SubjectView, labels: set[str]) -> bool:
    hidden = {s.label for s in subject.series} - labels
    tells = any(label in finding.text for label in hidden) or any(
        s.series_uid in finding.text for s in subject.series if s.label in hidden
    )
    return finding.code.startswith(OPEN_CODES) and not finding.code.startswith(HIDDEN_CODES) and not tells
