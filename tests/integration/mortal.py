"""Does things to a study in children that are killed: started once and warm, so that a moment costs a fork and not a start.

Reads one order per line (JSON: `act`, `root`, what the act takes, and `after_s` or `before_write`) and answers each with a line:
whether the child was killed, how many writes it had begun, and the heads of the audit chain that it was told its acts stand under.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zarr  # noqa: F401  (so that a child need not)
from sqlalchemy import event
from sqlalchemy.engine import Engine
from starlette.testclient import TestClient

import lutra.cli.main
import lutra.pipeline.report
import lutra.web
from lutra.pipeline.study import StudyFolder

LONGEST_S = 120.0
DONE = (0, 3, 4)
"""Exit codes of a command that did what it should."""
FILE_EVENTS = {
    "os.rename",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.truncate",
    "os.chmod",
    "shutil.rmtree",
    "sqlite3.connect",
}
Order = dict[str, Any]


class Writes:
    """Counts what a process is about to write, and kills it before a write of a given number."""

    def __init__(self, last: int, report: int) -> None:
        self.begun, self._last, self._report = 0, last, report
        self._lock = threading.Lock()
        sys.addaudithook(self._on_audit)
        for name in ("before_cursor_execute", "commit"):
            event.listen(Engine, name, self._on_database)

    def _on_audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        writes = name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if name in FILE_EVENTS or writes:
            self._count()

    def _on_database(self, *arguments: Any) -> None:
        if len(arguments) == 1 or not str(arguments[2]).lstrip().upper().startswith(("SELECT", "PRAGMA")):
            self._count()

    def _count(self) -> None:
        with self._lock:
            self.begun += 1
            if self.begun == self._last:
                os.write(self._report, b'{"begun": %d}\n' % self.begun)
                os.kill(os.getpid(), signal.SIGKILL)


# ---- acts ----
def _command(*words: str | Path) -> None:
    code = lutra.cli.main.app([str(word) for word in words], standalone_mode=False)
    if code not in (None, *DONE):
        raise RuntimeError(f"{' '.join(map(str, words))}: exit {code}")


def run(root: Path, order: Order, told: Callable[[], None]) -> None:
    _command("run", root)
    told()


def report(root: Path, order: Order, told: Callable[[], None]) -> None:
    _command("report", root)
    _command("report", root, "--for-reader")
    told()


def edit(root: Path, order: Order, told: Callable[[], None]) -> None:
    """Redraw a line of a lesion, again and again."""
    for ends in order["lines"]:
        _command("lesion", "line", root, order["subject"], order["series"], order["lesion"], "--reason", "seen so",
                 "--long", *map(str, ends[0]), "--short", *map(str, ends[1]))  # fmt: skip
        told()


def tables(root: Path, order: Order, told: Callable[[], None]) -> None:
    _command("study", "tables", root, order["folder"])
    told()


def begin(root: Path, order: Order, told: Callable[[], None]) -> None:
    """Make a study and copy images into it; what an earlier attempt did is not done again."""
    if not (root / "lutra.db").exists():
        _command("study", "init", root, "--protocol", "demo")
    told()
    _command("study", "add", root, *order["images"], "--copy")
    told()


def room(root: Path, order: Order, told: Callable[[], None]) -> None:
    """Sign in to the reading room and send forms of its pages."""
    app = lutra.web.create_app(root)
    client = TestClient(app, base_url="http://room.test", follow_redirects=False)
    person = {"name": order["person"], "password": order["password"]}
    assert _send(client, {"page": "/sign-in", "to": "/sign-in"}, **person) == 303
    told()
    for form in order["forms"]:
        if _send(client, form, password=order["password"]) == 303:
            while app.state.runner.busy:
                time.sleep(0.02)
            told()


def _send(client: TestClient, form: dict[str, str], **fields: str) -> int:
    """Send a form as its page holds it, with what a person fills in; 404 if the page does not hold it (any more)."""
    page, to, *_ = form["page"], form["to"]
    for found in re.findall(r"<form (.*?)</form>", client.get(page).text, re.DOTALL):
        if f'action="{to}"' in found or ("action=" not in found and page == to):
            hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', found))
            filled = {name: value for name, value in form.items() if name not in ("page", "to")}
            status: int = client.post(to, data={**hidden, **filled, **fields}).status_code
            return status
    return 404


ACTS: dict[str, Callable[[Path, Order, Callable[[], None]], None]] = {
    a.__name__: a for a in (run, report, edit, tables, begin, room)
}


# ---- children ----
def _live(order: Order, report_to: int) -> None:
    """Do an act in this process and end it."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    writes = Writes(order.get("before_write", 0), report_to)
    root = Path(order["root"])

    def told() -> None:
        ledger = StudyFolder(root).ledger
        line = json.dumps({"head": ledger.chain_digests()[-1]})
        ledger.close()
        os.write(report_to, f"{line}\n".encode())

    try:
        ACTS[order["act"]](root, order, told)
    except BaseException as error:  # noqa: BLE001  (whatever it is, the parent must hear of it)
        os.write(report_to, (json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n").encode())
    os.write(report_to, b'{"begun": %d}\n' % writes.begun)
    os._exit(0)


def _watch(child: int, pipe: int, after_s: float | None) -> dict[str, Any]:
    """Read what a child says until it has ended; kill it when its time is over."""
    until = time.monotonic() + (LONGEST_S if after_s is None else after_s)
    said = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            until = time.monotonic() + LONGEST_S
            continue
        piece = os.read(pipe, 65536)
        if not piece:
            break
        said += piece
    _, status = os.waitpid(child, 0)
    lines = [json.loads(line) for line in said.decode().splitlines()]
    return {
        "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL,
        "begun": max((line["begun"] for line in lines if "begun" in line), default=0),
        "heads": [line["head"] for line in lines if "head" in line],
        "errors": [line["error"] for line in lines if "error" in line],
    }


def main() -> None:
    """Obey orders until there are no more."""
    os.environ["NO_COLOR"] = "1"
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _live(order, writing)
        os.close(writing)
        done = _watch(child, reading, order.get("after_s"))
        os.close(reading)
        print(json.dumps(done), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
