"""The SDTM domains that are written, column by column."""

from __future__ import annotations

from lutra.export.tables.domain import Domain, Variable, common
from lutra.export.tables.dosimetry import TESTS as XD_TESTS
from lutra.export.tables.sdtm import TESTS as LB_TESTS

V = Variable
YES = (("Y", "Yes"),)
YES_NO = (("Y", "Yes"), ("N", "No"))
NOT_DONE = (("NOT DONE", "Not done"),)
VISITS = (V("VISITNUM", "Visit Number", "float"), V("VISIT", "Visit Name"))


def _when(prefix: str) -> tuple[Variable, ...]:
    return (
        V(f"{prefix}DTC", "Date/Time", "datetime"),
        V(f"{prefix}DY", "Study Day", "integer", "Derived"),
    )


def _period(prefix: str, what: str) -> tuple[Variable, ...]:
    return (
        V(f"{prefix}STDTC", f"Start Date/Time of {what}", "datetime"),
        V(f"{prefix}ENDTC", f"End Date/Time of {what}", "datetime"),
        V(f"{prefix}STDY", f"Study Day of Start of {what}", "integer", "Derived"),
        V(f"{prefix}ENDY", f"Study Day of End of {what}", "integer", "Derived"),
    )


def _seq(prefix: str) -> Variable:
    return V(f"{prefix}SEQ", "Sequence Number", "integer", "Derived")


def _read(prefix: str) -> tuple[Variable, ...]:
    return V(f"{prefix}EVAL", "Evaluator"), V(f"{prefix}EVALID", "Evaluator Identifier")


