"""What is measured of a lesion, in the codes of DICOM and FHIR."""

from __future__ import annotations

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
