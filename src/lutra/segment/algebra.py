r"""Regions made of regions on the same grid: healthy liver = liver - lesions.

Partial voxels are kept. Of two regions that share a voxel nothing says how they lie in it; they are taken to overlap there as
much as they can, as a lesion lies in its organ. So the intersection has the smaller share, the union the larger, and the
difference what is left:

.. math:: |a \cap b| = \min(a, b), \quad |a \cup b| = \max(a, b), \quad |a - b| = a - \min(a, b) = \max(a - b, 0)

Then difference and intersection part a region exactly, and union and intersection have the volume of both together. Two regions
that touch within a voxel lose there what the smaller share is in the union, at most a skin of the touching faces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from lutra.core.digest import digest
from lutra.core.errors import UsageError
from lutra.core.finding import Finding, Outcome, Severity, few
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.imaging.labels import trimmed
from lutra.imaging.margins import with_margin
from lutra.reference.region_names import code_of_name, look_up, simplified, table
from lutra.segment.doubts import doubt
from lutra.segment.expression import Combined, Expression, Name, names_in, parse, written
from lutra.segment.settings import SegmentSettings

LESIONS = "lesions"
"""Name that stands for every lesion of the image."""
TWICE_DRAWN = 0.1
"""Regions of one name are taken as parts of one thing; if they overlap by more than this share, as drawings of the same. [1]"""
DIGITS = 12
"""Digits of a region's digest in the source of what was made of it; the ledger has all of them."""

Shares = npt.NDArray[np.float32]
Rule = Callable[[Shares, Shares], Shares]


def _less(one: Shares, other: Shares) -> Shares:
    return one - np.minimum(one, other)


RULES: dict[str, Rule] = {"+": np.maximum, "&": np.minimum, "-": _less}


def union(name: str, *regions: Region) -> Region | None:
    """Make one region of several; None if there is nothing in them.

    Raises
    ------
    UsageError
        If no region is given; as the other operations.
    GridMismatch
        If the regions are on different grids; as the other operations.
    """
    return _combined(name, "+", regions)


def intersection(name: str, *regions: Region) -> Region | None:
    """Make a region of what several share; None if that is nothing."""
    return _combined(name, "&", regions)


def difference(name: str, whole: Region, *parts: Region) -> Region | None:
    """Take parts out of a region; None if nothing is left."""
    return _combined(name, "-", (whole, *parts))


def eroded(name: str, region: Region, distance_mm: float) -> Region | None:
    """Move the border of a region inwards all round; None if nothing is left. [mm]"""
    return _moved(name, region, -distance_mm, f"{_quoted(region)} eroded by {distance_mm:g} mm")


def dilated(name: str, region: Region, distance_mm: float) -> Region | None:
    """Move the border of a region outwards all round, as far as the image reaches. [mm]"""
    return _moved(name, region, distance_mm, f"{_quoted(region)} dilated by {distance_mm:g} mm")


def evaluate_algebra(regions: tuple[Region, ...], settings: SegmentSettings) -> Outcome[tuple[Region, ...]]:
    """Make the regions that the protocol defines by expressions over those of one image.

    A name is that of a region, whatever its case and underscores; else an organ that regions mean by their code, `kidneys` left
    and right together; `lesions` are all lesions. Results are never lesions, and no expression uses another's result.

    Parameters
    ----------
    regions
        Everything on one image, all on its grid.

    Returns
    -------
    Outcome
        One region for each expression that can be made; a Finding says why another could not.

    Raises
    ------
    ProtocolError
        If an expression cannot be read.
    GridMismatch
        If the regions are on different grids.
    """
    made: list[Region] = []
    findings: list[Finding] = []
    for name, text in sorted(settings.algebra.items()):
        expression = parse(text)
        operands = {part: _meant(part, regions) for part in names_in(expression)}
        doubts = _doubts(name, text, operands, regions)
        findings += doubts
        used = _used(operands)
        if not used or any(finding.code != "segment.algebra-no-lesions" for finding in doubts):
            continue
        box = _evaluated(expression, operands, _frame(used))
        region = _region(name, box, used, _source(expression, operands))
        if region is None:
            findings.append(
                doubt(
                    Severity.WARNING, "segment.algebra-empty", name, f"nothing is left of {text}.", {"expression": text}
                )
            )
        else:
            made.append(region)
    return Outcome(tuple(made), findings)


def _doubts(
    name: str, text: str, operands: dict[str, tuple[Region, ...]], regions: tuple[Region, ...]
) -> list[Finding]:
    """Names that stand for nothing here, or for several drawings of the same thing."""
    evidence = {"expression": text, "regions": few([region.name for region in regions], 20)}
    found = []
    for part, meant in operands.items():
        if not meant and part.casefold() == LESIONS:
            says = f"no lesion is drawn on this image, so “{text}” is computed without any. Check that none was missed."
            found.append(doubt(Severity.INFO, "segment.algebra-no-lesions", name, says, evidence))
        elif not meant:
            known = look_up(part) is not None
            says = f"it was not made: no region of this image is “{part}”, by name or by code." + (
                "" if known else " No table knows the name either: is it spelt as in the file of regions?"
            )
            severity = Severity.INFO if known else Severity.WARNING
            found.append(doubt(severity, "segment.algebra-unknown-name", name, says, evidence))
        elif _drawn_twice(meant):
            says = (
                f"it was not made: {len(meant)} regions that overlap are “{part}”: {few([region.name for region in meant])}. "
                "Required: one drawing of it. Remove the others, or use the name of one."
            )
            found.append(doubt(Severity.WARNING, "segment.algebra-ambiguous", name, says, evidence))
    return found


