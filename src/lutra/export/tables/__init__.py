"""Submission tables: SDTM, ADaM-style, their definition, and the REDCap dictionary."""

from lutra.export.tables.adam import DATASETS, adrs_rows, adtr_rows, adtte_rows
from lutra.export.tables.define import define_xml
from lutra.export.tables.domain import Domain
from lutra.export.tables.redcap import redcap_dictionary
from lutra.export.tables.sdtm import (
    DosimetryNumber,
    ae_rows,
    cm_rows,
    dm_rows,
    ex_rows,
    lb_rows,
    rs_rows,
    start_of,
    tr_rows,
    tu_rows,
    xd_rows,
)
from lutra.export.tables.sdtm_domains import DOMAINS

__all__ = [
    "DATASETS",
    "DOMAINS",
    "Domain",
    "DosimetryNumber",
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
    "xd_rows",
]
