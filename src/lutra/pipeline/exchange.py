"""Images from and to an archive over the network, into and out of a study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from attrs import frozen

from lutra.core.errors import AccessDenied, NetworkError, StoreError, Unreachable
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.ingest import (
    DicomWeb,
    Ended,
    Query,
    Receiver,
    ReceiverSettings,
    Remote,
    UnpackSettings,
    scan_unpacked,
    shelve,
)
from lutra.ingest.quiet import quietly
from lutra.pipeline.study import StudyFolder

CONNECTIONS = 4
"""Instances asked for at the same time: most of the wait is the archive's."""
QUIET_S = 2.0
"""Silence after which a receiver takes what it has into the ledger though its sender keeps the line open."""
TICK_S = 0.5


@frozen
class Exchanged:
    """What went over the network.

    Parameters
    ----------
    moved
        Instances fetched, received or sent.
    known
        Instances that were there already, and were not fetched again.
    new
        Instances new to the study.
    """

    moved: int
    known: int
    new: int
    findings: tuple[Finding, ...]


def fetch(
    study: StudyFolder, web: DicomWeb, query: Query, progress: Callable[[int, int], None] | None = None
) -> Exchanged:
    """Fetch what fits a query from an archive. Interrupted, it goes on where it stopped when run again.

    Raises
    ------
    NetworkError
        If nothing fits, or the archive can no longer be asked; what came before is in the study.
    StoreError
        If there is no room.
    """
    study.require_identified()
    folder = study.root / "dicom"
    adopted, findings = study.adopt()
    remotes = web.find(query)
    if not remotes:
        raise NetworkError("nothing there fits", where=web.archive.url, do="check patient, study, series and modality")
    known = {source.sop_instance_uid for source in study.ledger.sources()}
    wanted = [remote for remote in remotes if remote.instance_uid not in known]
    missed: list[tuple[Remote, str]] = []
    futures: dict[Future[Path], Remote] = {}

    def one(remote: Remote) -> Path:
        content = web.retrieve(remote, query.patient_id)
        try:
            return shelve(folder, content)
        except OSError as error:
            raise StoreError(
                f"cannot write: {error.strerror}", where=str(folder), do="make room on this disk"
            ) from error

    try:
        with quietly(), ThreadPoolExecutor(CONNECTIONS) as pool:
            futures.update((pool.submit(one, remote), remote) for remote in wanted)
            try:
                for n, future in enumerate(as_completed(futures), start=1):
                    try:
                        future.result()
                    except (AccessDenied, Unreachable):
                        raise
                    except NetworkError as error:
                        missed.append((futures[future], str(error)))
                    if progress:
                        progress(n, len(wanted))
            finally:
                pool.shutdown(cancel_futures=True)
    finally:
        arrived = [future.result() for future in futures if not future.cancelled() and future.exception() is None]
        new, of_intake = study.add(arrived) if arrived else (0, ())
    study.log("study fetch", {"url": web.archive.url, "fetched": len(arrived), "missed": len(missed)})
    findings = (*findings, *of_intake, *_missed(missed))
    return Exchanged(len(arrived), len(remotes) - len(wanted), adopted + new, findings)


def _missed(missed: Sequence[tuple[Remote, str]]) -> list[Finding]:
    """One Finding for each series that came incomplete."""
    findings = []
    for uid in sorted({remote.series_uid for remote, _ in missed}):
        reasons = [(remote.instance_uid, why) for remote, why in missed if remote.series_uid == uid]
        findings.append(
            Finding(
                Severity.ERROR,
                "ingest.not-fetched",
                f"{len(reasons)} instances of series {uid} could not be fetched, the first because: {reasons[0][1]}. To do: run "
                "the command again; it asks only for what is missing",
                FrozenMap({"series": uid, "instances": ", ".join(instance for instance, _ in reasons)}),
            )
        )
    return findings


def receive(
    study: StudyFolder,
    settings: ReceiverSettings,
    *,
    once: bool = False,
    idle_s: float | None = None,
    on_ready: Callable[[int], None] | None = None,
    on_batch: Callable[[int], None] | None = None,
) -> Exchanged:
    """Receive instances until interrupted.

    What arrives is in the ledger as soon as an association ends, or once there is room again on a full disk. An interrupt
    (Ctrl-C) is a way to end, not an error.

    Parameters
    ----------
    once
        End after the first association that brought something.
    idle_s
        End when nothing has happened for so long. [s]
    on_ready, on_batch
        Called with the port once it listens, and with the number of instances taken into the ledger.

    Raises
    ------
    StoreError
        If at the end the ledger still cannot be written; what arrived is on the disk and the next command finds it.
    """
    study.require_identified()
    new, of_intake = study.adopt()
    findings = list(of_intake)
    waiting: list[Path] = []
    moved, over = 0, False
    last = monotonic()

    def take_in(*, last_chance: bool = False) -> None:
        nonlocal new
        if waiting:
            try:
                added, found = study.add(waiting)
            except StoreError:
                if last_chance:
                    raise
                return
            new += added
            findings.extend(found)
            if on_batch:
                on_batch(len(waiting))
            waiting.clear()

    def note(happened: Path | Finding | Ended) -> None:
        nonlocal moved, over
        if isinstance(happened, Path):
            waiting.append(happened)
            moved += 1
        elif isinstance(happened, Finding):
            findings.append(happened)
        else:
            take_in()
            over = once and moved > 0

    receiver = Receiver(study.root / "dicom", settings)
    try:
        with receiver:
            if on_ready:
                on_ready(receiver.port)
            while not over and (idle_s is None or monotonic() - last < idle_s):
                happened = receiver.next(TICK_S)
                if happened is not None:
                    last = monotonic()
                    note(happened)
                elif monotonic() - last > QUIET_S:
                    take_in()
    except KeyboardInterrupt:
        pass
    while (happened := receiver.next(0.01)) is not None:
        note(happened)
    take_in(last_chance=True)
    study.log("receive", {"ae_title": settings.ae_title, "port": settings.port, "received": moved})
    return Exchanged(moved, 0, new, tuple(findings))


def send(web: DicomWeb, paths: Sequence[Path], progress: Callable[[int, int], None] | None = None) -> Exchanged:
    """Send the instances in files, folders and containers to an archive; one that it refuses leaves a Finding.

    Raises
    ------
    Unreachable, AccessDenied
        If the archive cannot be asked.
    """
    sent = 0
    with TemporaryDirectory(prefix="lutra-send-") as folder:
        intake = scan_unpacked(paths, Path(folder), UnpackSettings())
        findings = list(intake.findings)
        for n, file in enumerate(intake.files, start=1):
            try:
                web.store(Path(file.path))
                sent += 1
            except (AccessDenied, Unreachable):
                raise
            except NetworkError as error:
                name = intake.names.get(file.path, file.path)
                findings.append(Finding(Severity.ERROR, "ingest.not-sent", f"{name}: {error}"))
            if progress:
                progress(n, len(intake.files))
    return Exchanged(sent, 0, 0, tuple(findings))
