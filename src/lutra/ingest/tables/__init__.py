"""Clinical tables of a study: CSV by the data dictionary -> values, with every bad cell by row, column and rule."""

from lutra.ingest.tables.read import CellProblem, ClinicalTables, Table, read_tables
from lutra.ingest.tables.records import clinical_records

__all__ = ["CellProblem", "ClinicalTables", "Table", "clinical_records", "read_tables"]
