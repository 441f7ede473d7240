"""Subjects shared among processes. Each process opens the study for itself; ledger and store take several writers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from attrs import frozen

from lutra.pipeline.conductor import Conductor
from lutra.pipeline.run_inputs import RunInputs

WATCH_S = 2.0
"""How often a worker looks whether the program that started it is still there."""


@frozen
class SubjectDone:
    """Receipts of one subject's run, in order, and how many of its steps were computed."""

    receipts: tuple[str, ...]
    computed: int


def available_cores() -> int:
    """Processors this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_each(
    root: Path,
    inputs: RunInputs,
    subjects: Sequence[str],
    workers: int,
) -> Iterator[tuple[str, SubjectDone]]:
    """Run subjects in processes of their own and yield each as it is done.

    An error in one subject ends the run after the subjects under way; what they have done is kept.
    """
    context = get_context("spawn")  # a fork would copy the threads of the store half-way through
    pool = ProcessPoolExecutor(min(workers, len(subjects)), context, _leave_with_parent, (os.getpid(),))
    try:
        futures = {pool.submit(_run, root, inputs, subject): subject for subject in subjects}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _run(root: Path, inputs: RunInputs, subject: str) -> SubjectDone:
    from lutra.pipeline.study import StudyFolder  # noqa: PLC0415  (the study starts the workers)

    study = StudyFolder(root)
    conductor = Conductor(study.store, study.ledger, protocol=inputs.protocol.digest)
    study.run_one(conductor, inputs, subject)
    study.ledger.close()
    return SubjectDone(tuple(conductor.receipts), conductor.computed)


def _leave_with_parent(parent: int) -> None:
    """End this process when its parent is killed: it would wait for work for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