def _meant(name: str, regions: tuple[Region, ...]) -> tuple[Region, ...]:
    """Find the regions a name stands for."""
    if name.casefold() == LESIONS:
        return tuple(region for region in regions if region.kind is RegionKind.LESION)
    text = simplified(name)
    named = tuple(region for region in regions if simplified(region.name) == text)
    code = code_of_name(name)
    if named or code is None:
        return named
    # Without a side, a paired organ is both sides.
    row = next((row for row in table() if row.code and row.code.value == code.value), None)
    values = {own.value for own in row.codes} if row else {code.value}
    return tuple(r for r in regions if r.kind is not RegionKind.LESION and r.code and r.code.value in values)


def _drawn_twice(regions: tuple[Region, ...]) -> bool:
    if len(regions) < 2 or all(region.kind is RegionKind.LESION for region in regions):
        return False
    whole = _combined("", "+", regions)
    total_ml = sum(region.volume_ml for region in regions)
    return whole is None or total_ml - whole.volume_ml > TWICE_DRAWN * min(region.volume_ml for region in regions)


def _used(operands: dict[str, tuple[Region, ...]]) -> tuple[Region, ...]:
    return tuple({id(region): region for regions in operands.values() for region in regions}.values())


def _evaluated(expression: Expression, operands: dict[str, tuple[Region, ...]], frame: tuple[slice, ...]) -> Shares:
    """Shares of an expression within a box that holds all its operands. [1] (i, j, k)"""
    if isinstance(expression, Combined):
        left, right = (_evaluated(part, operands, frame) for part in (expression.left, expression.right))
        return RULES[expression.sign](left, right)
    whole: Shares = np.zeros([side.stop - side.start for side in frame], np.float32)
    for region in operands[expression.text]:
        whole = np.maximum(whole, _within(region, frame))
    return whole


def _source(expression: Expression, operands: dict[str, tuple[Region, ...]]) -> str:
    """Write the expression with the regions it was computed from and their digests, so that it can be computed again."""
    named = {}
    for part, regions in operands.items():
        words = " + ".join(_quoted(region) for region in regions) or "nothing"
        alone = len(regions) < 2 or isinstance(expression, Name)
        named[part] = words if alone else f"({words})"
    return f"{written(expression, named)}; {_digests(_used(operands))}"


def _combined(name: str, sign: str, regions: Sequence[Region]) -> Region | None:
    if not regions:
        raise UsageError(f"region {name} of no regions", required="at least one")
    frame = _frame(regions)
    share = _within(regions[0], frame)
    for region in regions[1:]:
        share = RULES[sign](share, _within(region, frame))
    tree: Expression = Name("0")
    for n in range(1, len(regions)):
        tree = Combined(sign, tree, Name(str(n)))
    named = {str(n): _quoted(region) for n, region in enumerate(regions)}
    return _region(name, share, regions, f"{written(tree, named)}; {_digests(regions)}")


def _moved(name: str, region: Region, distance_mm: float, words: str) -> Region | None:
    box = with_margin(region.start_ijk, region.fraction, region.grid, distance_mm)
    return None if box is None else _made(name, box, (region,), f"{words}; {_digests((region,))}")


def _frame(regions: Sequence[Region]) -> tuple[slice, ...]:
    """Box that holds all regions."""
    for region in regions[1:]:
        region.grid.require_match(regions[0].grid, f"regions {region.name} and {regions[0].name}")
    start = np.min([region.start_ijk for region in regions], axis=0)
    stop = np.max([np.add(region.start_ijk, region.fraction.shape) for region in regions], axis=0)
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))


def _within(region: Region, frame: tuple[slice, ...]) -> Shares:
    whole = np.zeros([side.stop - side.start for side in frame], np.float32)
    inner = tuple(
        slice(own.start - side.start, own.stop - side.start) for own, side in zip(region.box, frame, strict=True)
    )
    whole[inner] = region.fraction
    return whole


def _region(name: str, share: Shares, of: Sequence[Region], source: str) -> Region | None:
    i, j, k = (side.start for side in _frame(of))
    box = trimmed((i, j, k), share)
    return None if box is None else _made(name, box, of, source)


def _made(name: str, box: tuple[tuple[int, int, int], Shares], of: Sequence[Region], source: str) -> Region:
    """Make the region: of an organ it is still anatomy, of a lesion it is no lesion with an identity of its own."""
    kind = RegionKind.ORGAN if of[0].kind is RegionKind.ORGAN else RegionKind.OTHER
    series = {region.referenced_series_uid for region in of}
    return Region(
        name,
        kind,
        of[0].grid,
        box[0],
        box[1],
        None,
        RegionOrigin.ALGEBRA,
        source,
        series.pop() if len(series) == 1 else None,
    )


def _quoted(region: Region) -> str:
    return f"“{region.name}”"


def _digests(regions: Sequence[Region]) -> str:
    return ", ".join(f"{region.name} {digest(region)[:DIGITS]}" for region in regions)
