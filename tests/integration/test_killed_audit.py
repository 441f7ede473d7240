"""Killed at any moment, the record of who did what is whole, and its chain goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lutra.store import Ledger

WRITER = """
import sys
from pathlib import Path
from lutra.store import Ledger
ledger = Ledger(Path(sys.argv[1]))
print("ready", flush=True)
n = 0
while True:
    n += 1
    ledger.log("2026-01-01T00:00:00+00:00", sys.argv[2], "action", {"n": n, "filling": "x" * 2000})
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Ledger(tmp_path / "lutra.db", create=True).close()
    return tmp_path / "lutra.db"


def _writer(path: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_nothing_is_half_written(path: Path) -> None:
    rng, links = np.random.default_rng(9), 0
    for moment in rng.uniform(0.0, 0.25, 12):
        process = _writer(path, "A")
        time.sleep(float(moment))
        process.kill()
        process.communicate()
        ledger = Ledger(path)
        check = ledger.verify_audit()
        assert check.problems == ()
        assert check.links == len(ledger.audit_trail()) >= links
        links = check.links
        ledger.close()
    assert links > 12


def test_two_who_write_at_once_make_one_chain(path: Path) -> None:
    processes = [_writer(path, name) for name in ("A", "B")]
    time.sleep(1.5)
    for process in processes:
        process.kill()
        process.communicate()
    ledger = Ledger(path)
    check = ledger.verify_audit()
    assert check.problems == ()
    assert {entry["by"] for entry in ledger.audit_trail()} == {"A", "B"}
