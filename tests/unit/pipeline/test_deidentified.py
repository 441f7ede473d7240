"""A study that is de-identified from its first image on: nothing in it leads back to a person without the key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom import Dataset, Sequence

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap
from lutra.ingest import read_segmentation
from lutra.ingest.deidentify import CleanFile, Deidentifier, PseudonymKey, create_key
from lutra.pipeline.deidentified import Deidentification, history, pseudonyms
from lutra.pipeline.exchange import fetch
from lutra.pipeline.label_maps import add_label_map
from lutra.pipeline.study import StudyFolder

from ..ingest.deidentify.planted import BIRTH, ID, NAME, OLD_UID, ct, found_in, saved


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    """Four slices in a folder named after their patient, and a text file with the name in its name and content."""
    folder = tmp_path / f"{NAME}_{BIRTH}"
    folder.mkdir()
    for n in range(4):
        file = ct()
        file.SOPInstanceUID, file.InstanceNumber = f"{OLD_UID}.1.{n}", n + 1
        file.ImagePositionPatient = ["0", "0", str(3 * n)]
        saved(folder / f"{NAME}{n}.dcm", file)
    (folder / f"{NAME}.txt").write_text(f"letter about {NAME}")
    return folder


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    return StudyFolder.create(tmp_path / "study", "demo")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "study.key"


def content(study: StudyFolder) -> bytes:
    """Every byte of the study folder, names of files included."""
    study.ledger.close()
    files = [path for path in study.root.rglob("*") if path.is_file()]
    assert any(path.name == "lutra.db" for path in files)
    return b"\n".join(str(p.relative_to(study.root)).encode() + p.read_bytes() for p in files)


def test_nothing_of_the_person_is_anywhere_in_the_study(study: StudyFolder, originals: Path, key: Path) -> None:
    """Files, names of files, ledger, receipts with their Findings, audit trail."""
    capture = ct()
    capture.SOPInstanceUID, capture.BurnedInAnnotation = f"{OLD_UID}.9", "YES"
    saved(originals / f"{NAME}9.dcm", capture)
    new, findings = study.add([originals], deidentified=Deidentification(key))
    study.run()
    assert new == 4
    assert any(NAME in f.text for f in findings)  # the user is told by name what was left out
    assert {f.code for f in findings} >= {"ingest.not-dicom", "ingest.deidentify-refused", "ingest.deidentify-key"}
    assert {f.code for f in study.intake_findings()} >= {"ingest.not-dicom", "ingest.deidentify-refused"}
    whole = content(study)
    assert found_in(whole) == set()
    for secret in (str(originals.parent), create_secret(key), str(key)):
        assert secret.encode() not in whole.replace(str(study.root).encode(), b"")


def create_secret(key: Path) -> str:
    return key.read_text().splitlines()[1]


def test_adding_again_adds_nothing(study: StudyFolder, originals: Path, key: Path, tmp_path: Path) -> None:
    assert study.add([originals], deidentified=Deidentification(key))[0] == 4
    before = study.ledger.sources()
    copy = tmp_path / "elsewhere"
    originals.rename(copy)
    new, findings = study.add([copy], deidentified=Deidentification(key))
    assert new == 0
    assert study.ledger.sources() == before
    assert "ingest.instance-conflict" not in {f.code for f in findings}
    assert study.check() == ()
    assert len(list((study.root / "dicom").rglob("*.dcm"))) == 4


def test_the_originals_are_not_touched(study: StudyFolder, originals: Path, key: Path) -> None:
    before = {p: p.read_bytes() for p in originals.iterdir()}
    study.add([originals], deidentified=Deidentification(key))
    assert {p: p.read_bytes() for p in originals.iterdir()} == before


def test_the_key_is_made_once_and_another_is_refused(
    study: StudyFolder, originals: Path, key: Path, tmp_path: Path
) -> None:
    _, findings = study.add([originals], deidentified=Deidentification(key))
    assert key.stat().st_mode & 0o777 == 0o600
    assert [str(key) in f.text for f in findings if f.code == "ingest.deidentify-key"] == [True]
    fingerprint = history(study.ledger).fingerprint
    assert fingerprint is not None
    other = tmp_path / "other.key"
    create_key(other)
    with pytest.raises(UsageError, match=fingerprint):
        study.add([originals], deidentified=Deidentification(other))
    with pytest.raises(UsageError, match="cannot be read"):  # never quietly made anew
        study.add([originals], deidentified=Deidentification(tmp_path / "gone.key"))
    assert not (tmp_path / "gone.key").exists()


def test_a_key_inside_the_study_is_refused(study: StudyFolder, originals: Path) -> None:
    with pytest.raises(UsageError, match="inside the study"):
        study.add([originals], deidentified=Deidentification(study.root / "a.key"))
    assert study.ledger.sources() == ()


def test_the_default_key_of_another_study_is_not_taken(
    originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    one, other = (StudyFolder.create(tmp_path / place / "prrt", "demo") for place in ("a", "b"))
    one.add([originals], deidentified=Deidentification())
    path = tmp_path / "config" / "lutra" / "keys" / "prrt.key"
    with pytest.raises(UsageError, match="another study"):
        other.add([originals], deidentified=Deidentification())
    assert one.add([originals], deidentified=Deidentification())[0] == 0
    assert other.add([originals], deidentified=Deidentification(path))[0] == 4


def test_a_study_is_de_identified_or_it_is_not(study: StudyFolder, originals: Path, key: Path, tmp_path: Path) -> None:
    study.add([originals], deidentified=Deidentification(key))
    with pytest.raises(UsageError, match="--deidentify"):
        study.add([originals])
    plain = StudyFolder.create(tmp_path / "plain", "demo")
    plain.add([originals])
    with pytest.raises(UsageError, match="name their patients"):
        plain.add([originals], deidentified=Deidentification(tmp_path / "plain.key"))


def test_a_zip_is_unpacked_apart_from_the_study(
    study: StudyFolder, originals: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is unpacked, its files name their patient; not even for a moment do they lie in the study."""
    packed = shutil.make_archive(str(tmp_path / NAME), "zip", originals)
    seen: list[bytes] = []
    clean = Deidentifier.file

    def watched(self: Deidentifier, path: Path) -> CleanFile:
        seen.extend(p.read_bytes() for p in study.root.rglob("*") if p.is_file())
        return clean(self, path)

    monkeypatch.setattr(Deidentifier, "file", watched)
    assert study.add([Path(packed)], deidentified=Deidentification(key))[0] == 4
    assert seen
    assert found_in(b"".join(seen)) == set()
    assert found_in(content(study)) == set()


