"""Curves as CSV: what is read, and how a table that cannot be read is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutra.core.errors import InputError
from lutra.core.units import HOUR_S
from lutra.ingest.curve_table import read_curves

HEAD = "curve,t_h,activity_mbq,u_mbq\n"


def table(folder: Path, text: str) -> Path:
    path = folder / "curves.csv"
    path.write_text(text, "utf-8")
    return path


def test_points_are_gathered_by_curve_and_sorted_by_time(tmp_path: Path) -> None:
    text = "note, u_mbq, activity_mbq, t_h, curve\nx, 2, 40, 96, kidney\n, 0.5, 9, 24, L 1\n, 4, 80, 24, kidney\n"
    kidney, lesion = read_curves(table(tmp_path, text), "Lu-177", "kidney")
    assert (kidney.region, lesion.region, kidney.tissue) == ("kidney", "L 1", "kidney")
    assert kidney.times_s.tolist() == [24 * HOUR_S, 96 * HOUR_S]
    assert kidney.activities_bq.tolist() == [80e6, 40e6]
    assert dict(kidney.activities[0].budget) == {"noise: kidney 24 h": 4e6}


def test_without_uncertainties_nothing_is_made_up(tmp_path: Path) -> None:
    (curve,) = read_curves(table(tmp_path, "curve,t_h,activity_mbq\nL1,24,9\n"), "Lu-177")
    assert not curve.activities[0].budget
    (curve,) = read_curves(table(tmp_path, HEAD + "L1,24,9,\n"), "Lu-177")
    assert curve.activities[0].sd is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("curve,t_h,activity\nL1,24,9\n", "line 1: no column activity_mbq; there are: curve, t_h, activity"),
        ("", "no column curve, t_h, activity_mbq; there are: none"),
        (HEAD, "the table has no points"),
        (HEAD + "L1,24,9,1\nL1,“96”,4,1\n", "line 3, t_h: ““96”” is not a number"),
        (HEAD + 'L1,24,"9,5",1\n', "line 2, activity_mbq: “9,5” is not a number"),
        (HEAD + "L1,24,,1\n", "line 2, activity_mbq: nothing is there"),
        (HEAD + "L1,24,nan,1\n", "line 2, activity_mbq: “nan” is not a number"),
        (HEAD + "L1,-4,9,1\n", "line 2, t_h: -4 h"),
        (HEAD + "L1,24,9,0\n", "line 2, u_mbq: 0 MBq"),
        (HEAD + ",24,9,1\n", "line 2, curve: the curve has no name"),
        (HEAD + "L1,24,9,1\nL2,24,9,1\nL1,24,8,1\n", "lines 2 and 4, t_h: curve L1 has two points at 24 h"),
        (HEAD + "L1,24,9,1\nL1,96,4\n", "line 3, u_mbq: curve L1 states the uncertainty of some points only"),
    ],
)
def test_a_bad_table_is_refused_by_line_and_column(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        read_curves(table(tmp_path, text), "Lu-177")
    assert says in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_curves(tmp_path / "none.csv", "Lu-177")
