"""It does not matter how files are packed: the same instances come in, with the same Findings."""

from __future__ import annotations

import gzip
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from lutra.ingest import Intake, UnpackSettings, scan_unpacked

Make = Callable[..., bytes]

FOLDERS = st.sampled_from(["", "CT", "CT/axial", "other patient"])
FILES = st.dictionaries(
    st.tuples(FOLDERS, st.integers(1, 9)),
    st.sampled_from(["whole", "other patient", "other content", "cut", "foreign", "text"]),
    min_size=1,
    max_size=8,
)


def write(folder: Path, files: dict[tuple[str, int], str], make: Make) -> None:
    content = {
        "whole": make,
        "other patient": lambda n: make(10 + n, patient="P2"),
        "other content": lambda n: make(n % 3 + 1, Manufacturer=f"maker {n}"),
        "cut": lambda n: make(n)[:300],
        "foreign": lambda n: bytes([n]) * 900,
        "text": lambda n: f"note {n}".encode(),
    }
    for (inside, n), kind in files.items():
        path = folder / inside / f"{n}{'.txt' if kind == 'text' else ''}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content[kind](n))


def packed(source: Path, into: Path, how: str) -> Path:
    """Pack the folder and return what stands for it."""
    if how == "zip":
        return Path(shutil.make_archive(str(into / "x"), "zip", source))
    if how == "gz":
        for path in [p for p in source.rglob("*") if p.is_file()]:
            target = into / "x" / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes()
            target.write_bytes(gzip.compress(content) if content[128:132] == b"DICM" else content)
        return into / "x"
    with tarfile.open(into / "x", f"w:{how.partition('.')[2]}") as archive:  # type: ignore[call-overload]
        archive.add(source, arcname=".")
    return into / "x"


def known(intake: Intake, root: Path) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """What must not depend on the packing."""
    files = [(f.sha256, f.sop_instance_uid, f.series_uid, f.subject_id) for f in intake.files]
    return files, [(f.severity, f.code, f.text.replace(str(root), "")) for f in intake.findings]


@given(files=FILES, how=st.sampled_from(["zip", "tar", "tar.gz", "tar.xz", "gz"]))
def test_packing_changes_nothing(instance: Make, files: dict[tuple[str, int], str], how: str) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("plain", "packed", "one", "two"):
            (folder / part).mkdir()
        write(folder / "plain", files, instance)
        plain = scan_unpacked([folder / "plain"], folder / "one", UnpackSettings())
        container = packed(folder / "plain", folder / "packed", how)
        unpacked = scan_unpacked([container], folder / "two", UnpackSettings())
        assert known(unpacked, container) == known(plain, folder / "plain")
