"""Every number a run produced, under the path it has on the command line and in tables.

`SUBJECT/L01/cycle-1-27.7-h/activity`, `SUBJECT/L01/cycle-1/absorbed-dose.sphere`, `SUBJECT/image/FDG-PET-7-Sep-2000/suv-max`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from lutra.core.curve import TacFit
from lutra.core.dose import BiologicalDose, CumulativeDose, DoseResult
from lutra.core.estimate import Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.core.measurement import Features
from lutra.core.response import DiameterPair, RealChange, ResponseAssessment
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.record import (
    CycleRecord,
    DoseRecord,
    LesionRecord,
    ObservationRecord,
    RegionDosimetry,
    SeriesRecord,
    SubjectRecord,
)
from lutra.store.ledger import ResultRow

READER = "reader"
"""Uncertainty source of a diameter: how differently people would draw it. Not evaluated for one reader."""
REPEATABILITY = "repeatability"
"""Uncertainty source of a change between two images; the verdict beside the change weighs it."""
RESOLUTION = "resolution"
"""Uncertainty source of what depends on how doses are spread in a region: the camera blurs them. Not evaluated."""
VOLUME_PERCENT = (98, 90, 50, 2)
"""Of the dose-volume histogram, for reports: [lassmann2011] EANM guidance on good practice of clinical dosimetry reporting."""
FEATURES = "ibsi-features"


@frozen
class Result:
    """One number with its address and origin."""

    path: str
    subject_id: str
    quantity: str
    estimate: Estimate
    made: Made


def result_rows(conductor: Conductor, record: SubjectRecord) -> Iterator[ResultRow]:
    """Rows of the ledger's results table."""
    for result in results(conductor, record):
        yield ResultRow(
            result.path,
            result.subject_id,
            result.quantity,
            result.made.output or "",
            result.made.receipt,
            show(result.estimate),
        )
    for lesion in record.lesions:
        for observation in lesion.observations:
            if observation.features:
                yield _features_row(conductor, record.subject.subject_id, lesion.lesion_id, observation)


def results(conductor: Conductor, record: SubjectRecord) -> Iterator[Result]:
    """Every number of one subject."""
    subject = record.subject.subject_id
    for series in record.series:
        yield from series_results(conductor, subject, series)
    for observation in record.organs:
        if observation.measurements:
            base = f"{subject}/{slug(observation.region_name)}/{slug(observation.label)}"
            yield from _measurements(conductor, subject, base, observation.measurements)
    for lesion in record.lesions:
        yield from lesion_results(conductor, subject, lesion)
    for region in record.dosimetry:
        yield from dosimetry_results(conductor, subject, region)


def series_results(conductor: Conductor, subject: str, series: SeriesRecord) -> Iterator[Result]:
    """Numbers of one image as a whole."""
    if series.summary:
        yield from _measurements(conductor, subject, f"{subject}/image/{slug(series.label)}", series.summary)


def lesion_results(conductor: Conductor, subject: str, lesion: LesionRecord) -> Iterator[Result]:
    """Every number of one lesion."""
    for observation in lesion.observations:
        yield from observation_results(conductor, subject, lesion.lesion_id, observation)
    yield from dosimetry_results(conductor, subject, lesion.dosimetry)
    if lesion.responses:
        base = f"{subject}/{lesion.lesion_id}/response"
        assessments: tuple[ResponseAssessment, ...] = conductor.value(lesion.responses)
        for n, assessment in enumerate(assessments, start=1):
            change = Estimate(assessment.change_from_baseline, Unit.ONE, FrozenMap({READER: None}))
            yield Result(f"{base}/follow-up-{n}/diameter-change", subject, "diameter-change", change, lesion.responses)
    yield from change_results(conductor, subject, lesion)


def change_results(conductor: Conductor, subject: str, lesion: LesionRecord) -> Iterator[Result]:
    """Compare one lesion with its first image of a kind, where that can be given as a number."""
    labels = {o.series_uid: o.label for o in lesion.observations}
    for made in lesion.changes:
        changes: tuple[RealChange, ...] = conductor.value(made) if made else ()
        for change in changes:
            if change.change is not None:
                path = change_path(subject, lesion.lesion_id, labels[change.series_after], change.quantity)
                estimate = Estimate(change.change, Unit.ONE, FrozenMap({REPEATABILITY: None}))
                yield Result(path, subject, path.rpartition("/")[2], estimate, made)


def change_path(subject: str, lesion_id: str, label: str, quantity: str) -> str:
    """Address of the change of a quantity up to one image."""
    return f"{subject}/{lesion_id}/{slug(label)}/{quantity.replace('_', '-')}-change"


def features_path(subject: str, lesion_id: str, label: str) -> str:
    """Address of all standardised features of a lesion in one image; each of them would flood the list."""
    return f"{subject}/{lesion_id}/{slug(label)}/{FEATURES}"


