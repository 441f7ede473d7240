"""DICOMweb against a real Orthanc: what comes back is what was sent."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path

import pydicom
import pytest

from lutra.pipeline.study import StudyFolder

from .conftest import KNOWN, URL, Namespace, rest


def pixels(folder: Path) -> dict[str, tuple[str, str]]:
    """Series and hash of the pixel data (or of the contours) of each instance under a folder."""
    found = {}
    for path in folder.rglob("*.dcm"):
        file = pydicom.dcmread(path)
        shown = file.PixelData if "PixelData" in file else str(file.get("ROIContourSequence")).encode()
        found[str(file.SOPInstanceUID)] = (str(file.SeriesInstanceUID), hashlib.sha256(shown).hexdigest())
    return found


@pytest.fixture(scope="module")
def stored(orthanc: Namespace, patient: Path) -> Path:
    """Send the patient to Orthanc; its own interface confirms that it is there."""
    ran = orthanc.lutra("send", patient, "--url", URL, "--json", **KNOWN)
    assert ran.code == 0, ran.err + ran.out
    assert ran.json["sent"] == len(pixels(patient))
    assert str(len(pixels(patient))) in rest(orthanc, "/statistics").out
    return patient


@pytest.fixture
def study(tmp_path: Path) -> Path:
    StudyFolder.create(tmp_path / "study", "demo")
    return tmp_path / "study"


def patient_id(folder: Path) -> str:
    return str(pydicom.dcmread(next(folder.rglob("*.dcm"))).PatientID)


def test_the_whole_way_there_and_back(orthanc: Namespace, stored: Path, study: Path) -> None:
    """Pixel data bit-equal, identities equal; and the study can be looked at like the files themselves."""
    ran = orthanc.lutra("study", "fetch", study, "--url", URL, "--patient", patient_id(stored), "--json", **KNOWN)
    assert ran.code == 0, ran.err + ran.out
    assert ran.json == {
        "fetched": len(pixels(stored)),
        "known": 0,
        "new_instances": len(pixels(stored)),
        "findings": [],
    }
    assert pixels(study / "dicom") == pixels(stored)
    assert {s.sop_instance_uid for s in StudyFolder(study).ledger.sources()} == set(pixels(stored))
    there, here = (orthanc.lutra("inspect", folder, "--json").json["series"] for folder in (stored, study / "dicom"))
    keys = ("series_uid", "shape", "spacing_mm", "unit", "suv_bw_factor", "total_activity_mbq", "acquired_at")
    assert [[one[key] for key in keys] for one in here] == [[one[key] for key in keys] for one in there]


def test_what_is_there_is_not_fetched_again(orthanc: Namespace, stored: Path, study: Path) -> None:
    """First one series, then the rest of the patient."""
    series = defaultdict(set)
    for instance, (uid, _) in pixels(stored).items():
        series[uid].add(instance)
    uid = max(series, key=lambda u: len(series[u]))
    first = orthanc.lutra("study", "fetch", study, "--url", URL, "--series", uid, "--json", **KNOWN)
    assert first.json["fetched"] == len(series[uid])
    again = orthanc.lutra("study", "fetch", study, "--url", URL, "--series", uid, "--json", **KNOWN)
    assert (again.json["fetched"], again.json["known"]) == (0, len(series[uid]))
    rest_of_it = orthanc.lutra(
        "study", "fetch", study, "--url", URL, "--patient", patient_id(stored), "--json", **KNOWN
    )
    assert rest_of_it.json["known"] == len(series[uid])
    assert rest_of_it.json["fetched"] == len(pixels(stored)) - len(series[uid])


def test_only_one_modality(orthanc: Namespace, stored: Path, study: Path) -> None:
    words = ("study", "fetch", study, "--url", URL, "--patient", patient_id(stored), "--modality", "RTSTRUCT", "--json")
    ran = orthanc.lutra(*words, **KNOWN)
    assert ran.code == 0, ran.err + ran.out
    assert {s.modality for s in StudyFolder(study).ledger.sources()} == {"RTSTRUCT"}


@pytest.mark.parametrize(
    "secrets",
    [{}, {"LUTRA_DICOMWEB_USER": "physicist", "LUTRA_DICOMWEB_PASSWORD": "wrong"}, {"LUTRA_DICOMWEB_TOKEN": "x"}],
)
@pytest.mark.parametrize("what", ["fetch", "send"])
def test_wrong_credentials(what: str, secrets: dict[str, str], orthanc: Namespace, stored: Path, study: Path) -> None:
    words = ("study", "fetch", study, "--patient", "P") if what == "fetch" else ("send", stored / "RTSTRUCT")
    ran = orthanc.lutra(*words, "--url", URL, **secrets)
    assert ran.code == 1
    assert "HTTP 401" in ran.err
    assert "check user and password" in ran.err
    assert "Traceback" not in ran.err


def test_a_credentials_file(orthanc: Namespace, stored: Path, study: Path, tmp_path: Path) -> None:
    file = tmp_path / "secret.toml"
    file.write_text(f'user = "{KNOWN["LUTRA_DICOMWEB_USER"]}"\npassword = "{KNOWN["LUTRA_DICOMWEB_PASSWORD"]}"\n')
    words = ("study", "fetch", study, "--url", URL, "--patient", patient_id(stored), "--modality", "RTSTRUCT")
    file.chmod(0o644)
    ran = orthanc.lutra(*words, "--credentials", file)
    assert ran.code == 2
    assert "chmod 600" in ran.err
    file.chmod(0o600)
    assert orthanc.lutra(*words, "--credentials", file).code == 0


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:8041/dicom-web", "nobody answers there"),
        ("http://127.0.0.1:8042/no-such-thing", "HTTP 404"),
        ("http://127.0.0.1:8042/app", "HTTP 404"),
        ("http://127.0.0.1:8042/app/explorer.html#", "web page"),
    ],
)
def test_a_server_that_is_down_or_no_dicomweb(
    url: str, words: str, orthanc: Namespace, stored: Path, study: Path
) -> None:
    ran = orthanc.lutra("study", "fetch", study, "--url", url, "--patient", "P", **KNOWN)
    assert ran.code == 1, ran.out
    assert words in ran.err
    assert "to do: " in ran.err
    assert "Traceback" not in ran.err


def test_nothing_fits(orthanc: Namespace, stored: Path, study: Path) -> None:
    ran = orthanc.lutra("study", "fetch", study, "--url", URL, "--patient", "nobody", **KNOWN)
    assert ran.code == 1
    assert "nothing there fits" in ran.err
    assert orthanc.lutra("study", "fetch", study, "--url", URL, **KNOWN).code == 2
