"""Write src/lutra/reference/emissions.npz: what a decay of each nuclide emits, compact, from the files of ICRP Publication 107.

Run as `python bench/fit/emissions.py FOLDER`, where FOLDER holds one JSON file per nuclide (energies in MeV, numbers per decay).

Lines closer than 1 % are taken together, with their number and energy kept. A beta spectrum becomes energies of equal probability,
scaled so that their mean is that of the listed transitions: the tabulated spectra are up to .4 % off.
"""

import json
import sys
from pathlib import Path

import numpy as np

OUT = Path(__file__).parents[2] / "src/lutra/reference/emissions.npz"
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "y": 31557600.0, "us": 1e-6, "ms": 1e-3}
POINTS = 400
"""Energies of equal probability of a beta spectrum."""


def lines(*groups):
    """Energies [keV] and numbers per decay, neighbours within 1 % taken together. (2, n)"""
    every = np.array([line for group in groups for line in group], float).reshape(-1, 2)
    every = every[every[:, 1] > 0]
    together = {}
    for mev, number in every:
        key = round(np.log(mev) / 0.01)
        energy, count = together.get(key, (0.0, 0.0))
        together[key] = (energy + 1e3 * mev * number, count + number)
    total = sum(energy for energy, _ in together.values())
    kept = sorted((energy / n, n) for energy, n in together.values() if energy > 1e-6 * total)
    scale = total / sum(energy * n for energy, n in kept) if kept else 1.0
    return np.array([[energy, n * scale] for energy, n in kept]).reshape(-1, 2).T


def beta(spectrum, transitions):
    """Energies of equal probability, mean as listed. [keV]"""
    wanted = sum(mev * number for mev, number in transitions) / sum(number for _, number in transitions)
    energy, density = np.array(spectrum).T
    fine = np.linspace(0, energy[-1], 40 * POINTS + 1)
    cumulated = np.concatenate([[0], np.cumsum(np.interp(0.5 * (fine[1:] + fine[:-1]), energy, density))])
    at = np.interp((np.arange(POINTS) + 0.5) / POINTS, cumulated / cumulated[-1], fine)
    return 1e3 * at * wanted / at.mean()


def main() -> None:
    table = {}
    for path in sorted(Path(sys.argv[1]).glob("*-*[0-9]*.json")):
        data = json.loads(path.read_text())
        if "emissions" not in data:
            continue
        name, given = data["name"], data["emissions"]
        emitted = lambda key: given.get(key) or []  # noqa: E731
        table[f"{name}/half_life_s"] = np.float64(data["half_life"] * SECONDS[data["time_unit"]])
        table[f"{name}/photons"] = lines(emitted("gamma"), emitted("X"), emitted("annihilation")).astype(np.float32)
        table[f"{name}/electrons"] = lines(emitted("IE"), emitted("auger")).astype(np.float32)
        alpha = [*emitted("alpha"), *emitted("alpha recoil")]
        table[f"{name}/alpha_kev"] = np.float64(1e3 * sum(mev * number for mev, number in alpha))
        transitions = [*emitted("beta-"), *emitted("beta+")]
        if transitions:
            table[f"{name}/betas"] = np.float64(sum(number for _, number in transitions))
            table[f"{name}/beta_kev"] = beta(emitted("b-spectra"), transitions).astype(np.float32)
    np.savez_compressed(OUT, **table)
    print(f"{OUT.name}: {OUT.stat().st_size / 1024:.0f} kB, {len({key.split('/')[0] for key in table})} nuclides")


if __name__ == "__main__":
    main()
