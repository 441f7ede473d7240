"""Cells that know where they come from, or why they are empty."""

from lutra.core.analysis_table import AnalysisTable, Cell, Column, ColumnType
from lutra.core.data_table import DataTable
from lutra.core.frozen import FrozenMap

COLUMNS = (
    Column("subject", "subject", ColumnType.TEXT),
    Column("dose", "dose", ColumnType.NUMBER, "Gy", uncertain=True),
    Column("shrunk", "shrunk", ColumnType.TRUTH),
)
TABLE = AnalysisTable(
    "lesions",
    ("subject",),
    COLUMNS,
    [
        {"subject": Cell("A"), "dose": Cell(0.1 + 0.2, 0.05, path="A/L01/dose"), "shrunk": Cell(True)},
        {"subject": Cell("B"), "dose": Cell(reason="no SPECT"), "shrunk": Cell(reason="no CT")},
        {"subject": Cell("C"), "shrunk": Cell(False)},
    ],
)


def test_missing_is_counted_by_its_reason() -> None:
    assert TABLE.missing("dose") == {"no SPECT": 1, "not recorded": 1}
    assert TABLE.missing("subject") == {}


def test_models_get_the_very_numbers_and_empty_cells_for_what_is_missing() -> None:
    table = TABLE.as_data_table()
    assert float(table.text("dose")[0]) == 0.1 + 0.2
    assert table.text("dose")[1:] == ("", "")
    assert table.text("dose_sd") == ("0.05", "", "")
    assert table.text("shrunk") == ("1", "", "0")


def test_rows_by_value_keep_their_line_in_the_file() -> None:
    table = DataTable("t.csv", FrozenMap({"landmark": ("0", "1.0", "2"), "x": ("a", "b", "c")}))
    chosen = table.where({"landmark": "1"})
    assert chosen.text("x") == ("b",)
    assert chosen.line(0) == 3
    assert chosen.where({"x": "b"}).line(0) == 3
    assert len(table.where({"x": "z"})) == 0
