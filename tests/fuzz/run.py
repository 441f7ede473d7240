"""Run mutated series through the readers and count what becomes of them.

`make fuzz` runs this for 20 000 files and more; `tests/fuzz/test_fuzz.py` a short time. A case is made from the seed and its
number alone: `python -m fuzz.run --seed 1 --case 123` repeats it and says all.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from attrs import Factory, define, frozen

from lutra.core.errors import LutraError
from lutra.ingest import IngestSettings, files, read_contours, read_header
from lutra.pipeline.inspect import inspect

from .case import Case, Mutation
from .judge import Verdict, judge
from .mutator import MUTATIONS
from .reading import Reading, read
from .sources import Base, real, unpacked_in
from .written import vendor_headers, written

CPU_LIMIT_S, TIME_LIMIT_S = 10.0, 120.0
"""For one series of a few small files, which usually takes 0.03 s; the clock on the wall goes on while others use the machine."""
MEMORY_LIMIT_BYTES = 4 << 30
"""Address space of the process: a header that claims a giant image must not be believed."""


class Hang(BaseException):
    """Not an Exception, so that no reader can mistake it for a broken file."""


@frozen
class Result:
    """One case: where it came from and what became of it."""

    number: int
    base: str
    mutation: str
    note: str
    n_files: int
    fate: str
    faults: tuple[str, ...]


@define
class Table:
    """Counts by mutation."""

    cases: Counter[str] = Factory(Counter)
    files: Counter[str] = Factory(Counter)
    fates: defaultdict[str, Counter[str]] = Factory(lambda: defaultdict(Counter))
    failed: list[Result] = Factory(list)

    def add(self, result: Result) -> None:
        self.cases[result.mutation] += 1
        self.files[result.mutation] += result.n_files
        self.fates[result.mutation]["failed" if result.faults else result.fate] += 1
        if result.faults:
            self.failed.append(result)

    def text(self) -> str:
        columns = ("refused", "same", "told", "honest", "failed")
        head = f"{'mutation':74} {'series':>6} {'files':>6} " + " ".join(f"{c:>7}" for c in columns)
        lines = [head, "-" * len(head)]
        for mutation in [*(m.name for m in MUTATIONS), None]:
            if mutation is None:
                lines.append("-" * len(head))
                counts = sum(self.fates.values(), Counter())
                row, n, n_files = "all", self.cases.total(), self.files.total()
            else:
                counts, row, n, n_files = self.fates[mutation], mutation, self.cases[mutation], self.files[mutation]
            lines.append(f"{row:74} {n:6} {n_files:6} " + " ".join(f"{counts[c]:7}" for c in columns))
        return "\n".join(lines)


@define
class Fuzzer:
    """Bases, their numbers before any mutation, and a folder to write to."""

    bases: Sequence[Base]
    folder: Path
    seed: int
    before: dict[str, Reading] = Factory(dict)

    def originals(self, base: Base) -> Path:
        return self.folder / "originals" / base.name.replace("/", "-")

    def prepare(self) -> None:
        """Write and read the bases as they are."""
        for base in self.bases:
            target = self.originals(base)
            target.mkdir(parents=True)
            for file in base.files:
                (target / file.name).write_bytes(file.written())
            self.before[base.name] = read(target)

    def case(self, number: int) -> tuple[Case, Mutation]:
        """The case of this number: the mutations take turns, the base and all else is drawn."""
        rng = Random(f"{self.seed}/{number}")  # noqa: S311
        mutation = MUTATIONS[number % len(MUTATIONS)]
        fitting = [base for base in self.bases if mutation.fits(base)]
        case = Case(rng.choice(fitting), rng)
        mutation.change(case, rng)
        return case, mutation

    def run(self, number: int) -> Result:
        """Make a case, read it and judge the numbers."""
        case, mutation = self.case(number)
        folder = self.folder / f"case-{number}"
        case.write(folder, self.originals(case.base))
        verdict = self._judged(case, mutation, folder, number)
        shutil.rmtree(folder)
        n_files = max(1, len(case.changed) + len(case.removed))
        return Result(number, case.base.name, mutation.name, case.note, n_files, verdict.fate, verdict.faults)

    def _judged(self, case: Case, mutation: Mutation, folder: Path, number: int) -> Verdict:
        try:
            with time_limit(), warnings.catch_warnings():
                warnings.simplefilter("error")
                after = read(folder)
                if number % 7 == 0:
                    _other_doors(folder)
            return judge(case, mutation, self.before[case.base.name], self.originals(case.base), after, folder)
        except Hang:
            return Verdict("failed", (f"hang: more than {CPU_LIMIT_S:g} s of work or {TIME_LIMIT_S:g} s of waiting",))
        except LutraError as error:
            named = error.where or "/" in str(error) or "(" in str(error)
            return Verdict("refused", () if named else (f"a typed error without a place: {error}",))
        except Exception as error:  # noqa: BLE001  (this is what is looked for)
            at = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)[-6:]]
            return Verdict("failed", (f"crash: {type(error).__name__}: {str(error)[:200]} at {' > '.join(at)}",))


def _other_doors(folder: Path) -> None:
    """What a user may do without the scan: read all files as one series, any file as contours, inspect."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    read_header(paths, IngestSettings())
    for path in paths[:2]:
        read_contours(path)
    series, findings = inspect([folder])
    json.dumps([s.as_json() for s in series] + [f.text for f in findings], allow_nan=False)


