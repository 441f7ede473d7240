"""Nuclide table against the machine-readable ICRP Publication 107.

Half-lives must be equal. Energies of 177Lu agree to 0.005 and 0.05 keV.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lutra.core.errors import UsageError
from lutra.reference.emissions import CHAINS
from lutra.reference.nuclides import nuclide, nuclides

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def icrp107(shared_data: Path, name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((shared_data / "nuclides" / f"{name}.json").read_text())
    return record


def test_half_lives(shared_data: Path) -> None:
    records = {name: icrp107(shared_data, name) for name in nuclides() if name not in CHAINS}
    published = {name: r["half_life"] * SECONDS[r["time_unit"]] for name, r in records.items()}
    assert {name: nuclide(name).half_life_s for name in records} == pytest.approx(published, rel=1e-6)


@pytest.mark.parametrize("chain", CHAINS)
def test_a_chain_decays_as_its_parent(chain: str) -> None:
    assert nuclide(chain).half_life_s == nuclide(chain.removesuffix(" chain")).half_life_s


def test_energy_per_decay_of_lutetium(shared_data: Path) -> None:
    """Sum of energy times yield: beta, conversion and Auger electrons; gamma and X rays."""
    emissions = icrp107(shared_data, "Lu-177")["emissions"]

    def kev(*kinds: str) -> float:
        return 1000 * sum(energy_mev * share for kind in kinds for energy_mev, share in emissions[kind])

    lutetium = nuclide("Lu-177")
    assert lutetium.electron_kev_per_decay == pytest.approx(kev("beta-", "IE", "auger"), abs=0.005)
    assert lutetium.photon_kev_per_decay == pytest.approx(kev("gamma", "X"), abs=0.05)


def test_an_unknown_nuclide_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'Xx-1' is not known.*Lu-177"):
        nuclide("Xx-1")
