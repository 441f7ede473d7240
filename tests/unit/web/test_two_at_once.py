"""Two people do the same at one moment: one is heard, the other is told, nothing is overwritten."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from lutra.core.edit import Edit, EditKind
from lutra.core.errors import LutraError
from lutra.core.lesion import Lock
from lutra.core.source import SourceFile
from lutra.pipeline.edits import undo_edit
from lutra.pipeline.response_lock import LOCKED, UNLOCKED, lock_response, locks
from lutra.pipeline.study import StudyFolder
from lutra.store import accounts as accounts_module
from lutra.store.accounts import Account, Accounts
from lutra.web.jobs import Runner

from .conftest import PASSWORD, Enter, token_of

ROUNDS = 12
"""A race is lost or won by chance: each is run so often."""


def at_once(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do things in threads that start together; give what each returned, or the error it raised."""
    start = threading.Barrier(len(acts))

    def one(act: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return act()
        except LutraError as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return [done.result() for done in [pool.submit(one, act) for act in acts]]


def _codes(answers: Sequence[Any]) -> list[int]:
    return sorted(answer.status_code for answer in answers)


def _told(answers: Sequence[Any]) -> str:
    (told,) = (answer.text for answer in answers if answer.status_code != 303)
    return str(told)


@pytest.fixture
def study(root: Path) -> StudyFolder:
    """A study with a subject, clinical facts of it and edits."""
    study = StudyFolder(root)
    study.ledger.add_sources([SourceFile("/x", "0" * 64, 1, 1, "1.2", "1.2", "1.3", "1.4", "S1", "CT")])
    return study


def _edit(study: StudyFolder, reason: str) -> Edit:
    value = study.store.put(Lock("1.3", "region", "L01"))
    return study.ledger.add_edit(
        Edit(0, "S1", EditKind.LESION_LOCK, "1.3 region", value, "A", datetime.now(UTC), reason)
    )


def _posts(clients: Sequence[TestClient], where: Sequence[str], **fields: str) -> list[Any]:
    """Send the same form from several people at once, each with the token of a session of its own."""
    tokens = [token_of(client.get("/").text) for client in clients]

    def post(client: TestClient, to: str, token: str) -> Callable[[], Any]:
        return lambda: client.post(to, data={"csrf": token, "password": PASSWORD, **fields})

    return at_once([post(*each) for each in zip(clients, where, tokens, strict=True)])


def test_undoing_edits(enter: Enter, study: StudyFolder) -> None:
    people = [enter("physicist"), enter("physician")]
    for n in range(ROUNDS):
        last = [_edit(study, f"{n} {which}").number for which in ("one", "other")]
        answers = _posts(people, [f"/edits/{number}/undo" for number in last], seen=str(last[1]), reason="no")
        assert _codes(answers) == [303, 400]
        assert "was edited meanwhile" in _told(answers)
    edits = study.ledger.edits("S1")
    assert sum(edit.undoes is not None for edit in edits) == ROUNDS
    logged = [e["detail"]["edit"] for e in study.ledger.audit_trail() if e["action"] == "edit"]
    assert logged == [edit.number for edit in edits]
    assert study.ledger.verify_audit().problems == ()


def test_undoing_one_edit_twice(study: StudyFolder) -> None:
    for n in range(ROUNDS):
        number = _edit(study, str(n)).number
        undo = [lambda by=by, number=number: undo_edit(study, number, "no", expected=number, by=by) for by in "AB"]
        done = at_once(undo)
        assert sorted(isinstance(d, LutraError) for d in done) == [False, True]


def test_locking_a_response(study: StudyFolder) -> None:
    for _ in range(ROUNDS):
        done = at_once([lambda by=by: lock_response(study, "S1", by) for by in "AB"])
        assert sorted(isinstance(d, LutraError) for d in done) == [False, True]
        ((_, holder),) = locks(study.ledger.audit_trail())
        assert holder == "AB"[done.index(None)]
        done = at_once([lambda by=by: lock_response(study, "S1", by, unlock=True, reason="x") for by in "AB"])
        assert sorted(isinstance(d, LutraError) for d in done) == [False, True]
    actions = [e["action"] for e in study.ledger.audit_trail() if e["action"] in (LOCKED, UNLOCKED)]
    assert actions == [LOCKED, UNLOCKED] * ROUNDS


def test_locking_a_response_in_the_room(enter: Enter, root: Path) -> None:
    people = [enter("reader"), enter("reader")]
    answers = _posts(people, ["/responses/S1/lock"] * 2)
    assert _codes(answers) == [303, 400]
    assert len([e for e in StudyFolder(root).ledger.audit_trail() if e["action"] == LOCKED]) == 1


def test_signing_a_decision(enter: Enter, root: Path) -> None:
    """Both answers were read before either was signed: who comes second has to read the first."""
    labs = "record_id,redcap_event_name,lab_date,lab_test,lab_value,lab_unit\nS1,baseline,2026-01-05,platelets,150,10*9/L\n"
    (root / "clinical" / "labs.csv").write_text(labs)
    people = [enter("physician"), enter("physician")]
    page = people[0].get("/decisions/S1/1").text
    digest = page.split('name="decision" value="')[1].split('"')[0]
    seen = page.split('name="seen" value="')[1].split('"')[0]
    answers = _posts(
        people, ["/decisions/S1/1"] * 2, decision=digest, seen=seen, verdict="DELAY", reason="patient is away"
    )
    assert _codes(answers) == [303, 400]
    assert "somebody was faster: decision signed by the-physician" in _told(answers)
    assert len([e for e in StudyFolder(root).ledger.audit_trail() if e["action"] == "decision signed"]) == 1
    again = people[0].get("/decisions/S1/1").text
    assert f'name="seen" value="{seen}"' not in again


def test_adding_an_account(enter: Enter, app: FastAPI) -> None:
    people = [enter("admin"), enter("admin")]
    answers = _posts(people, ["/accounts"] * 2, name="new", role="reader", password=PASSWORD)
    assert _codes(answers) == [303, 400]
    assert "has an account already" in _told(answers)
    assert [a.name for a in app.state.accounts.all()].count("new") == 1


def test_disabling_an_account(enter: Enter) -> None:
    people = [enter("admin"), enter("admin")]
    answers = _posts(people, ["/accounts/the-reader"] * 2, disabled="1")
    assert _codes(answers) == [303, 400]
    assert "disabled already" in _told(answers)


def test_two_administrators_cannot_shut_each_other_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking who is there and the change there is time enough for the other."""

    def slowly(db: sqlite3.Connection) -> tuple[Account, ...]:
        found = people(db)
        time.sleep(0.02)
        return found

    people = accounts_module._people
    monkeypatch.setattr(accounts_module, "_people", slowly)
    accounts = Accounts(root / "accounts.db")
    accounts.add("second", ["admin"], PASSWORD)
    for _ in range(3):
        done = at_once([lambda name=name: accounts.change(name, disabled=True) for name in ("the-admin", "second")])
        assert sorted(isinstance(d, LutraError) for d in done) == [False, True]
        off = ("the-admin", "second")[done.index(None)]
        accounts.change(off, disabled=False)


def test_running_the_study(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, go_on = Runner(root), threading.Event()
    monkeypatch.setattr(Runner, "_run", lambda self, job: go_on.wait(10))
    started = at_once([lambda by=by: runner.start(by) for by in "ABCD"])
    assert sum(job is not None for job in started) == 1
    go_on.set()
