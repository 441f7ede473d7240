"""Killed at any moment of a run, a report, an edit, an import or a visit to the reading room, a study is whole and goes on.

Half the moments are drawn in time, half among the writes: a child ends itself before its n-th change of a file or row. About
fifteen by default; `make kill SEED=1 MOMENTS=200` does many.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import define, evolve, field

pytest.importorskip("fastapi")
pytest.importorskip("argon2")

from lutra.pipeline.clinical import import_tables
from lutra.pipeline.report import write_study_report
from lutra.pipeline.study import DAY_S, StudyFolder, verify_source
from lutra.simulate import TrialSettings, simulate_trial
from lutra.simulate.clinic import ClinicSettings
from lutra.simulate.lesion_population import LesionSettings
from lutra.simulate.patient import PatientSettings
from lutra.simulate.sizes import SMALL
from lutra.store.accounts import ACCOUNTS, Accounts, RoleOf

SEED, MOMENTS = int(os.environ.get("LUTRA_KILL_SEED", "1")), int(os.environ.get("LUTRA_KILL_MOMENTS", "15"))
PASSWORD = "otters-hold-hands-asleep"  # noqa: S105  (of nobody)
SUBJECT, LESION = "SIM-001", "L01"
BEFORE = ("begin", "tables", "run", "run", "run", "room run", "run")
AFTER = ("edit", "report", "room undo", "edit", "room lock", "room unlock", "room sign", "room accounts", "room run")
"""What is killed before a study was run to its end, and after; then all anew."""
DONE = {"run", "report", "report-reader", "edit", "response locked", "response unlocked", "decision signed"}
DONE |= {"signed in", "account changed", "run from the reading room"}
"""What stands in the audit trail at the end, whatever was killed."""
QUICK = {
    'engines = ["hybrid", "sphere"]': 'engines = ["local", "sphere"]',
    '["bayesian", "triexponential", "population-tail"]': '["triexponential", "population-tail"]',
    "histories = 200000": "",
    "[dose.options.hybrid]": "",
}
LEFTOVERS = ("artifacts/.new-*", ".report-*", "dicom/.unpack-*", "dicom/??/*.part")


@define
class Reach:
    """How long an act takes at most, and how often it writes: its moments lie within. [s], [1]"""

    seconds: float
    writes: int


REACH = {
    "begin": Reach(2, 600),
    "tables": Reach(1, 100),
    "run": Reach(8, 6000),
    "report": Reach(10, 400),
    "edit": Reach(1, 100),
    "room": Reach(2, 100),
}


@define
class Mortal:
    """The process whose children are killed."""

    process: subprocess.Popen[str]

    def do(self, **order: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        done: dict[str, Any] = json.loads(self.process.stdout.readline())
        return done


@pytest.fixture(scope="module")
def mortal() -> Iterator[Mortal]:
    command = [sys.executable, str(Path(__file__).with_name("mortal.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Mortal(process)
        process.kill()


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One patient of few lesions with one cycle, on coarse grids."""
    coarse = evolve(SMALL, ct_mm=(7, 7, 8), low_dose_ct_mm=(7, 7, 7), pet_mm=(10, 10, 10), dwi_mm=(8, 8, 12))
    patient = PatientSettings(LesionSettings(count=(2, 3)), clinic=ClinicSettings(cycles=1), form="fast")
    return simulate_trial(tmp_path_factory.mktemp("trial") / "out", 1, 1, TrialSettings(coarse, patient)).dicom.parent


def _study(root: Path, trial: Path) -> StudyFolder:
    study = StudyFolder.create(root, "demo")
    protocol = (root / "protocol.toml").read_text()
    for long, short in QUICK.items():
        assert long in protocol
        protocol = protocol.replace(long, short)
    (root / "protocol.toml").write_text(protocol)
    study.add([trial / "dicom"])
    import_tables(study, trial / "tables")
    return study


