"""Organs of a CT by TotalSegmentator, where the program and its weights are installed.

The program is another's and runs in a process of its own: Lutra writes a NIfTI, waits, and reads a label map. So this socket is
filled here, beside the readers and writers, and not in the stage, which touches no files. Which program runs is found on the
machine and never in a protocol, which may come from somebody else. The program is kept off the network: it would fetch missing
weights and report its use.

References
----------
Wasserthal et al., Radiol Artif Intell 5:e230024 (2023).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve, field, frozen
from attrs.validators import gt, in_

from lutra.core.errors import UnitMismatch
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.region import Region
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import write_nifti
from lutra.imaging.regrid import regrid, same_voxels
from lutra.ingest import read_label_map
from lutra.pipeline.protocol import structured
from lutra.ports import Settings
from lutra.reference.label_names import shipped_labels

PROGRAM = "TotalSegmentator"
WEIGHTS = {("total", False): (291, 292, 293, 294, 295), ("total", True): (297,)}
"""Numbers of the nnU-Net data sets each task was trained on, by which the folders of its weights are named; fast: 3 mm."""
VERSION_S = 120.0
"""Asking for the version loads the whole program. [s]"""
NOWHERE = "http://127.0.0.1:9"
"""A proxy that does not answer (the discard port), so that nothing reaches the network."""
SHOWN = 500
"""Characters of the program's last words in a Finding."""


@frozen
class TotalSegmentatorSettings:
    """What a protocol may choose.

    Parameters
    ----------
    task
        `total` is the one whose names and numbers are known here.
    fast
        The model of 3 mm instead of 1.5 mm: a fifth of the time and memory; enough for organs the size of a kidney.
    timeout_s
        The program is ended after this. One hour: the model of 1.5 mm takes up to that without a GPU. [s]
    """

    task: str = field(default="total", validator=in_(("total",)))
    fast: bool = False
    timeout_s: float = field(default=3600.0, validator=gt(0))


@frozen
class Installation:
    """Where the program is on this machine.

    Parameters
    ----------
    command
        The program; None if there is none.
    weights
        Folder of the folders of weights.
    """

    command: Path | None
    weights: Path

    def missing(self, settings: TotalSegmentatorSettings) -> str:
        """Say what a task lacks; nothing if it can run."""
        if self.command is None:
            return f"there is no program {PROGRAM}"
        numbers = WEIGHTS[settings.task, settings.fast]
        absent = [n for n in numbers if not any(self.weights.glob(f"Dataset{n:03d}_*/*/fold_*/*.pth"))]
        return f"{self.weights} has no weights of data sets {', '.join(map(str, absent))}" if absent else ""


def find_installation(environment: Mapping[str, str], home: Path) -> Installation:
    """Find program and weights where the program itself looks for them."""
    command = shutil.which(PROGRAM, path=environment.get("PATH", ""))
    own = Path(environment.get("TOTALSEG_HOME_DIR") or home / ".totalsegmentator")
    weights = Path(environment.get("TOTALSEG_WEIGHTS_PATH") or own / "nnunet" / "results")
    return Installation(Path(command) if command else None, weights)


