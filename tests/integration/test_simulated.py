"""A real archive takes every kind of file a digital patient comes as."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pydicom

from .conftest import KNOWN, URL, Namespace, rest

KINDS = {"CT", "PT", "NM", "MR", "RTSTRUCT", "SEG"}


def test_orthanc_takes_every_kind_of_simulated_file(orthanc: Namespace, simulated: Path, tmp_path: Path) -> None:
    """The second patient, whose SPECT are NM: one file of each series is sent, and each is found again by its UID."""
    sent = {}
    for folder in sorted((simulated / "SIM-002").iterdir()):
        path = min(folder.glob("*.dcm"))
        file = pydicom.dcmread(path, stop_before_pixels=True)
        sent[str(file.SOPInstanceUID)] = str(file.Modality)
        shutil.copy(path, tmp_path / f"{folder.name}.dcm")
    assert set(sent.values()) == KINDS
    ran = orthanc.lutra("send", tmp_path, "--url", URL, "--json", **KNOWN)
    assert ran.code == 0, ran.err + ran.out
    assert ran.json["sent"] == len(sent)
    for uid, modality in sent.items():
        found = json.loads(rest(orthanc, "/tools/lookup", "POST", uid).out)
        (instance,) = [f for f in found if f["Type"] == "Instance"]
        tags = json.loads(rest(orthanc, f"{instance['Path']}/simplified-tags").out)
        assert tags["Modality"] == modality
        assert tags["PatientID"] == "SIM-002"