def test_nothing_is_fetched_into_a_de_identified_study(study: StudyFolder, originals: Path, key: Path) -> None:
    study.add([originals], deidentified=Deidentification(key))
    with pytest.raises(UsageError, match="folder elsewhere"):
        fetch(study, None, None)  # type: ignore[arg-type]  (refused before the archive is asked)


def test_the_pseudonym_can_be_found_again_with_the_key(study: StudyFolder, originals: Path, key: Path) -> None:
    study.add([originals], deidentified=Deidentification(key))
    ((patient, pseudonym, days),) = pseudonyms([ID], key)
    assert (patient, (pseudonym,)) == (ID, study.ledger.subject_ids())
    moved = pydicom.dcmread(study.ledger.sources()[0].path)
    assert (pydicom.valuerep.DA(moved.StudyDate) - pydicom.valuerep.DA("20180326")).days == days


def test_contours_drawn_on_the_images_of_the_study_keep_their_links(
    study: StudyFolder, originals: Path, key: Path, tmp_path: Path
) -> None:
    """Another program copies the pseudonym and the keyed UIDs, and makes UIDs of its own for its file."""
    study.add([originals], deidentified=Deidentification(key))
    image = pydicom.dcmread(study.ledger.sources()[0].path)
    drawn, reference = Dataset(), Dataset()
    drawn.SOPClassUID, drawn.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3", "1.2.3.19570312"
    drawn.SeriesInstanceUID, drawn.StudyInstanceUID = "1.2.3.2", image.StudyInstanceUID
    drawn.PatientID, drawn.PatientName, drawn.Modality = image.PatientID, image.PatientName, "RTSTRUCT"
    drawn.StructureSetLabel, drawn.StructureSetDate, drawn.StructureSetTime = "RT", "20260301", "101010"
    drawn.OperatorsName = NAME
    reference.FrameOfReferenceUID = image.FrameOfReferenceUID
    drawn.ReferencedFrameOfReferenceSequence = Sequence([reference])
    saved(tmp_path / "drawn.dcm", drawn)
    new, _ = study.add([tmp_path / "drawn.dcm"], deidentified=Deidentification(key))
    assert new == 1
    (source,) = [s for s in study.ledger.sources() if s.modality == "RTSTRUCT"]
    after = pydicom.dcmread(source.path)
    assert after.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID == image.FrameOfReferenceUID
    assert (after.PatientID, after.StudyInstanceUID) == (image.PatientID, image.StudyInstanceUID)
    assert after.SOPInstanceUID.startswith("2.25.")
    assert found_in(Path(source.path).read_bytes()) == set()


