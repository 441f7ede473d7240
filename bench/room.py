"""Server time of every page of the reading room, walked by its links from the home page on.

    python bench/room.py [STUDY]

STUDY has been run and has a report (make it with `lutra demo`, and use a copy: a page may note what it computed); default:
build/simulate/study. Every address is asked REPEATS times as an administrator, the blinded pages as a reader; the first,
with nothing warm, counts among them. A time is from the request to the last byte, within the process, without a network. Beside
it stands the processor time, which others on the machine do not lengthen.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from lutra.pipeline.study import StudyFolder
from lutra.store.accounts import Account, Accounts, RoleOf
from lutra.web import create_app
from lutra.web.access import COOKIE

LIMIT_MS, REPEATS = 300.0, 3
Took = tuple[float, float]
"""On the clock, and of the processor. [ms]"""


def main(root: Path) -> int:
    """Print a line for each route and name the addresses that are too slow; 1 if there are any."""
    app = create_app(root)
    with tempfile.TemporaryDirectory() as folder:
        app.state.accounts = Accounts(Path(folder) / "accounts.db")  # its people are not those of the study
        times: dict[str, list[Took]] = defaultdict(list)
        for role, start in (
            (RoleOf.ADMIN, _addresses(root)),
            (RoleOf.READER, ["/", "/responses", "/reading/index.html"]),
        ):
            client = _client(app, role)
            for address, took in _walk(client, start).items():
                times[address] += took
    routes = [r for r in app.routes if isinstance(r, APIRoute) and "GET" in r.methods]
    by_route: dict[str, list[str]] = defaultdict(list)
    for address in times:
        by_route[next(r.path for r in routes if r.path_regex.match(address))].append(address)
    print(f"{'route':32} {'pages':>5} {'median ms':>10} {'worst ms':>9} {'worst, processor':>17}")
    for route in (r.path for r in routes):
        wall, processor = zip(
            *[took for address in by_route[route] for took in times[address]] or [(0.0, 0.0)], strict=True
        )
        flag = "  over the limit" if max(wall) > LIMIT_MS else ""
        n = len(by_route[route])
        print(f"{route:32} {n:5} {statistics.median(wall):10.0f} {max(wall):9.0f} {max(processor):17.0f}{flag}")
    slow = {address: took for address, took in times.items() if max(took)[0] > LIMIT_MS}
    for address, took in sorted(slow.items(), key=lambda item: -max(item[1])[0])[:20]:
        print(f"over {LIMIT_MS:.0f} ms: {address} {', '.join(f'{ms:.0f} ({cpu:.0f})' for ms, cpu in took)}")
    return bool(slow)


def _addresses(root: Path) -> list[str]:
    """Pages that no link leads to at any one time: decisions of earlier cycles, and the audit trail."""
    records = StudyFolder(root).records()
    decisions = [f"/decisions/{r.subject.subject_id}/{n + 1}" for r in records for n in range(len(r.course.decisions))]
    return ["/sign-in", "/", *decisions]


def _client(app: object, role: RoleOf) -> TestClient:
    accounts: Accounts = app.state.accounts  # type: ignore[attr-defined]
    name, password = f"the-{role}", "otters-hold-hands-asleep"
    account: Account = accounts.add(name, [role], password)
    token, _ = accounts.open_session(account)
    return TestClient(app, base_url="http://room.test", follow_redirects=False, cookies={COOKIE: token})  # type: ignore[arg-type]


def _walk(client: TestClient, start: list[str]) -> dict[str, list[Took]]:
    """Ask every address that can be reached, and give the times of each. [ms]"""
    times: dict[str, list[Took]] = {}
    waiting = list(start)
    while waiting:
        address = waiting.pop()
        if address in times:
            continue
        times[address] = []
        for _ in range(REPEATS):
            begun, worked = time.perf_counter(), time.process_time()
            answer = client.get(address)
            times[address].append((1000 * (time.perf_counter() - begun), 1000 * (time.process_time() - worked)))
        if answer.status_code != 200:
            raise SystemExit(f"{address}: {answer.status_code}")
        if answer.headers["content-type"].startswith("text/html"):
            links = re.findall(r'(?:href|src)="([^"#]+)', answer.text)
            waiting += [urlsplit(urljoin(address, link)).path for link in links if not re.match(r"[a-z]+:", link)]
    return times


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/simulate/study")))
