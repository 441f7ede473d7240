"""Standardised image features: tag, IBSI code, unit and name; the table is ibsi.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from attrs import frozen

from lutra.core.units import Unit


@frozen
class Feature:
    """One feature of the standard.

    Parameters
    ----------
    tag
        Family and word, `stat.mean`.
    code
        Permanent four-letter identifier of the IBSI.
    unit
        `intensity` and its like stand for the unit of the image, see :meth:`unit_in`.
    """

    tag: str
    code: str
    unit: str
    name: str

    def unit_in(self, image: Unit) -> str:
        """Give the unit of this feature in an image of a given unit, UCUM where there is a code."""
        return {
            "intensity": image.value,
            "intensity2": f"({image.value})2",
            "intensity.mL": f"{image.value}.mL",
            "bin": "{bin}",
            "bin2": "{bin}2",
            "voxels": "{voxel}/{bin}",
        }.get(self.unit, self.unit)


@cache
def features() -> dict[str, Feature]:
    """Every feature of the table, by tag, in the order of the standard."""
    table = tomllib.loads((files("lutra.reference") / "ibsi.toml").read_text("utf-8"))["feature"]
    return {tag: Feature(tag, *row) for tag, row in table.items()}
