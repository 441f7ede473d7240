"""A study on disk: make one, add to it, check it, run it."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import evolve, frozen

from lutra import __version__
from lutra.core.calibration import CalibrationFile
from lutra.core.clinical import ClinicalRecord
from lutra.core.digest import digest
from lutra.core.errors import LutraError, SourceChanged, StoreError, UsageError
from lutra.core.finding import Finding, Severity, few
from lutra.core.frozen import FrozenMap
from lutra.core.receipt import Receipt, StepKey
from lutra.core.source import SourceFile
from lutra.ingest import Intake, same_but_for_the_head, scan_unpacked, shelf_path, shelved
from lutra.pipeline.calibrations import FOLDER, read_calibrations
from lutra.pipeline.clinical import FOLDER as CLINICAL
from lutra.pipeline.clinical import read_clinical
from lutra.pipeline.code import code_digest
from lutra.pipeline.conductor import Conductor, user
from lutra.pipeline.deidentified import Deidentification, begin, deidentify, history
from lutra.pipeline.protocol import Protocol, parse_protocol, read_protocol, shipped_protocols
from lutra.pipeline.record import RECORD_TYPES, SubjectRecord
from lutra.pipeline.results import result_rows
from lutra.pipeline.run_inputs import RunInputs
from lutra.pipeline.study_run import run_subject
from lutra.pipeline.workers import run_each
from lutra.reference.decision_tables import DecisionTable, read_table, shipped_table
from lutra.store import ArtifactStore, Ledger, Seen

INTAKE_STEP = "ingest.intake"
EXPORTED = "export dicom"
"""Action in the audit trail, which names the series that left."""
HALF_DONE = ("dicom/.unpack-*", "dicom/??/*.part", "artifacts/.new-*", ".report-*")
"""What commands build beside the place it goes to."""
DAY_S = 86400.0


@frozen
class RunSummary:
    """What a run did.

    Parameters
    ----------
    computed, found
        Steps that were computed, and steps whose value was there already.
    """

    subjects: tuple[str, ...]
    computed: int
    found: int
    findings: tuple[Finding, ...]


class StudyFolder:
    """An existing study.

    Raises
    ------
    StoreError
        If the folder holds no study.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.ledger = Ledger(self.root / "lutra.db")
        self.store = ArtifactStore(self.root / "artifacts", RECORD_TYPES)

    @classmethod
    def create(cls, root: Path, protocol: str = "lumen") -> StudyFolder:
        """Lay out a new study with one of the shipped protocols."""
        texts = shipped_protocols()
        if protocol not in texts:
            raise UsageError(f"no protocol called {protocol!r}", required=f"one of: {', '.join(texts)}")
        if (root / "lutra.db").exists():
            raise StoreError(
                "there is a study here already", where=str(root), do="use another folder, or add to this study"
            )
        parse_protocol(texts[protocol], f"{protocol}.toml")
        for folder in ("dicom", "artifacts", "report", FOLDER, CLINICAL):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "protocol.toml").write_text(texts[protocol], encoding="utf-8")
        for left in root.glob("lutra.db.new*"):
            left.unlink()
        ledger = Ledger(root / "lutra.db.new", create=True)
        detail = {"protocol": protocol, "program": __version__}
        ledger.log(datetime.now(UTC).isoformat(), user(), "study init", detail)
        ledger.close()
        (root / "lutra.db.new").rename(root / "lutra.db")
        return cls(root)

    @property
    def protocol(self) -> Protocol:
        """The protocol as it is now."""
        return read_protocol(self.root / "protocol.toml")

    @property
    def calibrations(self) -> tuple[CalibrationFile, ...]:
        """What the site has measured with its cameras, as it stands in `calibration/` now."""
        return read_calibrations(self.root / FOLDER, self.protocol.study.time_zone)

    @property
    def decision_table(self) -> DecisionTable:
        """Rules for the next cycle: shipped, or a file of the study."""
        rules = self.protocol.limits.rules
        return read_table(self.root / rules) if rules.endswith(".toml") else shipped_table(rules)

    @property
    def clinical(self) -> dict[str, ClinicalRecord]:
        """What the clinic's tables say, by subject, as they stand in `clinical/` now."""
        return read_clinical(self.root / CLINICAL, self.protocol.study.time_zone)[0]

    @property
    def run_inputs(self) -> RunInputs:
        """Everything a run takes from the folder beside the images."""
        return RunInputs(self.protocol, self.decision_table, self.calibrations, self.clinical)

    def log(self, action: str, detail: dict[str, Any], seen: Seen | None = None) -> None:
        """Append to the audit trail; refused if something came of the matter since it was seen."""
        self.ledger.log(datetime.now(UTC).isoformat(), user(), action, detail, seen)

    # ---- add ----
    def add(
        self,
        paths: Sequence[Path],
        *,
        copy: bool = False,
        deidentified: Deidentification | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple[int, tuple[Finding, ...]]:
        """Add DICOM files or folders by reference, as copies under `dicom/`, or as de-identified copies there.

        Members of containers always come as copies.

        Returns
        -------
        tuple
            Number of new instances, and the Findings of the intake.

        Raises
        ------
        UsageError
            If a path does not exist, or options of de-identification do not fit the study.
        """
        for path in paths:
            if not path.exists():
                raise UsageError("no such file or folder", where=str(path), do="check the path")
        if deidentified is not None:
            return self._add_deidentified(paths, deidentified, progress)
        self.require_identified()
        self._sweep()
        with TemporaryDirectory(prefix=".unpack-", dir=self.root / "dicom") as folder:
            intake = scan_unpacked([path.resolve() for path in paths], Path(folder), self.protocol.unpack, progress)
            conflicts, conflicting = self._conflicts_with_known(intake)
            files = [file for file in intake.files if file.sop_instance_uid not in conflicting]
            files = [self._copied(file) if copy or Path(file.path).parent == Path(folder) else file for file in files]
        new = self.ledger.add_sources(files)
        findings = (*intake.findings, *conflicts)
        self._write_intake(files, findings, tuple(str(path) for path in paths))
        self.log("study add", {"paths": [str(path) for path in paths], "new_instances": new})
        return new, findings

    def require_identified(self) -> None:
        """Raise if the study is de-identified: nothing comes into it but by de-identification, not even for a moment.

        Raises
        ------
        UsageError
            If it is.
        """
        if history(self.ledger).fingerprint is not None:
            raise UsageError(
                "this study is de-identified",
                where=str(self.root),
                required="nothing in it that names a patient",
                do="get the images into a folder elsewhere and add that with --deidentify; contours drawn on the study's own "
                "images too: they carry a pseudonym and keep their links",
            )

    def _add_deidentified(
        self, paths: Sequence[Path], wanted: Deidentification, progress: Callable[[int, int], None] | None
    ) -> tuple[int, tuple[Finding, ...]]:
        """Neither the paths nor the text of Findings that name originals go into the study."""
        begun = begin(self.root, self.ledger, wanted, self.protocol.study)
        self.log("study deidentify", {"deidentify": dict(begun.audit)})
        done = deidentify(self.root, self.ledger, paths, begun, self.protocol.unpack, progress)
        new = self.ledger.add_sources(done.files)
        self._write_intake(done.files, done.findings_to_keep(), ())
        self.log("study add", {"deidentify": done.audit, "new_instances": new})
        return new, tuple(done.findings)

    def _write_intake(self, files: Sequence[SourceFile], findings: Sequence[Finding], paths: tuple[str, ...]) -> None:
        key = StepKey(
            INTAKE_STEP,
            FrozenMap({"files": tuple(file.sha256 for file in files), "paths": paths}),
            settings=digest(None),
            code=code_digest("lutra.ingest"),
        )
        self.ledger.add_receipt(Receipt(key, None, tuple(findings), user(), datetime.now(UTC), f"lutra {__version__}"))

    def adopt(self) -> tuple[int, tuple[Finding, ...]]:
        """Add what lies in `dicom/` and is not in the ledger: a command that fetched or received it was killed."""
        known = {source.path for source in self.ledger.sources()}
        strays = [path for path in shelved(self.root / "dicom") if str(path) not in known]
        return self.add(strays) if strays else (0, ())

    def _sweep(self) -> None:
        """Remove what a killed command left half done; one that is at work has younger files."""
        for left in (path for pattern in HALF_DONE for path in self.root.glob(pattern)):
            with suppress(FileNotFoundError):  # moved to its place meanwhile
                if time.time() - left.stat().st_mtime > DAY_S:
                    shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()

    def _copied(self, file: SourceFile) -> SourceFile:
        target = shelf_path(self.root / "dicom", file.sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            partial = target.with_suffix(".part")
            shutil.copyfile(file.path, partial)
            partial.rename(target)
        stat = target.stat()
        return evolve(file, path=str(target), size=stat.st_size, mtime_ns=stat.st_mtime_ns)

    def _conflicts_with_known(self, intake: Intake) -> tuple[list[Finding], set[str]]:
        """Files that carry the identity of a known instance and other content: the one added first stays in use."""
        known = {source.sop_instance_uid: source for source in self.ledger.sources()}
        findings, left_out = [], set()
        for new in intake.files:
            old = known.get(new.sop_instance_uid)
            if old is None or old.sha256 == new.sha256:
                continue
            left_out.add(new.sop_instance_uid)
            name = intake.names.get(new.path, new.path)
            if same_but_for_the_head(Path(old.path), Path(new.path)):
                findings.append(
                    Finding(
                        Severity.INFO,
                        "ingest.duplicate",
                        f"{name} holds the same data set as {old.path}, which stays in use",
                    )
                )
            else:
                findings.append(
                    Finding(
                        Severity.ERROR,
                        "ingest.instance-conflict",
                        f"{name} has the SOP Instance UID (0008,0018) of {old.path} as it was added, and other content; it is "
                        "left out. To do: find out which is right; a corrected image needs a UID of its own",
                    )
                )
        return findings, left_out

    # ---- check ----
    def check(self, *, artifacts: bool = False) -> tuple[Finding, ...]:
        """Check protocol, sources and, on request, every stored array against its hash."""
        findings = []
        try:
            _ = self.protocol
            _ = self.calibrations
            _ = self.decision_table
        except LutraError as error:
            findings.append(Finding(Severity.ERROR, "study.protocol", str(error)))
        findings += self._check_tables()
        for source in self.ledger.sources():
            try:
                verify_source(source)
            except SourceChanged as error:
                findings.append(Finding(Severity.ERROR, "study.source-changed", str(error)))
        if artifacts:
            for folder in sorted(self.store.root.glob("??/*")):
                damage = self.store.damage(folder.parent.name + folder.name)
                if damage:
                    findings.append(Finding(Severity.ERROR, "study.artifact-damaged", damage))
        return tuple(findings)

    def _check_tables(self) -> tuple[Finding, ...]:
        try:
            records, findings = read_clinical(self.root / CLINICAL, self.protocol.study.time_zone)
        except LutraError as error:
            return (Finding(Severity.ERROR, "study.clinical-tables", str(error)),)
        without = sorted(set(self.ledger.subject_ids()) - set(records)) if records else []
        if without:
            text = f"subjects with images and no row in the clinical tables: {few(without)}. See that the names are the same"
            findings = (*findings, Finding(Severity.WARNING, "study.no-clinical-record", text))
        return findings

    # ---- run ----
    def run(
        self,
        subjects: Sequence[str] = (),
        on_subject: Callable[[str, int, int], None] | None = None,
        on_step: Callable[[str, bool], None] | None = None,
        workers: int = 1,
    ) -> RunSummary:
        """Run every stage for the subjects (all by default). What was done before is found, not done again.

        Parameters
        ----------
        on_subject
            Called with a subject, how many were done, and how many there are.
        on_step
            Called with each step and whether it was computed; not with several workers.
        workers
            Processes that share the subjects. The values are the same for any number of them.

        Raises
        ------
        UsageError
            If a subject is not in the study, or the study is empty.
        SourceChanged
            If a source file is gone or different; nothing stored is touched.
        """
        begun = datetime.now(UTC).isoformat()
        inputs = self.run_inputs
        protocol = inputs.protocol
        known = self.ledger.subject_ids()
        wanted = tuple(subjects) or known
        for subject in wanted:
            if subject not in known:
                raise UsageError(
                    f"no subject {subject!r} in this study", required=f"one of: {', '.join(known) or 'none yet'}"
                )
        if not wanted:
            raise UsageError("the study is empty", where=str(self.root), do=f"lutra study add {self.root} PATH")
        self._sweep()
        conductor = Conductor(self.store, self.ledger, on_step, protocol.digest)
        if workers > 1 and len(wanted) > 1:
            done = {}
            for subject, outcome in run_each(self.root, inputs, wanted, workers):
                done[subject] = outcome
                if on_subject:
                    on_subject(subject, len(done), len(wanted))
            receipts = [key for subject in wanted for key in done[subject].receipts]
            computed = sum(outcome.computed for outcome in done.values())
        else:
            for n, subject in enumerate(wanted):
                if on_subject:
                    on_subject(subject, n, len(wanted))
                self.run_one(conductor, inputs, subject)
            receipts, computed = conductor.receipts, conductor.computed
        summary = RunSummary(wanted, computed, len(receipts) - computed, conductor.findings(receipts))
        done_so = {"subjects": list(wanted), "protocol": protocol.digest, "computed": summary.computed}
        self.log("run", {**done_so, "begun": begun})
        return summary

    def run_one(self, conductor: Conductor, inputs: RunInputs, subject: str) -> None:
        """Run every stage for one subject and make the outcome its current state.

        What the study has exported and an archive gave back with the images is no source of it.
        """
        own = {
            series
            for e in self.ledger.audit_trail()
            if e["action"] == EXPORTED
            for series in e["detail"].get("series", ())
        }
        sources = [source for source in self.ledger.sources(subject) if source.series_uid not in own]
        for source in sources:
            verify_source(source)
        record = run_subject(conductor, inputs, subject, sources)
        self.ledger.set_current(subject, self.store.put(record), result_rows(conductor, record))

    def require_records(self) -> tuple[SubjectRecord, ...]:
        """Give the records of the last run.

        Raises
        ------
        UsageError
            If the study has not been run.
        """
        if records := self.records():
            return records
        raise UsageError("this study has no results yet", where=str(self.root), do=f"lutra run {self.root}")

    def records(self) -> tuple[SubjectRecord, ...]:
        """Load the current state of every subject that has been run."""
        return tuple(self.store.get(record) for record in self.ledger.current_records().values())

    def intake_findings(self) -> tuple[Finding, ...]:
        """Every Finding met while files were added, without repeats."""
        unique: dict[Finding, None] = {}
        for receipt in self.ledger.receipts(INTAKE_STEP):
            unique.update(dict.fromkeys(receipt.findings))
        return tuple(unique)


def verify_source(source: SourceFile) -> None:
    """Raise unless the file is what it was when it was added; content is read again only if size or time differ."""
    path = Path(source.path)
    try:
        stat = path.stat()
    except OSError:
        raise SourceChanged(
            "source file is gone", where=source.path, do="bring it back, or add it again from elsewhere"
        ) from None
    if (stat.st_size, stat.st_mtime_ns) == (source.size, source.mtime_ns):
        return
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    if content != source.sha256:
        raise SourceChanged(
            "source file is not what it was when it was added",
            where=source.path,
            required=f"SHA-256 {source.sha256}",
            do="restore the original; a corrected image is a new instance with its own SOP Instance UID",
        )
