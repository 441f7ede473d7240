"""Finds the DICOM instances among files and says what the other files are."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from attrs import Factory, frozen

from lutra.core.errors import NotDicom, Unreadable
from lutra.core.finding import Finding, Severity, few
from lutra.core.frozen import FrozenMap
from lutra.core.source import SourceFile
from lutra.ingest.bare import same_but_for_the_head
from lutra.ingest.containers import unpacked
from lutra.ingest.dicomdir import check_dicomdir
from lutra.ingest.elements import text
from lutra.ingest.files import files_under, identified, is_text
from lutra.ingest.quiet import quietly
from lutra.ingest.settings import UnpackSettings

TAGS = [
    "SOPInstanceUID",
    "SOPClassUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "PatientSex",
    "PatientBirthDate",
    "Modality",
]
PLAIN = {"", ".txt", ".md", ".csv", ".json", ".pdf", ".html"}
"""Suffixes of files that lie among images and are none."""
DICOM_ROOT = "1.2.840.10008."
"""Every class of the standard begins so [PS3.6 annex A]; any other one is some maker's own."""
BELOW_A_ROOT = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){4,}")
"""A UID below the root of an organisation, such as 1.2.840.113619.4.26."""
SCANNER_MAKERS = ("1.3.12.2.1107.", "1.2.840.113619.", "1.3.46.670589.", "1.2.392.200036.", "1.2.156.112605.")
"""Roots of Siemens, GE, Philips, Canon and other makers in Japan, UIH [as their files carry them]."""
REQUIRED = {"SOPInstanceUID": "(0008,0018)", "SeriesInstanceUID": "(0020,000E)", "PatientID": "(0010,0020)"}


IDENTIFIERS = {"SOPInstanceUID": "(0008,0018)", "SeriesInstanceUID": "(0020,000E)", "StudyInstanceUID": "(0020,000D)"}
UID_LIKE = re.compile(r"[0-9.]{1,64}")
"""What a UID is made of [PS3.5 9.1]; leading zeros in its parts, which old scanners write, are let pass."""


@frozen
class Intake:
    """What was found in some files and folders: usable instances, and every doubt.

    Parameters
    ----------
    names
        What the user calls the files that were unpacked, by path.
    """

    files: tuple[SourceFile, ...]
    findings: tuple[Finding, ...]
    names: FrozenMap[str, str] = Factory(FrozenMap)


@frozen
class _Foreign:
    """A file that is not DICOM. Images often have no suffix: then only text is taken for what it is."""

    name: str
    text: bool


@frozen
class _Found:
    """An instance, and the name of its file as the user knows it."""

    source: SourceFile
    shown: Path


def scan_unpacked(
    paths: Iterable[Path],
    into: Path,
    settings: UnpackSettings,
    progress: Callable[[int, int], None] | None = None,
) -> Intake:
    """Like :func:`scan`, and look into zip, tar and gz files too; what they hold is unpacked to the empty folder `into`."""
    files, findings = unpacked(paths, into, settings)
    intake = scan(files, progress, files)
    names = {str(path): str(name) for path, name in files.items() if path != name}
    return Intake(intake.files, (*findings, *intake.findings), FrozenMap(names))


