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


def test_centimetres_and_the_order_of_rows_change_nothing(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "clinical" / "recist_sdtm"
    tu, tr = folder / "tu_onco_recist.csv", folder / "tr_onco_recist.csv"
    with tr.open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["TRSTRESU"] == "mm":
            row["TRSTRESN"] = row["TRSTRESC"] = str(float(row["TRSTRESN"]) / 10)
            row["TRSTRESU"] = "cm"
    with (tmp_path / "tr.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(reversed(rows))
    settings = EndpointSettings()
    one, other = assess_tables(tu, tr, settings), assess_tables(tu, tmp_path / "tr.csv", settings)
    assert [(t.subject, t.reader, t.visit, t.overall) for t in other.timepoints] == [
        (t.subject, t.reader, t.visit, t.overall) for t in one.timepoints
    ]
    assert other.endpoints == one.endpoints
