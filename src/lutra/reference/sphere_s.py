"""Self-dose S values of spheres, by nuclide."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import float64


@frozen(eq=False)
class SphereTable:
    """Self-dose S values over mass.

    Parameters
    ----------
    mass_g
        Masses of the spheres, increasing. [g] (n,)
    s_gy_per_bq_s
        Mean absorbed dose to the sphere per decay in it. [Gy/(Bq.s)] (n,)
    relative_sd
        Standard uncertainty of one value. [1]
    medium, source
        What the spheres are made of, and where the numbers come from.
    """

    nuclide: str
    mass_g: npt.NDArray[np.float64] = field(converter=float64)
    s_gy_per_bq_s: npt.NDArray[np.float64] = field(converter=float64)
    relative_sd: float
    medium: str
    source: str


@cache
def sphere_table(nuclide: str) -> SphereTable:
    """Return the table of a nuclide such as `Lu-177`.

    Raises
    ------
    OutsideValidity
        If there is no table for it.
    """
    tables = tomllib.loads((files("lutra.reference") / "sphere_s.toml").read_text("utf-8"))
    if nuclide not in tables:
        raise OutsideValidity(
            f"no S values of spheres for {nuclide}",
            where="reference/sphere_s.toml",
            required=f"one of: {', '.join(tables)}",
            do="use another dose engine, or add a published table with its source",
        )
    return SphereTable(nuclide=nuclide, **tables[nuclide])
