"""One cycle at the size of clinical scanners, from DICOM to the page: where the time goes, and how much memory it takes.

A digital patient is scanned before treatment and three times after cycle 1 (SPECT of 128^3 voxels, low-dose CT). Organs and lesions
are drawn on the first of these alone: the others are registered to it. The study is made, run by one process and reported. Target:
60 s and 4 GB on two cores. What counts is processor time, over all threads: on an idle machine the clock shows no more.

    python bench/clinical_cycle.py [FOLDER]     # FOLDER keeps the simulated images for the next time
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from lutra.pipeline.clinical import import_tables
from lutra.pipeline.report import write_study_report
from lutra.pipeline.study import StudyFolder
from lutra.simulate import TrialSettings, simulate_trial
from lutra.simulate.sizes import CLINICAL

KEPT, DRAWN = ("baseline-ct", "cycle-1-"), ("baseline-ct-rtstruct", "cycle-1-24h-ct-rtstruct")
TARGET_S, TARGET_GB = 60.0, 4.0


class Watch:
    """Adds up clock and processor time by name."""

    def __init__(self) -> None:
        self.clock: Counter[str] = Counter()
        self.busy: Counter[str] = Counter()
        self._last = time.perf_counter(), time.process_time()

    def tell(self, name: str) -> None:
        """Book what passed since the last call under a name."""
        now = time.perf_counter(), time.process_time()
        self.clock[name] += now[0] - self._last[0]
        self.busy[name] += now[1] - self._last[1]
        self._last = now


def simulated(folder: Path) -> Path:
    """Images of one patient; made where they are not there yet."""
    if not (folder / "dicom").exists():
        simulate_trial(folder, 1, 1, TrialSettings(size=CLINICAL), 1)
    return folder


def main() -> int:
    """Print the table; 1 if a target is missed."""
    with tempfile.TemporaryDirectory() as scratch:
        images = simulated(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch, "simulated"))
        given = Path(scratch, "given")
        for series in sorted(images.glob("dicom/*/*")):
            if series.name.startswith(KEPT) and (series.name in DRAWN or "rtstruct" not in series.name):
                shutil.copytree(series, given / series.name)
        watch, start = Watch(), time.perf_counter()
        study = StudyFolder.create(Path(scratch, "study"), "demo")
        study.add([given])
        import_tables(study, images / "tables")
        watch.tell("read")
        summary = study.run(on_step=lambda name, _computed: watch.tell(name.split(".")[0]))
        watch.tell("report")
        write_study_report(study)
        watch.tell("report")
        whole, (record,) = time.perf_counter() - start, study.records()
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    for name, seconds in watch.clock.most_common():
        print(f"{name:12s} {seconds:6.1f} s, {watch.busy[name]:6.1f} s of processor time")
    print(f"{len(record.lesions)} lesions, {len(record.dosimetry)} regions, {len(summary.findings)} Findings")
    busy = watch.busy.total()
    met = busy <= TARGET_S and peak_gb <= TARGET_GB
    print(f"{whole:.0f} s, {busy:.0f} s of processor time, {peak_gb:.1f} GB")
    print(f"target {TARGET_S:g} s and {TARGET_GB:g} GB: {'met' if met else 'MISSED'}")
    return int(not met)


if __name__ == "__main__":
    raise SystemExit(main())
