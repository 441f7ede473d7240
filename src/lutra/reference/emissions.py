"""What a decay of each nuclide emits."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import float64


@frozen(eq=False)
class Emission:
    """Radiation per decay of one nuclide, its daughters not included.

    Parameters
    ----------
    photons
        Energies and numbers per decay of gamma, X and annihilation photons. [keV, 1] (2, n)
    electrons
        Energies and numbers per decay of conversion and Auger electrons. [keV, 1] (2, m)
    betas
        Beta particles of either sign per decay. [1]
    beta_kev
        Energies of equal probability of a beta particle; empty without betas. [keV]
    alpha_kev
        Energy of alpha particles and their recoils per decay. [keV]

    References
    ----------
    [icrp107] ICRP Publication 107, Ann ICRP 38(3); terms of use in `LICENSE.ICRP-07` beside the data.
    """

    nuclide: str
    half_life_s: float
    photons: npt.NDArray[np.float64] = field(converter=float64)
    electrons: npt.NDArray[np.float64] = field(converter=float64)
    betas: float
    beta_kev: npt.NDArray[np.float64] = field(converter=float64)
    alpha_kev: float

    @property
    def electron_kev(self) -> float:
        """Energy of electrons per decay, betas included. [keV]"""
        beta = self.betas * float(self.beta_kev.mean()) if self.beta_kev.size else 0.0
        return beta + float(self.electrons.prod(axis=0).sum())

    @property
    def photon_kev(self) -> float:
        """Energy of photons per decay. [keV]"""
        return float(self.photons.prod(axis=0).sum())


CHAINS = {
    "Ac-225 chain": {
        "Ac-225": 1.0, "Fr-221": 1.0, "At-217": 1.0, "Bi-213": 1.0, "Po-213": 0.9786, "Tl-209": 0.0214, "Pb-209": 1.0,
    },
    "Pb-212 chain": {"Pb-212": 1.0, "Bi-212": 1.0, "Po-212": 0.6406, "Tl-208": 0.3594},
}  # fmt: skip
"""Parents in equilibrium with daughters that stay where they arise: decays of each per decay of the parent [icrp107]."""


@cache
def emissions() -> dict[str, Emission]:
    """Every shipped nuclide and chain, by name."""
    with as_file(files("lutra.reference") / "emissions.npz") as path, np.load(path) as table:
        names = sorted({key.split("/")[0] for key in table.files})
        single = {
            name: Emission(
                nuclide=name,
                half_life_s=float(table[f"{name}/half_life_s"]),
                photons=table[f"{name}/photons"],
                electrons=table[f"{name}/electrons"],
                betas=float(table[f"{name}/betas"]) if f"{name}/betas" in table.files else 0.0,
                beta_kev=table[f"{name}/beta_kev"] if f"{name}/betas" in table.files else np.empty(0),
                alpha_kev=float(table[f"{name}/alpha_kev"]),
            )
            for name in names
        }
    return single | {name: _summed(name, [(single[n], part) for n, part in of.items()]) for name, of in CHAINS.items()}


def _summed(name: str, parts: list[tuple[Emission, float]]) -> Emission:
    """Add the emissions of a chain; a spectrum of betas stays one of equal probability."""

    def lines(of: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        return np.concatenate([rows * [[1.0], [part]] for rows, (_, part) in zip(of, parts, strict=True)], axis=1)

    betas = sum(e.betas * part for e, part in parts)
    points = max(e.beta_kev.size for e, _ in parts)
    energies = np.concatenate([e.beta_kev for e, _ in parts])
    weights = np.concatenate([np.full(e.beta_kev.size, e.betas * part / max(e.beta_kev.size, 1)) for e, part in parts])
    order = np.argsort(energies)
    # Mean energy of each of `points` equal shares of the particles.
    number = np.concatenate([[0.0], np.cumsum(weights[order])]) / betas
    power = np.concatenate([[0.0], np.cumsum((weights * energies)[order])]) / betas
    shares = np.linspace(0, 1, points + 1)
    beta_kev = np.diff(np.interp(shares, number, power)) * points
    return Emission(
        nuclide=name,
        half_life_s=parts[0][0].half_life_s,
        photons=lines([e.photons for e, _ in parts]),
        electrons=lines([e.electrons for e, _ in parts]),
        betas=betas,
        beta_kev=beta_kev,
        alpha_kev=sum(e.alpha_kev * part for e, part in parts),
    )


def emission(nuclide: str) -> Emission:
    """Look up a nuclide such as `Lu-177`.

    Raises
    ------
    UsageError
        If it is not shipped; lists those that are.
    """
    known = emissions()
    if nuclide not in known:
        raise UsageError(f"no emission data for {nuclide!r}", required=f"one of: {', '.join(known)}")
    return known[nuclide]