@pytest.fixture(scope="module")
def undisturbed(trial: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, run and reported in one go."""
    root = tmp_path_factory.mktemp("undisturbed") / "study"
    study = _study(root, trial)
    study.run()
    write_study_report(study)
    return root


@define
class Witness:
    """Remembers what a study held, and holds every later state of it against that."""

    root: Path
    chain: tuple[str, ...] = ()
    sound: set[str] = field(factory=set)

    def look(self, heads: list[str]) -> None:
        """Fail unless everything acknowledged is there, all is whole, and nothing that was there is gone."""
        if not (self.root / "lutra.db").exists():
            assert not heads
            assert not self.chain
            return
        for name in ("lutra.db", ACCOUNTS):
            if (self.root / name).exists():
                with sqlite3.connect(self.root / name) as db:
                    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                db.close()
        study = StudyFolder(self.root)
        ledger, store = study.ledger, study.store
        assert ledger.verify_audit().problems == ()
        chain = ledger.chain_digests()
        assert chain[: len(self.chain)] == self.chain
        assert set(heads) <= set(chain)
        self.chain = chain
        trail = ledger.audit_trail()
        logged = sorted(e["detail"]["edit"] for e in trail if e["action"] == "edit")
        assert logged == [e.number for s in ledger.subject_ids() for e in ledger.edits(s)]
        for digest in {f.parent.name + f.name for f in store.root.glob("??/*")} - self.sound:
            assert store.damage(digest) is None, digest
            self.sound.add(digest)
        receipts = {r.made_by.key: r for r in ledger.receipts()}
        assert {r.output for r in receipts.values() if r.output} <= self.sound
        assert set(ledger.current_records().values()) <= self.sound
        for row in ledger.results():
            assert row.receipt in receipts
            assert row.artifact in self.sound
        for source in ledger.sources():
            verify_source(source)
        for folder in ("report", "report-reader"):
            if any((self.root / folder).iterdir() if (self.root / folder).is_dir() else ()):
                _whole(self.root / folder)
        _ = study.clinical
        ledger.close()


def _whole(report: Path) -> None:
    """Fail unless every page of a report is complete and what it refers to is there."""
    pages = list(report.rglob("*.html"))
    assert pages
    for page in pages:
        text = page.read_text("utf-8")
        assert text.rstrip().endswith("</html>"), page
        for link in re.findall(r'(?:href|src)="([^"#:{]+)(?:#[^"]*)?"', text):
            assert (page.parent / link).exists(), (page, link)


def _orders(study: StudyFolder, trial: Path) -> dict[str, dict[str, Any]]:
    """What is ordered for each act, but for the study and the moment it is killed."""
    lesion = next(lesion for r in study.records() for lesion in r.lesions if lesion.lesion_id == LESION)
    seen = next(o for o in lesion.observations if o.diameters)

    def room(person: str, *forms: dict[str, str]) -> dict[str, Any]:
        return {"act": "room", "person": f"the-{person}", "password": PASSWORD, "forms": forms}

    responses, decision, other = f"/responses/{SUBJECT}", f"/decisions/{SUBJECT}/1", "/accounts/the-other"
    return {
        "begin": {"act": "begin", "images": [str(trial / "dicom" / SUBJECT / "dwi")]},
        "tables": {"act": "tables", "folder": str(trial / "tables")},
        "run": {"act": "run"},
        "report": {"act": "report"},
        "edit": {"act": "edit", "subject": SUBJECT, "series": seen.series_uid, "lesion": LESION,
                 "lines": _lines(study, seen.series_uid)},
        "room run": room("physicist", {"page": "/run", "to": "/run"}),
        "room undo": room("physicist", {"page": "/edits", "to": "/edits/1/undo", "reason": "the first was right"}),
        "room lock": room("reader", {"page": "/responses", "to": f"{responses}/lock"}),
        "room unlock": room("coordinator", {"page": "/responses", "to": f"{responses}/unlock", "reason": "again"}),
        "room sign": room("physician", {"page": decision, "to": decision, "verdict": "DELAY", "reason": "asked for"}),
        "room accounts": room("admin", *[{"page": "/accounts", "to": other}] * 2),
    }  # fmt: skip


def _lines(study: StudyFolder, series_uid: str) -> list[Any]:
    """Two lines in one slice of a series: ends of the longest diameter and of the short axis. [mm]"""
    header = next(
        h for r in study.records() for s in r.series if s.header
        for h in [study.store.get(s.header.output)] if h.series_uid == series_uid
    )  # fmt: skip
    middle = (header.grid.affine_lps_mm @ [*(n // 2 for n in header.grid.shape), 1.0])[:3]
    across = (middle + np.outer([-1, 1], [0, 5, 0])).ravel().tolist()
    return [[(middle + np.outer([-1, 1], [half, 0, 0])).ravel().tolist(), across] for half in (11.0, 12.0)]


def _kill(mortal: Mortal, order: dict[str, Any], rng: np.random.Generator, reach: Reach) -> list[str]:
    """Order an act and kill it, sooner if it ends before its moment comes; return what it was told stands."""
    heads = []
    for _ in range(8):
        if rng.random() < 0.5:
            moment = {"after_s": reach.seconds * rng.random()}
        else:
            moment = {"before_write": int(rng.integers(1, reach.writes, endpoint=True))}
        begun = time.monotonic()
        done = mortal.do(**order, **moment)
        assert done["errors"] == []
        heads += done["heads"]
        if done["killed"]:
            return heads
        reach.seconds, reach.writes = min(reach.seconds, time.monotonic() - begun), min(reach.writes, done["begun"])
    pytest.fail(f"{order['act']} ends sooner than it can be killed")


def test_nothing_is_lost_or_half_written(
    mortal: Mortal, trial: Path, undisturbed: Path, tmp_path: Path, record_property: Any
) -> None:
    rng = np.random.default_rng(SEED)
    orders = _orders(StudyFolder(undisturbed), trial)
    killed: Counter[str] = Counter()
    for n in range(ceil(MOMENTS / (len(BEFORE) + len(AFTER)))):
        reach = {name: evolve(REACH[name.split()[0]]) for name in orders} | {"room run": evolve(REACH["run"])}
        root = tmp_path / str(n) / "study"
        _study(root, trial)
        _people(root)
        witness, begun = Witness(root), Witness(tmp_path / str(n) / "begun")
        witness.look([])
        for k, name in enumerate((*BEFORE, *AFTER), start=1):
            who = begun if name == "begin" else witness
            order = {**orders[name], "root": str(who.root)}
            who.look(_kill(mortal, order, rng, reach[name]))
            killed[name] += 1
            if k >= len(BEFORE):  # what was killed is done again, as people do
                done = mortal.do(**order)
                assert done["errors"] == []
                who.look(done["heads"])
        assert {entry["action"] for entry in StudyFolder(root).ledger.audit_trail()} >= DONE
        _same_as_undisturbed(root, undisturbed, tmp_path / str(n) / "again")
        _begun_is_finished(mortal, begun, orders["begin"])
        _swept(mortal, root, orders)
        shutil.rmtree(tmp_path / str(n))
    record_property("killed", dict(killed))
    print(f"killed at {killed.total()} moments: {dict(killed)}")  # noqa: T201


def _people(root: Path) -> None:
    accounts = Accounts(root / ACCOUNTS)
    for role in RoleOf:
        accounts.add(f"the-{role}", [role], PASSWORD)
    accounts.add("the-other", ["physicist"], PASSWORD)


def _same_as_undisturbed(root: Path, undisturbed: Path, again: Path) -> None:
    """Fail unless a study that nobody disturbed, with the same edits, comes to the same values."""
    shutil.copytree(undisturbed, again)
    there, here = StudyFolder(root), StudyFolder(again)
    for edit in there.ledger.edits(SUBJECT):
        if edit.value:
            here.store.put(there.store.get(edit.value))
        here.ledger.add_edit(edit)
    here.run()
    assert there.ledger.current_records() == here.ledger.current_records()
    assert there.ledger.results() == here.ledger.results()


def _begun_is_finished(mortal: Mortal, begun: Witness, order: dict[str, Any]) -> None:
    """Fail unless the command that was killed, given again, does what it should."""
    done = mortal.do(**order, root=str(begun.root))
    assert done["errors"] == []
    begun.look(done["heads"])
    added = {source.sha256 for source in StudyFolder(begun.root).ledger.sources()}
    assert len(added) == len(list(Path(order["images"][0]).glob("*.dcm")))


def _swept(mortal: Mortal, root: Path, orders: dict[str, dict[str, Any]]) -> None:
    """Fail if anything half done is still there a day later."""
    left = [path for pattern in LEFTOVERS for path in root.glob(pattern)]
    for path in left:
        os.utime(path, (time.time() - 2 * DAY_S,) * 2)
    for act in ("run", "report"):
        assert mortal.do(**orders[act], root=str(root))["errors"] == []
    assert not [path for path in left if path.exists()]
    _whole(root / "report")
