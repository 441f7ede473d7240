"""Write src/lutra/reference/interactions.npz: how photons interact with the elements of the body.

Needs xraylib (BSD licence), whose tables go back to the evaluated photon data library of Livermore: `pip install xraylib numpy`,
then `python bench/fit/interactions.py`. Run it again only to change elements or grids.

Where the library ends, near 1 MeV, incoherent scattering goes on as Klein and Nishina's cross section, the other two as powers of the
energy. Pair production is left out: below 1.3 MeV there is next to none in tissue, and at 2.6 MeV, the highest line of the
nuclides here, it is 4 % of the attenuation of water.

Photoelectric, incoherent and coherent cross sections [cm2/g] over energy, incoherent scattering function S [1] and coherent form
factor F [1] over momentum transfer x = sin(theta/2)/lambda [1/A].
"""

from pathlib import Path

import numpy as np
import xraylib

OUT = Path(__file__).parents[2] / "src/lutra/reference/interactions.npz"
ELEMENTS = (1, 6, 7, 8, 11, 12, 15, 16, 17, 18, 19, 20, 22, 26, 53)
"""H C N O Na Mg P S Cl Ar K Ca Ti Fe I."""
ENERGY_KEV = np.geomspace(1.0, 3000.0, 401)
MOMENTUM_PER_ANGSTROM = np.concatenate([[0.0], np.geomspace(0.005, 250.0, 240)])


def value(function, z, at, beyond):
    """Ask the library, or take `beyond` where its table ends."""
    try:
        return function(z, at)
    except ValueError:
        return beyond


def klein_nishina(kev):
    """Cross section of a free electron, up to a factor."""
    a = kev / 510.99895
    return (
        (1 + a) / a**2 * (2 * (1 + a) / (1 + 2 * a) - np.log1p(2 * a) / a)
        + np.log1p(2 * a) / (2 * a)
        - (1 + 3 * a) / (1 + 2 * a) ** 2
    )


def continued(row, *, scattering):
    """Carry a cross section on beyond the last energy of the library."""
    last = np.flatnonzero(row > 0)[-1]
    if scattering:
        beyond = row[last] * klein_nishina(ENERGY_KEV) / klein_nishina(ENERGY_KEV[last])
    else:
        slope = np.log(row[last] / row[last - 20]) / np.log(ENERGY_KEV[last] / ENERGY_KEV[last - 20])
        beyond = row[last] * (ENERGY_KEV / ENERGY_KEV[last]) ** slope
    return np.where(np.arange(row.size) > last, beyond, row)


def main() -> None:
    table = {
        "element": np.array(ELEMENTS, np.int16),
        "atomic_weight": np.array([xraylib.AtomicWeight(z) for z in ELEMENTS]),
        "energy_kev": ENERGY_KEV,
        "momentum_per_angstrom": MOMENTUM_PER_ANGSTROM,
    }
    for name, function in (
        ("photoelectric_cm2_per_g", xraylib.CS_Photo),
        ("incoherent_cm2_per_g", xraylib.CS_Compt),
        ("coherent_cm2_per_g", xraylib.CS_Rayl),
    ):
        rows = [[value(function, z, float(e), 0.0) for e in ENERGY_KEV] for z in ELEMENTS]
        scattering = name.startswith("inc")
        table[name] = np.array([continued(np.array(row), scattering=scattering) for row in rows], np.float32)
    table["scattering_function"] = np.array(
        [[0.0] + [value(xraylib.SF_Compt, z, float(x), float(z)) for x in MOMENTUM_PER_ANGSTROM[1:]] for z in ELEMENTS],
        np.float32,
    )
    table["form_factor"] = np.array(
        [[float(z)] + [value(xraylib.FF_Rayl, z, float(x), 0.0) for x in MOMENTUM_PER_ANGSTROM[1:]] for z in ELEMENTS],
        np.float32,
    )
    np.savez_compressed(OUT, **table)
    print(f"{OUT.name}: {OUT.stat().st_size / 1024:.0f} kB with xraylib {xraylib.__version__}")


if __name__ == "__main__":
    main()
