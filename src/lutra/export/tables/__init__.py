"""Submission tables: SDTM, ADaM-style, the dosimetry domain, their definitions, and the REDCap dictionary."""

from lutra.export.tables.adam import DATASETS, adrs_rows, adtr_rows, adtte_rows
from lutra.export.tables.define import Standard, define_xml
from lutra.export.tables.domain import Domain, Row
from lutra.export.tables.dosimetry import DosimetryNumber, xd_definition, xd_rows
from lutra.export.tables.redcap import redcap_dictionary
from lutra.export.tables.sdtm import ae_rows, cm_rows, dm_rows, ex_rows, lb_rows, start_of
from lutra.export.tables.sdtm_domains import DOMAINS
from lutra.export.tables.tumours import rs_rows, tr_rows, tu_rows, visit_numbers

__all__ = [
    "DATASETS",
    "DOMAINS",
    "Domain",
    "DosimetryNumber",
    "Row",
    "Standard",
    "adrs_rows",
    "adtr_rows",
    "adtte_rows",
    "ae_rows",
    "cm_rows",
    "define_xml",
    "dm_rows",
    "ex_rows",
    "lb_rows",
    "redcap_dictionary",
    "rs_rows",
    "start_of",
    "tr_rows",
    "tu_rows",
    "visit_numbers",
    "xd_definition",
    "xd_rows",
]
