"""Mass of a region from its volume, with or without a CT."""

from __future__ import annotations

import numpy as np

from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.dose.settings import DoseSettings
from lutra.physics import hounsfield

DENSITY_SOURCE = "tissue density"

HU_NODES, DENSITY_NODES_G_PER_ML = hounsfield.HU_NODES[1:-1], hounsfield.DENSITY_NODES_G_PER_ML[1:-1]
"""The part of the density curve that is tissue: adipose tissue to cortical bone, -98 to 1600 HU [schneider2000]."""


def mass_from_volume(volume: Estimate, settings: DoseSettings, density_source: str) -> Outcome[Estimate]:
    """Multiply a volume by the soft tissue density of the settings.

    Parameters
    ----------
    volume
        Volume of the region. [mL]
    density_source
        How the density is known, for the record: `assumed`.

    Returns
    -------
    Outcome
        Mass [g] with the sources of the volume and "tissue density"; always with a Finding that no CT stands behind it.
    """
    if volume.value <= 0:
        return _no_volume(volume)
    density = Estimate(settings.soft_tissue_density_g_per_ml, Unit.G_PER_ML).with_sources(
        {DENSITY_SOURCE: settings.soft_tissue_density_relative_sd}
    )
    text = (
        f"no CT of the same session is known, so a soft tissue density of {density.value:g} g/mL "
        f"± {settings.soft_tissue_density_relative_sd:.0%} is assumed (dose.soft_tissue_density_g_per_ml); add the CT of the SPECT"
    )
    evidence = FrozenMap({"density": density_source})
    finding = Finding(Severity.WARNING, "dose.density-assumed", text, evidence)
    return Outcome(volume.times(density, Unit.G), (finding,))


def mass_from_ct(volume: Estimate, hu_mean: Estimate, settings: DoseSettings) -> Outcome[Estimate]:
    """Multiply a volume by the density that the mean CT number of the region stands for.

    Parameters
    ----------
    volume
        Volume of the region. [mL]
    hu_mean
        Mean CT number in the region, without contrast medium, which raises it at the same density. [HU]

    Returns
    -------
    Outcome
        Mass [g]; or none and `dose.not-tissue` if the CT number is outside -98 to 1600 HU.

    References
    ----------
    [schneider2000] Schneider et al., Phys Med Biol 45:459.
    """
    if volume.value <= 0:
        return _no_volume(volume)
    hu = hu_mean.value
    if not HU_NODES[0] <= hu <= HU_NODES[-1]:
        text = (
            f"a mean CT number of {hu:.0f} HU is no soft tissue or bone (required: {HU_NODES[0]:g} to {HU_NODES[-1]:g} HU); "
            "the region holds air, lung or metal: check the region and its registration to the CT"
        )
        return Outcome(None, (Finding(Severity.UNDETERMINED, "dose.not-tissue", text),))
    density_g_per_ml = float(np.interp(hu, HU_NODES, DENSITY_NODES_G_PER_ML))
    n = int(np.clip(np.searchsorted(HU_NODES, hu, side="right"), 1, len(HU_NODES) - 1))
    slope = (DENSITY_NODES_G_PER_ML[n] - DENSITY_NODES_G_PER_ML[n - 1]) / (HU_NODES[n] - HU_NODES[n - 1])
    from_hu = {name: None if sd is None else sd * slope for name, sd in hu_mean.budget.items()}
    density = Estimate(density_g_per_ml, Unit.G_PER_ML, FrozenMap(from_hu)).with_sources(
        {DENSITY_SOURCE: settings.ct_density_relative_sd}
    )
    return Outcome(volume.times(density, Unit.G))


def _no_volume(volume: Estimate) -> Outcome[Estimate]:
    text = f"a volume of {volume.value:g} mL has no mass; check that the region lies on the image"
    return Outcome(None, (Finding(Severity.UNDETERMINED, "dose.no-volume", text),))
