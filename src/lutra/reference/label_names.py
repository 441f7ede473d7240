"""Tables of label numbers that programs are known to use; the tables are TOML files beside this one."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from attrs import frozen

from lutra.core.region import ConceptCode, RegionKind

SHIPPED = {"totalsegmentator-total": "totalsegmentator_total.toml"}


@frozen
class LabelName:
    """What a number in a label map stands for."""

    name: str
    code: ConceptCode | None = None
    kind: RegionKind = RegionKind.OTHER


@cache
def shipped_labels(table: str) -> dict[int, LabelName]:
    """Read a shipped table by its name in :data:`SHIPPED`."""
    rows = tomllib.loads((files("lutra.reference") / SHIPPED[table]).read_text("utf-8"))["label"]
    return {
        int(number): LabelName(
            row["name"],
            ConceptCode(row["code"], "SCT", row["meaning"]) if "code" in row else None,
            RegionKind(row.get("kind", "organ")),
        )
        for number, row in rows.items()
    }
