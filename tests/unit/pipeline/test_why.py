"""The chain behind a result holds the steps that made its inputs, and no others."""

from __future__ import annotations

from pathlib import Path

from lutra.core.finding import Outcome
from lutra.pipeline.conductor import Conductor
from lutra.pipeline.why import Provenance
from lutra.store import ArtifactStore, Ledger


def nothing_found() -> Outcome[tuple[str, ...]]:
    return Outcome(())


def count(files: tuple[str, ...]) -> Outcome[int]:
    return Outcome(len(files))


def test_a_given_value_that_equals_a_result_does_not_come_from_it(tmp_path: Path) -> None:
    conductor = Conductor(ArtifactStore(tmp_path / "store"), Ledger(tmp_path / "ledger.sqlite", create=True))
    found = conductor.step("safety.found", nothing_found, {}, code="lutra.safety")
    of_step = conductor.step("quantify.count", count, {"files": found}, code="lutra.quantify")
    of_value = conductor.step("quantify.count", count, {"files": ()}, code="lutra.quantify")
    provenance = Provenance(conductor.ledger)
    assert [link.receipt.made_by.step for link in provenance.chain(of_step.receipt)] == [
        "quantify.count",
        "safety.found",
    ]
    assert [link.receipt.made_by.step for link in provenance.chain(of_value.receipt)] == ["quantify.count"]
