"""Any table as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

from lutra.core.data_table import DataTable
from lutra.core.errors import InputError


def read_data_table(path: Path) -> DataTable:
    """Read a table; the first line names the columns.

    Raises
    ------
    InputError
        If it cannot be read, a line has more or fewer cells than the first, or two columns have one name.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            rows = list(csv.reader(file, delimiter=";" if head.count(";") > head.count(",") else ","))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"cannot be read: {error}", where=str(path), do="save it as CSV in UTF-8") from error
    if not rows:
        raise InputError("an empty file", where=str(path), required="a line that names the columns")
    names, body = [name.strip() for name in rows[0]], [row for row in rows[1:] if any(cell.strip() for cell in row)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two columns called {twice[0]!r}", where=str(path), do="give each its own name")
    for n, row in enumerate(body, start=2):
        if len(row) != len(names):
            raise InputError(
                f"line {n} has {len(row)} cells", where=str(path), required=f"{len(names)}, as the first line"
            )
    return DataTable(str(path), {name: tuple(row[i].strip() for row in body) for i, name in enumerate(names)})
