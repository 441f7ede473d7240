"""Documents on paper: what the pages say, fit to print and to be kept (PDF/A-2b)."""

from lutra.report.paper.documents import decision_sheet, dosimetry_report, recist_sheet, study_report
from lutra.report.paper.typeset import Document, Grid, Section, require_typst, typeset

__all__ = [
    "Document",
    "Grid",
    "Section",
    "decision_sheet",
    "dosimetry_report",
    "recist_sheet",
    "require_typst",
    "study_report",
    "typeset",
]
