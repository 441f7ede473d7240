"""Runs a study in the background, one run at a time, and says how far it is."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

from attrs import define

from lutra.core.errors import LutraError
from lutra.pipeline.report import write_study_report
from lutra.pipeline.study import StudyFolder


@define
class Job:
    """A run.

    Parameters
    ----------
    state
        `waiting`, `running`, `reporting`, `done` or `failed`.
    words
        What it is doing, or why it failed.
    """

    by: str
    begun: datetime
    state: str = "waiting"
    words: str = ""
    done: int = 0
    of: int = 0


class Runner:
    """The runs of one server. A second one is refused while one goes on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.jobs: list[Job] = []
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether a run goes on."""
        return bool(self.jobs) and self.jobs[-1].state in ("waiting", "running", "reporting")

    def start(self, by: str) -> Job | None:
        """Begin a run; None while another goes on."""
        with self._lock:
            if self.busy:
                return None
            job = Job(by, datetime.now(UTC))
            self.jobs.append(job)
        threading.Thread(target=self._run, args=(job,), daemon=True).start()
        return job

    def _run(self, job: Job) -> None:
        def on_subject(subject: str, n: int, of: int) -> None:
            job.words, job.done, job.of = subject, n, of

        try:
            study = StudyFolder(self.root)
            study.log("run from the reading room", {"by": job.by})
            job.state = "running"
            study.run(on_subject=on_subject)
            job.state, job.words = "reporting", "report"
            write_study_report(study)
            write_study_report(study, for_reader=True)
            job.state, job.words = "done", ""
        except LutraError as error:
            job.state, job.words = "failed", str(error)
        except Exception as error:  # noqa: BLE001  (a thread has nobody to raise to: the page shows it)
            job.state, job.words = "failed", f"{type(error).__name__}: this is a defect, please report it"
