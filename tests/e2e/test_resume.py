"""A changed setting recomputes exactly what depends on it; a killed run resumes to the same digests."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lutra.pipeline.study import StudyFolder

from .conftest import lutra


@pytest.fixture
def small(demo: Path, tmp_path: Path) -> Path:
    """A study of cycle 1 alone, not yet run."""
    study = StudyFolder.create(tmp_path / "study", "demo")
    source = demo / "simulated" / "dicom" / "SIM-001"
    study.add([p for p in sorted(source.iterdir()) if p.name.startswith("cycle-1")])
    study.ledger.close()
    return tmp_path / "study"


def records(study: Path) -> dict[str, str]:
    return StudyFolder(study).ledger.current_records()


def artifacts(study: Path) -> set[str]:
    return {folder.parent.name + folder.name for folder in (study / "artifacts").glob("??/*")}


def test_a_changed_setting_recomputes_what_depends_on_it(small: Path) -> None:
    assert lutra("run", small, "--json").code in (0, 3, 4)
    protocol = small / "protocol.toml"
    protocol.write_text(
        protocol.read_text().replace("extrapolated_fraction_flag = 0.60", "extrapolated_fraction_flag = 0.65")
    )
    steps: list[str] = []
    StudyFolder(small).run(on_step=lambda name, computed: steps.append(name) if computed else None)
    assert {s.split(" ")[0] for s in steps} == {"kinetics.fit"}  # same curves, so doses are found again
    protocol.write_text(
        protocol.read_text().replace("engines = [", "soft_tissue_density_relative_sd = 0.05\nengines = [")
    )
    steps.clear()
    StudyFolder(small).run(on_step=lambda name, computed: steps.append(name) if computed else None)
    assert {s.split(" ")[0] for s in steps} == {"dose.mass"}  # a CT gives the density: masses are the same


def test_a_misspelt_setting_is_refused(small: Path) -> None:
    protocol = small / "protocol.toml"
    protocol.write_text(protocol.read_text().replace("minimum_volume_ml", "minimun_volume_ml"))
    ran = lutra("run", small)
    assert ran.code == 1
    assert "quantify.minimun_volume_ml" in ran.err
    assert "minimum_volume_ml" in ran.err.split("required")[1]


def test_killed_runs_resume_to_the_same_digests(small: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(small, whole)
    assert lutra("run", whole).code in (0, 3, 4)
    total = len(artifacts(whole))
    for share in (0.02, 0.2, 0.45, 0.7, 0.95):
        run = subprocess.Popen(
            [sys.executable, "-m", "lutra.cli.main", "run", str(small)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while len(artifacts(small)) < share * total and run.poll() is None:
            time.sleep(0.01)
        assert run.poll() is None, f"the run ended before {share:.0%} of its values were there"
        run.send_signal(signal.SIGKILL)
        run.wait()
        assert records(small) == {}  # killed before it was done
    assert lutra("run", small).code in (0, 3, 4)
    assert records(small) == records(whole)
    assert artifacts(whole) <= artifacts(small)
    assert lutra("study", "check", small, "--artifacts").code == 0
    assert not list((small / "artifacts").glob("??/*/.new-*"))


def test_a_changed_source_file_stops_the_run_and_loses_nothing(demo: Path, tmp_path: Path) -> None:
    copy = tmp_path / "dicom"
    shutil.copytree(demo / "simulated" / "dicom" / "SIM-001" / "dwi", copy)
    study = StudyFolder.create(tmp_path / "study", "demo")
    study.add([copy])
    study.run()
    before = records(tmp_path / "study")
    victim = min(copy.glob("*.dcm"))
    victim.write_bytes(victim.read_bytes()[:-2] + b"\x01\x02")
    ran = lutra("run", tmp_path / "study")
    assert ran.code == 1
    assert str(victim) in ran.err
    assert records(tmp_path / "study") == before
    assert lutra("study", "check", tmp_path / "study").code == 3
