"""Dose of a uniform sphere to itself."""

from __future__ import annotations

import numpy as np

from lutra.core.errors import OutsideValidity
from lutra.reference.sphere_s import SphereTable


def sphere_s_value(mass_g: float, table: SphereTable) -> tuple[float, float]:
    r"""Interpolate the S value of a sphere between the masses of a table.

    Log-log: S of a mass falls almost as its inverse, so that a straight line in logarithms errs by less than 1 % where
    splines in mass err by 9 to 22 % between the same nodes.

    Parameters
    ----------
    mass_g
        Mass of the sphere. [g]
    table
        S values over mass.

    Returns
    -------
    s_gy_per_bq_s
        Mean absorbed dose per decay. [Gy/(Bq.s)]
    slope
        :math:`d\ln S/d\ln m`, the sensitivity to the mass. [1]

    Raises
    ------
    OutsideValidity
        If the mass lies outside the table: nothing is extrapolated.
    """
    masses = table.mass_g
    if not masses[0] <= mass_g <= masses[-1]:
        raise OutsideValidity(
            f"a mass of {mass_g:.4g} g lies outside the table of spheres",
            required=f"{masses[0]:g} g to {masses[-1]:g} g",
            do="use an engine that resolves voxels, or a table for this mass",
        )
    x, y = np.log(masses), np.log(table.s_gy_per_bq_s)
    # One local slope serves value and sensitivity, so that the two agree even at a node.
    n = int(np.clip(np.searchsorted(masses, mass_g, side="right"), 1, len(masses) - 1))
    slope = (y[n] - y[n - 1]) / (x[n] - x[n - 1])
    return float(np.exp(y[n - 1] + slope * (np.log(mass_g) - x[n - 1]))), float(slope)
