"""Small functions that fit the output of one stage to the input of another. They compute nothing of their own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from attrs import evolve

from lutra.align import beyond
from lutra.core.burden import TumourBurden
from lutra.core.calibration import Calibration
from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.dose import DoseResult
from lutra.core.errors import InputError
from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.measurement import Measurements
from lutra.core.region import Region
from lutra.core.response import DiameterPair, ResponseAssessment
from lutra.core.study import Role, SeriesHeader
from lutra.core.transform import Transform
from lutra.core.volume import Volume
from lutra.dose.compare import compare_engines
from lutra.dose.mass import mass_from_ct, mass_from_volume
from lutra.dose.settings import DoseSettings
from lutra.kinetics.fit import fit_first
from lutra.kinetics.settings import KineticsSettings
from lutra.ports import DoseEngine, KineticsModel, Registrar, ResponseCriterion, Segmenter, Settings
from lutra.quantify import QuantifySettings, measure, measure_small_vois, suv_scales
from lutra.segment import BurdenSettings, tumour_burden


def register(
    registrar: Registrar,
    error_limit_mm: float,
    fixed: Volume,
    moving: Volume,
    settings: Settings,
    seed: int,
    start: Transform | None = None,
) -> Outcome[Transform]:
    """Ask a registrar for the map between two images; an error above the study's limit is said."""
    outcome = registrar.register(fixed, moving, settings, seed, start)
    doubt = None if outcome.value is None else beyond(outcome.value, error_limit_mm)
    return outcome if doubt is None else evolve(outcome, findings=(*outcome.findings, doubt))


def chained(links: tuple[Transform, ...]) -> Outcome[Transform]:
    """Chain maps; the first one's fixed frame is the chain's."""
    return Outcome(reduce(Transform.after, links))


def by_hand(transform: Transform, note: str) -> Outcome[Transform]:
    """Take a map a person made or brought, and say so."""
    text = f"The map from {transform.moving_frame} to {transform.fixed_frame} was not computed in this run: {note}."
    evidence = {"fixed": transform.fixed_frame, "moving": transform.moving_frame}
    return Outcome(transform, (Finding(Severity.INFO, "align.not-computed", text, evidence),))


def identity(frame: str) -> Outcome[Transform]:
    """Map a frame to itself."""
    return Outcome(Transform(frame, frame, np.eye(4), 0.0, "same frame"))


def segment(segmenter: Segmenter, image: Volume, settings: Settings) -> Outcome[tuple[Region, ...]]:
    """Ask a segmenter for the regions of an image."""
    return segmenter.segment(image, settings)


def find_burden(
    volume: Volume, role: Role, organs: tuple[Region, ...], lesions: tuple[Region, ...], settings: BurdenSettings
) -> Outcome[TumourBurden]:
    """Find the tumour burden of a PET."""
    return tumour_burden(volume, role, settings, organs, lesions)


def burden_numbers(burden: TumourBurden, series_uid: str) -> Outcome[Measurements]:
    """Give a tumour burden the names it has in tables."""
    volume, uptake = ("sstr_tv", "tl_sstr") if burden.role is Role.SSTR_PET else ("mtv", "tlg")
    values = FrozenMap({volume: burden.volume, uptake: burden.uptake})
    return Outcome(Measurements(series_uid, "tumour burden", values, burden.rule))


def measure_spheres(
    volume: Volume,
    spheres: tuple[Region, ...],
    kidney: Region,
    region_id: str,
    series_uid: str,
    settings: QuantifySettings,
    calibration: Calibration | None = None,
) -> Outcome[Measurements]:
    """Measure a kidney by small spheres; what its volume rests on is not evaluated here."""
    kidney_volume = Estimate(kidney.volume_ml, Unit.ML, FrozenMap({f"volume: {region_id}": None}))
    return measure_small_vois(volume, spheres, kidney_volume, region_id, series_uid, settings, calibration)


def measure_region(
    volume: Volume,
    region: Region,
    region_id: str,
    series_uid: str,
    role: Role,
    settings: QuantifySettings,
    calibration: Calibration | None = None,
    header: SeriesHeader | None = None,
) -> Outcome[Measurements]:
    """Measure a region in an image; of a PET, whose header is given, by every body measure it allows."""
    scales = Outcome(FrozenMap()) if header is None else suv_scales(header)
    outcome = measure(
        volume, region, region_id, series_uid, settings, calibration, scales=scales.value or FrozenMap(), role=role
    )
    return evolve(outcome, findings=(*scales.findings, *outcome.findings))


def activity_curve(
    measurements: tuple[Measurements, ...], times_s: tuple[float, ...], region: str, nuclide: str
) -> Outcome[TimeActivityCurve]:
    """Gather the activity of one lesion over the scans of one cycle. Scans without a usable activity are left out."""
    seen = [(t, m.values["activity"]) for t, m in zip(times_s, measurements, strict=True) if "activity" in m.values]
    try:
        times = [t for t, _ in seen]
        return Outcome(TimeActivityCurve(region, nuclide, times, tuple(a for _, a in seen), tissue="tumour"))
    except InputError as error:
        return Outcome(None, (Finding(Severity.UNDETERMINED, "kinetics.no-curve", str(error)),))


def fit_curve(
    curve: TimeActivityCurve, models: Sequence[tuple[str, KineticsModel]], settings: KineticsSettings, seed: int
) -> Outcome[TacFit]:
    """Fit with the first of the protocol's models that the points identify."""
    return fit_first(curve, models, settings.options, seed, settings.extrapolated_fraction_flag)


def lesion_mass(spect: Measurements, ct: tuple[Measurements, ...], settings: DoseSettings) -> Outcome[Estimate]:
    """Mass of a lesion from its volume on the SPECT and, where there is one, the CT of the same frame."""
    volume = spect.values["volume"]
    with_hu = [m.values["hu_mean"] for m in ct if "hu_mean" in m.values]
    if with_hu:
        return mass_from_ct(volume, with_hu[0], settings)
    return mass_from_volume(volume, settings, "assumed")


def absorbed_dose(
    fit: TacFit,
    region: Region,
    image: Volume,
    mass: Estimate,
    settings: Settings,
    *,
    engine: DoseEngine,
    name: str,
) -> Outcome[DoseResult]:
    """Ask an engine for a dose and put its qualified name on the result."""
    outcome = engine.dose(fit, region, image, mass, settings)
    return outcome if outcome.value is None else evolve(outcome, value=evolve(outcome.value, engine=name))


def compare_doses(results: tuple[DoseResult, ...]) -> Outcome[int]:
    """Compare the engines for one lesion; the value is how many were compared."""
    return Outcome(len(results), compare_engines(results))


def assess(
    criterion: ResponseCriterion,
    lesion_id: str,
    series: tuple[str, ...],
    pairs: tuple[DiameterPair, ...],
    settings: Settings,
) -> Outcome[tuple[ResponseAssessment, ...]]:
    """Hand a lesion's diameters in time order to a criterion."""
    return criterion.assess(lesion_id, tuple(zip(series, pairs, strict=True)), settings)
