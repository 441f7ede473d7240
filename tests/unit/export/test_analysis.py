"""Analysis tables as files."""

import csv
from io import BytesIO

import pyarrow.parquet as pq

from lutra.core.analysis_table import AnalysisTable, Cell, Column, ColumnType
from lutra.export.analysis import table_files

TABLE = AnalysisTable(
    "lesions",
    ("subject", "landmark"),
    (
        Column("subject", "subject", ColumnType.TEXT),
        Column("landmark", "landmark", ColumnType.WHOLE),
        Column("dose", "dose", ColumnType.NUMBER, "Gy", "sum over cycles", uncertain=True),
        Column("shrunk", "shrunk", ColumnType.TRUTH),
    ),
    [
        {"subject": Cell("A"), "landmark": Cell(1), "dose": Cell(1 / 3, 0.1, ("camera",), "A/dose", "r1"), "shrunk": Cell(True)},
        {"subject": Cell("B"), "landmark": Cell(1), "dose": Cell(reason="no SPECT"), "shrunk": Cell(False)},
    ],
)  # fmt: skip


FILES = dict(table_files([TABLE]))


def _read(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(FILES[name].decode().splitlines()))


def test_csv_and_parquet_hold_the_same_and_missing_is_empty() -> None:
    rows = _read("lesions.csv")
    parquet = pq.read_table(BytesIO(FILES["lesions.parquet"])).to_pylist()
    assert [float(r["dose"]) if r["dose"] else None for r in rows] == [r["dose"] for r in parquet] == [1 / 3, None]
    assert [r["shrunk"] for r in rows] == ["1", "0"]
    assert [r["shrunk"] for r in parquet] == [True, False]


def test_every_column_of_the_files_stands_in_the_dictionary() -> None:
    rows = _read("dictionary.csv")
    assert [r["column"] for r in rows] == list(_read("lesions.csv")[0])
    dose = next(r for r in rows if r["column"] == "dose")
    assert (dose["unit"], dose["rows"], dose["missing"], dose["reasons_for_missing"]) == ("Gy", "2", "1", "no SPECT: 1")
    field = pq.read_schema(BytesIO(FILES["lesions.parquet"])).field("dose")
    assert field.metadata[b"unit"] == b"Gy"


def test_lineage_says_where_a_cell_is_from_or_why_it_is_empty() -> None:
    found = {(r["row"], r["column"]): r for r in _read("lineage.csv")}
    assert set(found) == {("A 1", "dose"), ("B 1", "dose")}
    assert found["A 1", "dose"]["path"] == "A/dose"
    assert found["A 1", "dose"]["sources_not_evaluated"] == "camera"
    assert found["B 1", "dose"]["reason_for_missing"] == "no SPECT"
