"""Writes the analysis tables of a study for those who analyse them elsewhere."""

from __future__ import annotations

from pathlib import Path

from lutra.core.errors import UsageError
from lutra.export.analysis import write_analysis
from lutra.pipeline.analysis_tables import analysis_tables
from lutra.pipeline.study import StudyFolder


def export_analysis(study: StudyFolder, out: Path) -> tuple[Path, ...]:
    """Write `lesions`, `patients` and `intervals` as CSV and Parquet, their dictionary and their lineage.

    Raises
    ------
    UsageError
        If the study has not been run, or something stands in `out`.
    """
    tables = analysis_tables(study)
    if out.exists() and any(out.iterdir()):
        raise UsageError("something stands here", where=str(out), do="choose an empty folder")
    paths = write_analysis(tables.all, out)
    study.log("export analysis", {"out": str(out), "subjects": [row["subject"].value for row in tables.patients.rows]})
    return paths
