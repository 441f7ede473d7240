"""Writes the report of a study from its current records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve

from lutra import __version__
from lutra.core.errors import LutraError, UsageError
from lutra.core.finding import Finding, Severity
from lutra.core.study import SIMULATED_BY
from lutra.pipeline.analysis import analyse, analysis_view, expected_views
from lutra.pipeline.conductor import Conductor
from lutra.pipeline.record import SubjectRecord
from lutra.pipeline.response_lock import locks
from lutra.pipeline.study import StudyFolder
from lutra.pipeline.views import Gatherer
from lutra.pipeline.why import Provenance
from lutra.report import write_report
from lutra.report.analysis_model import AnalysisView
from lutra.report.blinding import blinded, pictures_of
from lutra.report.model import ExpectedView, StudyView, SubjectView
from lutra.report.paper import (
    Document,
    decision_sheet,
    dosimetry_report,
    recist_sheet,
    require_typst,
    study_report,
    typeset,
)
from lutra.response.lesion_course import reader_agreement


def write_study_report(
    study: StudyFolder, *, for_reader: bool = False, on_paper: bool = False, paper_of: Sequence[str] = ()
) -> Path:
    """Write `report/` of a study and return its index page.

    Parameters
    ----------
    on_paper
        Also write `report/pdf/`: dosimetry, decision and response of each subject, and the analysis.
    paper_of
        Subjects that documents on paper are wanted of; none: of all, and the analysis.
    for_reader
        Write `report-reader/` for readers of response in its place: without dosimetry, uptake and what others read, until the
        response of a subject is locked.

    Raises
    ------
    UsageError
        If the study has not been run, a subject of `paper_of` is not in it, or paper is asked for readers of response.
    MissingExtra
        If documents on paper are asked for and typst is not installed.
    """
    if on_paper and for_reader:
        raise UsageError("documents on paper show doses", required="either --pdf or --for-reader")
    if paper_of and not on_paper:
        raise UsageError("--subject is for documents on paper", do="add --pdf")
    if on_paper:
        require_typst()
    records = study.require_records()
    if strangers := sorted(set(paper_of) - {record.subject.subject_id for record in records}):
        raise UsageError(
            f"no results of {', '.join(strangers)}", where=str(study.root), required="subjects of this study"
        )
    images: dict[str, bytes] = {}
    analysis, expected, doubts = (None, {}, ()) if for_reader else _analysis(study)
    view = study_view(study, records, images, for_reader=for_reader, doubts=doubts, analysed=analysis is not None)
    view = evolve(view, subjects=tuple(_with_expected(subject, expected) for subject in view.subjects))
    folder = "report-reader" if for_reader else "report"
    write_report(view, images, study.root / folder, analysis)
    if on_paper:
        _write_on_paper(study.root / folder / "pdf", view, analysis, paper_of)
    locked = {subject for subject, _ in locks(study.ledger.audit_trail())}
    study.log(folder, {"subjects": [s.subject_id for s in view.subjects], "locked": sorted(locked)})
    return study.root / folder / "index.html"


def study_view(
    study: StudyFolder,
    records: Sequence[SubjectRecord],
    images: dict[str, bytes],
    *,
    for_reader: bool = False,
    doubts: tuple[Finding, ...] = (),
    analysed: bool = False,
) -> StudyView:
    """Gather what pages and documents say of these subjects; their pictures go into `images`.

    Parameters
    ----------
    for_reader
        Without what readers of response must not see; see :func:`write_study_report`.
    doubts
        Findings beside those of the intake.
    analysed
        Whether there is a page of the analysis to refer to.
    """
    protocol = study.protocol
    conductor = Conductor(study.store, study.ledger)
    audit = study.ledger.audit_trail()
    provenance = Provenance(study.ledger)
    subjects = tuple(Gatherer(conductor, record, provenance, images, audit).subject() for record in records)
    if for_reader:
        locked = {subject for subject, _ in locks(audit)}
        subjects = tuple(s if s.subject_id in locked else blinded(s) for s in subjects)
        kept = pictures_of(subjects, images)
        images.clear()
        images.update(kept)
    headers = [conductor.value(s.header) for record in records for s in record.series if s.header]
    return StudyView(
        name=protocol.study.name,
        title=protocol.study.title,
        protocol_name=protocol.study.name,
        protocol_digest=protocol.digest,
        time_zone=protocol.study.time_zone,
        program=f"Lutra {__version__}",
        made_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        subjects=subjects,
        findings=() if for_reader else (*study.intake_findings(), *doubts),
        readers=()
        if for_reader
        else reader_agreement([c for r in records if r.course.clinical for c in r.course.clinical.readings]),
        analysed=analysed,
        simulated=bool(headers) and all(h.manufacturer == SIMULATED_BY for h in headers),
    )


def documents_of(view: StudyView, subject: SubjectView) -> dict[str, Document]:
    """Every document on paper that there is something of a subject to say in: dosimetry, decision, response."""
    made = {
        "dosimetry": dosimetry_report(view, subject),
        "decision": decision_sheet(view, subject),
        "response": recist_sheet(view, subject),
    }
    return {name: document for name, document in made.items() if document is not None}


def _write_on_paper(folder: Path, view: StudyView, analysis: AnalysisView | None, of: Sequence[str]) -> None:
    """Write every document that there is something to say in."""
    documents = {"study": study_report(view, analysis)} if analysis and not of else {}
    for subject in (s for s in view.subjects if not of or s.subject_id in of):
        documents |= {f"{subject.slug}-{name}": document for name, document in documents_of(view, subject).items()}
    folder.mkdir(exist_ok=True)
    for name, document in documents.items():
        (folder / f"{name}.pdf").write_bytes(typeset(document))


def _analysis(
    study: StudyFolder,
) -> tuple[AnalysisView | None, Mapping[tuple[str, str], ExpectedView], tuple[Finding, ...]]:
    """Analyse the study by its plan; a plan that cannot be followed costs its page and not the report."""
    try:
        found = analyse(study)
        return analysis_view(found), expected_views(found), ()
    except LutraError as error:
        return None, {}, (Finding(Severity.WARNING, "predict.no-analysis", f"no analysis page: {error}"),)


def _with_expected(subject: SubjectView, expected: Mapping[tuple[str, str], ExpectedView]) -> SubjectView:
    of = subject.subject_id
    return evolve(
        subject, lesions=tuple(evolve(le, expected=expected.get((of, le.lesion_id))) for le in subject.lesions)
    )