TU = Domain(
    "TU",
    "Tumor/Lesion Identification",
    "One record per tumor, part or mass per reader",
    (
        *common(),
        _seq("TU"),
        V("TULNKID", "Link ID"),
        V("TUTESTCD", "Tumor/Lesion ID Short Name", origin="Assigned"),
        V("TUTEST", "Tumor/Lesion ID Test Name", origin="Assigned"),
        V("TUORRES", "Tumor/Lesion ID Result"),
        V("TUSTRESC", "Tumor/Lesion ID Result Std. Format"),
        V("TULOC", "Location of the Tumor/Lesion"),
        V("TUMETHOD", "Method of Identification"),
        *_read("TU"),
        *VISITS,
        *_when("TU"),
    ),
    ("STUDYID", "USUBJID", "TUEVALID", "TULNKID"),
)
TR = Domain(
    "TR",
    "Tumor/Lesion Results",
    "One record per measurement per tumor per visit per reader",
    (
        *common(),
        _seq("TR"),
        V("TRGRPID", "Group ID"),
        V("TRLNKID", "Link ID"),
        V("TRTESTCD", "Tumor/Lesion Assessment Short Name", origin="Assigned"),
        V("TRTEST", "Tumor/Lesion Assessment Test Name", origin="Assigned"),
        V("TRORRES", "Result or Finding in Original Units"),
        V("TRORRESU", "Original Units"),
        V("TRSTRESC", "Character Result/Finding in Std Format", origin="Derived"),
        V("TRSTRESN", "Numeric Result/Finding in Standard Units", "float", "Derived"),
        V("TRSTRESU", "Standard Units", origin="Derived"),
        V("TRSTAT", "Completion Status", codes=NOT_DONE),
        V("TRREASND", "Reason Not Done"),
        *_read("TR"),
        V("TRACPTFL", "Accepted Record Flag", codes=YES),
        V("TRDRVFL", "Derived Flag", "text", "Derived", YES),
        *VISITS,
        *_when("TR"),
    ),
    ("STUDYID", "USUBJID", "TREVALID", "VISITNUM", "TRLNKID", "TRTESTCD"),
)
RS = Domain(
    "RS",
    "Disease Response",
    "One record per response assessment per visit per reader",
    (
        *common(),
        _seq("RS"),
        V("RSTESTCD", "Response Assessment Short Name", origin="Assigned"),
        V("RSTEST", "Response Assessment Name", origin="Assigned"),
        V("RSCAT", "Category for Response Assessment", origin="Assigned"),
        V("RSORRES", "Response Assessment Original Result", origin="Derived"),
        V("RSSTRESC", "Response Assessment Result in Std Format", origin="Derived"),
        *_read("RS"),
        V("RSACPTFL", "Accepted Record Flag", codes=YES),
        *VISITS,
        *_when("RS"),
    ),
    ("STUDYID", "USUBJID", "RSEVALID", "VISITNUM", "RSTESTCD"),
)
EX = Domain(
    "EX",
    "Exposure",
    "One record per infusion",
    (
        *common(),
        _seq("EX"),
        V("EXLNKID", "Link ID"),
        V("EXTRT", "Name of Treatment", origin="Assigned"),
        V("EXDOSE", "Dose", "float", "Derived"),
        V("EXDOSU", "Dose Units", origin="Assigned"),
        V("EXDOSFRM", "Dose Form", origin="Assigned"),
        V("EXROUTE", "Route of Administration", origin="Assigned"),
        *_period("EX", "Treatment"),
    ),
    ("STUDYID", "USUBJID", "EXTRT", "EXSTDTC"),
    "INTERVENTIONS",
)
CM = Domain(
    "CM",
    "Concomitant/Prior Medications",
    "One record per drug per cycle",
    (
        *common(),
        _seq("CM"),
        V("CMLNKID", "Link ID"),
        V("CMTRT", "Reported Name of Drug, Med, or Therapy"),
        V("CMCAT", "Category for Medication", origin="Assigned"),
        *_period("CM", "Medication"),
    ),
    ("STUDYID", "USUBJID", "CMTRT", "CMSTDTC"),
    "INTERVENTIONS",
)
LB = Domain(
    "LB",
    "Laboratory Test Results",
    "One record per lab test per sample",
    (
        *common(),
        _seq("LB"),
        V(
            "LBTESTCD",
            "Lab Test or Examination Short Name",
            "text",
            "Assigned",
            tuple((c, n) for c, n, _ in LB_TESTS.values()),
        ),
        V("LBTEST", "Lab Test or Examination Name", origin="Assigned"),
        V("LBCAT", "Category for Lab Test", origin="Assigned"),
        V("LBORRES", "Result or Finding in Original Units"),
        V("LBORRESU", "Original Units"),
        V("LBORNRLO", "Reference Range Lower Limit in Orig Unit"),
        V("LBORNRHI", "Reference Range Upper Limit in Orig Unit"),
        V("LBSTRESC", "Character Result/Finding in Std Format", origin="Derived"),
        V("LBSTRESN", "Numeric Result/Finding in Standard Units", "float", "Derived"),
        V("LBSTRESU", "Standard Units", origin="Derived"),
        V("LBSTNRLO", "Reference Range Lower Limit-Std Units", "float", "Derived"),
        V("LBSTNRHI", "Reference Range Upper Limit-Std Units", "float", "Derived"),
        V("LBNRIND", "Reference Range Indicator", origin="Derived"),
        V("LBSTAT", "Completion Status", codes=NOT_DONE),
        V("LBREASND", "Reason Test Not Done"),
        V("LBLOBXFL", "Last Observation Before Exposure Flag", "text", "Derived", YES),
        *_when("LB"),
    ),
    ("STUDYID", "USUBJID", "LBTESTCD", "LBDTC"),
)
AE = Domain(
    "AE",
    "Adverse Events",
    "One record per adverse event",
    (
        *common(),
        _seq("AE"),
        V("AETERM", "Reported Term for the Adverse Event"),
        V("AESER", "Serious Event", codes=YES_NO),
        V("AEREL", "Causality"),
        V("AETOXGR", "Standard Toxicity Grade"),
        *_period("AE", "Adverse Event"),
    ),
    ("STUDYID", "USUBJID", "AETERM", "AESTDTC"),
    "EVENTS",
)
DM = Domain(
    "DM",
    "Demographics",
    "One record per subject",
    (
        *common(),
        V("SUBJID", "Subject Identifier for the Study"),
        V("RFSTDTC", "Subject Reference Start Date/Time", "datetime", "Derived"),
        V("RFXSTDTC", "Date/Time of First Study Treatment", "datetime", "Derived"),
        V("RFXENDTC", "Date/Time of Last Study Treatment", "datetime", "Derived"),
        V("DTHDTC", "Date/Time of Death", "datetime"),
        V("DTHFL", "Subject Death Flag", origin="Derived"),
        V("AGE", "Age", "float"),
        V("AGEU", "Age Units", origin="Assigned"),
        V("SEX", "Sex"),
    ),
    ("STUDYID", "USUBJID"),
    "SPECIAL PURPOSE",
)
XD = Domain(
    "XD",
    "Dosimetry",
    "One record per quantity per region per cycle (sponsor-defined)",
    (
        *common(),
        _seq("XD"),
        V("XDLNKID", "Link ID: the lesion, as in TU", origin="Assigned"),
        V(
            "XDTESTCD",
            "Dosimetry Test Short Name",
            "text",
            "Assigned",
            tuple((t.code, t.meaning) for t in XD_TESTS.values()),
        ),
        V("XDTEST", "Dosimetry Test Name", origin="Assigned"),
        V(
            "XDCAT",
            "Category",
            "text",
            "Assigned",
            (("LESION", "Lesion"), ("NORMAL TISSUE", "Organ, rest of the body, or all of it")),
        ),
        V("XDORRES", "Result in Original Units", origin="Derived"),
        V("XDORRESU", "Original Units (UCUM)", origin="Assigned"),
        V("XDSTRESC", "Character Result in Standard Units", origin="Derived"),
        V("XDSTRESN", "Numeric Result in Standard Units", "float", "Derived"),
        V("XDSTRESU", "Standard Units (UCUM)", origin="Assigned"),
        V("XDSTRU", "Standard Uncertainty, Evaluated Sources", "float", "Derived"),
        V("XDUNEVAL", "Sources of Uncertainty Not Evaluated", origin="Derived"),
        V("XDSTAT", "Completion Status", "text", "Derived", NOT_DONE),
        V("XDREASND", "Reason Not Done", origin="Derived"),
        V("XDLOC", "Region; empty for a lesion", origin="Assigned"),
        V("XDMETHOD", "Method: dose engine or model of the fit", origin="Assigned"),
        V("XDCYCLE", "Cycle; empty for the sum over cycles", "integer", "Derived"),
        *_when("XD"),
        V("XDHOURS", "Hours Since Start of Administration", "float", "Derived"),
        V("XDPATH", "Result Path, for lutra why", origin="Assigned"),
    ),
    ("STUDYID", "USUBJID", "XDLNKID", "XDLOC", "XDCYCLE", "XDTESTCD", "XDMETHOD", "XDDTC"),
    standard=False,
)
DOMAINS = (DM, EX, CM, LB, AE, TU, TR, RS, XD)
