"""Rows of the SDTM domains that come from the clinic: subjects, exposure, medication, laboratory, adverse events.

Names of tests and units are those of the controlled terminology of CDISC where there are any.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from lutra.core.clinical import ClinicalRecord, GivenCycle, InfusionKind, InfusionStep, LabResult
from lutra.export.tables.domain import Row, iso, keys, number_text, numbered, study_day
from lutra.reference.analytes import analytes

HEMATOLOGY, CHEMISTRY = "HEMATOLOGY", "CHEMISTRY"
TESTS = {
    "platelets": ("PLAT", "Platelets", HEMATOLOGY),
    "neutrophils": ("NEUT", "Neutrophils", HEMATOLOGY),
    "lymphocytes": ("LYM", "Lymphocytes", HEMATOLOGY),
    "wbc": ("WBC", "Leukocytes", HEMATOLOGY),
    "haemoglobin": ("HGB", "Hemoglobin", HEMATOLOGY),
    "creatinine": ("CREAT", "Creatinine", CHEMISTRY),
    "creatinine_clearance": ("CREATCLR", "Creatinine Clearance", CHEMISTRY),
    "egfr": ("GFRE", "Glomerular Filtration Rate, Estimated", CHEMISTRY),
    "dtpa_clearance": ("GFR", "Glomerular Filtration Rate", CHEMISTRY),
    "alt": ("ALT", "Alanine Aminotransferase", CHEMISTRY),
    "ast": ("AST", "Aspartate Aminotransferase", CHEMISTRY),
    "ggt": ("GGT", "Gamma Glutamyl Transferase", CHEMISTRY),
    "alkaline_phosphatase": ("ALP", "Alkaline Phosphatase", CHEMISTRY),
    "bilirubin": ("BILI", "Bilirubin", CHEMISTRY),
    "albumin": ("ALB", "Albumin", CHEMISTRY),
    "potassium": ("K", "Potassium", CHEMISTRY),
    "chromogranin_a": ("CGA", "Chromogranin A", CHEMISTRY),
}
"""Test code, name and category by analyte. [CDISC controlled terminology, LBTESTCD; CGA is the sponsor's]"""
UNITS = {
    "10*9/L": "10^9/L",
    "10*3/uL": "10^3/uL",
    "mL/min/{1.73_m2}": "mL/min/1.73m2",
    "mL/min/1.73 m2": "mL/min/1.73m2",
    "meq/L": "mEq/L",
}
"""Units that the controlled terminology writes in another way. [CDISC controlled terminology, UNIT]"""


def start_of(record: ClinicalRecord | None) -> date | None:
    """Day 1: that of the first treatment."""
    return record.given_on(1) if record else None


# ---- subjects and treatment ----
def dm_rows(study: str, record: ClinicalRecord) -> list[Row]:
    """One row."""
    starts = [g.started_at for g in record.given if g.started_at]
    first, last = (min(starts), max(starts)) if starts else (None, None)
    return [
        {
            **keys(study, "DM", record.subject_id),
            "SUBJID": record.subject_id,
            "RFSTDTC": iso(first),
            "RFXSTDTC": iso(first),
            "RFXENDTC": iso(last),
            "DTHDTC": iso(record.died_on),
            "DTHFL": "Y" if record.died_on else "",
            "AGE": record.age_y,
            "AGEU": "YEARS" if record.age_y is not None else "",
            "SEX": record.sex,
        }
    ]


def ex_rows(study: str, record: ClinicalRecord) -> list[Row]:
    """One row per cycle: the activity that went in. A cycle of which neither time nor activity is known was not given."""
    rows: list[Row] = []
    for given in record.given:
        step = next((s for s in given.steps if s.kind is InfusionKind.RADIOPHARMACEUTICAL), None)
        began, ended = (step.started_at, step.ended_at) if step else (None, None)
        if (began or ended or given.prepared_bq) is None:
            continue
        dose: Row = {"EXDOSE": given.net_bq / 1e9, "EXDOSU": "GBq"} if given.net_bq is not None else {}
        rows.append(
            {
                **_cycle(study, "EX", record, given),
                "EXTRT": "LUTETIUM LU-177 OCTREOTATE",
                **dose,
                "EXDOSFRM": "SOLUTION",
                "EXROUTE": "INTRAVENOUS",
                **_period("EX", began, ended, start_of(record)),
            }
        )
    return numbered(rows, "EXSEQ")


def cm_rows(study: str, record: ClinicalRecord) -> list[Row]:
    """One row per drug: amino acids, of which a time is known, and premedication, which is named where it was given."""
    rows: list[Row] = [
        {
            **_cycle(study, "CM", record, given),
            "CMTRT": step.name.upper(),
            "CMCAT": "KIDNEY PROTECTION" if step.kind is InfusionKind.AMINO_ACIDS else "PREMEDICATION",
            **_period("CM", step.started_at, step.ended_at, start_of(record)),
        }
        for given in record.given
        for step in given.steps
        if _given_beside(step)
    ]
    return numbered(rows, "CMSEQ")


def _given_beside(step: InfusionStep) -> bool:
    if step.kind is InfusionKind.AMINO_ACIDS:
        return step.started_at is not None or step.ended_at is not None
    return step.kind is InfusionKind.PREMEDICATION


def _cycle(study: str, domain: str, record: ClinicalRecord, given: GivenCycle) -> Row:
    return {**keys(study, domain, record.subject_id), f"{domain}LNKID": f"CYCLE {given.cycle}"}


def _period(prefix: str, began: datetime | date | None, ended: datetime | date | None, start: date | None) -> Row:
    return {
        f"{prefix}STDTC": iso(began),
        f"{prefix}ENDTC": iso(ended),
        f"{prefix}STDY": study_day(_day(began), start),
        f"{prefix}ENDY": study_day(_day(ended), start),
    }


def _day(moment: datetime | date | None) -> date | None:
    return moment.date() if isinstance(moment, datetime) else moment


# ---- laboratory ----
def lb_rows(study: str, record: ClinicalRecord) -> list[Row]:
    """One row per result, those that are missing with their reason."""
    start = start_of(record)
    before = _last_before(record.labs, start)
    return numbered((_lab(study, record.subject_id, lab, start, before) for lab in record.labs), "LBSEQ")


def _last_before(labs: Iterable[LabResult], start: date | None) -> frozenset[LabResult]:
    """Last values on or before the day of the first treatment, by analyte: what decisions take for the baseline."""
    last: dict[str, LabResult] = {}
    for lab in sorted(labs, key=lambda lab: lab.taken_on):
        if lab.value is not None and start is not None and lab.taken_on <= start:
            last[lab.analyte] = lab
    return frozenset(last.values())


def _lab(study: str, subject: str, lab: LabResult, start: date | None, before: frozenset[LabResult]) -> Row:
    code, name, category = TESTS.get(lab.analyte, (lab.analyte.upper()[:8], lab.analyte, ""))
    value, _, unit = lab.as_written.partition(" ")
    row: Row = {
        **keys(study, "LB", subject),
        "LBTESTCD": code,
        "LBTEST": name,
        "LBCAT": category,
        "LBSTNRLO": lab.lln,
        "LBSTNRHI": lab.uln,
        "LBLOBXFL": "Y" if lab in before else "",
        "LBDTC": iso(lab.taken_on),
        "LBDY": study_day(lab.taken_on, start),
    }
    if lab.value is None:
        return row | {"LBSTAT": "NOT DONE", "LBREASND": lab.missing_reason}
    low, high = lab.lln is not None and lab.value < lab.lln, lab.uln is not None and lab.value > lab.uln
    known = lab.lln is not None or lab.uln is not None
    return row | {
        "LBORRES": value,
        "LBORRESU": UNITS.get(unit, unit),
        "LBORNRLO": _original(lab, unit, lab.lln),
        "LBORNRHI": _original(lab, unit, lab.uln),
        "LBSTRESC": number_text(lab.value),
        "LBSTRESN": lab.value,
        "LBSTRESU": UNITS.get(lab.unit, lab.unit),
        "LBNRIND": "LOW" if low else "HIGH" if high else "NORMAL" if known else "",
    }


def _original(lab: LabResult, unit: str, limit: float | None) -> str:
    """Write a limit of normal in the unit of the result as the laboratory gave it; the tables have both in one unit."""
    factor = analytes()[lab.analyte].factor(unit) if lab.analyte in analytes() else None
    return "" if limit is None or factor is None else f"{limit / factor:.6g}"


# ---- adverse events ----
def ae_rows(study: str, record: ClinicalRecord) -> list[Row]:
    """One row per adverse event. Its dictionary term is left to who has the dictionary."""
    said = {True: "Y", False: "N", None: ""}
    rows: list[Row] = [
        {
            **keys(study, "AE", record.subject_id),
            "AETERM": event.term,
            "AESER": said[event.serious],
            "AEREL": {True: "RELATED", False: "NOT RELATED", None: ""}[event.related],
            "AETOXGR": str(event.grade) if event.grade else "",
            **_period("AE", event.started_on, event.ended_on, start_of(record)),
        }
        for event in record.events
    ]
    return numbered(rows, "AESEQ")
