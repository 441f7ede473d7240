"""Writes the report of a study from its current records."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lutra import __version__
from lutra.core.errors import UsageError
from lutra.core.study import SIMULATED_BY
from lutra.pipeline.conductor import Conductor
from lutra.pipeline.study import StudyFolder
from lutra.pipeline.views import Gatherer
from lutra.pipeline.why import Provenance
from lutra.report import write_report
from lutra.report.model import StudyView


def write_study_report(study: StudyFolder) -> Path:
    """Write `report/` of a study and return its index page.

    Raises
    ------
    UsageError
        If the study has not been run.
    """
    records = study.records()
    if not records:
        raise UsageError("this study has no results yet", where=str(study.root), do=f"lutra run {study.root}")
    protocol = study.protocol
    conductor = Conductor(study.store, study.ledger)
    images: dict[str, bytes] = {}
    provenance = Provenance(study.ledger)
    audit = study.ledger.audit_trail()
    subjects = tuple(Gatherer(conductor, record, provenance, images, audit).subject() for record in records)
    headers = [conductor.value(s.header) for record in records for s in record.series if s.header]
    view = StudyView(
        name=protocol.study.name,
        title=protocol.study.title,
        protocol_name=protocol.study.name,
        protocol_digest=protocol.digest,
        time_zone=protocol.study.time_zone,
        program=f"Lutra {__version__}",
        made_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        subjects=subjects,
        findings=study.intake_findings(),
        simulated=bool(headers) and all(h.manufacturer == SIMULATED_BY for h in headers),
    )
    write_report(view, images, study.root / "report")
    study.log("report", {"subjects": [s.subject_id for s in subjects]})
    return study.root / "report" / "index.html"
