"""The data dictionary of the clinic's tables: every column, its unit, its codes and what may stand in it.

Long format as REDCap exports it: a record, an event, a repeated instrument and its instance, then the fields of the instrument.
"""

from __future__ import annotations

import re

from attrs import field, frozen

from lutra.core.frozen import FrozenMap, frozen_map
from lutra.reference.analytes import analytes

YES_NO = {"0": "no", "1": "yes"}


@frozen
class Field:
    """One column.

    Parameters
    ----------
    unit
        UCUM; empty for what has none.
    type
        `text`, `number`, `integer`, `date`, `datetime`, `yesno` or `radio`.
    codes
        Code and its meaning, of `radio` and `yesno`.
    required
        Whether a row without it says nothing.
    low, high
        Least and most that can be true; None where there is no bound. [unit]
    """

    name: str
    label: str
    unit: str = ""
    type: str = "text"
    codes: FrozenMap[str, str] = field(converter=frozen_map, factory=FrozenMap)
    required: bool = False
    low: float | None = None
    high: float | None = None


def redcap_code(code: str) -> str:
    """Write a code as REDCap takes codes of choices: letters, digits and underscores."""
    return re.sub(r"[^A-Za-z0-9]+", "_", code).strip("_")


def _same(*codes: str) -> dict[str, str]:
    return {code: code for code in codes}


def _analytes() -> dict[str, str]:
    return {a.name: a.label for a in analytes().values()}


KEYS = (Field("record_id", "Subject", required=True), Field("redcap_event_name", "Event: baseline, cycle or follow-up"))
REPEAT_KEYS = (
    Field("redcap_repeat_instrument", "Repeated instrument"),
    Field("redcap_repeat_instance", "Instance within record, event and instrument", type="integer"),
)
MISSING = Field("missing_reason", "Why the value is missing")
RESPONSES = _same("CR", "PR", "SD", "PD", "NE", "non-CR/non-PD")

TABLES: FrozenMap[str, tuple[Field, ...]] = FrozenMap(
    {
        "subjects": (
            Field("sex", "Sex", type="radio", codes={"F": "female", "M": "male"}),
            Field("age", "Age at first treatment", "a", "number", low=0, high=120),
            Field("height", "Height", "m", "number", low=0.5, high=2.5),
            Field("weight", "Weight at first treatment", "kg", "number", low=10, high=400),
            Field("grade", "Grade of the tumour", type="integer", low=1, high=3),
            Field("primary_site", "Primary tumour"),
            Field("hypertension", "Hypertension", type="yesno", codes=YES_NO),
            Field("diabetes", "Diabetes", type="yesno", codes=YES_NO),
            Field("prior_chemotherapy", "Chemotherapy before", type="yesno", codes=YES_NO),
            Field("first_treatment", "Date of cycle 1", type="date"),
            Field("cycles_given", "Cycles given", type="integer", low=0, high=20),
            Field("stop_date", "Date on which treatment was stopped early", type="date"),
            Field("stop_cause", "Cause of the early stop"),
            Field("pfs_days", "Progression-free survival from cycle 1", "d", "integer"),
            Field("pfs_event", "Progression or death; no: censored", type="yesno", codes=YES_NO),
            Field("pfs_cause", "What ended it, or why it is censored"),
        ),
        "administrations": (
            Field("cycle", "Cycle", type="integer", required=True, low=1, high=20),
            Field("prescribed_activity", "Prescribed activity", "MBq", "number", low=10, high=60000),
            Field(
                "measured_activity",
                "Activity in the vial, at the start of the infusion",
                "MBq",
                "number",
                low=10,
                high=60000,
            ),
            Field("residual_activity", "Activity left in vial and line, same time", "MBq", "number", low=0, high=60000),
            Field("premedication", "Drugs before the amino acids, with their times"),
            Field("calibrator", "Activity meter that measured it"),
            Field("amino_acids_start", "Start of the amino acids", type="datetime"),
            Field("infusion_start", "Start of 177Lu-octreotate", type="datetime"),
            Field("infusion_end", "End of 177Lu-octreotate", type="datetime"),
            Field("amino_acids_end", "End of the amino acids", type="datetime"),
        ),
        "labs": (
            Field("lab_date", "Date of the sample", type="date", required=True),
            Field("lab_test", "Analyte", type="radio", codes=_analytes(), required=True),
            Field("lab_value", "Value, in the unit of the row", type="number"),
            Field("lab_unit", "Unit of the row (UCUM)"),
            Field("lab_low", "Lower limit of normal, unit of the row", type="number"),
            Field("lab_high", "Upper limit of normal, unit of the row", type="number"),
            Field("lab_grade", "CTCAE v5 grade; empty where the value cannot be graded", type="integer", low=0, high=5),
            MISSING,
        ),
        "blood": (
            Field("cycle", "Cycle", type="integer", required=True, low=1, high=20),
            Field("sampled_at", "Time of the sample", type="datetime", required=True),
            Field("concentration", "Activity of whole blood at that time", "kBq/mL", "number", required=True, low=0),
            Field("concentration_sd", "Its standard uncertainty", "kBq/mL", "number", low=0),
        ),
        "events": (
            Field("event_date", "Date", type="date", required=True),
            Field(
                "event_kind", "Kind", type="radio", codes=_same("decision", "stop", "toxicity", "progression", "death")
            ),
            Field("event_term", "What happened"),
            Field("event_grade", "Worst CTCAE v5 grade", type="integer", low=0, high=5),
            Field("event_end", "Date of the first sample back at the baseline grade", type="date"),
            Field("event_detail", "Rules that asked for it, with the value they saw"),
        ),
        "measurements": (
            Field("visit", "Number of the visit; 0 is the baseline", type="integer", required=True, low=0, high=100),
            Field("visit_date", "Date of the scan", type="date"),
            Field("reader", "Who read"),
            Field("lesion", "Lesion; empty for what concerns the patient"),
            Field("organ", "Organ; all nodes are one"),
            Field("lesion_kind", "Kind", type="radio", codes=_same("target", "non-target", "new")),
            Field(
                "lesion_state", "State", type="radio", codes=_same("measured", "too small", "absent", "not evaluated")
            ),
            Field(
                "quantity",
                "What was measured or concluded",
                type="radio",
                codes=_same(
                    *("scan", "long axis", "short axis", "sum"),
                    *("target response", "non-target response", "overall response"),
                ),
            ),
            Field("value", "Value, in the unit of the row", type="number", low=0),
            Field("unit", "Unit of the row (UCUM)"),
            Field("text", "Response by RECIST 1.1", type="radio", codes=RESPONSES),
            MISSING,
        ),
    }
)
