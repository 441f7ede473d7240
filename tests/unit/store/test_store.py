"""The shelf gives back what was put on it, notices damage, and the ledger does not forget."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from lutra.core.digest import digest
from lutra.core.errors import StoreError
from lutra.core.estimate import Draws, Estimate, Unit
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.receipt import Receipt, StepKey
from lutra.core.study import Role, Timepoint
from lutra.core.volume import Volume
from lutra.store import ArtifactStore, Ledger

AT = datetime(2026, 1, 12, 9, 0, 0, 250000, tzinfo=UTC)


def values() -> list[object]:
    grid = Grid((40, 30, 20), np.diag([2.0, 3, 4, 1]), "1.2")
    big = np.random.default_rng(0).normal(size=grid.shape)
    return [
        Volume(big, grid, Unit.HU, AT),
        Estimate(1, Unit.GY, FrozenMap({"a": 0.1, "b": None}), Draws(("t",), np.arange(5.0))),
        (Finding(Severity.INFO, "a.b", "c", FrozenMap({"k": "v"})),),
        Timepoint("1", Role.CT, "CT", None, AT, None),
        "therapy-spect",
    ]


@pytest.mark.parametrize("value", values(), ids=lambda v: type(v).__name__)
def test_round_trip_keeps_the_digest(tmp_path: Path, value: object) -> None:
    store = ArtifactStore(tmp_path)
    name = store.put(value)
    assert name == digest(value)
    assert digest(ArtifactStore(tmp_path).get(name)) == name
    assert type(store.get(name)) is type(value)
    assert store.damage(name) is None


def test_damage_is_noticed(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    name = store.put(values()[1])
    path = store.folder(name) / "value.json"
    path.write_text(path.read_text().replace("0.1", "0.2"))
    with pytest.raises(StoreError, match="changed on disk"):
        store.get(name)
    assert "changed" in (store.damage(name) or "")
    with pytest.raises(StoreError, match="missing"):
        store.get("0" * 64)


def receipt(step: str = "a.b") -> Receipt:
    key = StepKey(step, FrozenMap({"x": ("1",)}), "s", "c", 3)
    return Receipt(key, "out", (Finding(Severity.WARNING, "a.b", "text"),), "me", AT, "lutra")


def test_receipts_come_back_as_they_were_and_cannot_be_changed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "lutra.db", create=True)
    ledger.add_receipt(receipt())
    ledger.add_receipt(receipt())
    assert ledger.receipts() == (receipt(),)
    assert ledger.receipt(receipt().made_by.key) == receipt()
    ledger.log("now", "me", "test", {})
    ledger.close()
    engine = create_engine(f"sqlite:///{tmp_path / 'lutra.db'}")
    for statement in ("DELETE FROM receipts", "UPDATE receipts SET step = 'x'", "DELETE FROM audit"):
        with pytest.raises((IntegrityError, OperationalError), match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()


def test_opening_nothing_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="lutra study init"):
        Ledger(tmp_path / "lutra.db")
    assert not (tmp_path / "lutra.db").exists()
