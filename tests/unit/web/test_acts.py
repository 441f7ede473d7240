"""Locking, signing and running, as people do it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI

from lutra.core.edit import Edit, EditKind
from lutra.core.source import SourceFile
from lutra.pipeline.response_lock import locks
from lutra.pipeline.study import StudyFolder

from .conftest import PASSWORD, Enter, token_of


def _audit(root: Path) -> list[tuple[str, str]]:
    return [(e["action"], e["detail"].get("by", "")) for e in StudyFolder(root).ledger.audit_trail()]


def test_a_response_is_locked_by_its_reader_and_unlocked_with_a_reason(enter: Enter, root: Path) -> None:
    reader, coordinator = enter("reader"), enter("coordinator")
    token = token_of(reader.get("/").text)
    assert reader.post("/responses/S1/lock", data={"csrf": token, "password": "not mine, really"}).status_code == 403
    assert not locks(StudyFolder(root).ledger.audit_trail())
    assert reader.post("/responses/S1/lock", data={"csrf": token, "password": PASSWORD}).status_code == 303
    assert locks(StudyFolder(root).ledger.audit_trail()) == {("S1", "the-reader")}
    assert "locked by the-reader" in coordinator.get("/responses").text
    token = token_of(coordinator.get("/").text)
    form = {"csrf": token, "password": PASSWORD}
    refused = coordinator.post("/responses/S1/unlock", data=form)
    assert refused.status_code == 400
    assert "unlocking without a reason" in refused.text
    assert coordinator.post("/responses/S1/unlock", data={**form, "reason": "wrong visit"}).status_code == 303
    assert ("response unlocked", "the-coordinator") in _audit(root)


def test_an_unknown_subject_is_named(enter: Enter) -> None:
    reader = enter("reader")
    answer = reader.post("/responses/S9/lock", data={"csrf": token_of(reader.get("/").text), "password": PASSWORD})
    assert answer.status_code == 400
    assert "no subject" in answer.text


def test_a_run_goes_on_in_the_background_and_says_why_it_failed(enter: Enter, app: FastAPI) -> None:
    client = enter("physicist")
    token = token_of(client.get("/").text)
    assert client.post("/run", data={"csrf": token}).status_code == 303
    deadline = time.monotonic() + 20
    while app.state.runner.busy and time.monotonic() < deadline:
        time.sleep(0.05)
    page = client.get("/run").text
    assert "the study is empty" in page
    assert "failed" in page


def test_accounts_are_added_and_disabled(enter: Enter, root: Path) -> None:
    admin, physicist = enter("admin"), enter("physicist")
    token = token_of(admin.get("/").text)
    assert admin.post("/accounts/the-physicist", data={"csrf": token, "disabled": "1"}).status_code == 303
    assert physicist.get("/").headers["location"] == "/sign-in"
    assert ("account changed", "the-admin") in _audit(root)


def test_a_password_is_changed_with_the_old_one_and_ends_the_sessions(enter: Enter) -> None:
    client = enter("physician")
    token = token_of(client.get("/").text)
    new = "quite another pass phrase"
    assert client.post("/password", data={"csrf": token, "password": "wrong", "new": new}).status_code == 403
    assert client.post("/password", data={"csrf": token, "password": PASSWORD, "new": new}).status_code == 303
    assert client.get("/").headers["location"] == "/sign-in"


def test_the_audit_page_shows_who_and_the_chain(enter: Enter) -> None:
    page = enter("admin").get("/audit").text
    assert "signed in" in page
    assert "entries stand as they were written" in page


def test_pages_of_the_report_lead_home(enter: Enter) -> None:
    assert '<a href="/">Home</a>' in enter("physicist").get("/report/index.html").text


def test_of_two_who_undo_at_once_the_second_is_told(enter: Enter, root: Path) -> None:
    study = StudyFolder(root)
    source = SourceFile("/x", "0" * 64, 1, 1, "1.2", "1.2", "1.3", "1.4", "S1", "CT")
    study.ledger.add_sources([source])
    for reason in ("first", "second"):
        edit = Edit(0, "S1", EditKind.LESION_LOCK, reason, "", "A", datetime.now(UTC), reason)
        study.ledger.add_edit(edit)
    one, other = enter("physicist"), enter("physician")
    pages = [client.get("/edits").text for client in (one, other)]
    forms = [{"csrf": token_of(page), "seen": "2", "reason": "no"} for page in pages]
    assert one.post("/edits/1/undo", data=forms[0]).status_code == 303
    told = other.post("/edits/2/undo", data=forms[1])
    assert told.status_code == 400
    assert "was edited meanwhile" in told.text
    assert "the-physicist" in told.text
    assert [e.undoes for e in study.ledger.edits("S1")] == [None, None, 1]