def scan(
    paths: Iterable[Path],
    progress: Callable[[int, int], None] | None = None,
    shown: Mapping[Path, Path] | None = None,
) -> Intake:
    """Read the header of every file under `paths`.

    The result does not depend on the order of the files. A file that cannot be used leaves a Finding; the others go on.

    Parameters
    ----------
    progress
        Called with the number of files done and their total.
    shown
        Names that Findings use for files the user knows by another one, such as the members of a container.
    """
    names = shown or {}
    findings: list[Finding] = []
    files = files_under(paths, findings)
    named = sorted((names.get(file, file), file) for file in files)
    found: list[_Found] = []
    foreign: defaultdict[Path, list[_Foreign]] = defaultdict(list)
    people: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    private: defaultdict[tuple[Path, str], list[str]] = defaultdict(list)
    for n, (name, path) in enumerate(named, start=1):
        if name.name.upper() == "DICOMDIR":
            findings += check_dicomdir(path, name, [other for other, _ in named])
        elif source := _read(path, name, foreign, findings, people):
            if _is_private(source.sop_class_uid):
                private[name.parent, source.sop_class_uid].append(name.name)
            else:
                found.append(_Found(source, name))
        if progress:
            progress(n, len(files))
    findings += _foreign_findings(foreign)
    findings += _private_findings(private)
    kept = _one_per_instance(found, findings)
    kept = _without_mixed_series(kept, findings)
    _several_patients(kept, findings)
    _contradicting_persons(people, findings)
    return Intake(tuple(each.source for each in kept), tuple(findings))


def _read(
    path: Path,
    shown: Path,
    foreign: defaultdict[Path, list[_Foreign]],
    findings: list[Finding],
    people: defaultdict[str, Counter[tuple[str, str]]],
) -> SourceFile | None:
    try:
        with quietly():
            file = identified(path, TAGS, shown)
            values = {tag: text(file.header, tag) for tag in TAGS}
    except NotDicom:
        foreign[shown.parent].append(_Foreign(shown.name, is_text(path)))
        return None
    except Unreadable as error:
        findings.append(Finding(Severity.ERROR, "ingest.unreadable", str(error), FrozenMap({"file": str(shown)})))
        return None
    missing = [f"{tag} {code}" for tag, code in REQUIRED.items() if not values[tag]]
    if missing:
        findings.append(
            Finding(
                Severity.ERROR,
                "ingest.identity-missing",
                f"{shown} has no {', '.join(missing)}, so it cannot be assigned. To do: export it again with complete headers",
                FrozenMap({"file": str(shown)}),
            )
        )
        return None
    none = [
        f"{tag} {code} {values[tag]!r}"
        for tag, code in IDENTIFIERS.items()
        if values[tag] and not UID_LIKE.fullmatch(values[tag])
    ]
    if none:
        findings.append(
            Finding(
                Severity.ERROR,
                "ingest.identity-missing",
                f"{shown}: {', '.join(none)} is no identifier, so it cannot be assigned. Required: digits and dots, at most 64. "
                "To do: export it again from its source",
                FrozenMap({"file": str(shown)}),
            )
        )
        return None
    people[values["PatientID"]][values["PatientSex"], values["PatientBirthDate"]] += 1
    return SourceFile(
        path=str(path),
        sha256=file.sha256,
        size=file.stat.st_size,
        mtime_ns=file.stat.st_mtime_ns,
        sop_instance_uid=values["SOPInstanceUID"],
        sop_class_uid=values["SOPClassUID"],
        series_uid=values["SeriesInstanceUID"],
        study_uid=values["StudyInstanceUID"],
        subject_id=values["PatientID"],
        modality=values["Modality"],
    )


def _is_private(sop_class_uid: str) -> bool:
    """Whether this is a class of a maker's own; what is no class at all is left to the readers, which refuse it by name."""
    return BELOW_A_ROOT.fullmatch(sop_class_uid) is not None and not sop_class_uid.startswith(DICOM_ROOT)


def _private_findings(private: dict[tuple[Path, str], list[str]]) -> list[Finding]:
    """Scanners file notes of their own among the images of a series; only they know what those mean.

    A private class of nobody who makes scanners is more likely damage than a note.
    """
    return [
        Finding(
            Severity.INFO if uid.startswith(SCANNER_MAKERS) else Severity.WARNING,
            "ingest.private-object",
            f"{folder}: {len(names)} objects of the private class {uid} (0008,0016) were left out: {few(names)}",
            FrozenMap({"folder": str(folder), "class": uid}),
        )
        for (folder, uid), names in sorted(private.items())
    ]


