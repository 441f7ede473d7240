"""Laboratory values: names, units with their factors, and what is plausible."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from attrs import field, frozen

from lutra.core.frozen import FrozenMap, frozen_map


@frozen
class Analyte:
    """One laboratory value.

    Parameters
    ----------
    unit
        UCUM unit it is kept in.
    units
        Other units and the factor that leads to `unit`.
    plausible
        Range outside of which nobody lives. [unit]
    aliases
        Other names, in lower case.
    """

    name: str
    label: str
    unit: str
    units: FrozenMap[str, float] = field(converter=frozen_map)
    plausible: tuple[float, float] = field(converter=tuple)
    aliases: tuple[str, ...] = field(converter=tuple)

    def factor(self, unit: str) -> float | None:
        """Factor from a unit to the analyte's own; None for a unit it is not measured in."""
        return 1.0 if unit == self.unit else self.units.get(unit)


@cache
def analytes() -> FrozenMap[str, Analyte]:
    """Every known analyte by name."""
    table = tomllib.loads((files("lutra.reference") / "analytes.toml").read_text("utf-8"))
    return FrozenMap({name: Analyte(name, **row) for name, row in table.items()})


@cache
def analyte_named(text: str) -> Analyte | None:
    """Find an analyte by its name, label or an alias, in any case; None if nobody is called so."""
    wanted = text.strip().lower()
    return next((a for a in analytes().values() if wanted in (a.name, a.label.lower(), *a.aliases)), None)