class TotalSegmentator:
    """Segmenter by TotalSegmentator; without it, nothing but a Finding.

    Parameters
    ----------
    installation
        None: the one of this machine.
    """

    def __init__(self, installation: Installation | None = None) -> None:
        self._installation = installation or find_installation(os.environ, Path.home())

    def segment(self, image: Volume, settings: Settings) -> Outcome[tuple[Region, ...]]:
        """Return the structures the program finds in a CT, with its version and task as their source.

        Raises
        ------
        ProtocolError
            For an unknown or impossible setting.
        UnitMismatch
            If the image is not in HU.
        """
        chosen = structured(
            dict(settings), TotalSegmentatorSettings, "protocol.toml", "segment.options.totalsegmentator."
        )
        if image.unit is not Unit.HU:
            raise UnitMismatch(f"an image in {image.unit}", required=f"a CT in {Unit.HU}")
        missing, command = self._installation.missing(chosen), self._installation.command
        if command is None or missing:
            text = f"no organs by {PROGRAM}: {missing}. Import or draw them, or install it with its weights."
            return Outcome(None, (Finding(Severity.INFO, "segment.no-totalsegmentator", text),))
        with TemporaryDirectory(prefix="lutra-") as folder:
            return self._run(command, image, chosen, Path(folder))

    def _run(
        self, command: Path, image: Volume, settings: TotalSegmentatorSettings, folder: Path
    ) -> Outcome[tuple[Region, ...]]:
        environment = self._environment(folder)
        ended, said = run_program([str(command), "--version"], environment, VERSION_S)
        if ended != 0:
            return _failed(f"asked for its version it {_how(ended, VERSION_S)}", said)
        version = said.strip().split()[-1] if said.strip() else "of unknown version"
        given, found = folder / "ct.nii", folder / "labels.nii.gz"
        write_nifti(given, image)
        words = [str(command), "-i", str(given), "-o", str(found), "--ml", "--task", settings.task]
        ended, said = run_program([*words, "--fast"] if settings.fast else words, environment, settings.timeout_s)
        if ended != 0:
            return _failed(f"{version} {_how(ended, settings.timeout_s)}", said)
        if not found.is_file():
            return _failed(f"{version} wrote no label map", said)
        model = f"task {settings.task}, {'3' if settings.fast else '1.5'} mm"
        return _regions(found, image, f"{PROGRAM} {version}, {model}", numbered=version.startswith("2"))

    def _environment(self, folder: Path) -> dict[str, str]:
        """Give the program its weights, a home of its own that tells it to keep its use to itself, and no network."""
        home = folder / "home"
        home.mkdir()
        told = {"totalseg_id": "lutra", "send_usage_stats": False, "prediction_counter": 0}
        (home / "config.json").write_text(json.dumps(told), "utf-8")
        own = {"TOTALSEG_HOME_DIR": str(home), "TOTALSEG_WEIGHTS_PATH": str(self._installation.weights)}
        closed = {name: NOWHERE for word in ("http_proxy", "https_proxy") for name in (word, word.upper())}
        return {**os.environ, **own, **closed, "no_proxy": "", "NO_PROXY": ""}


def run_program(words: list[str], environment: Mapping[str, str], limit_s: float) -> tuple[int | None, str]:
    """Run a program and return its exit status and what it said.

    It is ended with all it started when its time is up; the status is then None, as it is if it cannot be started at all.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  (found on this machine, not in a protocol)
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        return None, str(error)
    try:
        said, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        _end(process)
        said, _ = process.communicate()
        return None, said.decode("utf-8", "replace")
    return process.returncode, said.decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)  # its workers too, which would go on for an hour
    else:
        process.kill()


def _how(ended: int | None, limit_s: float) -> str:
    return f"could not be started, or took more than {limit_s:g} s" if ended is None else f"ended with status {ended}"


def _failed(what: str, said: str) -> Outcome[tuple[Region, ...]]:
    text = f"no organs by {PROGRAM}: {what}. Run it by hand on this CT, or import the organs."
    evidence = FrozenMap({"said": said.strip()[-SHOWN:]})
    return Outcome(None, (Finding(Severity.ERROR, "segment.totalsegmentator-failed", text, evidence),))


def _regions(path: Path, image: Volume, source: str, *, numbered: bool) -> Outcome[tuple[Region, ...]]:
    """Read the label map; names are those in the file, or of their numbers where version 2 wrote none."""
    known = shipped_labels("totalsegmentator-total")
    outcome = read_label_map(path)
    if numbered and any(finding.code == "ingest.label-without-name" for finding in outcome.findings):
        outcome = read_label_map(path, known)
    if outcome.value is None:
        return Outcome(None, (*outcome.findings, *_failed("its label map cannot be used", "").findings))
    by_name = {label.name: label for label in known.values()}
    regions = []
    for region in outcome.value:
        grid = evolve(region.grid, frame_of_reference=image.grid.frame_of_reference)
        i, j, k = region.fraction.shape
        if same_voxels((region.start_ijk, (i, j, k)), grid, image.grid) is None:
            return _failed(f"its label map has {grid.describe()}, the CT {image.grid.describe()}", "")
        start, fraction = regrid(region.start_ijk, region.fraction, grid, image.grid)
        label = by_name.get(region.name)
        regions.append(
            evolve(
                region,
                grid=image.grid,
                start_ijk=start,
                fraction=fraction,
                kind=label.kind if label else region.kind,
                code=label.code if label else None,
                source=f"{source}, {region.name}",
            )
        )
    return Outcome(tuple(regions), outcome.findings)
