"""The analysis tables of a study: lesions by landmark, patients, and intervals between cycles."""

from __future__ import annotations

from attrs import frozen

from lutra.core.analysis_table import AnalysisTable
from lutra.pipeline.analysis_columns import (
    INTERVAL_COLUMNS,
    INTERVALS,
    LESIONS,
    PATIENT_COLUMNS,
    PATIENTS,
    PLANNED,
    lesion_columns,
)
from lutra.pipeline.analysis_lesions import Cells, lesion_rows
from lutra.pipeline.analysis_patients import covariates, interval_rows, patient_row
from lutra.pipeline.conductor import Conductor
from lutra.pipeline.study import StudyFolder


@frozen
class AnalysisTables:
    """What the models of a study are fitted to."""

    lesions: AnalysisTable
    patients: AnalysisTable
    intervals: AnalysisTable

    @property
    def all(self) -> tuple[AnalysisTable, ...]:
        """Every table."""
        return self.lesions, self.patients, self.intervals


def analysis_tables(study: StudyFolder) -> AnalysisTables:
    """Gather the tables from the current records of a study.

    Raises
    ------
    UsageError
        If the study has not been run.
    """
    records = study.require_records()
    conductor, clinical = Conductor(study.store, study.ledger), study.clinical
    lesions: list[Cells] = []
    patients: list[Cells] = []
    intervals: list[Cells] = []
    for record in records:
        known = clinical.get(record.subject.subject_id) or record.course.clinical
        about = covariates(known, record.subject)
        own = list(lesion_rows(conductor, record, about, study.protocol.response))
        patient = patient_row(conductor, record, about, own)
        lesions += own
        patients.append(patient)
        intervals += interval_rows(record, patient, own)
    cycles = max([PLANNED, *(a.cycle for r in records for a in r.subject.administrations)])
    return AnalysisTables(
        AnalysisTable(LESIONS, ("subject", "lesion", "landmark"), lesion_columns(cycles), lesions),
        AnalysisTable(PATIENTS, ("subject",), PATIENT_COLUMNS, patients),
        AnalysisTable(INTERVALS, ("subject", "start"), INTERVAL_COLUMNS, intervals),
    )
