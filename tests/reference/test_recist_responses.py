"""Overall responses of simulated patients, derived by somebody else from the same readings.

pharmaversesdtm, `rs_onco_recist`: eight subjects, three readers each, 66 overall responses. All of them have to agree.
"""

from __future__ import annotations

import csv
from pathlib import Path

from lutra.pipeline.recist_tables import assess_tables
from lutra.response.recist import EndpointSettings


def test_every_overall_response(shared_data: Path) -> None:
    folder = shared_data / "clinical" / "recist_sdtm"
    found = assess_tables(folder / "tu_onco_recist.csv", folder / "tr_onco_recist.csv", EndpointSettings())
    ours = {(t["subject"], t["reader"], t["visit"]): t["overall"] for t in found.timepoint_rows()}
    theirs = {}
    with (folder / "rs_onco_recist.csv").open() as file:
        for row in csv.DictReader(file):
            reader = ", ".join(part for part in (row["RSEVAL"], row["RSEVALID"]) if part != "NA")
            theirs[row["USUBJID"], reader, row["VISIT"]] = row["RSSTRESC"]
    assert len(theirs) == 66
    assert ours == theirs
