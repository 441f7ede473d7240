"""A series about to be mutated, and what becomes of its files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from attrs import Factory, define, field, frozen

from .raw import RawFile
from .sources import Base

REFUSED, SAME, TOLD, HONEST = "refused", "same", "told", "honest"
"""What may become of a number: it is gone and a reason is given; it is what it was; it is another and a new Finding tells;
it is what the changed header says, by an independent reading."""
SAFE = frozenset({REFUSED, SAME, TOLD, HONEST})
NOT_SILENT = frozenset({REFUSED, SAME, TOLD})
CONTRADICTION = frozenset({REFUSED, TOLD})


@define
class Case:
    """Copies of the files of a base, changed as the mutation pleases."""

    base: Base
    rng: Random
    note: str = ""
    expected: dict[str, Callable[[Any], Any]] = Factory(dict)
    """Numbers that must be what this makes of the unmutated ones."""
    extra: dict[str, bytes] = Factory(dict)
    """Further files by name, or files as bytes in place of the parsed ones."""
    removed: set[str] = Factory(set)
    fresh: Callable[[Path], None] | None = None
    """What else is done to the folder once it is written."""
    _copies: dict[str, RawFile] = field(factory=dict)

    def image(self, n: int) -> RawFile:
        """A slice to be changed."""
        return self._copy(self.base.images[n])

    def one(self) -> RawFile:
        """Any slice to be changed."""
        return self.image(self.rng.randrange(len(self.base.images)))

    def all(self) -> list[RawFile]:
        return [self._copy(file) for file in self.base.images]

    def some(self) -> list[RawFile]:
        """One slice, or all of them."""
        return [self.one()] if self.rng.random() < 0.6 else self.all()

    def structure(self) -> RawFile:
        return self._copy(self.base.others[0])

    def any_file(self) -> RawFile:
        return self._copy(self.rng.choice(self.base.files))

    def drop_file(self, file: RawFile) -> None:
        self.removed.add(file.name)

    def _copy(self, file: RawFile) -> RawFile:
        if file.name not in self._copies:
            self._copies[file.name] = file.copy()
        return self._copies[file.name]

    @property
    def changed(self) -> set[str]:
        return (set(self._copies) | set(self.extra)) - self.removed

    def write(self, folder: Path, originals: Path) -> None:
        """Write the changed files; the others are links to the originals."""
        folder.mkdir(parents=True)
        for file in self.base.files:
            if file.name in self.removed or file.name in self.extra:
                continue
            if file.name in self._copies:
                (folder / file.name).write_bytes(self._copies[file.name].written())
            else:
                os.link(originals / file.name, folder / file.name)
        for name, content in self.extra.items():
            (folder / name).write_bytes(content)
        if self.fresh:
            self.fresh(folder)


@frozen
class Mutation:
    """One way to break a series.

    Parameters
    ----------
    allowed
        What may become of a number that is not in `Case.expected`.
    must_refuse
        Numbers of the series that must not come out of it unchanged and untold.
    """

    name: str
    change: Callable[[Case, Random], None]
    allowed: frozenset[str]
    fits: Callable[[Base], bool]
    must_refuse: frozenset[str]
