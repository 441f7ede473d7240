"""Names of the numbers in a label map, from a table beside it."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lutra.core.errors import InputError
from lutra.reference.label_names import SHIPPED, LabelName, shipped_labels


def read_label_names(table: Path | str) -> dict[int, LabelName]:
    """Read a table of label numbers and names.

    Parameters
    ----------
    table
        `totalsegmentator-total` for the numbers of TotalSegmentator v2, or a file:
        TOML or JSON that maps numbers to names (`5 = "liver"`, also below `labels`), or names to numbers as nnU-Net writes
        them; CSV with the number in the first column and the name in the second, with or without a line of titles. Number 0
        is background and left out.

    Raises
    ------
    InputError
        If the file cannot be read, or a number is none or has two names.
    """
    if str(table) in SHIPPED:
        return shipped_labels(str(table))
    path = Path(table)
    try:
        text = path.read_text("utf-8-sig")
        match path.suffix.lower():
            case ".toml":
                pairs = _pairs(tomllib.loads(text))
            case ".json":
                pairs = _pairs(json.loads(text))
            case ".csv":
                pairs = _rows(text)
            case other:
                raise InputError(
                    f"a table of names in a file of type {other or 'without suffix'}",
                    where=str(path),
                    required=f".toml, .json, .csv, or {', '.join(SHIPPED)}",
                )
    except (OSError, ValueError) as error:
        raise InputError(f"the table of names cannot be read: {error}", where=str(path), do="correct it") from error
    return _checked(pairs, path)


def _pairs(content: Any) -> list[tuple[Any, Any]]:
    if isinstance(content, Mapping) and isinstance(content.get("labels"), Mapping):
        content = content["labels"]
    if not isinstance(content, Mapping):
        raise ValueError("no table of numbers and names")  # noqa: TRY004  (a file that says something else)
    pairs = list(content.items())
    if pairs and all(isinstance(value, int) for _, value in pairs):
        return [(value, key) for key, value in pairs]
    return pairs


def _rows(text: str) -> list[tuple[Any, Any]]:
    rows = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    if rows and not rows[0][0].strip().isdigit():
        rows = rows[1:]
    if any(len(row) < 2 for row in rows):
        raise ValueError("a line of fewer than two columns")
    return [(row[0], row[1]) for row in rows]


def _checked(pairs: Iterable[tuple[Any, Any]], path: Path) -> dict[int, LabelName]:
    names: dict[int, LabelName] = {}
    for number, name in pairs:
        if not str(number).strip().isdigit() or not isinstance(name, str) or not name.strip():
            raise InputError(f"{number!r} stands for {name!r}", where=str(path), required="a whole number and a name")
        label = int(str(number))
        if label in names:
            raise InputError(f"label {label} has two names", where=str(path), required="one name for each number")
        names[label] = LabelName(name.strip())
    names.pop(0, None)
    if not names:
        raise InputError("a table without names", where=str(path), required="a number and a name at least")
    return names