def _foreign_findings(foreign: dict[Path, list[_Foreign]]) -> list[Finding]:
    """One Finding per folder, so that a folder of text files is one line and not a hundred."""
    findings = []
    for folder, files in sorted(foreign.items()):
        plain = all(Path(f.name).suffix.lower() in PLAIN and (f.text or Path(f.name).suffix) for f in files)
        findings.append(
            Finding(
                Severity.INFO if plain else Severity.WARNING,
                "ingest.not-dicom",
                f"{folder}: {len(files)} files are not DICOM and were left out: {few([f.name for f in files])}. Required: the "
                "'DICM' mark of PS3.10. To do: nothing if they belong there; unpack them if they are an archive of another kind "
                "than zip, tar and gz",
                FrozenMap({"folder": str(folder)}),
            )
        )
    return findings


def _one_per_instance(found: list[_Found], findings: list[Finding]) -> list[_Found]:
    copies: defaultdict[str, list[_Found]] = defaultdict(list)
    for each in found:
        copies[each.source.sop_instance_uid].append(each)
    kept = []
    for uid, files in copies.items():
        if any(_differ(files[0].source, f.source) for f in files[1:]):
            findings.append(
                Finding(
                    Severity.ERROR,
                    "ingest.instance-conflict",
                    f"{len(files)} files share SOP Instance UID (0008,0018) {uid} and differ: "
                    f"{', '.join(str(f.shown) for f in files[:3])}. None is used. To do: find out which is right and remove the "
                    "others",
                )
            )
            continue
        if len(files) > 1:
            findings.append(
                Finding(
                    Severity.INFO,
                    "ingest.duplicate",
                    f"{files[0].shown} is there {len(files)} times with the same content; one is used",
                )
            )
        kept.append(files[0])
    return kept


def _differ(one: SourceFile, other: SourceFile) -> bool:
    return one.sha256 != other.sha256 and not same_but_for_the_head(Path(one.path), Path(other.path))


def _without_mixed_series(kept: list[_Found], findings: list[Finding]) -> list[_Found]:
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for each in kept:
        owners[each.source.series_uid].add(each.source.subject_id)
    mixed = {uid: sorted(ids) for uid, ids in owners.items() if len(ids) > 1}
    for uid, ids in sorted(mixed.items()):
        findings.append(
            Finding(
                Severity.ERROR,
                "ingest.mixed-patients",
                f"series {uid} holds images of patients {', '.join(ids)} (0010,0020); it is refused. Required: one patient per "
                "series. To do: export the series again from the archive",
            )
        )
    return [each for each in kept if each.source.series_uid not in mixed]


def _several_patients(kept: list[_Found], findings: list[Finding]) -> None:
    in_folder: defaultdict[Path, set[str]] = defaultdict(set)
    for each in kept:
        in_folder[each.shown.parent].add(each.source.subject_id)
    for folder, ids in sorted(in_folder.items()):
        if len(ids) > 1:
            findings.append(
                Finding(
                    Severity.WARNING,
                    "ingest.several-patients-in-folder",
                    f"{folder} holds files of {len(ids)} patients (0010,0020): {', '.join(sorted(ids))}. Each became a subject of "
                    "its own. To do: check that none was filed here by mistake",
                )
            )


def _contradicting_persons(people: dict[str, Counter[tuple[str, str]]], findings: list[Finding]) -> None:
    for subject_id, seen in sorted(people.items()):
        for n, (what, tag) in enumerate((("sex", "(0010,0040)"), ("birth date", "(0010,0030)"))):
            stated = sorted({facts[n] for facts in seen if facts[n]})
            if len(stated) > 1:
                findings.append(
                    Finding(
                        Severity.WARNING,
                        "ingest.patient-contradiction",
                        f"files of patient {subject_id} state different {what} {tag}: {', '.join(stated)}. To do: check that "
                        "the files are of one person",
                    )
                )
