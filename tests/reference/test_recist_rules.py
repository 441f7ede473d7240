"""RECIST rules of the simulated readers against the 66 overall responses of a public SDTM example, made by another program."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from lutra.response.recist.rules import non_target_response, overall_response, target_response

STATES = {"ABSENT": "absent", "PRESENT": "present", "UNEQUIVOCAL": "unequivocal progression"}
Key = tuple[str, str]


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}_onco_recist.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def responses(folder: Path) -> dict[tuple[str, str, int], str]:
    """Overall response by subject, reader and visit from the measurements alone."""
    organs: dict[Key, dict[str, str]] = defaultdict(dict)
    for row in table(folder, "tu"):
        organs[row["USUBJID"], row["TUEVALID"]][row["TULNKID"]] = row["TULOC"]
    sizes: dict[Key, dict[int, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for row in table(folder, "tr"):
        key = row["USUBJID"], row["TREVALID"]
        lesion = row["TRLNKID"]
        wanted = "LPERP" if organs[key][lesion] == "LYMPH NODE" else "LDIAM"
        if row["TRTESTCD"] in {wanted, "TUMSTATE"}:
            sizes[key][int(row["VISITNUM"])][lesion] = row["TRSTRESC"]
    found = {}
    for key, visits in sizes.items():
        targets = [n for n in organs[key] if n.startswith("T")]
        others = [n for n in organs[key] if n.startswith("NT")]
        baseline = nadir = sum(float(visits[1][n]) for n in targets)
        for visit in sorted(visits)[1:]:
            now = visits[visit]
            mm = {n: float(now[n]) for n in targets if now.get(n, "").replace(".", "").isdigit()}
            complete = len(mm) == len(targets)
            gone = all(v < 10 if organs[key][n] == "LYMPH NODE" else v == 0 for n, v in mm.items())
            target = None
            if targets:
                target = target_response(sum(mm.values()), baseline, nadir, complete=complete, all_gone=gone)
                nadir = min(nadir, sum(mm.values())) if complete else nadir
            non_target = non_target_response([STATES.get(now.get(n, ""), "not evaluated") for n in others])
            found[(*key, visit)] = overall_response(target, non_target, new_lesion=False)
    return found


def test_all_overall_responses(shared_data: Path) -> None:
    folder = shared_data / "clinical" / "recist_sdtm"
    stated = {(r["USUBJID"], r["RSEVALID"], int(r["VISITNUM"])): r["RSSTRESC"] for r in table(folder, "rs")}
    ours = responses(folder)
    assert len(stated) == 66
    assert {k: ours.get(k, "no visit").upper() for k in stated} == stated
