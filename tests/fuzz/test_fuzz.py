"""A short run of the fuzzer: no crash, no hang, no number that changes in silence; `make fuzz` goes on for much longer.

And the fuzzer itself must be able to fail: readers that are made to guess are caught.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.ingest import IngestSettings

from . import reading, run
from .mutator import MUTATIONS
from .run import Fuzzer, Table
from .sources import Base, real
from .written import vendor_headers, written

SEED = 1
CASES = 4 * len(MUTATIONS) // 3
"""Every mutation, some of them twice; about 450 files."""

Archive = Callable[[str], Path]


@pytest.fixture(scope="module")
def home_made(tmp_path_factory: pytest.TempPathFactory) -> list[Base]:
    return list(written(tmp_path_factory.mktemp("written")))


def fuzzer_of(bases: list[Base], folder: Path) -> Fuzzer:
    fuzzer = Fuzzer(bases, folder, SEED)
    fuzzer.prepare()
    return fuzzer


def test_mutated_series_of_scanners(home_made: list[Base], shared_data: Path, archive: Archive, tmp_path: Path) -> None:
    pet = next(base for base in home_made if base.name == "written/pet")
    bases = [*home_made, *vendor_headers(pet, shared_data), *real(archive)]
    fuzzer, table = fuzzer_of(bases, tmp_path), Table()
    for number in range(CASES):
        table.add(fuzzer.run(number))
    assert not table.failed, "\n".join(str(result) for result in table.failed)
    assert set(table.cases) == {mutation.name for mutation in MUTATIONS}
    assert table.files.total() >= 300


def test_bases_read_without_a_fault(home_made: list[Base], tmp_path: Path) -> None:
    """What is mutated gives its numbers before: a base that is refused would make every mutation look right."""
    fuzzer = fuzzer_of(home_made, tmp_path)
    for base in home_made:
        (numbers,) = [n for n in fuzzer.before[base.name].numbers.values() if "affine" in n]
        assert numbers["image"], base.name
        expected = {"PT": "suv", "CT": "quantified", "NM": "acquired_at", "MR": "quantified"}[base.modality]
        assert numbers[expected] is not None, base.name


def test_a_case_is_repeated_by_seed_and_number(home_made: list[Base], tmp_path: Path) -> None:
    fuzzer = fuzzer_of(home_made, tmp_path)

    def files(name: str) -> dict[str, bytes]:
        case, _ = fuzzer.case(7)
        case.write(tmp_path / name, fuzzer.originals(case.base))
        return {p.name: p.read_bytes() for p in (tmp_path / name).iterdir() if p.is_file()}

    assert files("one") == files("other")


@pytest.mark.parametrize("fault", ["guesses", "crashes", "says nothing"])
def test_a_reader_that_guesses_crashes_or_keeps_silent_is_caught(
    home_made: list[Base], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Zeros in place of a refusal, an error of Python's, a refusal without a reason."""
    fuzzer = fuzzer_of([base for base in home_made if base.name == "written/pet"], tmp_path)
    true_read = reading.read_volumes

    def read_volumes(paths: list[Path], header: SeriesHeader, settings: IngestSettings) -> Outcome[tuple[Volume, ...]]:
        outcome = true_read(paths, header, settings)
        if outcome.value is not None:
            return outcome
        if fault == "crashes":
            raise KeyError(0)
        if fault == "says nothing":
            return Outcome(None, (Finding(Severity.INFO, "x", "all is well"),))
        assert header.grid is not None
        return Outcome((Volume(np.zeros(header.grid.shape), header.grid, Unit.STORED),))

    monkeypatch.setattr(reading, "read_volumes", read_volumes)
    number = [m.name for m in MUTATIONS].index("pixel data of the wrong length")
    (found,) = [f for f in fuzzer.run(number).faults if f.startswith(("image", "crash"))]
    assert {"guesses": "silent", "crashes": "KeyError", "says nothing": "without a reason"}[fault] in found


def test_a_number_that_follows_one_slice_alone_is_caught(
    home_made: list[Base], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SUV from a weight that one slice contradicts: as if the first slice spoke for all."""
    fuzzer = fuzzer_of([base for base in home_made if base.name == "written/pet"], tmp_path)

    def read(folder: Path) -> reading.Reading:
        whole = reading.read(folder)
        before = fuzzer.before["written/pet"]
        for uid, numbers in whole.numbers.items():
            numbers["suv"] = before.numbers[uid]["suv"] * 1.01
        whole.findings = [f for f in whole.findings if f.severity is Severity.INFO]
        return whole

    monkeypatch.setattr(run, "read", read)
    number = [m.name for m in MUTATIONS].index("weight of one slice changed")
    assert any("suv" in fault and "silent" in fault for fault in fuzzer.run(number).faults)
