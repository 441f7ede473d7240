"""A virtual trial of one patient and its study, made once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen


@frozen
class Ran:
    """What a command printed and how it exited."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def lutra(*words: str | Path) -> Ran:
    """Run the command line as a user would."""
    command = [sys.executable, "-m", "lutra.cli.main", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of `lutra demo` with one patient, which must not fail."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    ran = lutra("demo", "--out", out, "--patients", "1", "--seed", "14")
    assert ran.code in (0, 3), ran.err + ran.out
    return out
