"""Damage to the bytes of a file, and to the folder it lies in."""

from __future__ import annotations

from pathlib import Path
from random import Random

from .case import HONEST, REFUSED, SAME, TOLD, Case
from .mutation import mutation
from .raw import PIXELS


@mutation("file cut off at a random byte", {REFUSED, TOLD, SAME}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    file = case.one()
    content = file.written()
    at = rng.choice(
        [rng.randrange(len(content)), rng.randrange(min(1000, len(content))), len(content) - rng.randrange(1, 64)]
    )
    case.extra[file.name] = content[:at]
    case.note = f"{file.name} at {at}"


@mutation("flipped bytes in the header")
def _(case: Case, rng: Random) -> None:
    file = case.one()
    content = bytearray(file.written())
    header = len(content) - len(next(e for e in file.elements if e.tag == PIXELS).value)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        content[rng.randrange(128, header)] = rng.randrange(256)
    case.extra[file.name] = bytes(content)


@mutation("flipped bytes in the pixels", {REFUSED, TOLD, HONEST, SAME})
def _(case: Case, rng: Random) -> None:
    file = case.one()
    pixels = next(e for e in file.elements if e.tag == PIXELS)
    value = bytearray(pixels.value)
    for _ in range(rng.choice([1, 8, 64])):
        value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
    pixels.value = bytes(value)


@mutation("a stretch of the file overwritten, doubled or removed")
def _(case: Case, rng: Random) -> None:
    file = case.any_file()
    content = file.written()
    start = rng.randrange(len(content))
    stop = min(len(content), start + rng.choice([1, 2, 8, 64, 1024]))
    middle = rng.choice([b"", b"\0" * (stop - start), content[start:stop] * 2, rng.randbytes(stop - start)])
    case.extra[file.name] = content[:start] + middle + content[stop:]


@mutation("no DICM mark", {REFUSED, TOLD}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        file.mark = rng.choice([b"DICN", b"\0\0\0\0", b"dicm"])


@mutation("an empty file, or noise, instead of a slice", {REFUSED, TOLD}, must_refuse=("image",))
def _(case: Case, rng: Random) -> None:
    case.extra[case.one().name] = rng.choice(
        [b"", rng.randbytes(500), b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + rng.randbytes(300)]
    )


@mutation("links and folders among the files", {SAME})
def _(case: Case, rng: Random) -> None:
    def clutter(folder: Path) -> None:
        (folder / "loop").symlink_to(folder, target_is_directory=True)
        (folder / "self").symlink_to("self")
        (folder / "gone.dcm").symlink_to(folder / "nowhere")
        (folder / "deep" / "empty.dcm").mkdir(parents=True)

    case.fresh = clutter
