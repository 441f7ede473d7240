"""Kidneys of a digital patient: activity from the simulated SPECT, against what the patient holds."""

from __future__ import annotations

import pytest
from attrs import evolve

from lutra.core.estimate import Estimate
from lutra.core.region import ConceptCode, Region, RegionKind
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify import QuantifySettings, measure, measure_small_vois
from lutra.segment import SegmentSettings, small_vois
from lutra.simulate.images import Site, held, painted, scene_for, spect_image, spect_scene
from lutra.simulate.patient import DigitalPatient
from lutra.simulate.scene import Scene, united
from lutra.simulate.sizes import CLINICAL
from lutra.simulate.visits import Kind, planned_scans

# Kidneys and what surrounds them, on the voxels of a clinical SPECT.
LOINS = evolve(CLINICAL, field_mm=((-130, 130), (-125, 125), (-110, 115)), spect_shape=(1, 1, 1), breathing_phases=1)
Seen = tuple[Volume, Scene, dict[str, float]]


@pytest.fixture(scope="module")
def seen(digital: DigitalPatient) -> Seen:
    """SPECT of the day after the first administration, in the fast mode."""
    scan = next(scan for scan in planned_scans(digital) if scan.kind is Kind.SPECT)
    scene = spect_scene(scene_for(digital, scan, LOINS, "1.2.3"), LOINS)
    holds = held(scene, scan)
    return spect_image(painted(scene, scan, holds), scene, Site(1, "Discovery 690"), 3).volume, scene, holds


def kidney(scene: Scene, side: str) -> Region:
    return united(f"{side} kidney", [r for name, r in scene.regions.items() if name.startswith(f"{side} kidney")])


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_whole_kidney_is_within_5_percent(seen: Seen, side: str) -> None:
    """Corrected by its own shape. Uncorrected it is a tenth too low or more."""
    image, scene, holds = seen
    region = kidney(scene, side)
    true_bq = region.volume_ml * holds[f"{side} kidney cortex"]
    fwhm_mm = Site(1, "Discovery 690").character(image.grid.spacing_mm[0]).fwhm_mm
    found = {}
    for how in ("none", "shape"):
        settings = QuantifySettings(partial_volume=how, spect_fwhm_mm=fwhm_mm)
        measurements = measure(image, region, "K", "1.2", settings).value
        assert measurements is not None
        found[how] = measurements.values["activity"].value / true_bq
    assert found["none"] < 0.9
    assert found["shape"] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("side", ["left", "right"])
def test_small_spheres_agree_with_their_own_uncertainty(seen: Seen, side: str) -> None:
    """The deviation is within three standard uncertainties of the mean over the spheres, and below 10 %."""
    image, scene, holds = seen
    region = kidney(scene, side)
    others = tuple(
        evolve(r, kind=RegionKind.ORGAN, code=ConceptCode("25990002", "SCT", "Renal pelvis")) if "pelvis" in name else r
        for name, r in scene.regions.items()
        if name in ("liver", "spleen", f"{side} kidney pelvis") or r.kind is RegionKind.LESION
    )
    spheres = small_vois(image, region, others, SegmentSettings()).value or ()
    size = Estimate(region.volume_ml, Unit.ML)
    measurements = measure_small_vois(image, spheres, size, "K", "1.2", QuantifySettings()).value
    assert measurements is not None
    concentration = measurements.values["concentration"]
    deviation = concentration.value / holds[f"{side} kidney cortex"] - 1
    assert abs(deviation) < min(0.1, 3 * concentration.budget["spheres: K 1.2"] / concentration.value)
