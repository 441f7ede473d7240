"""Adds images to a study without their patients, and remembers of the patients only what cannot lead back to them.

In the study: de-identified copies, pseudonyms, the fingerprint of the key, and a proof per pseudonym that tells patients apart
under the key. On the screen, and nowhere else: Findings that name original files, folders, patients and words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define, evolve, field, frozen

from lutra.core.clinical_trial import ClinicalTrial
from lutra.core.errors import InputError, UsageError
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.source import SourceFile
from lutra.ingest import Intake, UnpackSettings, scan_unpacked
from lutra.ingest.deidentify import (
    DESCRIPTIONS,
    CleanFile,
    Deidentifier,
    DeidentifySettings,
    PseudonymKey,
    create_key,
    default_key_path,
    read_key,
    read_pseudonyms,
    require_outside,
    texts,
)
from lutra.pipeline.protocol import StudySettings
from lutra.store import Ledger

PROFILE = "DICOM PS3.15 Annex E, basic profile, options 113105 113107 113108 113109 113111"
KEPT = {"ingest.deidentify-elements", "ingest.deidentify-malformed", "ingest.deidentify-zone"}
"""Findings whose text names elements only, and may stay in the study."""


@frozen
class Deidentification:
    """What a user asks for with `--deidentify`.

    Parameters
    ----------
    key
        File of the key; None for the default, apart from the study.
    pseudonyms
        Table of chosen pseudonyms, CSV with `patient_id` and `pseudonym`.
    descriptions
        `clean`, `remove` or `keep`.
    words
        Further words that may stay in descriptions.
    """

    key: Path | None = None
    pseudonyms: Path | None = None
    descriptions: str = "clean"
    words: tuple[str, ...] = ()


@frozen
class History:
    """What the audit trail says of earlier de-identification in this study.

    Parameters
    ----------
    fingerprint
        Of the key; None if nothing was de-identified here.
    time_zone
        Zone that offsets were taken from.
    proofs
        Per pseudonym.
    """

    fingerprint: str | None = None
    time_zone: str | None = None
    proofs: FrozenMap[str, str] = field(factory=FrozenMap)


@define
class Deidentified:
    """What became of some files."""

    files: list[SourceFile] = field(factory=list)
    findings: list[Finding] = field(factory=list)
    audit: dict[str, Any] = field(factory=dict)

    def findings_to_keep(self) -> tuple[Finding, ...]:
        """Return the Findings as the study may keep them: what speaks of originals by code and number only."""
        spoken = [f for f in self.findings if f.code in KEPT]
        silent = Counter((f.severity, f.code) for f in self.findings if f.code not in KEPT)
        return (
            *spoken,
            *(
                Finding(
                    severity,
                    code,
                    f"{n} among the originals. Their text names files or patients: it was shown when they were added and is not "
                    "kept in a de-identified study",
                )
                for (severity, code), n in silent.items()
            ),
        )


def history(ledger: Ledger) -> History:
    """Read what the audit trail says of earlier de-identification."""
    found = History()
    proofs: dict[str, str] = {}
    for entry in ledger.audit_trail():
        done = entry["detail"].get("deidentify")
        if done:
            proofs.update(done["subjects"])
            found = History(done["key_fingerprint"], done["time_zone"])
    return evolve(found, proofs=FrozenMap(proofs))


def study_key(root: Path, wanted: Path | None, before: History) -> tuple[PseudonymKey, Path, bool]:
    """Find or make the key of a study.

    Returns
    -------
    tuple
        The key, its file, and whether it was made now.

    Raises
    ------
    UsageError
        If the file lies inside the study, belongs to another study, is gone or can be read by others.
    """
    path = wanted or default_key_path(root)
    require_outside(path, root, "pseudonym key")
    if before.fingerprint is None and not path.exists():
        return create_key(path), path, True
    if before.fingerprint is None and wanted is None:
        raise UsageError(
            "there is a key of this name already, made for another study or for an earlier one",
            where=str(path),
            required="one key per study, or a decision to share one",
            do=f"name the key to use, or a new file to be made, with --key; --key {path} if it is meant",
        )
    key = read_key(path)
    if before.fingerprint is not None and key.fingerprint != before.fingerprint:
        raise UsageError(
            f"this is not the key the study was begun with: its fingerprint is {key.fingerprint}",
            where=str(path),
            required=f"fingerprint {before.fingerprint}",
            do="name the right key with --key; with another one no patient would be who it was",
        )
    return key, path, False


def pseudonyms(patient_ids: Iterable[str], key_file: Path) -> list[tuple[str, str, int]]:
    """Say for each patient who it is in the study of this key, and by how many days its dates are moved."""
    key = read_key(key_file)
    return [(patient, key.pseudonym(patient), key.shift_days(patient)) for patient in patient_ids]


@frozen
class Begun:
    """A de-identification that fits its study, ready to run.

    Parameters
    ----------
    audit
        What the audit trail remembers of it; no secret and nothing of a patient.
    findings
        Where a new key was written.
    """

    worker: Deidentifier
    audit: FrozenMap[str, Any]
    findings: tuple[Finding, ...] = ()


def begin(root: Path, ledger: Ledger, wanted: Deidentification, study: StudySettings) -> Begun:
    """Find or make the key and hold the options against what was done in the study before.

    Raises
    ------
    UsageError
        If key, table or options do not fit the study.
    """
    time_zone = study.time_zone
    before = history(ledger)
    _require_fit(ledger, wanted, time_zone, before)
    table = FrozenMap[str, str]()
    if wanted.pseudonyms is not None:
        require_outside(wanted.pseudonyms, root, "table of pseudonyms")
        table = read_pseudonyms(wanted.pseudonyms)
    key, key_path, made = study_key(root, wanted.key, before)
    trial = ClinicalTrial(study.sponsor, study.name, study.title, study.site) if study.sponsor else None
    settings = DeidentifySettings(time_zone, wanted.descriptions, frozenset(w.lower() for w in wanted.words), trial)
    audit = {
        "profile": PROFILE if wanted.descriptions != "keep" else f"{PROFILE}; descriptions kept as typed",
        "key_fingerprint": key.fingerprint,
        "time_zone": time_zone,
        "descriptions": wanted.descriptions,
        "words": sorted(settings.words),
        "pseudonyms": "table" if table else "keyed",
        "subjects": dict(before.proofs),
    }
    worker = Deidentifier(key, settings, table, frozenset(before.proofs))
    return Begun(worker, FrozenMap(audit), (_key_made(key_path),) if made else ())


def deidentify(
    root: Path,
    ledger: Ledger,
    paths: Sequence[Path],
    begun: Begun,
    unpack: UnpackSettings,
    progress: Callable[[int, int], None] | None = None,
) -> Deidentified:
    """Write a de-identified copy of every instance under `paths` into the study. What cannot be made safe is left out by name.

    Containers are unpacked apart from the study: what they hold names its patients.
    """
    with TemporaryDirectory(prefix="lutra-") as folder:
        intake = scan_unpacked([path.resolve() for path in paths], Path(folder), unpack, progress)
        return _deidentified(root, ledger, intake, begun, progress)


def _deidentified(
    root: Path, ledger: Ledger, intake: Intake, begun: Begun, progress: Callable[[int, int], None] | None
) -> Deidentified:
    done = Deidentified(findings=[*begun.findings, *intake.findings])
    stored = {source.sop_instance_uid: source.sha256 for source in ledger.sources()}
    proofs = dict(begun.audit["subjects"])
    for n, original in enumerate(intake.files, start=1):
        try:
            file = begun.worker.file(Path(original.path))
            _require_one_patient(file, proofs, original)
        except InputError as error:
            shown = intake.names.get(original.path, original.path)
            text = str(error).replace(original.path, shown)
            done.findings.append(Finding(Severity.ERROR, "ingest.deidentify-refused", text))
        else:
            if stored.setdefault(file.sop_instance_uid, file.sha256) == file.sha256:
                done.files.append(_stored(file, root / "dicom"))
            else:
                done.findings.append(_conflict(intake.names.get(original.path, original.path)))
        if progress:
            progress(n, len(intake.files))
    done.findings += _left_behind(begun.worker)
    done.audit = {**begun.audit, "subjects": proofs}
    return done


def _require_fit(ledger: Ledger, wanted: Deidentification, time_zone: str, before: History) -> None:
    if wanted.descriptions not in DESCRIPTIONS:
        raise UsageError(f"descriptions {wanted.descriptions!r}", required=f"one of: {', '.join(DESCRIPTIONS)}")
    if before.fingerprint is None and ledger.sources():
        raise UsageError(
            "this study holds images that name their patients",
            required="a study that is de-identified from its first image on",
            do="make a new study and add everything to it with --deidentify",
        )
    if before.time_zone not in (None, time_zone):
        raise UsageError(
            f"study.time_zone is {time_zone}",
            where="protocol.toml",
            required=f"{before.time_zone}, which was written into the images that are here already",
            do="set it back; a wrong zone means a new study",
        )


def _require_one_patient(file: CleanFile, proofs: dict[str, str], original: SourceFile) -> None:
    """Refuse a pseudonym that another patient has, and a patient that has another pseudonym; otherwise remember both."""
    if not file.proof:
        return
    others = {proof: pseudonym for pseudonym, proof in proofs.items()}
    if proofs.get(file.subject_id, file.proof) != file.proof:
        raise InputError(
            f"pseudonym {file.subject_id} belongs to another patient of this study",
            where=f"patient {original.subject_id} (0010,0020)",
            required="one pseudonym per patient",
            do="give this patient a pseudonym of its own in a table: --pseudonyms FILE",
        )
    if others.get(file.proof, file.subject_id) != file.subject_id:
        raise InputError(
            f"this patient is {others[file.proof]} in this study and would now become {file.subject_id}",
            where=f"patient {original.subject_id} (0010,0020)",
            required="one pseudonym per patient",
            do="use the same table of pseudonyms as before, or none as before",
        )
    proofs[file.subject_id] = file.proof


def _stored(file: CleanFile, folder: Path) -> SourceFile:
    target = folder / file.sha256[:2] / f"{file.sha256[2:]}.dcm"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".part")
        partial.write_bytes(file.content)
        partial.rename(target)
    stat = target.stat()
    return SourceFile(
        path=str(target),
        sha256=file.sha256,
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        sop_instance_uid=file.sop_instance_uid,
        sop_class_uid=file.sop_class_uid,
        series_uid=file.series_uid,
        study_uid=file.study_uid,
        subject_id=file.subject_id,
        modality=file.modality,
    )


def _conflict(original: str) -> Finding:
    return Finding(
        Severity.ERROR,
        "ingest.instance-conflict",
        f"{original} is in the study already, from a file of other content or with other options of de-identification; it is "
        "left out. To do: find out which is right; a corrected image needs a UID of its own",
    )


def _key_made(path: Path) -> Finding:
    return Finding(
        Severity.INFO,
        "ingest.deidentify-key",
        f"a new pseudonym key was written to {path}. To do: keep a copy in a safe place apart from the study. Without it no image "
        "can be added to the patients of this study; whoever has it can tell who they are",
    )


def _left_behind(worker: Deidentifier) -> Iterable[Finding]:
    left = worker.left
    if left.elements:
        yield Finding(
            Severity.INFO,
            "ingest.deidentify-elements",
            f"{len(left.elements)} kinds of standard elements were left behind: {texts(left.elements, at_most=400)}",
        )
    if left.malformed:
        yield Finding(
            Severity.WARNING,
            "ingest.deidentify-malformed",
            f"elements that do not look like what they are were left behind or emptied: {texts(left.malformed, at_most=40)}. "
            "To do: check whether a number of the study needs them",
        )
    if left.words:
        yield Finding(
            Severity.INFO,
            "ingest.deidentify-words",
            f"{len(left.words)} words were left out of descriptions or replaced in names of regions: "
            f"{texts(left.words, at_most=40)}. To do: nothing, or begin the study again with --word for those that are harmless",
        )
    if worker.zones_written:
        yield Finding(
            Severity.INFO,
            "ingest.deidentify-zone",
            f"{worker.zones_written} files name no time zone (0008,0201); the offset that {worker.settings.time_zone} had at the "
            "original date was written into their copies, so that no interval changes where the moved date has summer time and "
            "the original had not. To do: if that is not where the scanner stands, set study.time_zone and begin the study again",
        )