def observation_results(
    conductor: Conductor, subject: str, lesion_id: str, observation: ObservationRecord
) -> Iterator[Result]:
    """Numbers of one lesion in one image."""
    base = f"{subject}/{lesion_id}/{slug(observation.label)}"
    if observation.measurements:
        yield from _measurements(conductor, subject, base, observation.measurements)
    if observation.diameters:
        pair: DiameterPair = conductor.value(observation.diameters)
        for quantity, length_mm in (("longest-diameter", pair.long_mm), ("short-axis", pair.short_mm)):
            estimate = Estimate(length_mm, Unit.MM, FrozenMap({READER: None}))
            yield Result(f"{base}/{quantity}", subject, quantity, estimate, observation.diameters)


def dosimetry_results(conductor: Conductor, subject: str, region: RegionDosimetry) -> Iterator[Result]:
    """Kinetics and doses of one region, cycle by cycle and in all."""
    for cycle in region.cycles:
        yield from cycle_results(conductor, subject, region.name, cycle)
    for record in region.cumulative:
        if record.dose:
            total: CumulativeDose = conductor.value(record.dose)
            quantity = f"absorbed-dose.{record.engine}"
            path = f"{subject}/{slug(region.name)}/cumulative/{quantity}"
            yield Result(path, subject, quantity, total.absorbed_dose, record.dose)
            yield from _effect_results(conductor, subject, path.rpartition("/")[0], record)


def cycle_results(conductor: Conductor, subject: str, region: str, cycle: CycleRecord) -> Iterator[Result]:
    """Kinetics and dose of one region in one cycle."""
    base = f"{subject}/{slug(region)}/cycle-{cycle.cycle}"
    if cycle.fit:
        fit: TacFit = conductor.value(cycle.fit)
        for quantity, estimate in (
            ("time-integrated-activity", fit.time_integrated_activity),
            ("effective-half-life", fit.effective_half_life),
        ):
            yield Result(f"{base}/{quantity}", subject, quantity, estimate, cycle.fit)
    if cycle.mass:
        yield Result(f"{base}/mass", subject, "mass", conductor.value(cycle.mass), cycle.mass)
    for dose in cycle.doses:
        if dose.dose:
            result: DoseResult = conductor.value(dose.dose)
            quantity = f"absorbed-dose.{dose.engine}"
            yield Result(f"{base}/{quantity}", subject, quantity, result.absorbed_dose, dose.dose)
            yield from _volume_results(subject, base, result, dose)
            yield from _effect_results(conductor, subject, base, dose)


def _volume_results(subject: str, base: str, result: DoseResult, dose: DoseRecord) -> Iterator[Result]:
    """Give doses that at least a share of the volume receives, from the histogram of the voxels."""
    mean = result.absorbed_dose
    for percent in VOLUME_PERCENT if result.dvh and mean.value > 0 else ():
        assert result.dvh is not None  # noqa: S101  (asked just before)
        reached = mean.scaled(result.dvh.d_percent(percent) / mean.value).with_sources({RESOLUTION: None})
        quantity = f"d{percent}.{dose.engine}"
        yield Result(f"{base}/{quantity}", subject, quantity, reached, dose.dose)


def _effect_results(conductor: Conductor, subject: str, base: str, dose: DoseRecord) -> Iterator[Result]:
    if dose.effect:
        worth: BiologicalDose = conductor.value(dose.effect)
        for quantity, estimate in ((f"bed.{dose.engine}", worth.bed), (f"eqd2.{dose.engine}", worth.eqd2)):
            yield Result(f"{base}/{quantity}", subject, quantity, estimate, dose.effect)
        if worth.eud_bed_gy is not None and worth.bed.value > 0:
            even = worth.bed.scaled(worth.eud_bed_gy / worth.bed.value).with_sources({RESOLUTION: None})
            quantity = f"eud-bed.{dose.engine}"
            yield Result(f"{base}/{quantity}", subject, quantity, even, dose.effect)


def slug(text: str) -> str:
    """Make a label fit for a path or a file name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-") or "unnamed"


def show(estimate: Estimate) -> str:
    """Write a number for the command line, in its inside unit."""
    if estimate.sd is not None:
        return f"{estimate.value:.6g} ± {estimate.sd:.2g} {estimate.unit.value}"
    missing = ", ".join(estimate.not_evaluated)
    return f"{estimate.value:.6g} {estimate.unit.value}, u not evaluated" + (f" ({missing})" if missing else "")


def _measurements(conductor: Conductor, subject: str, base: str, made: Made) -> Iterator[Result]:
    for name, estimate in conductor.value(made).values.items():
        quantity = name.replace("_", "-")
        yield Result(f"{base}/{quantity}", subject, quantity, estimate, made)


def _features_row(conductor: Conductor, subject: str, lesion_id: str, observation: ObservationRecord) -> ResultRow:
    assert observation.features is not None  # noqa: S101  (the caller's condition)
    made, features = observation.features, conductor.value(observation.features)
    assert isinstance(features, Features)  # noqa: S101
    shown = f"{len(features.values)} features, in tables/features.csv of the report"
    path = features_path(subject, lesion_id, observation.label)
    return ResultRow(path, subject, FEATURES, made.output or "", made.receipt, shown)
