"""What was changed behind Lutra's back shows."""

import hashlib
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from lutra.core.edit import Edit, EditKind
from lutra.store import Ledger
from lutra.store import ledger as ledger_module

AT = "2026-01-02T03:04:05+00:00"


def _edit(reason: str) -> Edit:
    return Edit(0, "S1", EditKind.LESION_LOCK, "series region", "", "A", datetime.now(UTC), reason)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    ledger = Ledger(tmp_path / "lutra.db", create=True)
    for n in range(3):
        ledger.log(AT, "A", f"action {n}", {"n": n, "share": 0.1 + 0.2, "who": "Ä"})
    ledger.close()
    return tmp_path / "lutra.db"


def _behind(path: Path, *statements: str) -> None:
    """Change the file as somebody would who does not care for triggers."""
    with sqlite3.connect(path) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in names:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


def test_what_stands_is_sound_and_goes_on(path: Path) -> None:
    ledger = Ledger(path)
    first = ledger.verify_audit()
    assert (first.links, first.before, first.problems) == (3, 0, ())
    ledger.log(AT, "B", "more", {})
    second = ledger.verify_audit()
    assert second.links == 4
    assert second.head != first.head
    assert first.head in ledger.chain_digests()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE audit SET by = 'B' WHERE number = 2", "audit 2 is not what was written"),
        ("UPDATE audit SET detail = '{}' WHERE number = 1", "audit 1 is not what was written"),
        ("DELETE FROM audit WHERE number = 2", "audit 2 is gone"),
        ("DELETE FROM chain WHERE position = 2", "link 2 of the chain is missing"),
        (
            "INSERT INTO audit (at, by, action, detail) VALUES ('x', 'B', 'forged', '{}')",
            "audit 4 was not written by Lutra",
        ),
        ("UPDATE chain SET digest = 'f' WHERE position = 3", "audit 3 is not what was written"),
    ],
)
def test_every_change_is_found_and_named(path: Path, statement: str, problem: str) -> None:
    _behind(path, statement)
    assert problem in Ledger(path).verify_audit().problems


def test_a_cut_off_end_shows_against_a_head_that_was_written_down(path: Path) -> None:
    head = Ledger(path).verify_audit().head
    _behind(path, "DELETE FROM audit WHERE number = 3", "DELETE FROM chain WHERE position = 3")
    ledger = Ledger(path)
    assert ledger.verify_audit().problems == ()
    assert head not in ledger.chain_digests()


def test_triggers_refuse_what_does_not_go_round_them(path: Path) -> None:
    with sqlite3.connect(path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("UPDATE chain SET digest = 'f'")


def test_edits_are_in_the_chain(path: Path) -> None:
    ledger = Ledger(path)
    assert ledger.add_edit(_edit("because")).number == 1
    assert ledger.verify_audit().links == 5  # the edit, and its entry in the audit trail
    assert ledger.audit_trail()[-1]["detail"]["edit"] == 1
    ledger.close()
    _behind(path, "UPDATE edits SET reason = 'other' WHERE number = 1")
    assert Ledger(path).verify_audit().problems == ("edits 1 is not what was written",)


def test_an_edit_stands_with_its_entry_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(path)
    monkeypatch.setattr(ledger_module, "_entry_of_edit", lambda *_: {"by": None})  # cannot be written
    with pytest.raises(IntegrityError):
        ledger.add_edit(_edit("because"))
    assert ledger.edits("S1") == ()
    assert ledger.verify_audit().links == 3


def test_entries_older_than_the_chain_are_counted(path: Path) -> None:
    _behind(path, "DELETE FROM chain")
    ledger = Ledger(path)
    ledger.log(AT, "A", "after an update of Lutra", {})
    check = ledger.verify_audit()
    assert (check.links, check.before, check.problems) == (1, 3, ())


def test_others_can_check_the_export_by_its_rule(path: Path) -> None:
    before = "0" * 64
    for link in Ledger(path).chained():
        entry: Any = [before, link["of"], link["entry"]]
        written = json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        before = hashlib.sha256(written.encode()).hexdigest()
        assert before == link["digest"]
