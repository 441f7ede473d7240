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
from lutra.core.dose import CycleDoses, DoseProblem, DoseResult, DoseTarget
from lutra.core.errors import InputError
from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Finding, Outcome, Severity, few
from lutra.core.frozen import FrozenMap
from lutra.core.measurement import Measurements
from lutra.core.region import Region
from lutra.core.response import DiameterPair, ResponseAssessment, VisitValues
from lutra.core.study import Role, SeriesHeader
from lutra.core.transform import Transform
from lutra.core.volume import Volume
from lutra.dose.compare import compare_engines
from lutra.dose.mass import mass_from_ct, mass_from_volume
from lutra.dose.settings import DoseSettings
from lutra.kinetics.fit import fit_first
from lutra.kinetics.previous_cycle import with_earlier_cycle
from lutra.kinetics.settings import KineticsSettings
from lutra.ports import DoseEngine, KineticsModel, Registrar, ResponseCriterion, Segmenter, Settings
from lutra.quantify import QuantifySettings, measure, measure_small_vois, suv_scales
from lutra.reference.populations import tissues
from lutra.segment import BurdenSettings, tumour_burden
from lutra.segment.algebra import difference


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


def without_lesions(organ: Region, lesions: tuple[Region, ...]) -> Outcome[Region]:
    """Take lesions out of an organ, and say so: their activity is not the organ's."""
    left = difference(organ.name, organ, *lesions)
    names = few([lesion.name for lesion in lesions])
    if left is None:
        text = f"“{organ.name}” lies wholly within lesions ({names}) and has no dose of its own"
        return Outcome(None, (Finding(Severity.WARNING, "dose.nothing-but-lesions", text),))
    share = 1 - left.volume_ml / organ.volume_ml
    text = f"dosimetry of “{organ.name}” is of {left.volume_ml:.0f} mL without lesions, {share:.1%} less than drawn: {names}"
    return Outcome(left, (Finding(Severity.INFO, "dose.without-lesions", text),))


def activity_left(whole: Measurements, parts: tuple[Measurements, ...], name: str) -> Outcome[Measurements]:
    """Take the activities of regions from that of a whole image."""
    total = whole.values.get("total_activity")
    known = [m.values["activity"] for m in parts if "activity" in m.values]
    if total is None:
        text = f"the activity in the field of view of {whole.series_uid} is not known, so neither is the {name}"
        return Outcome(None, (Finding(Severity.WARNING, "dose.no-total-activity", text),))
    left = reduce(Estimate.__sub__, known, total)
    if left.value <= 0:
        text = (
            f"regions of {whole.series_uid} hold {(total.value - left.value) * 1e-6:.4g} MBq and the field of view "
            f"{total.value * 1e-6:.4g} MBq: nothing is left for the {name}. Check recovery and calibration"
        )
        return Outcome(None, (Finding(Severity.WARNING, "dose.nothing-left", text),))
    return Outcome(Measurements(whole.series_uid, name, FrozenMap({"activity": left})))


def activity_curve(
    measurements: tuple[Measurements, ...],
    times_s: tuple[float, ...],
    region: str,
    nuclide: str,
    tissue: str | None = None,
) -> Outcome[TimeActivityCurve]:
    """Gather the activity of one region over the scans of one cycle. Scans without a usable activity are left out."""
    seen = [(t, m.values["activity"]) for t, m in zip(times_s, measurements, strict=True) if "activity" in m.values]
    known = tissue if tissue in tissues(nuclide) else None
    try:
        times = [t for t, _ in seen]
        return Outcome(TimeActivityCurve(region, nuclide, times, tuple(a for _, a in seen), tissue=known))
    except InputError as error:
        return Outcome(None, (Finding(Severity.UNDETERMINED, "kinetics.no-curve", str(error)),))


def fit_curve(
    curve: TimeActivityCurve,
    models: Sequence[tuple[str, KineticsModel]],
    settings: KineticsSettings,
    seed: int,
    earlier: TacFit | None = None,
) -> Outcome[TacFit]:
    """Fit with the first of the protocol's models that the points identify; `earlier` is the fit of the cycle before."""
    told = with_earlier_cycle(curve, earlier)
    return fit_first(told, models, settings.options, seed, settings.extrapolated_fraction_flag)


def lesion_mass(spect: Measurements, ct: tuple[Measurements, ...], settings: DoseSettings) -> Outcome[Estimate]:
    """Mass of a region from its volume on the SPECT and, where there is one, the CT of the same frame."""
    volume = spect.values["volume"]
    with_hu = [m.values["hu_mean"] for m in ct if "hu_mean" in m.values]
    if with_hu:
        return mass_from_ct(volume, with_hu[0], settings)
    return mass_from_volume(volume, settings, "assumed")


def absorbed_doses(  # noqa: PLR0917  (values of the stages before, by name)
    image: Volume,
    regions: tuple[Region, ...],
    fits: tuple[TacFit, ...],
    masses: tuple[Estimate, ...],
    names: tuple[str, ...],
    tissues: tuple[str, ...],
    nuclide: str,
    settings: Settings,
    seed: int,
    remainder: TacFit | None = None,
    ct: Volume | None = None,
    *,
    engine: DoseEngine,
) -> Outcome[CycleDoses]:
    """Ask an engine for the doses of a cycle."""
    targets = tuple(
        DoseTarget(region, fit, mass, name, tissue)
        for region, fit, mass, name, tissue in zip(regions, fits, masses, names, tissues, strict=True)
    )
    return engine.dose(DoseProblem(nuclide, image, targets, remainder, ct), settings, seed)


def doses_of_regions(doses: CycleDoses, *, name: str) -> Outcome[tuple[DoseResult, ...]]:
    """Take the doses of the regions out of an engine's answer, with its qualified name on each."""
    return Outcome(tuple(evolve(result, engine=name) for result in doses.results))


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
    visits = (VisitValues(uid, {"longest_diameter_mm": p.long_mm}) for uid, p in zip(series, pairs, strict=True))
    return criterion.assess(lesion_id, tuple(visits), settings)