def test_one_pseudonym_for_two_patients_is_refused(
    study: StudyFolder, originals: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five letters can meet by chance; two patients must not become one."""
    monkeypatch.setattr(PseudonymKey, "pseudonym", lambda self, patient_id, prefix="LU": "LU-22222")
    study.add([originals], deidentified=Deidentification(key))
    other = ct()
    other.PatientID, other.SOPInstanceUID, other.SeriesInstanceUID = "PID-2", "1.2.3.4", "1.2.3.5"
    saved(tmp_path / "other.dcm", other)
    new, findings = study.add([tmp_path / "other.dcm"], deidentified=Deidentification(key))
    assert new == 0
    assert "belongs to another patient" in next(f.text for f in findings if f.code == "ingest.deidentify-refused")


def test_a_table_may_not_rename_a_patient_of_the_study(
    study: StudyFolder, originals: Path, key: Path, tmp_path: Path
) -> None:
    study.add([originals], deidentified=Deidentification(key))
    table = tmp_path / "table.csv"
    table.write_text(f"patient_id,pseudonym\n{ID},LUMEN-01\n")
    new, findings = study.add([originals], deidentified=Deidentification(key, table))
    assert new == 0
    assert any("would now become LUMEN-01" in f.text for f in findings)
    assert len(study.ledger.subject_ids()) == 1
    (study.root / "inside.csv").write_text(table.read_text())
    with pytest.raises(UsageError, match="inside the study"):
        study.add([originals], deidentified=Deidentification(key, study.root / "inside.csv"))


def test_the_audit_trail_names_options_and_fingerprint(study: StudyFolder, originals: Path, key: Path) -> None:
    study.add([originals], deidentified=Deidentification(key, descriptions="remove", words=("Sonatrix",)))
    last = study.ledger.audit_trail()[-1]["detail"]["deidentify"]
    assert (last["descriptions"], last["words"], last["pseudonyms"]) == ("remove", ["sonatrix"], "keyed")
    assert "PS3.15" in last["profile"]
    assert set(last["subjects"]) == set(study.ledger.subject_ids())
    assert create_secret(key) not in json.dumps(study.ledger.audit_trail(), default=str)


def test_a_zone_changed_in_between_is_refused(study: StudyFolder, originals: Path, key: Path) -> None:
    """Offsets of one zone are written into the files; another zone would move later scans against earlier ones."""
    study.add([originals], deidentified=Deidentification(key))
    protocol, zone = study.root / "protocol.toml", study.protocol.study.time_zone
    protocol.write_text(protocol.read_text().replace(f'time_zone = "{zone}"', 'time_zone = "America/Chicago"'))
    with pytest.raises(UsageError, match=f"{zone}, which was written"):
        study.add([originals], deidentified=Deidentification(key))


def test_unknown_options_are_refused(study: StudyFolder, originals: Path, key: Path) -> None:
    with pytest.raises(UsageError, match="clean, remove, keep"):
        study.add([originals], deidentified=Deidentification(key, descriptions="hide"))
    assert history(study.ledger).proofs == FrozenMap()


def test_a_label_map_joins_without_the_names_of_its_files(
    study: StudyFolder, originals: Path, key: Path, tmp_path: Path
) -> None:
    """NIfTI of another program on a de-identified image; file, table and a region carry the patient's name."""
    study.add([originals], deidentified=Deidentification(key))
    (series,) = {source.series_uid for source in study.ledger.sources()}
    labels, names = tmp_path / f"{NAME}.nii.gz", tmp_path / f"{NAME}.csv"
    values = np.zeros((4, 4, 4), np.uint8)
    values[1:3, 1:3, 1:3], values[0, 0, 0] = 1, 2
    nib.save(nib.Nifti1Image(values, np.diag([-1.0, -1, 1, 1]) @ np.diag([2.0, 2, 3, 1])), labels)
    names.write_text(f"1,liver\n2,lesion of {NAME}\n")
    with pytest.raises(UsageError, match="--deidentify"):
        add_label_map(study, labels, names, series)
    for new in (1, 0):  # and adding it again adds nothing
        assert add_label_map(study, labels, names, series, Deidentification(key))[0] == new
    (source,) = [s for s in study.ledger.sources() if s.modality == "SEG"]
    regions = read_segmentation(Path(source.path)).value
    assert regions is not None
    assert regions[0].name == "liver"
    assert regions[1].name.startswith("lesion of X")
    study.run()
    (record,) = study.records()
    assert len(record.lesions) == 1
    assert found_in(content(study)) == set()
