"""Writes the analysis tables of a study for those who analyse them elsewhere."""

from __future__ import annotations

from pathlib import Path

from lutra.export.analysis import table_files
from lutra.pipeline.analysis_tables import analysis_tables
from lutra.pipeline.given_files import empty_folder
from lutra.pipeline.study import StudyFolder


def export_analysis(study: StudyFolder, out: Path) -> tuple[Path, ...]:
    """Write `lesions`, `patients` and `intervals` as CSV and Parquet, their dictionary and their lineage.

    Raises
    ------
    UsageError
        If the study has not been run, or something stands in `out`.
    """
    tables = analysis_tables(study)
    folder = empty_folder(out)
    for name, content in table_files(tables.all):
        (folder / name).write_bytes(content)
    study.log("export analysis", {"out": str(out), "subjects": [row["subject"].value for row in tables.patients.rows]})
    return tuple(sorted(folder.iterdir()))
