"""Rows of the SDTM domains of a study: subjects, exposure, laboratory, adverse events, tumours, and dosimetry.

Names of tests are those of the controlled terminology of CDISC where there are any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from attrs import frozen

from lutra.core.clinical import ClinicalRecord, InfusionKind, LabResult
from lutra.core.estimate import Estimate
from lutra.core.tumour import ReaderResponse, TumourCourse, TumourReading, TumourVisit
from lutra.export.tables.domain import Row, iso, numbered, study_day

INVESTIGATOR = "INVESTIGATOR"
TESTS = {
    "platelets": ("PLAT", "Platelets"),
    "neutrophils": ("NEUT", "Neutrophils"),
    "lymphocytes": ("LYM", "Lymphocytes"),
    "wbc": ("WBC", "Leukocytes"),
    "haemoglobin": ("HGB", "Hemoglobin"),
    "creatinine": ("CREAT", "Creatinine"),
    "creatinine_clearance": ("CREATCLR", "Creatinine Clearance"),
    "egfr": ("GFRE", "Glomerular Filtration Rate, Estimated"),
    "dtpa_clearance": ("GFR", "Glomerular Filtration Rate"),
    "alt": ("ALT", "Alanine Aminotransferase"),
    "ast": ("AST", "Aspartate Aminotransferase"),
    "ggt": ("GGT", "Gamma Glutamyl Transferase"),
    "alkaline_phosphatase": ("ALP", "Alkaline Phosphatase"),
    "bilirubin": ("BILI", "Bilirubin"),
    "albumin": ("ALB", "Albumin"),
    "potassium": ("K", "Potassium"),
    "chromogranin_a": ("CGA", "Chromogranin A"),
}
"""Test code and name by analyte. [CDISC controlled terminology, LBTESTCD; CGA is the sponsor's]"""
STATES = {
    "absent": "ABSENT",
    "present": "PRESENT",
    "too small": "TOO SMALL TO MEASURE",
    "equivocal": "EQUIVOCAL",
    "unequivocal": "UNEQUIVOCAL",
    "unequivocal progression": "UNEQUIVOCAL PROGRESSION",
}


@frozen
class DosimetryNumber:
    """One number of dosimetry.

    Parameters
    ----------
    region
        Lesion id or organ.
    lesion
        Whether it is a lesion.
    cycle
        None for the sum over cycles.
    quantity, method
        `absorbed-dose` and the engine it is by; empty where there is one way only.
    """

    region: str
    lesion: bool
    cycle: int | None
    quantity: str
    method: str
    estimate: Estimate
    path: str


XD_TESTS = {
    "time-integrated-activity": ("TIA", "Time-Integrated Activity"),
    "effective-half-life": ("TEFF", "Effective Half-Life"),
    "mass": ("MASS", "Mass"),
    "absorbed-dose": ("ABSDOSE", "Mean Absorbed Dose"),
    "bed": ("BED", "Biologically Effective Dose"),
    "eqd2": ("EQD2", "Equivalent Dose in 2 Gy Fractions"),
}


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
            **_keys(study, "DM", record.subject_id),
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
    """One row per cycle: the activity that went in."""
    start = start_of(record)
    rows: list[Row] = []
    for given in record.given:
        step = next((s for s in given.steps if s.kind is InfusionKind.RADIOPHARMACEUTICAL), None)
        began, ended = (step.started_at, step.ended_at) if step else (None, None)
        rows.append(
            {
                **_keys(study, "EX", record.subject_id),
                "EXLNKID": f"CYCLE {given.cycle}",
                "EXTRT": "LUTETIUM LU-177 OCTREOTATE",
                "EXDOSE": None if given.net_bq is None else given.net_bq / 1e9,
                "EXDOSU": "GBq",
                "EXDOSFRM": "SOLUTION",
                "EXROUTE": "INTRAVENOUS",
                "EXSTDTC": iso(began),
                "EXENDTC": iso(ended),
                "EXSTDY": study_day(began.date() if began else None, start),
            }
        )
    return numbered(rows, "EXSEQ")


def cm_rows(study: str, record: ClinicalRecord) -> list[Row]:
    """One row per drug: amino acids and premedication."""
    start = start_of(record)
    rows: list[Row] = [
        {
            **_keys(study, "CM", record.subject_id),
            "CMLNKID": f"CYCLE {given.cycle}",
            "CMTRT": step.name.upper(),
            "CMCAT": "KIDNEY PROTECTION" if step.kind is InfusionKind.AMINO_ACIDS else "PREMEDICATION",
            "CMSTDTC": iso(step.started_at),
            "CMENDTC": iso(step.ended_at),
            "CMSTDY": study_day(step.started_at.date() if step.started_at else None, start),
        }
        for given in record.given
        for step in given.steps
        if step.kind is not InfusionKind.RADIOPHARMACEUTICAL
    ]
    return numbered(rows, "CMSEQ")


def lb_rows(study: str, record: ClinicalRecord) -> list[Row]:
    """One row per result, those that are missing with their reason."""
    start = start_of(record)
    return numbered((_lab(study, record.subject_id, lab, start) for lab in record.labs), "LBSEQ")


def _lab(study: str, subject: str, lab: LabResult, start: date | None) -> Row:
    code, name = TESTS.get(lab.analyte, (lab.analyte.upper()[:8], lab.analyte))
    value, _, unit = lab.as_written.partition(" ")
    row: Row = {
        **_keys(study, "LB", subject),
        "LBTESTCD": code,
        "LBTEST": name,
        "LBSTNRLO": lab.lln,
        "LBSTNRHI": lab.uln,
        "LBDTC": iso(lab.taken_on),
        "LBDY": study_day(lab.taken_on, start),
    }
    if lab.value is None:
        return row | {"LBSTAT": "NOT DONE", "LBREASND": lab.missing_reason}
    low, high = lab.lln is not None and lab.value < lab.lln, lab.uln is not None and lab.value > lab.uln
    known = lab.lln is not None or lab.uln is not None
    return row | {
        "LBORRES": value,
        "LBORRESU": unit,
        "LBSTRESC": f"{lab.value:.6g}",
        "LBSTRESN": lab.value,
        "LBSTRESU": lab.unit,
        "LBNRIND": "LOW" if low else "HIGH" if high else "NORMAL" if known else "",
    }


def ae_rows(study: str, record: ClinicalRecord) -> list[Row]:
    """One row per adverse event."""
    start = start_of(record)
    said = {True: "Y", False: "N", None: ""}
    rows: list[Row] = [
        {
            **_keys(study, "AE", record.subject_id),
            "AETERM": event.term,
            "AESER": said[event.serious],
            "AEREL": {True: "RELATED", False: "NOT RELATED", None: ""}[event.related],
            "AETOXGR": None if event.grade is None else str(event.grade),
            "AESTDTC": iso(event.started_on),
            "AEENDTC": iso(event.ended_on),
            "AESTDY": study_day(event.started_on, start),
        }
        for event in record.events
    ]
    return numbered(rows, "AESEQ")


# ---- tumours ----
def tu_rows(study: str, courses: Iterable[TumourCourse], start: date | None) -> list[Row]:
    """One row per lesion and reader, at the visit that has it first."""
    rows: list[Row] = []
    for course in courses:
        for lesion in course.lesions:
            first = next((v for v in course.visits if any(r.lesion == lesion.lesion for r in v.readings)), None)
            place = lesion.location.upper()
            rows.append(
                {
                    **_keys(study, "TU", course.subject),
                    "TULNKID": lesion.lesion,
                    "TUTESTCD": "TUMIDENT",
                    "TUTEST": "Tumor Identification",
                    "TUORRES": lesion.kind.upper(),
                    "TUSTRESC": lesion.kind.upper(),
                    "TULOC": "LYMPH NODE" if lesion.node and "LYMPH NODE" not in place else place,
                    "TUMETHOD": "CT SCAN",
                    **_reader("TU", course.reader),
                    **(_visit("TU", first, start) if first else {}),
                }
            )
    return numbered(rows, "TUSEQ")


def tr_rows(study: str, courses: Iterable[TumourCourse], start: date | None) -> list[Row]:
    """One row per diameter or state, lesion, visit and reader."""
    rows: list[Row] = []
    for course in courses:
        kinds = {lesion.lesion: lesion.kind for lesion in course.lesions}
        for visit in course.visits:
            for reading in visit.readings:
                keys: Row = {
                    **_keys(study, "TR", course.subject),
                    "TRGRPID": kinds.get(reading.lesion, "new").upper(),
                    "TRLNKID": reading.lesion,
                    **_reader("TR", course.reader),
                    **_visit("TR", visit, start),
                }
                rows += [{**keys, **found} for found in _reading(reading)]
    return numbered(rows, "TRSEQ")


def _reading(reading: TumourReading) -> Iterator[Row]:
    if reading.state == "not evaluated":
        yield {"TRTESTCD": "LDIAM", "TRTEST": "Longest Diameter", "TRSTAT": "NOT DONE", "TRREASND": "NOT EVALUABLE"}
        yield {"TRTESTCD": "TUMSTATE", "TRTEST": "Tumor State", "TRORRES": "NOT EVALUABLE", "TRSTRESC": "NOT EVALUABLE"}
        return
    for code, name, size in (
        ("LDIAM", "Longest Diameter", reading.long_mm),
        ("LPERP", "Longest Perpendicular", reading.short_mm),
    ):
        if size is not None:
            text = f"{size:.10g}"
            yield {
                "TRTESTCD": code,
                "TRTEST": name,
                "TRORRES": text,
                "TRORRESU": "mm",
                "TRSTRESC": text,
                "TRSTRESN": size,
                "TRSTRESU": "mm",
            }
    if reading.state in STATES:
        state = STATES[reading.state]
        yield {"TRTESTCD": "TUMSTATE", "TRTEST": "Tumor State", "TRORRES": state, "TRSTRESC": state}


def rs_rows(study: str, responses: Iterable[ReaderResponse], start: date | None) -> list[Row]:
    """Target, non-target, new-lesion and overall response of each visit, then the best response."""
    rows: list[Row] = []
    for response in responses:
        for n, t in enumerate(response.timepoints, start=1):
            keys: Row = {
                **_keys(study, "RS", response.subject),
                "RSCAT": "RECIST 1.1",
                **_reader("RS", response.reader),
                "VISITNUM": n,
                "VISIT": t.visit.upper(),
                "RSDTC": iso(t.on),
                "RSDY": study_day(t.on, start),
            }
            rows += [
                {**keys, "RSTESTCD": code, "RSTEST": name, "RSORRES": result.upper(), "RSSTRESC": result.upper()}
                for code, name, result in (
                    ("TRGRESP", "Target Response", t.target),
                    ("NTRGRESP", "Non-target Response", t.non_target),
                    ("NEWLIND", "New Lesion Indicator", "Y" if t.new_lesion else "N"),
                    ("OVRLRESP", "Overall Response", t.overall),
                )
                if result is not None
            ]
        rows.append(
            {
                **_keys(study, "RS", response.subject),
                "RSCAT": "RECIST 1.1",
                **_reader("RS", response.reader),
                "RSTESTCD": "BESTRESP",
                "RSTEST": "Best Response",
                "RSORRES": response.endpoints.bor,
                "RSSTRESC": response.endpoints.bor,
            }
        )
    return numbered(rows, "RSSEQ")


# ---- dosimetry ----
def xd_rows(study: str, subject: str, numbers: Iterable[DosimetryNumber]) -> list[Row]:
    """One row per number, with its uncertainty and where it comes from."""
    rows: list[Row] = []
    for number in numbers:
        code, name = XD_TESTS.get(number.quantity, (number.quantity.upper().replace("-", "")[:8], number.quantity))
        estimate, unit = number.estimate, number.estimate.unit.value
        rows.append(
            {
                **_keys(study, "XD", subject),
                "XDLNKID": number.region if number.lesion else "",
                "XDLOC": number.region.upper(),
                "XDTESTCD": code,
                "XDTEST": name,
                "XDMETHOD": number.method.upper(),
                "XDCYCLE": number.cycle,
                "XDORRES": f"{estimate.value:.6g}",
                "XDORRESU": unit,
                "XDSTRESN": estimate.value,
                "XDSTRESU": unit,
                "XDSTRU": estimate.evaluated_sd or None,
                "XDUNEVAL": "; ".join(estimate.not_evaluated),
                "XDPATH": number.path,
            }
        )
    return numbered(rows, "XDSEQ")


def _keys(study: str, domain: str, subject: str) -> Row:
    return {"STUDYID": study, "DOMAIN": domain, "USUBJID": subject}


def _reader(prefix: str, reader: str) -> Row:
    return {f"{prefix}EVAL": INVESTIGATOR, f"{prefix}EVALID": reader}


def _visit(prefix: str, visit: TumourVisit, start: date | None) -> Row:
    return {
        "VISITNUM": visit.number,
        "VISIT": visit.name.upper(),
        f"{prefix}DTC": iso(visit.on),
        f"{prefix}DY": study_day(visit.on, start),
    }
