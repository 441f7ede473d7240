"""Every rule of the way from a stored value to SUVbw, in one table.

:data:`CASES` is what the code dispatches on, what docs/suv.md lists, and what the Finding `quantify.suv-rule` names. Within a
part the first case that finds something applies; its `used` says in words what was done.
"""

from __future__ import annotations

from lutra.quantify import instants, stored_values
from lutra.quantify.instants import Instants
from lutra.quantify.suv_case import Case, Part, Scale

DICOM_UNITS = "DICOM PS3.3 C.8.9.1.1.3"
DICOM_DECAY = "DICOM PS3.3 C.8.9.1.1.5"
QIBA = "QIBA, vendor-neutral pseudo-code for SUV"
IBSI = "IBSI recommendations for SUV"

UNITS: tuple[Case[Scale], ...] = (
    Case(
        "GML",
        Part.UNIT,
        "Units (0054,1001) GML; SUV Type (0054,1006) BW or absent",
        "stored values are SUVbw in g/mL",
        f"{DICOM_UNITS}; an absent SUV Type is BW",
        stored_values.suv,
    ),
    Case(
        "refused, SUV of another type",
        Part.UNIT,
        "Units GML; SUV Type is LBM, LBMJAMES128, LBMJANMA, IBW, BSA or unknown",
        "no factor",
        DICOM_UNITS,
        stored_values.other_suv,
    ),
    Case(
        "CNTS, SUV factor",
        Part.UNIT,
        "Units CNTS; private (7053,1000) is positive; Decay Correction is not NONE",
        "counts × the private SUV factor (7053,1000)",
        QIBA,
        stored_values.counts_to_suv,
    ),
    Case(
        "CNTS, activity factor",
        Part.UNIT,
        "Units CNTS; private (7053,1009) is positive",
        "counts × the private activity factor (7053,1009) are Bq/mL",
        QIBA,
        stored_values.counts_to_activity,
    ),
    Case(
        "refused, counts without a factor",
        Part.UNIT,
        "Units CNTS; no positive private factor, or an SUV factor alone and Decay Correction NONE",
        "no factor",
        QIBA,
        stored_values.counts,
    ),
    Case("BQML", Part.UNIT, "Units BQML", "stored values are Bq/mL", DICOM_UNITS, stored_values.activity_concentration),
    Case(
        "refused, other unit",
        Part.UNIT,
        "any other Units, as PROPCPS or CM2ML",
        "no factor",
        QIBA,
        stored_values.other_unit,
    ),
)

ACTIVITIES: tuple[Case[float], ...] = (
    Case(
        "as stated",
        Part.ACTIVITY,
        "no residual activity is given, or it is taken off already",
        "the injected activity (0018,1074)",
        "DICOM PS3.3 C.8.9.2",
        stored_values.as_stated,
    ),
    Case(
        "refused, impossible residual",
        Part.ACTIVITY,
        "the residual is not less than the injected activity, or was measured before the administration",
        "no factor",
        "arithmetic",
        stored_values.impossible_residual,
    ),
    Case(
        "less residual",
        Part.ACTIVITY,
        "a residual activity and the time of its measurement are given",
        "the injected activity (0018,1074) less the residual, decayed back to the administration",
        QIBA,
        stored_values.net,
    ),
    Case(
        "less undated residual",
        Part.ACTIVITY,
        "a residual activity without a time",
        "the injected activity (0018,1074) less the residual, taken as measured at the administration",
        QIBA,
        stored_values.net_undated,
    ),
)

INSTANTS: tuple[Case[Instants], ...] = (
    Case(
        "refused, decay correction unknown",
        Part.INSTANT,
        "Decay Correction (0054,1102) is missing or no term of the standard",
        "no decay reference",
        DICOM_DECAY,
        instants.unstated,
    ),
    Case(
        "admin",
        Part.INSTANT,
        "Decay Correction ADMIN",
        "stated for the administration (0054,1102) ADMIN, (0018,1078)",
        DICOM_DECAY,
        instants.administration,
    ),
    Case(
        "refused, no acquisition time",
        Part.INSTANT,
        "START or NONE, and no acquisition time (0008,0022), (0008,0032)",
        "no decay reference",
        QIBA,
        instants.undated,
    ),
    Case(
        "none, slice by slice",
        Part.INSTANT,
        "Decay Correction NONE; slices of several acquisition times or frame durations",
        "not decay corrected: each slice has a factor of its own, for the instant its activity equalled the mean over its frame",
        IBSI,
        instants.each_slice,
    ),
    Case(
        "none, counts",
        Part.INSTANT,
        "Decay Correction NONE; NM in counts",
        "not decay corrected: its own acquisition time (0008,0032); the decay while counting belongs to the camera factor's use",
        "docs/calibration.md",
        instants.counting,
    ),
    Case(
        "none",
        Part.INSTANT,
        "Decay Correction NONE; one acquisition time",
        "not decay corrected: stated for the instant the activity equalled its mean over the frame, from acquisition time "
        "(0008,0032) and duration (0018,1242)",
        IBSI,
        instants.frame_mean,
    ),
    Case(
        "none, start of the frame",
        Part.INSTANT,
        "Decay Correction NONE; one acquisition time, no half-life or frame duration",
        "not decay corrected: its own acquisition time (0008,0032), the frame duration being unknown",
        DICOM_DECAY,
        instants.frame_start,
    ),
    Case(
        "start, series time",
        Part.INSTANT,
        "START; the series time is not after the earliest acquisition",
        "stated for the series time (0008,0031), which is not after the acquisition; (0054,1102) START",
        QIBA,
        instants.series_time,
    ),
    Case(
        "start, private scan time",
        Part.INSTANT,
        "START; the series time is later, from reprocessing, or missing; GE (0009,100D) or Siemens (0071,1022) is there",
        "stated for the scan time of the private element (0009,100D) or (0071,1022); the series time is later, from reprocessing",
        f"{QIBA}; {IBSI}",
        instants.private_time,
    ),
    Case(
        "start, from frame reference time",
        Part.INSTANT,
        "START; as before without the private element; the frame times of all slices lead to one start",
        "stated for the start of the scan, found from acquisition time (0008,0032), frame reference time (0054,1300) and "
        "duration (0018,1242); the series time is later or missing",
        f"{QIBA}; {IBSI}",
        instants.frame_clock,
    ),
    Case(
        "start, acquisition time",
        Part.INSTANT,
        "START; as before, without usable frame times",
        "stated for the earliest acquisition time (0008,0032); the series time is later or missing",
        QIBA,
        instants.acquisition_time,
    ),
)

CASES: tuple[Case[Scale] | Case[float] | Case[Instants], ...] = (*UNITS, *ACTIVITIES, *INSTANTS)
"""The table."""