@contextmanager
def time_limit() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise Hang

    timers = ((signal.ITIMER_PROF, signal.SIGPROF, CPU_LIMIT_S), (signal.ITIMER_REAL, signal.SIGALRM, TIME_LIMIT_S))
    before = [signal.signal(number, ring) for _, number, _ in timers]
    try:
        for timer, _, seconds in timers:
            signal.setitimer(timer, seconds)
        yield
    finally:
        for (timer, number, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", type=int, default=20_000, help="how many mutated files at least")
    parser.add_argument("--case", type=int, help="repeat one case and keep its folder")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data")
    wanted = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    memory = Path("/dev/shm")  # noqa: S108  (a RAM disk where there is one)
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as temporary:
        root = Path(temporary)
        bases = [*written(root / "written")]
        if wanted.data.is_dir():
            bases += vendor_headers(next(b for b in bases if b.name == "written/pet"), wanted.data)
            bases += real(unpacked_in(root / "archives", wanted.data))
        else:
            print(f"{wanted.data} is not there: only series written by the project are used")  # noqa: T201
        fuzzer = Fuzzer(bases, root, wanted.seed)
        fuzzer.prepare()
        files.forget()
        if wanted.case is not None:
            return _repeat(fuzzer, wanted.case)
        return _run(fuzzer, wanted.files)


def _run(fuzzer: Fuzzer, n_files: int) -> int:
    table, number, start = Table(), 0, time.perf_counter()
    while table.files.total() < n_files:
        result = fuzzer.run(number)
        table.add(result)
        if result.faults:
            print(f"case {number}: {result.mutation} [{result.note}] of {result.base}: {'; '.join(result.faults)}")  # noqa: T201
        number += 1
    seconds = time.perf_counter() - start
    print(table.text())  # noqa: T201
    counts = f"{number} series, {table.files.total()} mutated files, {len(table.failed)} failed"
    print(f"seed {fuzzer.seed}: {counts}; {seconds:.0f} s, {table.files.total() / seconds:.0f} files per s")  # noqa: T201
    return 1 if table.failed else 0


def _repeat(fuzzer: Fuzzer, number: int) -> int:
    case, mutation = fuzzer.case(number)
    result = fuzzer.run(number)
    case.write(fuzzer.folder / "kept", fuzzer.originals(case.base))
    kept = Path(tempfile.mkdtemp(prefix=f"fuzz-{fuzzer.seed}-{number}-")) / "series"
    shutil.copytree(fuzzer.folder / "kept", kept, symlinks=True)
    print(f"{mutation.name} [{case.note}] of {case.base.name}: {result.fate}; {'; '.join(result.faults) or 'no fault'}")  # noqa: T201
    print(f"the files: {kept}")  # noqa: T201
    for finding in read(kept).findings:
        print(f"  {finding.severity} {finding.code}: {finding.text}")  # noqa: T201
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
