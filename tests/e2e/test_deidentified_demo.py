"""The digital patient taken through the whole study with and without its identity: the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lutra.pipeline.conductor import Conductor
from lutra.pipeline.results import results
from lutra.pipeline.study import StudyFolder

from .conftest import lutra

Numbers = list[tuple[str, float]]


def numbers(root: Path) -> tuple[Numbers, Numbers]:
    """Quantity and value of every result, in an order that does not depend on names and dates.

    Apart, the results of cycles whose points do not identify a curve: there the integral is drawn from a population, with a seed
    that follows from the subject's name.
    """
    study = StudyFolder(root)
    conductor = Conductor(study.store, study.ledger)
    computed, drawn = [], []
    for record in study.records():
        by_draws = tuple(
            f"{record.subject.subject_id}/{lesion.lesion_id}/cycle-{cycle.cycle}/"
            for lesion in record.lesions
            for cycle in lesion.dosimetry.cycles
            if cycle.fit and "population-tail" in conductor.value(cycle.fit).model
        )
        for r in results(conductor, record):
            (drawn if r.path.startswith(by_draws) else computed).append((r.quantity, r.estimate.value))
    return sorted(computed), sorted(drawn)


@pytest.fixture(scope="module")
def deidentified(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A study of the demo's images, de-identified; and its key."""
    out = tmp_path_factory.mktemp("deidentified")
    study, key = out / "study", out / "keys" / "demo.key"
    assert lutra("study", "init", study, "--protocol", "demo").code == 0
    added = lutra("study", "add", study, demo / "simulated" / "dicom", "--deidentify", "--key", key, "--json")
    assert added.code == 0, added.err + added.out
    ran = lutra("run", study)
    assert ran.code in (0, 3), ran.err
    assert lutra("report", study).code == 0
    return study, key


def test_every_number_of_the_study_is_the_same(demo: Path, deidentified: tuple[Path, Path]) -> None:
    """Activities, SUV, ADC, volumes, half-lives, doses, diameters; hours since administration are in them.

    A lesion whose integral is drawn sends its photons to all others: 1e-7 of their doses.
    """
    before, after = numbers(demo / "study"), numbers(deidentified[0])
    assert len(before[0]) > 100
    for one, other, tolerance in zip(before, after, (1e-6, 1e-4), strict=True):
        assert [q for q, _ in other] == [q for q, _ in one]
        assert [v for _, v in other] == pytest.approx([v for _, v in one], rel=tolerance, nan_ok=True)


def test_the_patient_is_nowhere_in_the_study(demo: Path, deidentified: tuple[Path, Path]) -> None:
    study, key = deidentified
    secrets = [b"SIM-001", str(demo / "simulated").encode(), key.read_bytes().splitlines()[1]]
    assert secrets[0] in (demo / "study" / "lutra.db").read_bytes()
    for path in study.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [s for s in secrets if s in content or s in str(path.relative_to(study)).encode()], path


def test_the_key_says_who_it_is(deidentified: tuple[Path, Path]) -> None:
    study, key = deidentified
    said = json.loads(lutra("study", "pseudonym", "SIM-001", "--key", key, "--json").out)["subjects"]
    assert [s["pseudonym"] for s in said] == list(StudyFolder(study).ledger.subject_ids())
    assert said[0]["shift_days"] < -365
    assert lutra("study", "add", study, study, "--key", key).code == 2  # options without --deidentify
    assert lutra("study", "add", study, study).code == 2  # an identified image may not join
