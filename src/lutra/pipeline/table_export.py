"""Submission tables of a study, from its current records."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from lutra.core.clinical import ClinicalRecord
from lutra.core.errors import UsageError
from lutra.core.tumour import ReaderResponse
from lutra.export import tables
from lutra.export.tables import Row
from lutra.pipeline.conductor import Conductor
from lutra.pipeline.given_files import empty_folder
from lutra.pipeline.record import SubjectRecord
from lutra.pipeline.study import StudyFolder
from lutra.pipeline.table_numbers import dosimetry_numbers, measured_course, with_images

SDTM, ADAM = tables.Standard("SDTMIG", "3.4"), tables.Standard("ADaMIG", "1.3")


def export_tables(study: StudyFolder, out: Path) -> tuple[Path, ...]:
    """Write `sdtm/`, `adam/` with a definition file each, what the tests of XD mean, and the REDCap dictionary.

    Raises
    ------
    UsageError
        If the study has neither been run nor has clinical tables, or something stands in `out`.
    """
    clinical, records = study.clinical, {r.subject.subject_id: r for r in study.records()}
    if not clinical and not records:
        raise UsageError("this study has nothing to export yet", where=str(study.root), do=f"lutra run {study.root}")
    empty_folder(out)
    protocol, conductor = study.protocol, Conductor(study.store, study.ledger)
    rows: dict[str, list[Row]] = {d.name: [] for d in (*tables.DOMAINS, *tables.DATASETS)}
    for subject in sorted({*clinical, *records}):
        for name, found in _subject(
            protocol.study.name, subject, clinical.get(subject), records.get(subject), conductor
        ):
            rows[name] += found
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    written = [*_write(out / "sdtm", tables.DOMAINS, rows), *_write(out / "adam", tables.DATASETS, rows)]
    for folder, standard, domains in (("sdtm", SDTM, tables.DOMAINS), ("adam", ADAM, tables.DATASETS)):
        path = out / folder / "define.xml"
        path.write_text(
            tables.define_xml(protocol.study.name, protocol.study.title, standard, domains, made_at), "utf-8"
        )
        written.append(path)
    for path, text in (
        (out / "sdtm" / "xd_definition.csv", tables.xd_definition()),
        (out / "redcap_dictionary.csv", tables.redcap_dictionary()),
    ):
        path.write_text(text, "utf-8")
        written.append(path)
    study.log("export tables", {"out": str(out), "subjects": sorted({*clinical, *records})})
    return tuple(written)


def _subject(
    study: str, subject: str, clinical: ClinicalRecord | None, record: SubjectRecord | None, conductor: Conductor
) -> Iterable[tuple[str, list[Row]]]:
    known = with_images(clinical, record, subject)
    start = tables.start_of(known)
    yield "DM", tables.dm_rows(study, known)
    yield "EX", tables.ex_rows(study, known)
    yield "CM", tables.cm_rows(study, known)
    yield "LB", tables.lb_rows(study, known)
    yield "AE", tables.ae_rows(study, known)
    made = record.course.responses if record else None
    responses: tuple[ReaderResponse, ...] = conductor.value(made) if made else ()
    measured = measured_course(conductor, record, known.readings) if record else None
    courses = (*known.readings, *([measured] if measured else []))
    numbers = tables.visit_numbers(courses)
    yield "TU", tables.tu_rows(study, courses, start)
    yield "TR", tables.tr_rows(study, courses, start, responses)
    yield "RS", tables.rs_rows(study, responses, start, numbers)
    yield "ADTR", tables.adtr_rows(study, courses, responses, start)
    yield "ADRS", tables.adrs_rows(study, responses, start, numbers)
    yield "ADTTE", tables.adtte_rows(study, responses, start)
    if record is not None:
        yield "XD", tables.xd_rows(study, subject, dosimetry_numbers(conductor, record), start)


def _write(folder: Path, domains: Iterable[tables.Domain], rows: dict[str, list[Row]]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for domain in domains:
        path = folder / f"{domain.name.lower()}.csv"
        path.write_text(domain.as_csv(rows[domain.name]), "utf-8")
        paths.append(path)
    return paths
