"""Measurements of lesions as a structured report of template TID 1500, with highdicom."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from attrs import frozen
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom import Dataset
from pydicom.uid import UID

from lutra import __version__
from lutra.core.errors import UsageError
from lutra.export.part10 import date_text, datetime_text, header_of, long_string, save, time_text
from lutra.export.quantities import DCM, QUANTITIES, SCT

Group = MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations


@frozen
class LesionMeasurements:
    """Numbers of one lesion.

    Parameters
    ----------
    name
        That the lesion has in the study; follows it through all images.
    uid
        Unique identifier of the same.
    values
        By the names of :data:`QUANTITIES`, in their units.
    segment
        Number of its segment in the segmentation that the report refers to; None if it has none there.
    """

    name: str
    uid: str
    values: tuple[tuple[str, float], ...]
    segment: int | None = None


@frozen
class Verified:
    """Who stands for the numbers, since when, and for which organization."""

    by: str
    at: datetime
    organization: str


def write_measurement_report(
    path: Path,
    lesions: Sequence[LesionMeasurements],
    images: Sequence[Path],
    *,
    series_uid: str,
    instance_uid: str,
    made_at: datetime,
    title: str,
    segmentation: Path | None = None,
    verified: Verified | None = None,
) -> Path:
    """Write what was measured of lesions in one image series.

    Parameters
    ----------
    images
        Files of the series: who the patient is and what is referred to is read from them.
    title
        Of the series.
    segmentation
        File with the lesions' segments.
    verified
        Who has signed for the numbers; None leaves the report preliminary.

    Raises
    ------
    UsageError
        If there is no lesion with a number that has a code, or no image.
    Unreadable
        If an image cannot be read.
    """
    known = [lesion for lesion in lesions if any(name in QUANTITIES for name, _ in lesion.values)]
    if not known or not images:
        raise UsageError("nothing to report", required="a lesion with a number, and the images it was measured on")
    evidence = [header_of(image) for image in images]
    segments = None if segmentation is None else header_of(segmentation)
    groups = [_group(lesion, evidence[0], segments) for lesion in known]
    device = DeviceObserverIdentifyingAttributes(
        uid=UID("2.25.329800735698586629295641978511506172918"),
        name="Lutra",
        manufacturer_name="Lutra",
        model_name="Lutra",
    )
    observer = ObserverContext(CodedConcept("121007", DCM, "Device"), device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom has an opinion on patient names; they are the source's
        report = MeasurementReport(
            observation_context=ObservationContext(observer_device_context=observer),
            procedure_reported=CodedConcept("363679005", SCT, "Imaging procedure"),
            imaging_measurements=groups,
            title=CodedConcept("126000", DCM, "Imaging Measurement Report"),
        )
        file = Comprehensive3DSR(
            evidence=evidence if segments is None else [*evidence, segments],
            content=report,
            series_instance_uid=series_uid,
            series_number=91,
            sop_instance_uid=instance_uid,
            instance_number=1,
            manufacturer="Lutra",
            is_complete=verified is not None,
            is_final=verified is not None,
            is_verified=verified is not None,
            verifying_observer_name=verified.by if verified else None,
            verifying_organization=verified.organization if verified else None,
            series_description=long_string(title),
        )
    file.SoftwareVersions = __version__
    for name, text in (("ContentDate", date_text(made_at)), ("ContentTime", time_text(made_at))):
        setattr(file, name, text)
    if verified is not None:
        file.VerifyingObserverSequence[0].VerificationDateTime = datetime_text(verified.at)
    save(path, file)
    return path


def _group(lesion: LesionMeasurements, image: Dataset, segments: Dataset | None) -> Group:
    """Group by segment (TID 1411) where the lesion has one, else on its own (TID 1501)."""
    tracking = TrackingIdentifier(uid=UID(lesion.uid), identifier=lesion.name)
    finding = CodedConcept("52988006", SCT, "Lesion")
    numbers = [_measurement(name, value) for name, value in lesion.values if name in QUANTITIES]
    if lesion.segment is None or segments is None:
        return MeasurementsAndQualitativeEvaluations(tracking, finding_type=finding, measurements=numbers)
    segment = ReferencedSegment(
        segments.SOPClassUID,
        segments.SOPInstanceUID,
        lesion.segment,
        source_series=SourceSeriesForSegmentation(image.SeriesInstanceUID),
    )
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking, referenced_segment=segment, finding_type=finding, measurements=numbers
    )


def _measurement(name: str, value: float) -> Measurement:
    what, derived, unit = QUANTITIES[name]
    return Measurement(
        name=CodedConcept(*what),
        value=float(f"{value:.10g}"),
        unit=CodedConcept(*unit),
        derivation=None if derived is None else CodedConcept(*derived),
        algorithm_id=AlgorithmIdentification(name="Lutra", version=__version__),
    )
