"""Puts the report on disk, all or nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path

from lutra.report.analysis_model import AnalysisView
from lutra.report.analysis_page import analysis_page
from lutra.report.model import StudyView
from lutra.report.pages import environment, index_page, subject_page
from lutra.report.tables import write_tables


def write_report(
    study: StudyView, images: Mapping[str, bytes], out: Path, analysis: AnalysisView | None = None
) -> tuple[Path, ...]:
    """Write index, subject pages, pictures, tables and assets.

    The new report is made beside the old one and takes its place when it is complete.

    Parameters
    ----------
    images
        PNG files by name, as the view refers to them.
    out
        Folder of the report; replaced.
    analysis
        Of the study, for a page of its own, with its files in `analysis/`.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".report-", dir=out.parent))
    try:
        env = environment(study.time_zone)
        for folder in ("subjects", "images", "tables"):
            (building / folder).mkdir()
        (building / "index.html").write_text(index_page(env, study), encoding="utf-8")
        for subject in study.subjects:
            page = building / "subjects" / f"{subject.slug}.html"
            page.write_text(subject_page(env, study, subject), encoding="utf-8")
        if analysis is not None:
            (building / "analysis.html").write_text(analysis_page(env, study, analysis), encoding="utf-8")
            for name, content in analysis.files.items():
                (building / "analysis").mkdir(exist_ok=True)
                (building / "analysis" / name).write_bytes(content)
        for name, png in images.items():
            (building / "images" / name).write_bytes(png)
        with as_file(files("lutra.report") / "assets") as assets:
            shutil.copytree(assets, building / "assets")
        write_tables(study, building / "tables")
        building.chmod(0o755)
        _replace(out, building)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return tuple(sorted(p for p in out.rglob("*") if p.is_file()))


def _replace(out: Path, building: Path) -> None:
    old = building.with_name(building.name + "-old")
    if out.exists():
        out.rename(old)
    building.rename(out)
    shutil.rmtree(old, ignore_errors=True)
