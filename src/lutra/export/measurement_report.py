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
    TrackingIdentifier,
)
from pydicom.uid import UID

from lutra import __version__
from lutra.core.errors import UsageError
from lutra.export.part10 import date_text, header_of, save, time_text

DCM, SCT, UCUM = "DCM", "SCT", "UCUM"
Code = tuple[str, str, str]
MAXIMUM: Code = ("56851009", SCT, "Maximum")
MEAN: Code = ("373098007", SCT, "Mean")
MEDIAN: Code = ("373099004", SCT, "Median")
PEAK: Code = ("126031", DCM, "Peak Value Within ROI")
SUV: Code = ("126401", DCM, "SUVbw")
ADC: Code = ("113041", DCM, "Apparent Diffusion Coefficient")
ABSORBED_DOSE: Code = ("128513", DCM, "Absorbed Dose")
LONG_AXIS: Code = ("103339001", SCT, "Long Axis")
SHORT_AXIS: Code = ("103340004", SCT, "Short Axis")
VOLUME: Code = ("118565006", SCT, "Volume")
SUV_UNIT: Code = ("{SUVbw}g/ml", UCUM, "Standardized Uptake Value body weight")
QUANTITIES: dict[str, tuple[Code, Code | None, Code]] = {
    "suv_max": (SUV, MAXIMUM, SUV_UNIT),
    "suv_mean": (SUV, MEAN, SUV_UNIT),
    "suv_peak": (SUV, PEAK, SUV_UNIT),
    "adc_mean": (ADC, MEAN, ("mm2/s", UCUM, "square millimeter per second")),
    "adc_median": (ADC, MEDIAN, ("mm2/s", UCUM, "square millimeter per second")),
    "volume": (VOLUME, None, ("ml", UCUM, "milliliter")),
    "longest_diameter": (LONG_AXIS, None, ("mm", UCUM, "millimeter")),
    "short_axis": (SHORT_AXIS, None, ("mm", UCUM, "millimeter")),
    "absorbed_dose": (ABSORBED_DOSE, MEAN, ("Gy", UCUM, "gray")),
}
"""What is measured, how it is derived, and its unit; by the name the number has in Lutra. Codes: DICOM PS3.16."""


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
    """

    name: str
    uid: str
    values: tuple[tuple[str, float], ...]


def write_measurement_report(
    path: Path,
    lesions: Sequence[LesionMeasurements],
    images: Sequence[Path],
    *,
    series_uid: str,
    instance_uid: str,
    made_at: datetime,
    title: str,
    final: bool = False,
) -> Path:
    """Write what was measured of lesions in one image series.

    Parameters
    ----------
    images
        Files of the series: who the patient is and what is referred to is read from them.
    title
        Of the series.
    final
        Whether somebody has signed for the numbers; they are preliminary otherwise.

    Raises
    ------
    UsageError
        If there is no lesion with a number that has a code, or no image.
    Unreadable
        If an image cannot be read.
    """
    groups = [_group(lesion) for lesion in lesions if any(name in QUANTITIES for name, _ in lesion.values)]
    if not groups or not images:
        raise UsageError("nothing to report", required="a lesion with a number, and the images it was measured on")
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
            evidence=[header_of(image) for image in images],
            content=report,
            series_instance_uid=series_uid,
            series_number=91,
            sop_instance_uid=instance_uid,
            instance_number=1,
            manufacturer="Lutra",
            is_complete=final,
            is_final=final,
            is_verified=False,
            series_description=title[:64],
        )
    file.SoftwareVersions = __version__
    for name, text in (("ContentDate", date_text(made_at)), ("ContentTime", time_text(made_at))):
        setattr(file, name, text)
    save(path, file)
    return path


def _group(lesion: LesionMeasurements) -> MeasurementsAndQualitativeEvaluations:
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=UID(lesion.uid), identifier=lesion.name),
        finding_type=CodedConcept("52988006", SCT, "Lesion"),
        measurements=[_measurement(name, value) for name, value in lesion.values if name in QUANTITIES],
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
